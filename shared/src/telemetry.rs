//! Log lines: JSON where machines read them, plain text on a terminal.
//!
//! What is logged, and what never is (presigned URLs, bodies, users' file names), stands in ARCHITECTURE.md.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::FmtSpan;

/// The crates whose lines are ours.
const OWN: [&str; 6] = ["darkroom", "dispatcher", "job_status", "request_upload", "shared", "worker"];

/// Log lines as JSON on standard output, for Lambda. `filter` is `RUST_LOG`'s value, default `info`.
pub fn init_json(filter: Option<&str>) {
    tracing_subscriber::fmt()
        .log_internal_errors(false)
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_env_filter(env_filter(filter.unwrap_or("info")))
        .with_span_events(FmtSpan::NONE)
        .init();
}

/// Log lines as text on standard error, coloured on a terminal. `filter` is written as `RUST_LOG` is.
pub fn init_text(filter: &str) {
    tracing_subscriber::fmt()
        // A line that cannot be written is lost. The crate would print about it, to the same full disk, and panic.
        .log_internal_errors(false)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .with_env_filter(env_filter(filter))
        .init();
}

/// What of `filter` can be read; nobody wants a photo pipeline that does not start for a typo in a log filter.
fn env_filter(filter: &str) -> EnvFilter {
    EnvFilter::builder().parse_lossy(discreet(filter))
}

/// The filter, with a level that names no crate kept to our own where it is below `info`: libraries log requests whole
/// there, signatures and presigned URLs included. Who names a library gets all that it says.
fn discreet(filter: &str) -> String {
    let directives = filter.split(',').map(|directive| match directive.trim().parse::<LevelFilter>() {
        Ok(level) if level > LevelFilter::INFO => {
            OWN.iter().fold("info".to_owned(), |all, name| format!("{all},{name}={level}"))
        }
        _ => directive.to_owned(),
    });
    directives.collect::<Vec<String>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_stay_discreet_unless_named() {
        assert_eq!(discreet("warn"), "warn");
        assert_eq!(discreet("info,hyper=trace"), "info,hyper=trace");
        assert_eq!(
            discreet("debug,hyper=off"),
            "info,darkroom=debug,dispatcher=debug,job_status=debug,request_upload=debug,shared=debug,worker=debug,hyper=off"
        );
    }
}
