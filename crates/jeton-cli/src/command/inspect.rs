//! `jeton inspect`: what a token says, without proof and without network.
use super::Command;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::rfc3339;
use crate::session::Session;
use crate::table;
use jeton::UnixTime;
use jeton::core::Json;
use jeton::core::decode::{Inspection, inspect};
use serde_json::{Value, json};
use std::io::Read;

pub(super) const COMMAND: Command = Command {
    name: "inspect",
    define: <Arguments as clap::Args>::augment_args,
    run: |session, matches| run(session, &super::arguments(matches)?),
};

const EXAMPLES: &str = "\
Examples:
  jeton token -a api | jeton inspect                as a table on a terminal, as JSON through a pipe
  jeton inspect - --json < token.jwt | jq .claims

Nothing is proved: `jeton verify` does that.";

/// Show what a token says, unverified; never a network call
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// The token; - or nothing reads standard input, which keeps it out of the process list
    #[arg(value_name = "TOKEN|-")]
    token: Option<String>,
    /// Print JSON on a terminal too
    #[arg(long)]
    json: bool,
}

/// The longest text that is read for a token, in bytes: more than any token, less than any accident.
const INPUT_CAP: u64 = 1024 * 1024;

fn run(session: &Session, arguments: &Arguments) -> Result<Exit, Failure> {
    let text = given(session, arguments.token.as_deref())?;
    let token = inspect(&text)
        .map_err(|rejection| Failure::new(Exit::Refused, format!("{}: {rejection}", rejection.code())))?;
    session.output.note("unverified: anybody could have written this");
    let report = report(&token, session.clock.now().wall);
    if arguments.json || !session.output.is_terminal() {
        session.output.json(&report)?;
    } else {
        session.output.line(&as_table(&report))?;
    }
    Ok(Exit::Done)
}

/// A token as it was given: on the command line, or on standard input.
pub(super) fn given(session: &Session, argument: Option<&str>) -> Result<String, Failure> {
    if let Some(token) = argument.filter(|argument| *argument != "-") {
        session.output.warning(
            "the token is on the command line, where other users and the shell's history see it; give `-` and pipe it in",
        );
        return Ok(token.to_owned());
    }
    let mut bytes = Vec::new();
    let read = std::io::stdin()
        .lock()
        .take(INPUT_CAP + 1)
        .read_to_end(&mut bytes);
    read.map_err(|e| Failure::usage(format!("standard input: {e}")))?;
    // What is no text is no token either, and the decoder says so; a newline at the end is the shell's.
    let text = String::from_utf8_lossy(&bytes);
    Ok(text
        .strip_suffix('\n')
        .map_or(&*text, |text| text.strip_suffix('\r').unwrap_or(text))
        .to_owned())
}

fn report(token: &Inspection, now: UnixTime) -> Value {
    let exp = token.claims.peek().expires_at();
    json!({
        "header": value(&token.header),
        "claims": value(token.claims.peek().all()),
        "expires_in": exp.map(|exp| exp.seconds().saturating_sub(now.seconds())),
        "warnings": warnings(token, now),
    })
}

/// The core's JSON as everybody's.
pub(super) fn value(json: &Json) -> Value {
    serde_json::from_str(&json.to_text()).unwrap_or_default()
}

/// What a verifier would, or should, say.
fn warnings(token: &Inspection, now: UnixTime) -> Vec<String> {
    let claims = token.claims.peek();
    let mut warnings: Vec<String> = token.warnings.iter().map(ToString::to_string).collect();
    match claims.expires_at() {
        None => warnings.push("it has no `exp`: it never ends, and verifiers refuse it".to_owned()),
        Some(exp) if exp <= now => warnings.push(format!("it expired at {}", rfc3339(exp))),
        Some(_) => {}
    }
    if claims.not_before().is_some_and(|nbf| nbf > now) {
        warnings.push("it is not valid yet (`nbf`)".to_owned());
    }
    if claims.issued_at().is_some_and(|iat| iat > now) {
        warnings.push("it was issued in the future (`iat`): is this machine's clock right?".to_owned());
    }
    if claims.audience().next().is_none() {
        warnings.push("it has no `aud`: it is for anybody".to_owned());
    }
    warnings
}

fn as_table(report: &Value) -> String {
    let mut rows = Vec::new();
    for (part, name) in [("header", "HEADER"), ("claims", "CLAIM")] {
        let members = report[part].as_object().into_iter().flatten();
        rows.extend(members.map(|(key, value)| [name.to_owned(), key.clone(), shown(key, value)]));
    }
    let warnings = report["warnings"].as_array().into_iter().flatten();
    rows.extend(warnings.map(|w| {
        [
            "WARNING".to_owned(),
            String::new(),
            w.as_str().unwrap_or_default().to_owned(),
        ]
    }));
    table::columns(["", "", "unverified"], rows)
}

/// A claim for people: times as times.
fn shown(key: &str, value: &Value) -> String {
    match (key, value.as_i64(), value.as_str()) {
        ("exp" | "iat" | "nbf" | "auth_time", Some(seconds), _) => {
            format!("{seconds}  ({})", rfc3339(UnixTime::from_seconds(seconds)))
        }
        (_, _, Some(text)) => jeton::core::redact::foreign(text, &[]),
        _ => value.to_string(),
    }
}
