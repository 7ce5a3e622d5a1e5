//! The only place that prints: data to standard output, everything for people to standard error.
use crate::failure::Failure;
use indicatif::ProgressBar;
use jeton::{Env, Secret, UnixTime};
use serde_json::json;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// How messages on standard error are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// How much is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Manner {
    /// Silent but for errors.
    pub(crate) quiet: bool,
    /// What happens is explained.
    pub(crate) verbose: bool,
    /// How it is written.
    pub(crate) format: LogFormat,
}

/// The weight of a message.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Error,
    Warning,
    Note,
    Detail,
}

impl Level {
    const fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "info",
            Self::Detail => "debug",
        }
    }
}

/// Both streams.
pub(crate) struct Output {
    manner: Manner,
    /// Whether GitHub reads standard error for commands (`::error …::`).
    annotates: bool,
    /// Shown below everything else while something is waited for.
    spinner: Mutex<Option<ProgressBar>>,
    /// What was hidden last: the library and the command both see to it, once is enough.
    masked: Mutex<Option<Secret>>,
    /// Whether not even errors may be written to standard error.
    silent: AtomicBool,
    now: fn() -> UnixTime,
}

impl Output {
    pub(crate) fn new(env: &Env, manner: Manner, now: fn() -> UnixTime) -> Self {
        Self {
            manner,
            annotates: env.is_true("GITHUB_ACTIONS"),
            spinner: Mutex::new(None),
            masked: Mutex::new(None),
            silent: AtomicBool::new(false),
            now,
        }
    }

