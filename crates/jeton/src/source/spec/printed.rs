//! `command:`: a program that prints a token, bare or in JSON.
use super::words;
use crate::answer::{self, Received, Shape, expires_in};
use crate::source::command::{find, run};
use crate::source::{Presence, Source};
use crate::{Context, Error, Token, TokenRequest};
use futures_util::future::BoxFuture;
use jeton_core::json::{self, Json};
use jeton_core::{Class, Secret, UnixTime, redact};
use std::time::Duration;

/// The members that hold a token, the first that is there wins: our own output, OAuth's, an ID token's.
const TOKEN_MEMBERS: [&str; 3] = ["token", "access_token", "id_token"];
/// The members that hold its end, as a time in RFC 3339 or in Unix seconds.
const END_MEMBERS: [&str; 5] = [
    "expires_at",
    "expiration",
    "Expiration",
    "expiration_time",
    "expirationTimestamp",
];
/// Variables that differ from call to call and say nothing about who is asked for a token.
const PASSING: [&str; 3] = ["_", "SHLVL", "OLDPWD"];

/// A program and its arguments.
pub struct Program {
    spec: String,
    argv: Vec<String>,
}

impl Program {
    /// A program as it stands after `command:`, split like a shell does, without a shell.
    ///
    /// # Errors
    /// [`Class::Config`] for a quote that is not closed, or nothing at all.
    pub fn parse(line: &str) -> Result<Self, Error> {
        let usage = |what: &str| {
            Error::new(Class::Config, format!("`command:` {what}"))
                .with_hint("write it like `command:my-helper --audience 'some words'`; no shell is run")
        };
        let argv = words::split(line).ok_or_else(|| usage("has a quote that is not closed"))?;
        let program = argv
            .first()
            .filter(|word| !word.is_empty())
            .ok_or_else(|| usage("names no program"))?;
        // Arguments are left out: secrets stand there, however wrong that is.
        let spec = format!("command:{}", redact::foreign(program, &[]));
        Ok(Self { spec, argv })
    }
}

impl Source for Program {
    fn name(&self) -> &str {
        &self.spec
    }

    fn presence(&self, cx: &Context, _request: &TokenRequest) -> Presence {
        match find(&cx.env, &self.argv[0]) {
            Some(path) => Presence::ready(
                format!("{} can be run", path.display()),
                fingerprint(cx, &self.argv),
            ),
            None => Presence::broken(
                format!("there is no program {}", &self.spec["command:".len()..]),
                "name one that is in PATH, or give its whole path",
            ),
        }
    }

    fn fetch<'a>(
        &'a self,
        cx: &'a Context,
        request: &'a TokenRequest,
    ) -> BoxFuture<'a, Result<Token, Error>> {
        Box::pin(async move {
            let printed = run(cx, &self.argv)
                .await
                .map_err(|error| error.about(&self.spec))?;
            let read = Printed::read(printed.reveal().trim());
            let found = read.map_err(|why| Error::new(Class::Protocol, format!("{} {why}", self.spec)))?;
            let received = Received::at(cx.clock.now())
                .shape(Shape::Any)
                .expires_in(found.lives)
                .expires_at(found.ends);
            let received = Received {
                minted: true,
                ..received
            };
            answer::token(cx, &self.spec, request, &found.token, received)
                .map_err(|fault| fault.into_error(&self.spec))
        })
    }
}

/// The command and everything around it that may change its answer: in another environment it is another identity.
fn fingerprint(cx: &Context, argv: &[String]) -> Vec<u8> {
    let mut parts: Vec<String> = cx
        .env
        .iter()
        .filter(|(name, _)| !PASSING.contains(name))
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    parts.sort();
    parts.splice(0..0, argv.iter().cloned());
    parts.join("\0").into_bytes()
}

/// What a program printed.
struct Printed {
    token: Secret,
    ends: Option<UnixTime>,
    lives: Option<Duration>,
}

impl Printed {
    fn read(text: &str) -> Result<Self, &'static str> {
        if !text.starts_with('{') {
            return Ok(Self {
                token: Secret::new(text),
                ends: None,
                lives: None,
            });
        }
        let all = json::parse(text.as_bytes()).map_err(|_| "printed JSON that cannot be read")?;
        if all.get("success").and_then(Json::as_bool) == Some(false) {
            return Err("says in its JSON that it failed");
        }
        // kubectl's exec plugins wrap it (`ExecCredential`).
        let all = all
            .get("status")
            .filter(|status| status.as_object().is_some())
            .unwrap_or(&all);
        let member = TOKEN_MEMBERS
            .iter()
            .find_map(|name| all.get(name).filter(|value| !value.is_null()));
        match member.map(|value| value.as_str().unwrap_or_default()) {
            None => Err("printed JSON without `token`, `access_token` or `id_token`"),
            Some("") => Err("printed JSON with a token that is empty or no text"),
            Some(token) => Ok(Self {
                token: Secret::new(token),
                ends: END_MEMBERS.iter().find_map(|name| time(all.get(name)?)),
                lives: expires_in(all.get("expires_in")),
            }),
        }
    }
}

fn time(value: &Json) -> Option<UnixTime> {
    match value.as_str() {
        Some(text) => {
            let parsed: Option<jiff::Timestamp> = text.parse().ok();
            let number = || text.parse().ok().map(UnixTime::from_seconds);
            parsed
                .map(|at| UnixTime::from_millis(at.as_millisecond()))
                .or_else(number)
        }
        None => value.as_i64().map(UnixTime::from_seconds),
    }
}
