//! The only file of this crate that prints.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "recipes speak to the person or the log that started them"
)]

use std::time::{Duration, Instant};

/// Says on stderr what is being done.
pub(crate) fn step(what: &str) {
    eprintln!("\n==> {what}");
}

/// One line for people.
pub(crate) fn note(line: &str) {
    eprintln!("{line}");
}

/// Why a recipe failed.
pub(crate) fn failure(reason: &str) {
    eprintln!("xtask: {reason}");
}

/// One line of the recipe's own result, on stdout.
pub(crate) fn line(text: &str) {
    println!("{text}");
}

/// A clock for the log: real time is all that matters to a person who waits.
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts now.
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// Time since the start.
    pub(crate) fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}
