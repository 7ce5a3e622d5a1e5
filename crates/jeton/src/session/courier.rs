//! A refresh that is finished even when whoever asked for it is killed.
//!
//! Between the moment at which an issuer rotates a refresh token and the moment at which the new one is in our file,
//! its only copy is in a process. Kill that process, and the login is lost (RFC 9700 section 4.14.2: the old token was
//! used). A [`Courier`] is a second process, in a session of its own, which no signal meant for the first one or its
//! group reaches: it holds the session's lease, sends the refresh token, writes down what it was rotated to, puts the
//! access token into the cache, and tells whoever asked, if he is still there.
//!
//! ```text
//! asks: standard input   one errand, no secret in it; then it stays open as long as he waits
//! told: standard output  what happens, then the token or the error, one JSON line each
//! ```
//!
//! Who closes that input before the refresh token was sent has called the errand off: nothing is sent.
//!
//! Programs with a binary of their own need one line in its `main` for this ([`carry`]). Programs without a courier
//! refresh in their own process; a kill between the issuer's answer and its way to the disk then costs the login.
use crate::cache::Wanted;
use crate::error::record::Record;
use crate::{Context, Error};
use jeton_core::{Life, Moment, RetryPolicy, Secret, Token, TokenRequest, UnixTime};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};

mod carrier;

pub use carrier::carry;

/// The most that is read of what a courier says, in bytes: a token and what is known of it, and some warnings.
const SAID_CAP: u64 = 4 * 1024 * 1024;

/// How a courier is started: a program that calls [`carry`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Courier {
    /// The program: an absolute path.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
}

/// What a courier is asked to do: refresh the session of a profile and bring the token that this gives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Errand {
    /// The configuration that the profile is in.
    pub(crate) config: PathBuf,
    pub(crate) profile: String,
    audience: Vec<String>,
    scopes: Vec<String>,
    resource: Vec<String>,
    min_validity: Duration,
    /// What somebody else's refresh may have left that will do, while the lease was waited for; `None`: nothing is read
    /// from a cache or kept in one.
    reuse: Option<Reuse>,
    /// How long whoever asks can wait.
    pub(crate) left: Option<Duration>,
    max_attempts: u32,
    factor: f64,
    /// The first delay, the longest, the time for a connection and for an attempt.
    spans: [Duration; 4],
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Reuse {
    ttl: Option<Duration>,
    /// Uptime and wall clock, the latter in milliseconds.
    since: Option<(Duration, i64)>,
}

impl Errand {
    pub(crate) fn new(config: PathBuf, profile: &str, cx: &Context, request: &TokenRequest) -> Self {
        let policy = &cx.policy;
        Self {
            config,
            profile: profile.to_owned(),
            audience: request.audience.clone(),
            scopes: request.scopes.clone(),
            resource: request.resource.clone(),
            min_validity: request.min_validity,
            reuse: cx.reuse.map(|wanted| Reuse {
                ttl: wanted.ttl,
                since: wanted.since.map(|at| (at.uptime, at.wall.millis())),
            }),
            left: cx.left(),
            max_attempts: policy.max_attempts,
            factor: policy.factor,
            spans: [
                policy.backoff,
                policy.max_backoff,
                policy.connect_timeout,
                policy.attempt_timeout,
            ],
        }
    }

    pub(crate) fn request(&self) -> TokenRequest {
        TokenRequest {
            audience: self.audience.clone(),
            scopes: self.scopes.clone(),
            resource: self.resource.clone(),
            min_validity: self.min_validity,
        }
    }

    /// What of a cache will do.
    pub(crate) fn wanted(&self) -> Option<Wanted> {
        self.reuse.map(|reuse| Wanted {
            min_left: self.min_validity,
            ttl: reuse.ttl,
            since: reuse.since.map(|(uptime, wall)| Moment {
                uptime,
                wall: UnixTime::from_millis(wall),
            }),
        })
    }

    pub(crate) fn policy(&self) -> RetryPolicy {
        let [backoff, max_backoff, connect_timeout, attempt_timeout] = self.spans;
        RetryPolicy {
            max_attempts: self.max_attempts,
            factor: self.factor,
            backoff,
            max_backoff,
            connect_timeout,
            attempt_timeout,
        }
    }
}

/// What a courier says.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    Attempt(String, u32, u32),
    Waiting(String, String, Duration),
    Warning(String),
    Minted(String),
    Token(Brought),
    Failed(Record),
}

/// A token on its way from one process of ours to another.
#[derive(Serialize, Deserialize)]
struct Brought {
    value: String,
    token_type: String,
    issuer: Option<String>,
    subject: Option<String>,
    audience: Vec<String>,
    scopes: Vec<String>,
    source: String,
    expires_at_ms: Option<i64>,
    /// Uptime and wall clock of its receipt, what it had left then, and the learned offset.
    life: Option<(Duration, i64, Duration, i64)>,
    cached: bool,
}

