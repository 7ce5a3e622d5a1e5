//! What a person is told while the library works: details with `-v`, and a spinner when it takes longer than a second.
use crate::output::Output;
use indicatif::{ProgressBar, ProgressStyle};
use jeton::context::Observer;
use jeton::{Secret, duration};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Nobody wonders before this.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often the spinner turns.
const TURN: Duration = Duration::from_millis(100);

/// Told by the library what it does.
#[derive(Clone)]
pub(crate) struct Progress {
    output: Arc<Output>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// What is waited for.
    doing: String,
    /// Until when at the most.
    deadline: Option<Instant>,
}

impl Progress {
    pub(crate) fn new(output: Arc<Output>) -> Self {
        Self {
            output,
            state: Arc::default(),
        }
    }

    /// From now on the time left is counted down from `span`.
    pub(crate) fn within(&self, span: Duration) {
        self.change(|state| state.deadline = Instant::now().checked_add(span));
    }

    /// Names what is waited for.
    pub(crate) fn doing(&self, what: &str) {
        self.change(|state| state.doing = what.to_owned());
    }

    /// Turns a spinner on a terminal, as long as this is polled and once it is worth it.
    pub(crate) async fn show(&self) -> Infallible {
        if !self.output.is_watched() {
            return std::future::pending().await;
        }
        tokio::time::sleep(PATIENCE).await;
        let spinner = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner:.cyan} {msg}") {
            spinner.set_style(style);
        }
        let _shown = Shown::new(&self.output, spinner.clone());
        loop {
            spinner.set_message(self.message());
            spinner.tick();
            tokio::time::sleep(TURN).await;
        }
    }

    fn message(&self) -> String {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let left = state
            .deadline
            .map(|end| end.saturating_duration_since(Instant::now()).as_secs());
        match left {
            Some(left) => format!("{}, {left} s left", state.doing),
            None => state.doing.clone(),
        }
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// A spinner that is taken away again, also when the future that turns it is dropped.
struct Shown<'a>(&'a Output, ProgressBar);

impl<'a> Shown<'a> {
    fn new(output: &'a Output, spinner: ProgressBar) -> Self {
        output.set_spinner(Some(spinner.clone()));
        Self(output, spinner)
    }
}

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        self.0.set_spinner(None);
        self.1.finish_and_clear();
    }
}

impl Observer for Progress {
    fn attempt(&self, host: &str, attempt: u32, of: u32) {
        let what = format!("asking {host}, attempt {attempt} of {of}");
        self.output.detail(&what);
        self.doing(&what);
    }

    fn waiting(&self, host: &str, what: &str, wait: Duration) {
        let wait = duration::show(Duration::from_millis(
            u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
        ));
        let what = format!("{host}: {what}; the next attempt in {wait}");
        self.output.detail(&what);
        self.doing(&what);
    }

    fn warning(&self, message: &str) {
        self.output.warning(message);
    }

    fn minted(&self, secret: &Secret) {
        self.output.mask(secret);
    }
}
