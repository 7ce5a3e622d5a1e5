//! `jeton broker session`: sessions by hand, for people who look at what a job would get.
use super::ask::{Client, Where};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::session::Session;
use crate::table;
use jeton::Secret;
use jeton::core::redact;
use serde_json::{Value, json};

/// What to do with sessions
#[derive(clap::Subcommand, Clone, Debug)]
pub(super) enum Action {
    /// Open one: prints its id; what it could not be granted is said
    Open(Open),
    /// Show one, and what it may read
    Show(Named),
    /// Print a new token for one
    Token(Named),
    /// End one: its token and its grants are dead at once
    End(Named),
}

/// What `open` takes.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct Open {
    /// The project's id
    #[arg(long, value_name = "ID")]
    project: String,
    /// The agent's id
    #[arg(long, value_name = "ID")]
    agent: String,
    /// Whom it is for; several share it (repeatable) [default: who opens it]
    #[arg(long, value_name = "SUBJECT")]
    user: Vec<String>,
    /// Only these providers (repeatable) [default: all that are attached]
    #[arg(long, value_name = "PROVIDER")]
    provider: Vec<String>,
    /// Print the whole answer, its token with it
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Where,
}

/// A session that is there.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct Named {
    /// Its id
    #[arg(value_name = "SESSION")]
    id: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Where,
}

pub(super) fn run(session: &Session, action: &Action) -> Result<Exit, Failure> {
    match action {
        Action::Open(arguments) => open(session, arguments),
        Action::Show(named) => show(session, named),
        Action::Token(named) => token(session, named),
        Action::End(named) => end(session, named),
    }
}

fn open(session: &Session, arguments: &Open) -> Result<Exit, Failure> {
    let client = Client::new(session, &arguments.place)?;
    let mut body = json!({"project": arguments.project, "agent": arguments.agent});
    match arguments.user.as_slice() {
        [] => {}
        [user] => body["user"] = user.as_str().into(),
        users => body["users"] = users.into(),
    }
    if !arguments.provider.is_empty() {
        body["providers"] = arguments.provider.clone().into();
    }
    let opened = client.ask(session, "POST", client.url(&["sessions"], &[])?, Some(&body))?;
    for item in items(&opened, "unavailable") {
        let what = format!("{} is not granted: {}", granted(item), text(item, "reason"));
        session.output.warning(&what);
    }
    if arguments.json {
        session.output.json(&opened)?;
    } else {
        session.output.line(&text(&opened, "id"))?;
    }
    Ok(Exit::Done)
}

fn show(session: &Session, named: &Named) -> Result<Exit, Failure> {
    let client = Client::new(session, &named.place)?;
    let found = client.ask(session, "GET", client.url(&["sessions", &named.id], &[])?, None)?;
    if named.json {
        session.output.json(&found)?;
        return Ok(Exit::Done);
    }
    let rows = items(&found, "credentials").map(|item| [granted(item), text(item, "id"), text(item, "user")]);
    session
        .output
        .line(&table::columns(["PROVIDER", "CREDENTIAL", "USER"], rows))?;
    Ok(Exit::Done)
}

fn token(session: &Session, named: &Named) -> Result<Exit, Failure> {
    let client = Client::new(session, &named.place)?;
    let url = client.url(&["sessions", &named.id, "token"], &[])?;
    let renewed = client.ask(session, "POST", url, Some(&json!({})))?;
    if named.json {
        session.output.json(&renewed)?;
    } else {
        let token = Secret::new(renewed["token"].as_str().unwrap_or_default());
        session.output.mask(&token);
        session.output.line(token.reveal())?;
    }
    Ok(Exit::Done)
}

fn end(session: &Session, named: &Named) -> Result<Exit, Failure> {
    let client = Client::new(session, &named.place)?;
    client.ask(
        session,
        "DELETE",
        client.url(&["sessions", &named.id], &[])?,
        None,
    )?;
    session.output.note("the session is over");
    Ok(Exit::Done)
}

fn items<'a>(answer: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    answer[name].as_array().into_iter().flatten()
}

/// A text of an answer, as it is where it prints: an id looks like a token and is none.
fn text(item: &Value, name: &str) -> String {
    let text = item[name].as_str().unwrap_or_default();
    if redact::is_printable(text) {
        return text.to_owned();
    }
    redact::foreign(text, &[])
}

/// A provider, with the name of the MCP server where it is one.
fn granted(item: &Value) -> String {
    match text(item, "name") {
        name if name.is_empty() => text(item, "provider"),
        name => format!("{}/{name}", text(item, "provider")),
    }
}
