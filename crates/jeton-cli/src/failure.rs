//! Why a command did not do what it was asked: one report for people, for logs and for GitHub's annotations.
use crate::exit::Exit;
use crate::settings::Origin;
use jeton::Error;

/// The end of a command that failed.
#[derive(Debug)]
pub(crate) struct Failure {
    /// With what code the process ends.
    pub(crate) exit: Exit,
    /// What happened.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) hint: Option<String>,
    /// Whether the report was given already, so that only the code is left.
    pub(crate) told: bool,
}

impl Failure {
    /// A failure with this code.
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            hint: None,
            told: false,
        }
    }

    /// A bad argument or setting.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// The same failure with what to do about it.
    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same failure with where the value at fault was written.
    pub(crate) fn said_at(mut self, origin: &Origin) -> Self {
        self.message = format!("{} ({origin})", self.message);
        self
    }

    /// A failure that needs no more words.
    pub(crate) fn told(exit: Exit) -> Self {
        Self {
            told: true,
            ..Self::new(exit, "")
        }
    }

    /// What the annotation is titled.
    pub(crate) fn title(&self) -> &'static str {
        match self.exit {
            Exit::Usage => "jeton: usage",
            Exit::NotFound => "jeton: not found",
            Exit::Refused => "jeton: refused",
            Exit::Timeout => "jeton: timeout",
            Exit::Unavailable => "jeton: unavailable",
            Exit::RateLimited => "jeton: rate limited",
            Exit::Protocol => "jeton: protocol or trust",
            _ => "jeton",
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self {
            hint: error.hint().map(str::to_owned),
            ..Self::new(Exit::from(error.kind()), error.to_string())
        }
    }
}

impl From<std::io::Error> for Failure {
    /// Standard output could not be written.
    fn from(error: std::io::Error) -> Self {
        // Whoever closed the pipe does not want to hear of it.
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            return Self::told(Exit::Other);
        }
        Self::new(Exit::Other, format!("cannot write to standard output: {error}"))
    }
}
