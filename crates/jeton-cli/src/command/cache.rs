//! `jeton cache`: where tokens are kept, which, and how to be rid of them.
use super::Command;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::rfc3339;
use crate::session::Session;
use crate::table;
use jeton::cache::{Disk, Listed, locate};
use jeton::config::AMBIENT;
use serde_json::{Value, json};

pub(super) const COMMAND: Command = Command {
    name: "cache",
    define: <Arguments as clap::Args>::augment_args,
    run: |session, matches| run(session, &super::arguments(matches)?),
};

const EXAMPLES: &str = "\
Examples:
  jeton cache path
  jeton cache list --json | jq -r '.[].expires_at'
  jeton cache clear                                 everything
  jeton cache clear prod                            the profile prod; `ambient` for the ambient chain

The folder is $JETON_CACHE_DIR, else $XDG_CACHE_HOME/jeton, else ~/.cache/jeton.";

/// Show where tokens are kept and which, or remove them
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand, Clone, Debug)]
enum Action {
    /// Print the folder
    Path,
    /// List what is kept, without any secret
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove what is kept, of one profile or everything
    Clear {
        /// A profile, or `ambient` for the ambient chain; without one, everything
        profile: Option<String>,
    },
}

fn run(session: &Session, arguments: &Arguments) -> Result<Exit, Failure> {
    match &arguments.action {
        Action::Path => path(session),
        Action::List { json } => list(session, *json),
        Action::Clear { profile } => clear(session, profile.as_deref()),
    }
}

fn path(session: &Session) -> Result<Exit, Failure> {
    let Some(path) = locate(&session.env) else {
        return Err(Failure::new(Exit::NotFound, "there is nowhere to keep tokens")
            .with_hint("set JETON_CACHE_DIR, XDG_CACHE_HOME or HOME to a folder of yours"));
    };
    session.output.line(&path.display().to_string())?;
    Ok(Exit::Done)
}

fn disk(session: &Session) -> Option<Disk> {
    locate(&session.env).map(Disk::at)
}

fn list(session: &Session, json: bool) -> Result<Exit, Failure> {
    let listed = disk(session)
        .map(|disk| disk.list(session.clock.now()))
        .unwrap_or_default();
    if json {
        session
            .output
            .json(&Value::Array(listed.iter().map(as_json).collect()))?;
    } else if listed.is_empty() {
        session.output.note("nothing is kept");
    } else {
        let heading = ["PROFILE", "SOURCE", "AUDIENCE", "EXPIRES", "SUBJECT"];
        session
            .output
            .line(&table::columns(heading, listed.iter().map(as_row)))?;
    }
    Ok(Exit::Done)
}

fn clear(session: &Session, profile: Option<&str>) -> Result<Exit, Failure> {
    let profile = profile.map(|name| if name == AMBIENT { "" } else { name });
    let removed = disk(session).map_or(0, |disk| disk.clear(profile));
    if let Some(name) = profile.filter(|name| removed == 0 && !name.is_empty()) {
        // Nothing is kept of it and nothing is known of it: a slip of the pen, not an empty cache.
        session.config()?.profile(name)?;
    }
    session
        .output
        .note(&format!("removed {removed} of what was kept"));
    Ok(Exit::Done)
}

fn profile_of(entry: &Listed) -> &str {
    if entry.profile.is_empty() {
        AMBIENT
    } else {
        &entry.profile
    }
}

fn as_row(entry: &Listed) -> [String; 5] {
    [
        profile_of(entry).to_owned(),
        entry.source.clone(),
        entry.audience.join(", "),
        entry.expires_at.map(rfc3339).unwrap_or_default(),
        entry.subject.clone().unwrap_or_default(),
    ]
}

fn as_json(entry: &Listed) -> Value {
    json!({
        "profile": profile_of(entry),
        "source": entry.source,
        "issuer": entry.issuer,
        "subject": entry.subject,
        "audience": entry.audience,
        "scopes": entry.scopes,
        "expires_at": entry.expires_at.map(rfc3339),
        "file": entry.file,
    })
}
