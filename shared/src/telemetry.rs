//! Log lines: JSON where machines read them, plain text on a terminal; and which of their fields are metrics.
//!
//! What is logged, and what never is (presigned URLs, bodies, users' file names), stands in ARCHITECTURE.md.

use std::fmt;
use std::io::IsTerminal;

use serde::Serialize;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{self, Format, FormatEvent, FormatFields, Json, JsonFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::time::Timestamp;

/// What is logged where nothing else is said.
const DEFAULT: &str = "info";

/// The crates whose lines are ours.
const OWN: [&str; 6] = ["darkroom", "dispatcher", "job_status", "request_upload", "shared", "worker"];

/// Where `CloudWatch` keeps the metrics.
const NAMESPACE: &str = "Darkroom";

/// The member of a line that says whose metrics it has, and their only dimension: the name of the table of jobs.
const DIMENSION: &str = "Table";

/// The fields of log lines that are metrics too, wherever they are logged as a number, and their units in `CloudWatch`.
/// docs/operate.md says what each means. One more is some 30 cents a month for each table.
const METRICS: [(&str, &str); 15] = [
    ("offered", "Count"),
    ("queued", "Count"),
    ("completed", "Count"),
    ("rejected", "Count"),
    ("failed", "Count"),
    ("expired", "Count"),
    ("put_back", "Count"),
    ("mended", "Count"),
    ("ended", "Count"),
    ("found", "Count"),
    ("queue_ms", "Milliseconds"),
    ("fetch_ms", "Milliseconds"),
    ("compute_ms", "Milliseconds"),
    ("store_ms", "Milliseconds"),
    ("duration_ms", "Milliseconds"),
];

/// Log lines as JSON on standard output, for Lambda. `filter` is `RUST_LOG`'s value, default `info`; `table` is the name
/// of the table of jobs, without which no line holds metrics.
pub fn init_json(filter: Option<&str>, table: Option<String>) {
    let lines = tracing_subscriber::fmt::layer()
        .log_internal_errors(false)
        .event_format(JsonLines::new(table, SystemTime, Timestamp::now))
        .fmt_fields(JsonFields::new());
    tracing_subscriber::registry().with(targets(filter.unwrap_or(DEFAULT))).with(lines).init();
}

/// Log lines as text on standard error, coloured on a terminal. `filter` is written as `RUST_LOG` is.
pub fn init_text(filter: &str) {
    let lines = tracing_subscriber::fmt::layer()
        // A line that cannot be written is lost. The crate would print about it, to the same full disk, and panic.
        .log_internal_errors(false)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    tracing_subscriber::registry().with(targets(filter)).with(lines).init();
}

/// What of `filter` can be read; nobody wants a photo pipeline that does not start for a typo in a log filter.
///
/// Crates and levels only. `EnvFilter` could tell fields and spans apart as well, by a regex engine that would be a
/// twentieth of a function's package.
fn targets(filter: &str) -> Targets {
    let filter = discreet(filter);
    let readable = |directive: &&str| !directive.is_empty() && directive.parse::<Targets>().is_ok();
    let readable: Vec<&str> = filter.split(',').map(str::trim).filter(readable).collect();
    let filter = if readable.is_empty() { DEFAULT.to_owned() } else { readable.join(",") };
    filter.parse().unwrap_or_default()
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

/// Lines of JSON. One that has metrics says so in `CloudWatch`'s embedded metric format:
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>.
struct JsonLines<T> {
    json: Format<Json, T>,
    table: Option<String>,
    now: fn() -> Timestamp,
}

impl<T> JsonLines<T> {
    fn new(table: Option<String>, timer: T, now: fn() -> Timestamp) -> Self {
        let json = format::format().with_timer(timer).json();
        let json = json.flatten_event(true).with_current_span(true).with_span_list(false);
        Self { json, table, now }
    }
}

impl<S, N, T> FormatEvent<S, N> for JsonLines<T>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    T: FormatTime,
{
    fn format_event(&self, ctx: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let metrics = Metrics::of(event);
        let Some(table) = self.table.as_ref().filter(|_| !metrics.0.is_empty()) else {
            return self.json.format_event(ctx, writer, event);
        };
        let mut line = String::new();
        self.json.format_event(ctx, Writer::new(&mut line), event)?;
        let members = line.trim_end().strip_suffix('}').ok_or(fmt::Error)?;
        let directive = Directive { namespace: NAMESPACE, dimensions: [[DIMENSION]], metrics };
        let aws = Aws { timestamp: (self.now)().epoch_millis(), cloud_watch_metrics: [directive] };
        let (table, aws) = (serde_json::to_string(table), serde_json::to_string(&aws));
        let (table, aws) = (table.map_err(|_| fmt::Error)?, aws.map_err(|_| fmt::Error)?);
        writeln!(writer, r#"{members},"{DIMENSION}":{table},"_aws":{aws}}}"#)
    }
}

/// What tells `CloudWatch` of a line's metrics.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Aws {
    timestamp: i64,
    cloud_watch_metrics: [Directive; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Directive {
    namespace: &'static str,
    dimensions: [[&'static str; 1]; 1],
    metrics: Metrics,
}

/// An event's metrics. `CloudWatch` takes no line of which one is missing, or is no number.
#[derive(Default, Serialize)]
struct Metrics(Vec<Metric>);

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Metric {
    name: &'static str,
    unit: &'static str,
}

impl Metrics {
    fn of(event: &Event<'_>) -> Self {
        let mut metrics = Self::default();
        // Libraries have words of their own.
        if event.metadata().target().split("::").next().is_some_and(|name| OWN.contains(&name)) {
            event.record(&mut metrics);
        }
        metrics
    }

    fn note(&mut self, field: &Field) {
        let found = METRICS.into_iter().find(|(name, _)| *name == field.name());
        self.0.extend(found.map(|(name, unit)| Metric { name, unit }));
    }
}

impl Visit for Metrics {
    fn record_u64(&mut self, field: &Field, _: u64) {
        self.note(field);
    }

    fn record_i64(&mut self, field: &Field, _: i64) {
        self.note(field);
    }

    /// All else is no number that we log.
    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::HashSet;
    use std::io;
    use std::sync::{Arc, Mutex};

    use serde_json::Value;
    use tracing::Level;

    use super::*;

    /// Units that the specification knows and that are used here.
    const UNITS: [&str; 2] = ["Count", "Milliseconds"];

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What `log` logs, in lines of this format.
    fn logged<F>(format: F, log: impl FnOnce()) -> String
    where
        F: FormatEvent<tracing_subscriber::Registry, JsonFields> + Send + Sync + 'static,
    {
        let lines = Log::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .fmt_fields(JsonFields::new())
            .event_format(format)
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, log);
        String::from_utf8(lines.0.lock().unwrap().clone()).unwrap()
    }

    type Clock = fn(&mut Writer<'_>) -> fmt::Result;

    const CLOCK: Clock = |writer| writer.write_str("2026-11-18T11:06:40.123456Z");

    fn lines_of(table: Option<&str>) -> JsonLines<Clock> {
        JsonLines::new(table.map(str::to_owned), CLOCK, || Timestamp::from_micros(1_795_000_000_123_456))
    }

    fn lines() -> JsonLines<Clock> {
        lines_of(Some("jobs"))
    }

    /// The metrics in what `log` logs, and their values.
    pub(crate) fn counted(log: impl FnOnce()) -> Vec<(String, u64)> {
        let lines = logged(lines(), log);
        let value = |line, name: &String| serde_json::from_str::<Value>(line).unwrap()[name].as_u64().unwrap();
        let of_line = |line| metrics(line).into_iter().map(move |name| (name.clone(), value(line, &name)));
        lines.lines().flat_map(of_line).collect()
    }

    /// The names of the metrics in a line, which has to be as the specification has it.
    fn metrics(line: &str) -> Vec<String> {
        let line: Value = serde_json::from_str(line).unwrap();
        let aws = line["_aws"].as_object().unwrap();
        assert_eq!(aws.keys().map(String::as_str).collect::<HashSet<_>>(), ["Timestamp", "CloudWatchMetrics"].into());
        assert!(aws["Timestamp"].is_u64());
        let [directive] = &aws["CloudWatchMetrics"].as_array().unwrap()[..] else { panic!("{line}") };
        let members: HashSet<&str> = directive.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(members, ["Namespace", "Dimensions", "Metrics"].into());
        assert_eq!(directive["Namespace"], "Darkroom");
        for dimension in directive["Dimensions"].as_array().unwrap().iter().flat_map(|set| set.as_array().unwrap()) {
            assert!(line[dimension.as_str().unwrap()].is_string(), "{dimension} in {line}");
        }
        let metrics = directive["Metrics"].as_array().unwrap();
        assert!((1..=100).contains(&metrics.len()));
        let name = |metric: &Value| {
            let name = metric["Name"].as_str().unwrap().to_owned();
            assert!(line[&name].is_number(), "{name} in {line}");
            assert!(UNITS.contains(&metric["Unit"].as_str().unwrap()), "{metric}");
            name
        };
        metrics.iter().map(name).collect()
    }

    #[test]
    fn a_line_with_metrics_says_so_in_the_embedded_metric_format() {
        let log = || tracing::info!(attempt = 2, fetch_ms = 17_u64, put_back = 1, "photo \"processed\"");
        let line = logged(lines(), log);
        assert_eq!(
            line,
            concat!(
                r#"{"timestamp":"2026-11-18T11:06:40.123456Z","level":"INFO","#,
                r#""message":"photo \"processed\"","attempt":2,"fetch_ms":17,"put_back":1,"#,
                r#""target":"shared::telemetry::tests","Table":"jobs","_aws":{"Timestamp":1795000000123,"#,
                r#""CloudWatchMetrics":[{"Namespace":"Darkroom","Dimensions":[["Table"]],"Metrics":["#,
                r#"{"Name":"fetch_ms","Unit":"Milliseconds"},{"Name":"put_back","Unit":"Count"}]}]}}"#,
                "\n"
            )
        );
        assert_eq!(metrics(&line), ["fetch_ms", "put_back"]);
    }

    #[test]
    fn within_a_span_metrics_stay_at_the_top() {
        let line = logged(lines(), || {
            let span = tracing::info_span!("invocation", requestId = "7", queued = 3);
            span.in_scope(|| tracing::info!(offered = 1, "upload slot offered"));
        });
        assert_eq!(metrics(&line), ["offered"]);
        assert!(line.contains(r#""span":{"queued":3,"requestId":"7","name":"invocation"}"#), "{line}");
    }

    #[test]
    fn a_line_without_metrics_is_what_it_was() {
        let plain = || format::format().with_timer(CLOCK).json().flatten_event(true).with_span_list(false);
        let log = || {
            let span = tracing::info_span!("invocation", requestId = "7");
            span.in_scope(|| tracing::info!(job.id = "7", attempt = 1, bytes = 5_u64, "job failed"));
            // Neither is what a library says, nor a text in a metric's place, nor a value that is not there.
            tracing::info!(target: "hyper::proto", queued = 7, "connections");
            tracing::info!(failed = "<img onerror=1>", completed = tracing::field::debug("1"), "odd");
            tracing::info!(queue_ms = None::<u64>, "of no known age");
        };
        assert_eq!(logged(lines(), log), logged(plain(), log));
        assert_eq!(logged(lines(), log).lines().count(), 4);
    }

    #[test]
    fn without_a_table_there_are_no_metrics() {
        let line = logged(lines_of(None), || tracing::info!(offered = 1, "offered"));
        assert!(!line.contains("_aws"), "{line}");
    }

    #[test]
    fn a_tables_name_is_text_whatever_it_is() {
        let line = logged(lines_of(Some("\"},{\"")), || tracing::info!(offered = 1, "offered"));
        assert_eq!(serde_json::from_str::<Value>(&line).unwrap()["Table"], "\"},{\"");
        assert_eq!(metrics(&line), ["offered"]);
    }

    #[test]
    fn no_member_of_a_line_has_two_meanings() {
        let mut names: Vec<&str> = METRICS.into_iter().map(|(name, _)| name).collect();
        names.extend([DIMENSION, "_aws", "timestamp", "level", "message", "target", "span"]);
        let different: HashSet<&&str> = names.iter().collect();
        assert_eq!(different.len(), names.len());
    }

    #[test]
    fn libraries_stay_discreet_unless_named() {
        assert_eq!(discreet("warn"), "warn");
        assert_eq!(discreet("info,hyper=trace"), "info,hyper=trace");
        assert_eq!(
            discreet("debug,hyper=off"),
            "info,darkroom=debug,dispatcher=debug,job_status=debug,request_upload=debug,shared=debug,worker=debug,hyper=off"
        );
    }

    #[test]
    fn what_cannot_be_read_of_a_filter_is_passed_over() {
        for (filter, target, level, enabled) in [
            ("info", "worker", Level::INFO, true),
            ("info", "worker", Level::DEBUG, false),
            ("warn", "worker", Level::INFO, false),
            ("debug", "worker", Level::DEBUG, true),
            ("debug", "hyper", Level::DEBUG, false),
            ("info,hyper=trace", "hyper", Level::TRACE, true),
            ("info, hyper=trace ,[span{field=1}]=debug,worker=loud", "worker", Level::INFO, true),
            ("info,hyper=off,,warn", "worker", Level::INFO, false),
            ("", "worker", Level::INFO, true),
            ("worker=loud", "worker", Level::INFO, true),
        ] {
            assert_eq!(targets(filter).would_enable(target, &level), enabled, "{filter} {target} {level}");
        }
    }
}
