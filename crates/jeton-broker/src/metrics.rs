//! What is counted, as Prometheus reads it (text exposition format 0.0.4). No label ever holds anything that a stranger
//! chose: routes, methods, statuses, providers, policies and rejection codes are ours.
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The media type of the format.
pub const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The upper ends of the histogram of durations, in seconds: from a hot read to the longest request.
const BUCKETS: [f64; 10] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 2.5, 30.0];

/// What is counted, one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Counter {
    /// Credentials handed out, by provider.
    Releases,
    /// Answers of the token endpoint, by outcome: `given` or the error's code.
    Exchanges,
    /// Policies in report mode that would have decided, by policy.
    Reports,
    /// Tokens that were not accepted, by rejection code.
    Rejections,
    /// Requests answered 429, by what was too much.
    Limited,
    /// Requests answered 503 because too many were under way.
    Shed,
    /// Requests to providers, by provider and outcome.
    Mints,
    /// Configurations that were read again, by outcome.
    Reloads,
}

impl Counter {
    /// Name, help, label.
    const fn about(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Releases => ("releases", "Credentials handed out.", "provider"),
            Self::Exchanges => ("exchanges", "Answers of the token endpoint.", "outcome"),
            Self::Reports => (
                "policy_reports",
                "Decisions a policy in report mode would have made.",
                "policy",
            ),
            Self::Rejections => ("rejections", "Tokens that were not accepted.", "code"),
            Self::Limited => ("limited", "Requests answered 429.", "by"),
            Self::Shed => (
                "shed",
                "Requests answered 503 because too many were under way.",
                "by",
            ),
            Self::Mints => (
                "mints",
                "Requests to providers for short-lived credentials.",
                "outcome",
            ),
            Self::Reloads => ("reloads", "Settings read again.", "outcome"),
        }
    }
}

#[derive(Default)]
struct Series {
    count: u64,
    seconds: f64,
    buckets: [u64; BUCKETS.len()],
}

#[derive(Default)]
struct Counted {
    requests: BTreeMap<(&'static str, &'static str, u16), Series>,
    counters: BTreeMap<(Counter, String), u64>,
}

/// Everything that is counted.
#[derive(Default)]
pub struct Metrics {
    counted: Mutex<Counted>,
    in_flight: AtomicI64,
}

/// One request that is under way; it counts until it is dropped.
pub struct InFlight<'a>(&'a Metrics);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Metrics {
    /// A request begins; how many there are now, with it.
    #[must_use]
    pub fn begin(&self) -> (InFlight<'_>, i64) {
        let before = self.in_flight.fetch_add(1, Ordering::Relaxed);
        (InFlight(self), before + 1)
    }

    /// A request was answered. `route` is its pattern in the table, never its path.
    pub fn answered(&self, method: &'static str, route: &'static str, status: u16, took: Duration) {
        let mut counted = self.counted();
        let series = counted.requests.entry((route, method, status)).or_default();
        let seconds = took.as_secs_f64();
        series.count += 1;
        series.seconds += seconds;
        for (bucket, end) in series.buckets.iter_mut().zip(BUCKETS) {
            *bucket += u64::from(seconds <= end);
        }
    }

    /// Counts one.
    pub fn count(&self, counter: Counter, label: &str) {
        let mut counted = self.counted();
        match counted.counters.get_mut(&(counter, label.to_owned())) {
            Some(count) => *count += 1,
            None => drop(counted.counters.insert((counter, label.to_owned()), 1)),
        }
    }

    fn counted(&self) -> MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All of it, as text.
    #[must_use]
    pub fn text(&self) -> String {
        let counted = self.counted();
        let mut out = String::new();
        gauge(
            &mut out,
            "in_flight",
            "Requests under way.",
            self.in_flight.load(Ordering::Relaxed),
        );
        requests(&mut out, &counted.requests);
        let mut last = None;
        for ((counter, label), count) in &counted.counters {
            let (name, help, key) = counter.about();
            if last.replace(*counter) != Some(*counter) {
                head(&mut out, &format!("{name}_total"), help, "counter");
            }
            line(
                &mut out,
                &format!("{name}_total"),
                &[(key, label)],
                &count.to_string(),
            );
        }
        out
    }
}

