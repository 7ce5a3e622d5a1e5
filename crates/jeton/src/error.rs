//! One opaque error: what class it is, what to do about it, and nothing secret in it.
use jeton_core::Class;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub(crate) mod record;

/// Why no token came. Cheap to clone, so that everybody who waited for the same answer gets the same error.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

struct Inner {
    class: Class,
    message: String,
    hint: Option<String>,
    transient: bool,
    retry_after: Option<Duration>,
    status: Option<u16>,
    oauth: Option<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of `class`; `message` says what happened, without secrets and without unescaped foreign text.
    pub fn new(class: Class, message: impl Into<String>) -> Self {
        let transient = matches!(class, Class::Unavailable | Class::Throttled | Class::Timeout);
        Self(Arc::new(Inner {
            class,
            message: message.into(),
            hint: None,
            transient,
            retry_after: None,
            status: None,
            oauth: None,
            source: None,
        }))
    }

    fn change(mut self, f: impl FnOnce(&mut Inner)) -> Self {
        if Arc::get_mut(&mut self.0).is_none() {
            let old = &self.0;
            self.0 = Arc::new(Inner {
                class: old.class,
                message: old.message.clone(),
                hint: old.hint.clone(),
                transient: old.transient,
                retry_after: old.retry_after,
                status: old.status,
                oauth: old.oauth.clone(),
                source: None,
            });
        }
        if let Some(inner) = Arc::get_mut(&mut self.0) {
            f(inner);
        }
        self
    }

    /// The same error with what the user can do about it.
    #[must_use]
    pub fn with_hint(self, hint: impl Into<String>) -> Self {
        let hint = hint.into();
        self.change(|e| e.hint = Some(hint))
    }

    /// The same error with its cause.
    #[must_use]
    pub fn with_source(self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        let source = source.into();
        self.change(|e| e.source = Some(source))
    }

    /// The same error with the wait that the other side asked for.
    #[must_use]
    pub fn with_retry_after(self, wait: Duration) -> Self {
        self.change(|e| e.retry_after = Some(wait))
    }

    /// The same error with the HTTP status of the last answer.
    #[must_use]
    pub fn with_status(self, status: u16) -> Self {
        self.change(|e| e.status = Some(status))
    }

    /// The same error with the OAuth error code of the answer (RFC 6749 section 5.2), such as `invalid_grant`.
    #[must_use]
    pub fn with_oauth(self, code: impl Into<String>) -> Self {
        let code = code.into();
        self.change(|e| e.oauth = Some(code))
    }

    /// The same error, said of something: `what: message`.
    #[must_use]
    pub fn about(self, what: &str) -> Self {
        self.change(|e| e.message = format!("{what}: {}", e.message))
    }

    /// What it means to the person who has to act on it.
    #[must_use]
    pub fn kind(&self) -> Class {
        self.0.class
    }

    /// Whether the same call may succeed later without anybody changing anything.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.0.transient
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// How long the other side asked to wait.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// The HTTP status of the last answer.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.0.status
    }

    /// The OAuth error code of the answer.
    #[must_use]
    pub fn oauth(&self) -> Option<&str> {
        self.0.oauth.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("class", &self.0.class)
            .field("message", &self.0.message)
            .finish_non_exhaustive()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|e| e as &(dyn StdError + 'static))
    }
}
