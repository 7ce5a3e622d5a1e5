//! An error on its way to another process of ours: everything of it but its cause.
use super::Error;
use jeton_core::Class;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// An error as it is written down.
#[derive(Serialize, Deserialize)]
pub(crate) struct Record {
    class: String,
    message: String,
    hint: Option<String>,
    status: Option<u16>,
    oauth: Option<String>,
    retry_after_ms: Option<u64>,
}

/// Each class and the word for it.
const CLASSES: [(Class, &str); 11] = [
    (Class::Config, "config"),
    (Class::NotFound, "not-found"),
    (Class::Refused, "refused"),
    (Class::Timeout, "timeout"),
    (Class::Unavailable, "unavailable"),
    (Class::Throttled, "throttled"),
    (Class::Protocol, "protocol"),
    (Class::Trust, "trust"),
    (Class::Token, "token"),
    (Class::Cancelled, "cancelled"),
    (Class::Other, "other"),
];

impl Record {
    /// The error with its texts cut to `cap` characters.
    pub(crate) fn of(error: &Error, cap: usize) -> Self {
        let cut = |text: &str| text.chars().take(cap).collect::<String>();
        let class = CLASSES.iter().find(|(class, _)| *class == error.kind());
        Self {
            class: class.map_or("other", |(_, word)| word).to_owned(),
            message: cut(&error.to_string()),
            hint: error.hint().map(cut),
            status: error.status(),
            oauth: error.oauth().map(cut),
            retry_after_ms: error
                .retry_after()
                .map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
        }
    }

    /// The error again; `None` for a class that is none of ours.
    pub(crate) fn into_error(self) -> Option<Error> {
        let (class, _) = CLASSES.iter().find(|(_, word)| *word == self.class)?;
        let mut error = Error::new(*class, self.message);
        if let Some(hint) = self.hint {
            error = error.with_hint(hint);
        }
        if let Some(status) = self.status {
            error = error.with_status(status);
        }
        if let Some(oauth) = self.oauth {
            error = error.with_oauth(oauth);
        }
        if let Some(wait) = self.retry_after_ms {
            error = error.with_retry_after(Duration::from_millis(wait));
        }
        Some(error)
    }
}
