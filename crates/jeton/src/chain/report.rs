//! What a chain would do and why: the rows of `jeton explain`.
use super::Chain;
use crate::{Context, Error, Presence, Source};
use jeton_core::{Token, TokenRequest};
use std::time::Duration;

/// What became of one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It is not here.
    Absent,
    /// It is here, and it is the one that would be asked.
    Ready,
    /// It is here but cannot work.
    Broken,
    /// It was not looked at, or an earlier one answers.
    Skipped,
    /// It was asked and gave a token.
    Ok,
    /// It was asked and failed.
    Failed,
}

impl Status {
    /// As it is written in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Ready => "ready",
            Self::Broken => "broken",
            Self::Skipped => "skipped",
            Self::Ok => "ok",
            Self::Failed => "failed",
        }
    }
}

/// One source in a report.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its name.
    pub source: String,
    /// What became of it.
    pub status: Status,
    /// The exact variable, file or answer that says so.
    pub reason: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Whether it is here too, but an earlier one comes first.
    pub shadowed: bool,
    /// How long looking, or asking, took.
    pub elapsed: Duration,
    /// What it gave, when it was asked.
    pub token: Option<Token>,
    /// What it failed with, when it was asked.
    pub error: Option<Error>,
}

/// What a chain would do and why.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The source that would be asked, or was.
    pub chosen: Option<String>,
    /// Every source of the chain, in order.
    pub rows: Vec<Row>,
    /// What is worth a second look although it fails nothing.
    pub warnings: Vec<String>,
    /// Whether a broken source ended the chain.
    pub broken: bool,
}

/// Sources whose identity is that of the machine: on a CI runner it is not the job's.
const HOST_IDENTITIES: [&str; 3] = ["gcp", "aws", "azure"];
/// Sources that are the caller's own choice or a generic place, hence no platform's identity of a workload.
const NO_WORKLOAD: [&str; 4] = ["agent", "systemd", "wlcg", "cosign"];

impl Chain {
    /// What this chain would do for `request`, and why. No request is sent and no command is run.
    #[must_use]
    pub fn explain(&self, cx: &Context, request: &TokenRequest) -> Report {
        let mut report = Report::default();
        for source in &self.sources {
            let started = cx.clock.now();
            let row = if self.is_disabled(source.as_ref()) {
                Row::new(
                    source.name(),
                    Status::Skipped,
                    "disabled by the configuration",
                    None,
                )
            } else {
                self.look(&mut report, source.as_ref(), cx, request)
            };
            let elapsed = cx.clock.now().since(started);
            report.rows.push(Row { elapsed, ..row });
        }
        report.settle(self.named);
        report.warn_of_shadows(cx);
        report
    }

    fn look(&self, report: &mut Report, source: &dyn Source, cx: &Context, request: &TokenRequest) -> Row {
        let name = source.name();
        let earlier = report.chosen.clone();
        match source.presence(cx, request) {
            Presence::Absent { reason } => Row::new(name, Status::Absent, reason, None),
            Presence::Ready { reason, .. } | Presence::Broken { reason, .. } if earlier.is_some() => {
                let earlier = earlier.unwrap_or_default();
                let reason = format!("{earlier} comes first ({reason})");
                let shadowed = true;
                Row {
                    shadowed,
                    ..Row::new(name, Status::Skipped, reason, None)
                }
            }
            Presence::Ready { reason, .. } if report.broken && !self.named => {
                let reason = format!("a broken source ends the chain ({reason})");
                Row::new(name, Status::Skipped, reason, None)
            }
            Presence::Ready { reason, .. } => {
                report.chosen = Some(name.to_owned());
                Row::new(name, Status::Ready, reason, None)
            }
            Presence::Broken { reason, hint } => {
                report.broken = true;
                Row::new(name, Status::Broken, reason, Some(hint))
            }
        }
    }
}

impl Row {
    fn new(source: &str, status: Status, reason: impl Into<String>, hint: Option<String>) -> Self {
        Self {
            source: source.to_owned(),
            status,
            reason: reason.into(),
            hint,
            shadowed: false,
            elapsed: Duration::ZERO,
            token: None,
            error: None,
        }
    }
}

impl Report {
    /// The row of the chosen source.
    #[must_use]
    pub fn chosen_row(&self) -> Option<&Row> {
        let name = self.chosen.as_deref()?;
        self.rows.iter().find(|row| row.source == name)
    }

    /// A broken source that was passed over because a later named one is ready ends nothing.
    fn settle(&mut self, named: bool) {
        if named && self.chosen.is_some() && self.broken {
            self.broken = false;
            let passed = self.rows.iter().filter(|r| r.status == Status::Broken);
            let passed: Vec<_> = passed
                .map(|r| format!("{} is broken and passed over", r.source))
                .collect();
            self.warnings.extend(passed);
        }
    }

    /// Writes down what asking the chosen source brought.
    pub(crate) fn asked(&mut self, name: &str, answer: Result<Token, Error>, elapsed: Duration) {
        self.chosen = Some(name.to_owned());
        let Some(row) = self.rows.iter_mut().find(|row| row.source == name) else {
            return;
        };
        row.elapsed = elapsed;
        match answer {
            Ok(token) => {
                row.status = Status::Ok;
                row.token = Some(token);
            }
            Err(error) => {
                row.status = Status::Failed;
                row.reason = error.to_string();
                row.hint = error.hint().map(str::to_owned);
                row.error = Some(error);
            }
        }
    }

    /// Says when the machine's identity is about to be used where a workload has, or should have, its own.
    fn warn_of_shadows(&mut self, cx: &Context) {
        let Some(chosen) = self
            .chosen
            .clone()
            .filter(|c| HOST_IDENTITIES.contains(&c.as_str()))
        else {
            return;
        };
        let workload = self.rows.iter().find(|row| {
            row.shadowed
                && !HOST_IDENTITIES.contains(&row.source.as_str())
                && !NO_WORKLOAD.contains(&row.source.as_str())
                && !row.source.contains(':')
        });
        if let Some(row) = workload {
            let own = &row.source;
            self.warnings.push(format!(
                "{chosen} is the identity of the host and shadows the workload's own, {own}"
            ));
        } else if cx.env.is_true("CI") {
            self.warnings.push(format!(
                "CI is set, but {chosen} is the identity of the host: every job on this machine has it"
            ));
        }
    }
}