    /// Data, exactly as given.
    pub(crate) fn bytes(&self, bytes: &[u8]) -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(bytes)?;
        out.flush()
    }

    /// Text, exactly as given.
    pub(crate) fn data(&self, text: &str) -> io::Result<()> {
        self.bytes(text.as_bytes())
    }

    /// Data and a newline.
    pub(crate) fn line(&self, text: &str) -> io::Result<()> {
        let mut whole = String::with_capacity(text.len() + 1);
        whole.push_str(text);
        whole.push('\n');
        self.data(&whole)
    }

    /// A JSON document and a newline.
    pub(crate) fn json(&self, value: &serde_json::Value) -> io::Result<()> {
        self.line(&value.to_string())
    }

    /// Whether standard output is a terminal.
    pub(crate) fn is_terminal(&self) -> bool {
        io::stdout().is_terminal()
    }

    /// Whether colours are welcome on standard output: a terminal, and nobody said no.
    pub(crate) fn is_colourful(&self) -> bool {
        anstream::AutoStream::choice(&io::stdout()) != anstream::ColorChoice::Never
    }

    /// Whether a person watches standard error.
    pub(crate) fn is_watched(&self) -> bool {
        io::stderr().is_terminal() && !self.manner.quiet && self.manner.format == LogFormat::Text
    }

    /// Something worth a line that fails nothing.
    pub(crate) fn warning(&self, message: &str) {
        self.say(Level::Warning, message, None);
    }

    /// Something that is said unless silence was asked for.
    pub(crate) fn note(&self, message: &str) {
        self.say(Level::Note, message, None);
    }

    /// What a person must see to go on, even where silence was asked for.
    pub(crate) fn prompt(&self, message: &str) {
        match self.manner.format {
            LogFormat::Json => self.put(&self.as_json(Level::Note, message, None)),
            LogFormat::Text => self.put(&self.as_text(Level::Note, message, None)),
        }
    }

    /// What happens, for those who asked (`-v`).
    pub(crate) fn detail(&self, message: &str) {
        self.say(Level::Detail, message, None);
    }

    /// From now on nothing at all is written to standard error.
    pub(crate) fn silence(&self) {
        self.silent.store(true, Ordering::Relaxed);
    }

    /// Tells the log of GitHub's job to hide a secret.
    pub(crate) fn mask(&self, secret: &Secret) {
        if !self.annotates || secret.is_empty() {
            return;
        }
        let last = self
            .masked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .replace(secret.clone());
        if last.as_ref() != Some(secret) {
            self.put(&format!("::add-mask::{}\n", escape_data(secret.reveal())));
        }
    }

    /// The report of a failure.
    pub(crate) fn failure(&self, failure: &Failure) {
        if failure.told {
            return;
        }
        self.say(Level::Error, &failure.message, Some(failure));
        if self.annotates {
            let title = escape_property(failure.title());
            let hint = failure
                .hint
                .as_deref()
                .map_or_else(String::new, |h| format!(" ({h})"));
            let message = escape_data(&format!("{}{hint}", failure.message));
            self.put(&format!("::error title={title}::{message}\n"));
        }
    }

    /// Replaces the spinner.
    pub(crate) fn set_spinner(&self, spinner: Option<ProgressBar>) {
        *self.spinner.lock().unwrap_or_else(PoisonError::into_inner) = spinner;
    }

    fn say(&self, level: Level, message: &str, failure: Option<&Failure>) {
        let silent = match level {
            Level::Error => false,
            Level::Warning | Level::Note => self.manner.quiet,
            Level::Detail => self.manner.quiet || !self.manner.verbose,
        };
        if silent {
            return;
        }
        self.put(&match self.manner.format {
            LogFormat::Json => self.as_json(level, message, failure),
            LogFormat::Text => self.as_text(level, message, failure),
        });
    }

    fn as_json(&self, level: Level, message: &str, failure: Option<&Failure>) -> String {
        let time = rfc3339((self.now)());
        let mut line = json!({"time": time, "level": level.word(), "message": message});
        if let Some(failure) = failure {
            line["code"] = json!(failure.exit.code());
            line["class"] = json!(failure.exit.word());
            line["hint"] = json!(failure.hint);
        }
        format!("{line}\n")
    }

    fn as_text(&self, level: Level, message: &str, failure: Option<&Failure>) -> String {
        use anstyle::{AnsiColor, Style};
        let color = |color: AnsiColor| Style::new().bold().fg_color(Some(color.into()));
        let (word, style) = match level {
            Level::Error => ("error: ", color(AnsiColor::Red)),
            Level::Warning => ("warning: ", color(AnsiColor::Yellow)),
            Level::Note => ("", Style::new()),
            Level::Detail => ("", Style::new().dimmed()),
        };
        let mut text = match level {
            Level::Note => format!("{message}\n"),
            Level::Detail => format!("{style}{message}{style:#}\n"),
            _ => format!("{style}{word}{style:#}{message}\n"),
        };
        if let Some(hint) = failure.and_then(|failure| failure.hint.as_deref()) {
            let style = color(AnsiColor::Cyan);
            text.push_str(&format!("{style}hint: {style:#}{hint}\n"));
        }
        text
    }

    /// Whole lines, so that two processes do not write into each other's.
    fn put(&self, text: &str) {
        if self.silent.load(Ordering::Relaxed) {
            return;
        }
        let write = || {
            // Nothing is left to tell anybody with when standard error is gone.
            let mut err = anstream::AutoStream::auto(io::stderr().lock());
            let _ = err.write_all(text.as_bytes());
            let _ = err.flush();
        };
        match &*self.spinner.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(spinner) => spinner.suspend(write),
            None => write(),
        }
    }
}

/// A time as RFC 3339 has it, in UTC, to the second.
pub(crate) fn rfc3339(time: UnixTime) -> String {
    jiff::Timestamp::from_second(time.seconds())
        .map_or_else(|_| time.seconds().to_string(), |t| t.to_string())
}

/// The escapes of a workflow command's message.
fn escape_data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// The escapes of a workflow command's property.
fn escape_property(text: &str) -> String {
    escape_data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workflow_commands_stay_on_one_line() {
        assert_eq!(escape_data("50% a\r\nb::c"), "50%25 a%0D%0Ab::c");
        assert_eq!(escape_property("jeton: a,b%"), "jeton%3A a%2Cb%25");
    }

    #[test]
    fn times_are_rfc_3339_in_utc() {
        assert_eq!(
            rfc3339(UnixTime::from_seconds(1_800_000_000)),
            "2027-01-15T08:00:00Z"
        );
        assert_eq!(
            rfc3339(UnixTime::from_seconds(i64::MAX / 1000)),
            (i64::MAX / 1000).to_string()
        );
    }
}
