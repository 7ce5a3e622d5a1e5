//! What people ask a running broker for.
use super::ask::{self, Client, Where};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::session::Session;
use crate::table;
use jeton::Secret;
use jeton_broker::provider::Provider;
use serde_json::{Map, Value, json};
use std::io::IsTerminal as _;

/// What `put` takes.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct Put {
    /// Its name, or the id of one that is there
    #[arg(value_name = "NAME")]
    name: String,
    /// github, gitlab, jira, google, vertex, kubeconfig, gerrit, coderabbit, mcp, aws, gcp, azure, vault, oidc or generic
    #[arg(long, value_name = "PROVIDER")]
    provider: Option<String>,
    /// The secret: env:VAR, file:PATH, command:CMD, or - for stdin [default: stdin, where it is no terminal]
    #[arg(long, value_name = "SPEC")]
    secret: Option<String>,
    /// Where it is good
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// The address of the account
    #[arg(long, value_name = "ADDRESS")]
    email: Option<String>,
    /// What it is for
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// A label (repeatable)
    #[arg(long, value_name = "NAME=VALUE")]
    label: Vec<String>,
    /// Make it in this project, bound to it
    #[arg(long, value_name = "ID")]
    project: Option<String>,
    #[command(flatten)]
    place: Where,
}

/// What `get` takes.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct Get {
    /// The credential: its id, or its name where only one has it
    #[arg(value_name = "CREDENTIAL")]
    credential: String,
    /// By way of this project, to which it must be bound
    #[arg(long, value_name = "ID")]
    project: Option<String>,
    /// token, or json for everything that is released
    #[arg(short, long, value_name = "FORMAT", default_value = "token", value_parser = ["token", "json"])]
    output: String,
    #[command(flatten)]
    place: Where,
}

/// What `list` takes.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct List {
    /// credentials, projects, agents, bindings or roles
    #[arg(value_name = "WHAT", default_value = "credentials", value_parser = ["credentials", "projects", "agents", "bindings", "roles"])]
    what: String,
    /// Of this project
    #[arg(long, value_name = "ID", required_if_eq("what", "agents"))]
    project: Option<String>,
    /// Only what has this in its name
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Where,
}

/// What `bind` takes.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct Bind {
    /// The role; without one, a credential is bound to a project or an agent
    #[arg(long, value_name = "ROLE", requires = "subject")]
    role: Option<String>,
    /// Whose role it is to be
    #[arg(long, value_name = "SUBJECT", requires_all = ["issuer", "role"])]
    subject: Option<String>,
    /// The issuer of that subject
    #[arg(long, value_name = "URL", requires = "subject")]
    issuer: Option<String>,
    /// The credential: its id, or its name where only one has it
    #[arg(long, value_name = "CREDENTIAL")]
    credential: Option<String>,
    /// The project
    #[arg(long, value_name = "ID")]
    project: Option<String>,
    /// The agent
    #[arg(long, value_name = "ID")]
    agent: Option<String>,
    #[command(flatten)]
    place: Where,
}

/// How many items one question brings.
const PAGE: usize = 500;

/// Every item of a list.
fn all(
    session: &Session,
    client: &Client,
    path: &[&str],
    search: Option<&str>,
) -> Result<Vec<Value>, Failure> {
    let (mut items, mut page) = (Vec::new(), 1_usize);
    loop {
        let (number, size) = (page.to_string(), PAGE.to_string());
        let mut query = vec![("page", number.as_str()), ("size", size.as_str())];
        query.extend(search.map(|text| ("search", text)));
        let answer = client.ask(session, "GET", client.url(path, &query)?, None)?;
        let found = answer["items"].as_array().cloned().unwrap_or_default();
        let is_last = found.len() < PAGE;
        items.extend(found);
        if is_last {
            return Ok(items);
        }
        page += 1;
    }
}

/// The credential of this id or name, if there is one.
fn find(session: &Session, client: &Client, wanted: &str) -> Result<Option<Value>, Failure> {
    let found = all(session, client, &["credentials"], None)?;
    let is = |field: &str| {
        let same = |item: &&Value| item[field] == wanted;
        found.iter().filter(same).cloned().collect::<Vec<Value>>()
    };
    let mut matches = is("id");
    if matches.is_empty() {
        matches = is("name");
    }
    if matches.len() > 1 {
        return Err(
            Failure::usage(format!("{} credentials are called {wanted}", matches.len()))
                .with_hint("name it by its id; `jeton broker list` shows them"),
        );
    }
    Ok(matches.pop())
}

