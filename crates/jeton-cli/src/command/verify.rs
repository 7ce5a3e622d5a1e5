//! `jeton verify`: whether a token is what it says, and is for us.
mod keys;

use super::Command;
use super::inspect::{given, value};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::plan::Pace;
use crate::session::Session;
use jeton::core::pattern::Pattern;
use jeton::core::verify::{Expectations, screen, verify};
use jeton::core::{Algorithm, AlgorithmSet, Audience, Issuer, KeySet, Rejection};
use jeton::{UnixTime, duration};
use serde_json::json;
use std::str::FromStr;
use std::time::Duration;

pub(super) const COMMAND: Command = Command {
    name: "verify",
    define: <Arguments as clap::Args>::augment_args,
    run: |session, matches| run(session, &super::arguments(matches)?),
};

const EXAMPLES: &str = "\
Examples:
  jeton token -a api | jeton verify --issuer https://token.actions.githubusercontent.com --audience api
  jeton verify - --issuer https://gitlab.example.com --audience api --jwks keys.json < token.jwt
  jeton verify - --issuer https://token.actions.githubusercontent.com --audience api --json \\
      --subject 'repo:acme/*:ref:refs/heads/main' --claim 'repository_visibility=public'

PATTERN is literal text in which * stands for any run without / and :, ** for any run, \\* for a star; always
the whole value. After re: comes a regular expression, also for the whole value.

Exit codes: 0 and the claims; 4 and one rejection; 8 when the keys are of no use; 4 to 8 when they cannot be
fetched; 2 usage. Without --audience a token for anybody is accepted, with a warning.";

/// Verify a token: signature, issuer, audience, times, and what else is asked
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// The token; - or nothing reads standard input, which keeps it out of the process list
    #[arg(value_name = "TOKEN|-")]
    token: Option<String>,
    /// Who must have issued it, byte for byte
    #[arg(long, value_name = "URL")]
    issuer: String,
    /// For whom it must be; one of several (repeatable)
    #[arg(short, long, value_name = "AUD")]
    audience: Vec<String>,
    /// The key set, as a file or a URL; without it, discovered from the issuer
    #[arg(long, value_name = "FILE|URL")]
    jwks: Option<String>,
    /// An algorithm that is allowed (repeatable) [default: every asymmetric one]
    #[arg(long, value_name = "ALG")]
    algorithm: Vec<String>,
    /// How far the issuer's clock may be off
    #[arg(long, value_name = "D", default_value = "60s")]
    leeway: String,
    /// The time to judge by, in seconds since 1970 [default: now]
    #[arg(long, value_name = "UNIX")]
    now: Option<String>,
    /// Issued at most this long ago
    #[arg(long, value_name = "D")]
    max_age: Option<String>,
    /// The subject must match
    #[arg(long, value_name = "PATTERN")]
    subject: Option<String>,
    /// A claim must match (repeatable)
    #[arg(long, value_name = "NAME=PATTERN")]
    claim: Vec<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pace: Pace,
}

/// A rejection, and the code it ends with.
pub(super) struct Refused {
    pub(super) rejection: Rejection,
    pub(super) exit: Exit,
}

impl From<Rejection> for Refused {
    fn from(rejection: Rejection) -> Self {
        let exit = match rejection {
            Rejection::KeysUnusable(_) => Exit::Protocol,
            _ => Exit::Refused,
        };
        Self { rejection, exit }
    }
}

fn run(session: &Session, arguments: &Arguments) -> Result<Exit, Failure> {
    let expect = expectations(session, arguments)?;
    let now = match &arguments.now {
        Some(text) => UnixTime::from_seconds(parsed::<i64>("now", text, "no time in seconds")?),
        None => session.clock.now().wall,
    };
    let token = given(session, arguments.token.as_deref())?;
    let judged = judge(session, arguments, &token, &expect, now)?;
    match judged {
        Ok(claims) if arguments.json => session.output.json(&json!({"valid": true, "claims": claims}))?,
        Ok(claims) => session.output.line(&format!("{claims:#}"))?,
        Err(refused) => return reject(session, &refused, arguments.json),
    }
    Ok(Exit::Done)
}

