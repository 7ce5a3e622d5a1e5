//! `BENCHMARKS.md`: every ratio beside what it should be, then every figure.

use super::Figures;
use std::fmt::Write;

/// A ratio of two figures, or one figure alone, and the most it should be.
struct Row {
    what: &'static str,
    ours: &'static str,
    beside: Option<&'static str>,
    most: f64,
}

const fn row(what: &'static str, ours: &'static str, beside: &'static str, most: f64) -> Row {
    Row {
        what,
        ours,
        beside: Some(beside),
        most,
    }
}

const fn alone(what: &'static str, ours: &'static str, most: f64) -> Row {
    Row {
        what,
        ours,
        beside: None,
        most,
    }
}

const ROWS: &[Row] = &[
    row(
        "`jeton token` warm / floor",
        "warm jeton",
        "warm floor: read a file and print it",
        1.3,
    ),
    row("`jeton token` warm / `cat`", "warm jeton", "warm cat", 0.8),
    row(
        "`jeton token` cold / ambient-id",
        "cold jeton",
        "cold ambient-id",
        0.6,
    ),
    row(
        "cached / floor",
        "cached jeton: slot",
        "cached floor: arc-swap and Instant",
        1.5,
    ),
    row(
        "cached / google-cloud-auth",
        "cached jeton: slot",
        "cached google-cloud-auth",
        0.25,
    ),
    row(
        "cached / aws-smithy-runtime",
        "cached jeton: slot",
        "cached aws-smithy-runtime",
        0.25,
    ),
    row(
        "cached / azure_identity",
        "cached jeton: slot",
        "cached azure_identity",
        0.25,
    ),
    row("cached / moka", "cached jeton: slot", "cached moka", 1.0),
    row(
        "cached, 2 threads / 1 thread",
        "cached jeton: slot, 2 threads, 64 tasks",
        "cached jeton: slot",
        1.2,
    ),
    alone("herd of 1000 tasks: calls", "herd of 1000 tasks: calls", 1.0),
    alone(
        "herd of 1000 tasks: slowest / upstream",
        "herd of 1000 tasks: slowest caller / upstream",
        1.1,
    ),
    alone(
        "herd of 1000 tasks, failing: calls in 5 s",
        "herd of 1000 tasks, upstream failing, 5 s: calls",
        10.0,
    ),
    alone("herd of 50 processes: calls", "herd of 50 processes: calls", 2.0),
    row(
        "verify RS256 / raw",
        "verify RS256: jeton",
        "verify RS256: floor, raw aws-lc-rs with a parsed key",
        1.2,
    ),
    row(
        "verify ES256 / raw",
        "verify ES256: jeton",
        "verify ES256: floor, raw aws-lc-rs with a parsed key",
        1.1,
    ),
    row(
        "verify EdDSA / raw",
        "verify EdDSA: jeton",
        "verify EdDSA: floor, raw aws-lc-rs with a parsed key",
        1.1,
    ),
    row(
        "verify RS256 / jsonwebtoken",
        "verify RS256: jeton",
        "verify RS256: jsonwebtoken",
        1.0,
    ),
    row(
        "sign RS256 / raw",
        "sign RS256: jeton",
        "sign RS256: floor, raw aws-lc-rs",
        1.1,
    ),
    row(
        "sign ES256 / raw",
        "sign ES256: jeton",
        "sign ES256: floor, raw aws-lc-rs",
        1.1,
    ),
    row(
        "sign EdDSA / raw",
        "sign EdDSA: jeton",
        "sign EdDSA: floor, raw aws-lc-rs",
        1.1,
    ),
    row(
        "sign RS256 / jsonwebtoken",
        "sign RS256: jeton",
        "sign RS256: jsonwebtoken",
        1.0,
    ),
    row(
        "broker release, caller not seen / hello and check",
        "broker release, caller not seen before, CPU",
        "broker floor: hello and the signature checked, CPU",
        1.35,
    ),
    // 60,000 a second and core where hello costs 7.5 us.
    row(
        "broker release, caller seen / hello",
        "broker release, caller seen before, CPU",
        "broker: axum says hello, CPU",
        2.2,
    ),
    row(
        "broker release, PostgreSQL / SQLite",
        "broker release, caller seen before, PostgreSQL, CPU",
        "broker release, caller seen before, CPU",
        1.05,
    ),
    row(
        "token endpoint ES256 / oidc-provider",
        "broker exchange ES256, CPU",
        "oidc-provider token ES256, CPU",
        0.17,
    ),
    row(
        "broker p99 among 1,000 slow clients / alone",
        "broker p99 of a good caller among 1,000 slow clients",
        "broker p99 of a good caller",
        2.0,
    ),
    row(
        "broker p99 in 1,000 unknown keys a second / alone",
        "broker p99 of a good caller in a flood of unknown keys",
        "broker p99 of a good caller",
        2.0,
    ),
    alone(
        "broker memory after many requests, MiB",
        "broker memory after many requests",
        100.0,
    ),
    row(
        "proxy, CPU a request / nginx",
        "proxy CPU a request: jeton",
        "proxy CPU a request: nginx",
        1.15,
    ),
    row(
        "proxy, CPU a request / haproxy",
        "proxy CPU a request: jeton",
        "proxy CPU a request: haproxy",
        1.15,
    ),
    row(
        "proxy, latency added / nginx",
        "proxy latency added: jeton",
        "proxy latency added: nginx",
        1.1,
    ),
    alone(
        "agent, 100 profiles, at rest: MiB",
        "agent at rest: resident",
        15.0,
    ),
    alone(
        "agent, 100 profiles, at rest: wake-ups in 10 s",
        "agent at rest: wake-ups in 10 s",
        0.0,
    ),
];

/// The page.
pub(super) fn page(figures: &Figures, machine: &str) -> String {
    let mut text = format!(
        "# Benchmarks\n\nThe last run of `cargo xtask bench`, on {machine}. Ratios of one run on one machine: absolute \
         times are for scale only.\n\n| ratio | measured | at most | |\n|---|--:|--:|---|\n"
    );
    for row in ROWS {
        let (measured, verdict) = match row.measured(figures) {
            Some(value) if value <= row.most => (format!("{value:.2}"), "holds"),
            Some(value) => (format!("{value:.2}"), "**misses**"),
            None => ("not measured".into(), ""),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "| {} | {measured} | {} | {verdict} |", row.what, row.most);
    }
    text.push_str("\n| figure | value |\n|---|--:|\n");
    for (name, (value, unit)) in figures {
        let _ = writeln!(text, "| {name} | {value:.3} {unit} |");
    }
    text
}

impl Row {
    fn measured(&self, figures: &Figures) -> Option<f64> {
        let ours = figures.get(self.ours)?.0;
        match self.beside {
            None => Some(ours),
            Some(beside) => Some(ours / figures.get(beside)?.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_holds_misses_or_was_not_measured() {
        let facts = [
            (1.2, "| 1.20 | 1.3 | holds |"),
            (1.4, "| 1.40 | 1.3 | **misses** |"),
        ];
        for (ours, expected) in facts {
            let mut figures = Figures::new();
            figures.insert("warm jeton".into(), (ours, "ms".into()));
            figures.insert("warm floor: read a file and print it".into(), (1.0, "ms".into()));
            let text = page(&figures, "a machine");
            assert!(
                text.contains(&format!("| `jeton token` warm / floor {expected}")),
                "{text}"
            );
            assert!(
                text.contains("| `jeton token` warm / `cat` | not measured |"),
                "{text}"
            );
        }
    }
}