/// Its id: what is not found by name is taken for an id, for who may fetch a credential need not see it.
fn identify(session: &Session, client: &Client, wanted: &str) -> Result<String, Failure> {
    let found = find(session, client, wanted)?;
    Ok(found
        .as_ref()
        .and_then(|item| item["id"].as_str())
        .unwrap_or(wanted)
        .to_owned())
}

pub(super) fn put(session: &Session, arguments: &Put) -> Result<Exit, Failure> {
    let client = Client::new(session, &arguments.place)?;
    let found = find(session, &client, &arguments.name)?;
    let mut body = Map::new();
    for (name, value) in [
        ("url", &arguments.url),
        ("email", &arguments.email),
        ("description", &arguments.description),
    ] {
        body.extend(value.clone().map(|value| (name.to_owned(), Value::from(value))));
    }
    if !arguments.label.is_empty() {
        body.insert("labels".into(), labels(&arguments.label)?);
    }
    let known = found
        .as_ref()
        .and_then(|item| item["provider"].as_str())
        .map(str::to_owned);
    let provider = arguments.provider.clone().or(known);
    let provider = provider.ok_or_else(|| Failure::usage("--provider: is needed for a new credential"))?;
    if let Some(secret) = given(session, &client, arguments, found.is_none())? {
        body.insert("secret".into(), form(&provider, &secret));
    }
    let made = match &found {
        Some(item) => {
            body.extend(
                arguments
                    .provider
                    .clone()
                    .map(|name| ("provider".to_owned(), name.into())),
            );
            let id = item["id"].as_str().unwrap_or_default();
            client.ask(
                session,
                "PATCH",
                client.url(&["credentials", id], &[])?,
                Some(&Value::Object(body)),
            )?
        }
        None => {
            body.insert("name".into(), arguments.name.as_str().into());
            body.insert("provider".into(), provider.into());
            let url = match &arguments.project {
                Some(project) => client.url(&["projects", project, "credentials"], &[])?,
                None => client.url(&["credentials"], &[])?,
            };
            client.ask(session, "POST", url, Some(&Value::Object(body)))?
        }
    };
    session.output.line(made["id"].as_str().unwrap_or_default())?;
    Ok(Exit::Done)
}

/// The secret that was named, or what is on standard input where somebody put it there.
fn given(
    session: &Session,
    client: &Client,
    arguments: &Put,
    is_new: bool,
) -> Result<Option<Secret>, Failure> {
    match &arguments.secret {
        Some(spec) => client.secret(session, spec).map(Some),
        None if is_new && !std::io::stdin().is_terminal() => ask::stdin("secret").map(Some),
        None if is_new => Err(Failure::usage("--secret: is needed for a new credential")
            .with_hint("name where it is: env:VAR, file:PATH, command:CMD, or - for stdin")),
        None => Ok(None),
    }
}

/// An object where the provider takes one and one was written; else a text.
fn form(provider: &str, secret: &Secret) -> Value {
    let takes_object = Provider::named(provider).is_some_and(|provider| !provider.row().members.is_empty());
    let parsed: Option<Value> = serde_json::from_str(secret.reveal())
        .ok()
        .filter(Value::is_object);
    match parsed {
        Some(object) if takes_object => object,
        _ => secret.reveal().into(),
    }
}

fn labels(given: &[String]) -> Result<Value, Failure> {
    let pair = |text: &String| match text.split_once('=') {
        Some((name, value)) => Ok((name.to_owned(), Value::from(value))),
        None => Err(Failure::usage(format!("--label {text}: write NAME=VALUE"))),
    };
    given
        .iter()
        .map(pair)
        .collect::<Result<Map<_, _>, _>>()
        .map(Value::Object)
}

