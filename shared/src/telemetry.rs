//! Log lines: JSON where machines read them, plain text on a terminal.
//!
//! What is logged, and what never is (presigned URLs, bodies, users' file names), stands in ARCHITECTURE.md.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

/// Log lines as JSON on standard output, for Lambda. `filter` is `RUST_LOG`'s value, default `info`.
pub fn init_json(filter: Option<&str>) {
    tracing_subscriber::fmt()
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
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .with_env_filter(env_filter(filter))
        .init();
}

/// What of `filter` can be read; nobody wants a photo pipeline that does not start for a typo in a log filter.
fn env_filter(filter: &str) -> EnvFilter {
    EnvFilter::builder().parse_lossy(filter)
}