/// The claims, or why not. The outer error is one of usage or of a signal.
fn judge(
    session: &Session,
    arguments: &Arguments,
    token: &str,
    expect: &Expectations,
    now: UnixTime,
) -> Result<Result<serde_json::Value, Refused>, Failure> {
    // A token that no key could save costs no request.
    if let Err(rejection) = screen(token, expect.allowed_algorithms()) {
        return Ok(Err(rejection.into()));
    }
    let keys = match keys::get(
        session,
        arguments.jwks.as_deref(),
        expect.issuer(),
        &arguments.pace,
    )? {
        Ok(keys) => keys,
        Err(refused) => return Ok(Err(refused)),
    };
    let verified = verify(token, &keys, expect, now);
    Ok(verified.map(|claims| value(claims.all())).map_err(Refused::from))
}

/// Tells of a rejection, in the form that was asked for.
pub(super) fn reject(session: &Session, refused: &Refused, json: bool) -> Result<Exit, Failure> {
    let (code, detail) = (refused.rejection.code(), refused.rejection.to_string());
    if json {
        let report = json!({"valid": false, "rejection": code, "detail": detail});
        session.output.json(&report)?;
    }
    Err(Failure::new(refused.exit, format!("{code}: {detail}")))
}

fn expectations(session: &Session, arguments: &Arguments) -> Result<Expectations, Failure> {
    let issuer: Issuer = known("issuer", &arguments.issuer)?;
    let mut expect = Expectations::any_audience(issuer)
        .algorithms(algorithms(&arguments.algorithm)?)
        .leeway(span("leeway", &arguments.leeway)?);
    if arguments.audience.is_empty() {
        session
            .output
            .warning("without --audience a token that is meant for somebody else is accepted");
    }
    for audience in &arguments.audience {
        expect = expect.or_audience(known::<Audience>("audience", audience)?);
    }
    if let Some(age) = &arguments.max_age {
        expect = expect.max_age(span("max-age", age)?);
    }
    if let Some(subject) = &arguments.subject {
        expect = expect.subject(pattern("subject", subject)?);
    }
    for claim in &arguments.claim {
        let Some((name, text)) = claim.split_once('=').filter(|(name, _)| !name.is_empty()) else {
            return Err(bad("claim", claim, "no NAME=PATTERN"));
        };
        expect = expect.claim(name, pattern("claim", text)?);
    }
    Ok(expect)
}

/// The algorithms that were named; all that are asymmetric when none was.
pub(super) fn algorithms(names: &[String]) -> Result<AlgorithmSet, Failure> {
    if names.is_empty() {
        return Ok(AlgorithmSet::ALL);
    }
    let named = |name: &String| {
        let known = Algorithm::ALL.map(Algorithm::name).join(", ");
        Algorithm::named(name).ok_or_else(|| bad("algorithm", name, &format!("none of {known}")))
    };
    let named = names.iter().map(named).collect::<Result<Vec<_>, _>>()?;
    Ok(AlgorithmSet::of(&named))
}

fn known<T: FromStr<Err: std::fmt::Display>>(flag: &str, text: &str) -> Result<T, Failure> {
    text.parse()
        .map_err(|e: T::Err| Failure::usage(format!("{flag}: {e} (from the flag --{flag})")))
}

fn pattern(flag: &str, text: &str) -> Result<Pattern, Failure> {
    Pattern::parse(text).map_err(|e| Failure::usage(format!("{flag}: {e} (from the flag --{flag})")))
}

fn span(flag: &str, text: &str) -> Result<Duration, Failure> {
    duration::parse(text).ok_or_else(|| bad(flag, text, "no duration; write `250ms`, `30s`, `5m` or `1h`"))
}

fn parsed<T: FromStr>(flag: &str, text: &str, what: &str) -> Result<T, Failure> {
    text.parse().map_err(|_| bad(flag, text, what))
}

fn bad(flag: &str, text: &str, what: &str) -> Failure {
    let text = jeton::core::redact::foreign(text, &[]);
    Failure::usage(format!("{flag}: `{text}` is {what} (from the flag --{flag})"))
}

/// The keys of a file.
pub(super) fn keys_of_file(path: &str) -> Result<KeySet, Refused> {
    keys::of_file(path)
}