impl From<&Token> for Brought {
    fn from(token: &Token) -> Self {
        Self {
            value: token.value.reveal().to_owned(),
            token_type: token.token_type.clone(),
            issuer: token.issuer.clone(),
            subject: token.subject.clone(),
            audience: token.audience.clone(),
            scopes: token.scopes.clone(),
            source: token.source.clone(),
            expires_at_ms: token.expires_at.map(UnixTime::millis),
            life: token.life.map(|life| {
                let received = life.received;
                let offset = life.clock_offset_millis;
                (
                    received.uptime,
                    received.wall.millis(),
                    life.left_at_receipt,
                    offset,
                )
            }),
            cached: token.cached,
        }
    }
}

impl From<Brought> for Token {
    fn from(brought: Brought) -> Self {
        Self {
            value: Secret::new(brought.value),
            token_type: brought.token_type,
            issuer: brought.issuer,
            subject: brought.subject,
            audience: brought.audience,
            scopes: brought.scopes,
            source: brought.source,
            expires_at: brought.expires_at_ms.map(UnixTime::from_millis),
            life: brought.life.map(|(uptime, wall, left, offset)| Life {
                received: Moment {
                    uptime,
                    wall: UnixTime::from_millis(wall),
                },
                left_at_receipt: left,
                clock_offset_millis: offset,
            }),
            cached: brought.cached,
        }
    }
}

impl Courier {
    /// Sends a courier, and waits for what he brings. `None`: none could be sent, or he was killed on the way; whoever
    /// asks then has to go himself.
    pub(crate) async fn send(&self, cx: &Context, errand: &Errand) -> Option<Result<Token, Error>> {
        let mut child = self.start(cx).ok()?;
        // Held open while we wait: when it closes, nobody waits any more.
        let _waiting = instruct(&mut child, errand).await?;
        let mut said = BufReader::new(child.stdout.take()?.take(SAID_CAP));
        let mut line = String::new();
        loop {
            line.clear();
            if said.read_line(&mut line).await.ok()? == 0 {
                return None;
            }
            match serde_json::from_str(&line).ok()? {
                Word::Attempt(host, attempt, of) => cx.observer.attempt(&host, attempt, of),
                Word::Waiting(host, what, wait) => cx.observer.waiting(&host, &what, wait),
                Word::Warning(message) => cx.observer.warning(&message),
                Word::Minted(secret) => cx.observer.minted(&Secret::new(secret)),
                Word::Token(token) => return Some(Ok(token.into())),
                Word::Failed(record) => return Some(Err(record.into_error()?)),
            }
        }
    }

    fn start(&self, cx: &Context) -> std::io::Result<Child> {
        // Not killed when it is dropped: that is what it is for.
        Command::new(&self.program)
            .args(&self.arguments)
            .env_clear()
            .envs(cx.env.iter())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
    }
}

async fn instruct(child: &mut Child, errand: &Errand) -> Option<ChildStdin> {
    let mut input = child.stdin.take()?;
    let mut line = serde_json::to_vec(errand).ok()?;
    line.push(b'\n');
    input.write_all(&line).await.ok()?;
    input.flush().await.ok()?;
    Some(input)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Clock, Env};

    #[test]
    fn an_errand_and_a_token_arrive_as_they_were_sent() {
        let clock = Clock::manual(UnixTime::from_seconds(1_800_000_000));
        let mut cx = Context::new(Env::default(), clock.clone());
        cx.reuse = Some(Wanted {
            min_left: Duration::ZERO,
            ttl: Some(Duration::from_secs(2)),
            since: Some(clock.now()),
        });
        let request = TokenRequest::audience("a").min_validity(Duration::from_secs(90));
        let errand = Errand::new("/c.toml".into(), "stack", &cx, &request);
        let text = serde_json::to_string(&errand).unwrap();
        let read: Errand = serde_json::from_str(&text).unwrap();
        assert_eq!(read, errand);
        assert_eq!((read.request(), read.policy()), (request, cx.policy));
        let wanted = read.wanted().unwrap();
        assert_eq!(wanted.since, Some(clock.now()));
        assert_eq!(wanted.ttl, Some(Duration::from_secs(2)));
        let token = Token {
            value: Secret::new("t"),
            token_type: "Bearer".into(),
            issuer: Some("i".into()),
            subject: None,
            audience: vec!["a".into()],
            scopes: Vec::new(),
            source: "refresh".into(),
            expires_at: Some(UnixTime::from_millis(1)),
            life: Some(Life::from_expires_in(Duration::from_secs(9), clock.now())),
            cached: false,
        };
        let text = serde_json::to_string(&Word::Token(Brought::from(&token))).unwrap();
        let Word::Token(brought) = serde_json::from_str(&text).unwrap() else {
            panic!("{text}");
        };
        let there = Token::from(brought);
        assert_eq!((there.life, there.expires_at), (token.life, token.expires_at));
        assert_eq!(there.value.reveal(), "t");
    }

    #[tokio::test]
    async fn without_a_program_nobody_is_sent_and_one_that_dies_brings_nothing() {
        let cx = Context::new(Env::default(), Clock::system());
        let errand = Errand::new("/c.toml".into(), "p", &cx, &TokenRequest::default());
        for program in ["/nowhere/jeton", "/bin/true"] {
            let courier = Courier {
                program: program.into(),
                arguments: Vec::new(),
            };
            assert!(courier.send(&cx, &errand).await.is_none(), "{program}");
        }
    }
}