pub(super) fn get(session: &Session, arguments: &Get) -> Result<Exit, Failure> {
    let client = Client::new(session, &arguments.place)?;
    let id = identify(session, &client, &arguments.credential)?;
    let path: Vec<&str> = match &arguments.project {
        Some(project) => vec!["projects", project, "credentials", &id, "token"],
        None => vec!["credentials", &id, "token"],
    };
    let released = client.ask(session, "GET", client.url(&path, &[])?, None)?;
    let token = released["token"].as_str();
    let token = token.ok_or_else(|| Failure::new(Exit::Protocol, "the broker's answer has no token"))?;
    session.output.mask(&Secret::new(token));
    if arguments.output == "json" {
        session.output.json(&released)?;
    } else {
        session.output.line(token)?;
    }
    Ok(Exit::Done)
}

pub(super) fn list(session: &Session, arguments: &List) -> Result<Exit, Failure> {
    let client = Client::new(session, &arguments.place)?;
    let route = match arguments.what.as_str() {
        "bindings" => "role_bindings",
        other => other,
    };
    let items = match (route, &arguments.project) {
        ("roles", _) => {
            let answer = client.ask(session, "GET", client.url(&["roles"], &[])?, None)?;
            answer["items"].as_array().cloned().unwrap_or_default()
        }
        ("agents" | "credentials", Some(project)) => all(
            session,
            &client,
            &["projects", project, route],
            arguments.search.as_deref(),
        )?,
        _ => all(session, &client, &[route], arguments.search.as_deref())?,
    };
    if arguments.json {
        session.output.json(&Value::Array(items))?;
    } else {
        session.output.line(&shown(route, &items))?;
    }
    Ok(Exit::Done)
}

fn shown(route: &str, items: &[Value]) -> String {
    let text = |item: &Value, name: &str| item[name].as_str().unwrap_or("-").to_owned();
    match route {
        "credentials" => table::columns(
            ["ID", "NAME", "PROVIDER", "URL"],
            items.iter().map(|i| {
                [
                    text(i, "id"),
                    text(i, "name"),
                    text(i, "provider"),
                    text(i, "url"),
                ]
            }),
        ),
        "roles" => table::columns(
            ["NAME", "LEVEL"],
            items.iter().map(|i| [text(i, "name"), i["level"].to_string()]),
        ),
        "role_bindings" => table::columns(
            ["ID", "ROLE", "SCOPE", "SUBJECT", "OBJECT"],
            items.iter().map(|i| {
                let places = ["credential_id", "agent_id", "project_id", "session_id"];
                let object: Vec<&str> = places.iter().filter_map(|place| i[*place].as_str()).collect();
                let subject = i["principal"]["subject"].as_str().or(i["trust_policy"].as_str());
                let subject = subject.unwrap_or("-").to_owned();
                [
                    text(i, "id"),
                    text(i, "role"),
                    text(i, "scope"),
                    subject,
                    object.join(" "),
                ]
            }),
        ),
        _ => table::columns(
            ["ID", "NAME"],
            items.iter().map(|i| [text(i, "id"), text(i, "name")]),
        ),
    }
}

pub(super) fn bind(session: &Session, arguments: &Bind) -> Result<Exit, Failure> {
    let client = Client::new(session, &arguments.place)?;
    let credential = match &arguments.credential {
        Some(wanted) => Some(identify(session, &client, wanted)?),
        None => None,
    };
    let scope = match (&credential, &arguments.agent, &arguments.project) {
        (Some(_), ..) => "credential",
        (None, Some(_), _) => "agent",
        (None, None, Some(_)) => "project",
        (None, None, None) => "global",
    };
    if arguments.role.is_none() && scope != "credential" {
        return Err(Failure::usage(
            "--role: is needed, or --credential to bind one to a project or an agent",
        ));
    }
    let principal = arguments
        .subject
        .as_ref()
        .map(|subject| json!({"issuer": arguments.issuer, "subject": subject}));
    let body = json!({
        "role": arguments.role.as_deref().unwrap_or("credential:viewer"),
        "scope": scope,
        "principal": principal,
        "project_id": arguments.project,
        "agent_id": arguments.agent,
        "credential_id": credential,
    });
    let made = client.ask(session, "POST", client.url(&["role_bindings"], &[])?, Some(&body))?;
    session.output.line(made["id"].as_str().unwrap_or_default())?;
    Ok(Exit::Done)
}
