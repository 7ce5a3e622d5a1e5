//! Exit codes: one table, which scripts may rely on.
use jeton::Class;

/// What the process says with its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// 0
    Done,
    /// 1
    Other,
    /// 2
    Usage,
    /// 3
    NotFound,
    /// 4
    Refused,
    /// 5
    Timeout,
    /// 6
    Unavailable,
    /// 7
    RateLimited,
    /// 8
    Protocol,
    /// 130
    Interrupted,
    /// 143
    Terminated,
    /// A child's own code
    Child(u8),
}

/// Each code, the word for it in machine-readable errors, and its meaning.
pub(crate) const TABLE: [(Exit, u8, &str, &str); 11] = [
    (Exit::Done, 0, "done", "done"),
    (Exit::Other, 1, "other", "anything not below"),
    (
        Exit::Usage,
        2,
        "usage",
        "usage: bad argument, bad configuration, invalid request",
    ),
    (
        Exit::NotFound,
        3,
        "not-found",
        "not found: no source is here, no such profile, credential or file",
    ),
    (
        Exit::Refused,
        4,
        "refused",
        "refused: denied by the platform or server (4xx), token rejected, login needed",
    ),
    (Exit::Timeout, 5, "timeout", "timeout: the deadline passed"),
    (
        Exit::Unavailable,
        6,
        "unavailable",
        "unavailable: transient failures until the attempts were used up",
    ),
    (
        Exit::RateLimited,
        7,
        "rate-limited",
        "rate limited until the attempts or the deadline were used up",
    ),
    (
        Exit::Protocol,
        8,
        "protocol",
        "protocol or trust: the other side answered something that cannot be right (no token in it, wrong audience, \
         wrong issuer, too large, a certificate that does not fit)",
    ),
    (Exit::Interrupted, 130, "interrupted", "interrupted"),
    (Exit::Terminated, 143, "terminated", "terminated"),
];

impl Exit {
    /// The code.
    pub(crate) fn code(self) -> u8 {
        if let Self::Child(code) = self {
            return code;
        }
        self.row().1
    }

    /// The word.
    pub(crate) fn word(self) -> &'static str {
        self.row().2
    }

    fn row(self) -> &'static (Self, u8, &'static str, &'static str) {
        let found = TABLE.iter().find(|(exit, ..)| *exit == self);
        found.unwrap_or(&TABLE[1])
    }
}

impl From<Class> for Exit {
    fn from(class: Class) -> Self {
        match class {
            Class::Config => Self::Usage,
            Class::NotFound => Self::NotFound,
            Class::Refused => Self::Refused,
            Class::Timeout => Self::Timeout,
            Class::Unavailable => Self::Unavailable,
            Class::Throttled => Self::RateLimited,
            Class::Protocol | Class::Trust | Class::Token => Self::Protocol,
            Class::Cancelled => Self::Interrupted,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b7_every_class_has_its_code() {
        let rows = [
            (Class::Other, 1),
            (Class::Config, 2),
            (Class::NotFound, 3),
            (Class::Refused, 4),
            (Class::Timeout, 5),
            (Class::Unavailable, 6),
            (Class::Throttled, 7),
            (Class::Protocol, 8),
            (Class::Trust, 8),
            (Class::Token, 8),
            (Class::Cancelled, 130),
        ];
        for (class, code) in rows {
            assert_eq!(Exit::from(class).code(), code, "{class:?}");
        }
    }
}
