//! `jeton doctor`: preflight for a job.
mod check;
#[cfg(feature = "sign")]
mod signing;

use super::Command;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::plan::{self, Asked, Keep, Pace};
use crate::session::Session;
use crate::table;
use check::Check;
use jeton::{Token, duration};
use serde_json::{Value, json};
use std::time::Duration;

pub(super) const COMMAND: Command = Command {
    name: "doctor",
    define: <Arguments as clap::Args>::augment_args,
    run: |session, matches| run(session, &super::arguments(matches)?),
};

const EXAMPLES: &str = "\
Examples:
  jeton doctor -a https://api.example.com           before a job
  jeton doctor -a api --for 45m                     before a job that takes three quarters of an hour
  jeton doctor --for-signing                        would this job's signature be accepted?
  jeton doctor --json | jq '.checks[] | select(.status != \"ok\")'

A token is fetched, past every cache, and thrown away. Exit 0 unless a check fails; then that failure's own code.";

/// Check that a job will get its tokens: source, permission, audience, clock, proxy, cache
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    #[command(flatten)]
    asked: Asked,
    /// How long the job is planned to take
    #[arg(long = "for", value_name = "D")]
    planned: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[cfg(feature = "sign")]
    #[command(flatten)]
    signing: signing::Wanted,
    #[command(flatten)]
    pace: Pace,
}

fn run(session: &Session, arguments: &Arguments) -> Result<Exit, Failure> {
    let planned = planned(arguments)?;
    let mut checks = vec![check::configuration(session), check::variables(session)];
    let (found, _token) = acquisition(session, arguments, planned)?;
    checks.extend(found);
    #[cfg(feature = "sign")]
    checks.extend(signing::checks(
        session,
        &arguments.signing,
        &arguments.pace,
        _token.as_ref(),
    )?);
    checks.push(check::proxy(&session.env));
    checks.push(check::trust(session));
    checks.push(check::cache(&session.env));
    tell(session, arguments.json, &checks)?;
    match checks.iter().find_map(Check::failed) {
        Some(exit) => Err(Failure::told(exit)),
        None => Ok(Exit::Done),
    }
}

fn planned(arguments: &Arguments) -> Result<Option<Duration>, Failure> {
    let Some(text) = &arguments.planned else {
        return Ok(None);
    };
    let span = duration::parse(text);
    span.map(Some).ok_or_else(|| {
        let text = jeton::core::redact::foreign(text, &[]);
        Failure::usage(format!(
            "for: `{text}` is no duration; write `250ms`, `30s`, `5m` or `1h` (from the flag --for)"
        ))
    })
}

/// What can only be said by asking: the source, its permission, the audience, the clock.
fn acquisition(
    session: &Session,
    arguments: &Arguments,
    planned: Option<Duration>,
) -> Result<(Vec<Check>, Option<Token>), Failure> {
    let plan = match plan::settle(session, &asked(arguments), &arguments.pace, &Keep::default()) {
        Ok(plan) => plan,
        Err(failure) => return Ok((vec![Check::from_failure("source", &failure)], None)),
    };
    let looked = super::explain::report(session, &plan, false)?;
    let mut checks = vec![check::source(&looked)];
    if looked.chosen.is_none() || looked.broken {
        return Ok((checks, None));
    }
    checks.extend(check::request_token(session, &looked, planned));
    let asked = super::explain::report(session, &plan, true)?;
    checks.extend(check::token(session, &asked, &plan.request, planned));
    let token = asked.chosen_row().and_then(|row| row.token.clone());
    Ok((checks, token))
}

/// What is asked for: for signing, the audience that certificate authorities want, where nobody names another.
fn asked(arguments: &Arguments) -> Asked {
    #[cfg(feature = "sign")]
    if arguments.signing.for_signing
        && arguments.asked.audience.is_empty()
        && arguments.asked.profile.is_none()
    {
        return Asked {
            audience: vec![crate::signing::AUDIENCE.to_owned()],
            ..arguments.asked.clone()
        };
    }
    arguments.asked.clone()
}

fn tell(session: &Session, json: bool, checks: &[Check]) -> Result<(), Failure> {
    if json {
        let ok = checks.iter().all(|check| check.failed().is_none());
        let rows: Vec<Value> = checks.iter().map(Check::to_json).collect();
        session.output.json(&json!({"ok": ok, "checks": rows}))?;
        return Ok(());
    }
    let rows = checks.iter().map(Check::to_row);
    session
        .output
        .line(&table::columns(["", "CHECK", "FOUND"], rows))?;
    Ok(())
}