fn requests(out: &mut String, requests: &BTreeMap<(&'static str, &'static str, u16), Series>) {
    head(
        out,
        "request_seconds",
        "Requests by route, method and status, and how long they took.",
        "histogram",
    );
    for ((route, method, status), series) in requests {
        let status = status.to_string();
        let labels = [
            ("route", *route),
            ("method", *method),
            ("status", status.as_str()),
        ];
        for (end, count) in BUCKETS.iter().zip(series.buckets) {
            let end = end.to_string();
            let [a, b, c] = labels;
            line(
                out,
                "request_seconds_bucket",
                &[a, b, c, ("le", &end)],
                &count.to_string(),
            );
        }
        let [a, b, c] = labels;
        let count = series.count.to_string();
        line(out, "request_seconds_bucket", &[a, b, c, ("le", "+Inf")], &count);
        line(out, "request_seconds_sum", &labels, &series.seconds.to_string());
        line(out, "request_seconds_count", &labels, &count);
    }
}

fn gauge(out: &mut String, name: &str, help: &str, value: i64) {
    head(out, name, help, "gauge");
    line(out, name, &[], &value.to_string());
}

// Writing to a text cannot fail.
fn head(out: &mut String, name: &str, help: &str, kind: &str) {
    let _ = writeln!(
        out,
        "# HELP jeton_broker_{name} {help}\n# TYPE jeton_broker_{name} {kind}"
    );
}

fn line(out: &mut String, name: &str, labels: &[(&str, &str)], value: &str) {
    let _ = write!(out, "jeton_broker_{name}");
    for (index, (key, label)) in labels.iter().enumerate() {
        let open = if index == 0 { '{' } else { ',' };
        let label = label
            .replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace('\n', "\\n");
        let _ = write!(out, "{open}{key}=\"{label}\"");
    }
    let close = if labels.is_empty() { "" } else { "}" };
    let _ = writeln!(out, "{close} {value}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_what_prometheus_reads() {
        let metrics = Metrics::default();
        let (request, at_once) = metrics.begin();
        assert_eq!(at_once, 1);
        metrics.answered("GET", "/projects/{p}", 200, Duration::from_millis(2));
        metrics.answered("GET", "/projects/{p}", 200, Duration::from_secs(1));
        metrics.count(Counter::Releases, "github");
        metrics.count(Counter::Releases, "github");
        metrics.count(Counter::Rejections, "odd\"\\\nlabel");
        let text = metrics.text();
        drop(request);
        for wanted in [
            "# TYPE jeton_broker_in_flight gauge\njeton_broker_in_flight 1\n",
            "jeton_broker_request_seconds_bucket{route=\"/projects/{p}\",method=\"GET\",status=\"200\",le=\"0.0025\"} 1\n",
            "jeton_broker_request_seconds_bucket{route=\"/projects/{p}\",method=\"GET\",status=\"200\",le=\"+Inf\"} 2\n",
            "jeton_broker_request_seconds_sum{route=\"/projects/{p}\",method=\"GET\",status=\"200\"} 1.002\n",
            "# TYPE jeton_broker_releases_total counter\njeton_broker_releases_total{provider=\"github\"} 2\n",
            "jeton_broker_rejections_total{code=\"odd\\\"\\\\\\nlabel\"} 1\n",
        ] {
            assert!(text.contains(wanted), "{wanted}\n{text}");
        }
        assert_eq!(text.matches("# TYPE jeton_broker_releases_total").count(), 1);
        assert!(metrics.text().contains("jeton_broker_in_flight 0\n"));
    }
}
