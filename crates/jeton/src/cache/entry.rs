//! A token as it is written, and what is checked when it is read again.
//!
//! A file is `{"jeton":1,"sum":"<SHA-256 of body>","entry":<body>}`: cut anywhere, filled with zeros or edited, it is
//! not ours any more. The body says in clear what the token is for, and is held against the question when it is read:
//! a file put in another's place answers nothing.
use super::Wanted;
use super::key::{Scope, hex};
use jeton_core::{Life, Moment, Secret, Token, UnixTime};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The layout of [`Entry`]; another one is a miss.
const VERSION: u32 = 1;
const HEAD: &[u8] = br#"{"jeton":1,"sum":""#;
const MIDDLE: &[u8] = br#"","entry":"#;
const TAIL: &[u8] = b"}\n";
/// Hexadecimal digits of a SHA-256.
const SUM_LENGTH: usize = 64;

/// A token on disk.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    version: u32,
    pub(crate) profile: String,
    pub(crate) source: String,
    asked: Asked,
    pub(crate) issuer: Option<String>,
    pub(crate) subject: Option<String>,
    pub(crate) audience: Vec<String>,
    pub(crate) scopes: Vec<String>,
    expires_at_ms: Option<i64>,
    received_wall_ms: i64,
    received_uptime_ms: u64,
    left_ms: u64,
    clock_offset_ms: i64,
    token_type: String,
    token: String,
}

/// What the token was asked for with.
#[derive(Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
struct Asked {
    issuer: Option<String>,
    client: Option<String>,
    subject: Option<String>,
    endpoint: Option<String>,
    audience: Vec<String>,
    scopes: Vec<String>,
    resource: Vec<String>,
}

impl Asked {
    fn of(scope: &Scope<'_>) -> Self {
        let set = |values: &[String]| {
            let mut set = values.to_vec();
            set.sort_unstable();
            set.dedup();
            set
        };
        Self {
            issuer: scope.particulars.issuer.clone(),
            client: scope.particulars.client.clone(),
            subject: scope.particulars.subject.clone(),
            endpoint: scope.particulars.endpoint.clone(),
            audience: set(&scope.request.audience),
            scopes: set(&scope.request.scopes),
            resource: set(&scope.request.resource),
        }
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

impl Entry {
    /// `token` as it is kept for `scope`; `None` when nobody said when it ends: such a token is not kept.
    pub(crate) fn of(scope: &Scope<'_>, token: &Token) -> Option<Self> {
        let life = token.life?;
        Some(Self {
            version: VERSION,
            profile: scope.profile.to_owned(),
            source: scope.source.to_owned(),
            asked: Asked::of(scope),
            issuer: token.issuer.clone(),
            subject: token.subject.clone(),
            audience: token.audience.clone(),
            scopes: token.scopes.clone(),
            expires_at_ms: token.expires_at.map(UnixTime::millis),
            received_wall_ms: life.received.wall.millis(),
            received_uptime_ms: millis(life.received.uptime),
            left_ms: millis(life.left_at_receipt),
            clock_offset_ms: life.clock_offset_millis,
            token_type: token.token_type.clone(),
            token: token.value.reveal().to_owned(),
        })
    }

    /// The bytes of the file.
    pub(crate) fn seal(&self) -> Option<Vec<u8>> {
        serde_json::to_vec(self).ok().map(|body| seal(&body))
    }

    /// Reads the bytes of a file. `None`: corrupt, or of another version.
    pub(crate) fn unseal(file: &[u8]) -> Option<Self> {
        let entry: Self = serde_json::from_slice(unseal(file)?).ok()?;
        (entry.version == VERSION).then_some(entry)
    }

    fn life(&self) -> Life {
        Life {
            received: Moment {
                wall: UnixTime::from_millis(self.received_wall_ms),
                uptime: Duration::from_millis(self.received_uptime_ms),
            },
            left_at_receipt: Duration::from_millis(self.left_ms),
            clock_offset_millis: self.clock_offset_ms,
        }
    }

    /// When it ends, by its issuer.
    pub(crate) fn expires_at(&self) -> Option<UnixTime> {
        self.expires_at_ms.map(UnixTime::from_millis)
    }

    /// Whether it has any life left.
    pub(crate) fn is_alive(&self, now: Moment) -> bool {
        let present = now.wall.millis().saturating_add(self.clock_offset_ms);
        self.expires_at_ms.is_none_or(|end| end > present) && !self.life().left_at_least(now).is_zero()
    }

    /// Whether it holds this very token.
    pub(crate) fn holds(&self, token: &Secret) -> bool {
        self.token == token.reveal()
    }

    /// Whether it was written for this scope.
    pub(crate) fn is_for(&self, scope: &Scope<'_>) -> bool {
        self.profile == scope.profile && self.source == scope.source && self.asked == Asked::of(scope)
    }

    /// The token, if it was written for `scope` and is what is wanted.
    pub(crate) fn into_token(self, scope: &Scope<'_>, wanted: &Wanted, now: Moment) -> Option<Token> {
        let life = self.life();
        if !self.is_for(scope) || !self.is_alive(now) || !wanted.accepts(&life, now) {
            return None;
        }
        Some(Token {
            expires_at: self.expires_at(),
            value: Secret::new(self.token),
            token_type: self.token_type,
            issuer: self.issuer,
            subject: self.subject,
            audience: self.audience,
            scopes: self.scopes,
            source: self.source,
            life: Some(life),
            cached: true,
        })
    }
}

/// Puts a body into a file that shows when it was changed.
pub(crate) fn seal(body: &[u8]) -> Vec<u8> {
    let mut file = Vec::with_capacity(HEAD.len() + SUM_LENGTH + MIDDLE.len() + body.len() + TAIL.len());
    file.extend_from_slice(HEAD);
    file.extend_from_slice(sum(body).as_bytes());
    file.extend_from_slice(MIDDLE);
    file.extend_from_slice(body);
    file.extend_from_slice(TAIL);
    file
}

/// The body of a file that was written whole and not changed since.
pub(crate) fn unseal(file: &[u8]) -> Option<&[u8]> {
    let rest = file.strip_prefix(HEAD)?.strip_suffix(TAIL)?;
    let (claimed, rest) = rest.split_at_checked(SUM_LENGTH)?;
    let body = rest.strip_prefix(MIDDLE)?;
    (claimed == sum(body).as_bytes()).then_some(body)
}

fn sum(body: &[u8]) -> String {
    hex(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, body).as_ref())
}
