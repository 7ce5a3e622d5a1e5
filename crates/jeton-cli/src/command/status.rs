//! `jeton status`: who is logged in, until when, and what is kept. No secrets, no network.
use super::Command;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::rfc3339;
use crate::session::Session;
use crate::table;
use jeton::UnixTime;
use jeton::profiles::{self, Profiles, Standing, Wishes};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

pub(super) const COMMAND: Command = Command {
    name: "status",
    define: <Arguments as clap::Args>::augment_args,
    run: |session, matches| run(session, &super::arguments(matches)?),
};

const EXAMPLES: &str = "\
Examples:
  jeton status
  jeton status --json | jq -r '.[] | select(.logged_in | not) | .profile'";

/// Show the profiles: who is logged in, until when, and what is kept
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn run(session: &Session, arguments: &Arguments) -> Result<Exit, Failure> {
    let config = Arc::new(session.config()?.clone());
    let (cx, _) = session.context(&session.env);
    let now = cx.clock.now().wall;
    let standings = profiles::status(&Profiles::new(config, cx, Wishes::default()));
    if arguments.json {
        session
            .output
            .json(&Value::Array(standings.iter().map(as_json).collect()))?;
    } else if standings.is_empty() {
        session
            .output
            .note("there are no profiles; `[profiles.NAME]` in config.toml makes one");
    } else {
        let heading = ["PROFILE", "GRANT", "LOGIN", "WHO", "TOKEN ENDS", "ISSUER"];
        let rows = standings.iter().map(|s| as_row(s, now));
        session.output.line(&table::columns(heading, rows))?;
    }
    Ok(Exit::Done)
}

fn as_row(standing: &Standing, now: UnixTime) -> [String; 6] {
    let login = match (standing.logged_in, standing.store) {
        (true, Some(_)) => "yes",
        (true, None) => "not needed",
        (false, _) => "no",
    };
    let ends = match standing.expires_at {
        Some(at) if at > now => {
            let left = Duration::from_secs(at.since(now).as_secs());
            format!("in {}", jeton::duration::show(left))
        }
        Some(_) => "ended".to_owned(),
        None => String::new(),
    };
    [
        standing.profile.clone(),
        standing.grant.clone(),
        login.to_owned(),
        standing.subject.clone().unwrap_or_default(),
        ends,
        standing.issuer.clone().unwrap_or_default(),
    ]
}

fn as_json(standing: &Standing) -> Value {
    let cached = standing
        .cached
        .iter()
        .map(|token| json!({ "audience": token.audience, "expires_at": token.expires_at.map(rfc3339) }));
    json!({
        "profile": standing.profile,
        "grant": standing.grant,
        "issuer": standing.issuer,
        "subject": standing.subject,
        "logged_in": standing.logged_in,
        "expires_at": standing.expires_at.map(rfc3339),
        "cached": cached.collect::<Vec<_>>(),
        "store": standing.store,
    })
}
