//! `jeton run`: any program, with a session's credentials from a broker.
use super::Command;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::plan::{Asked, Keep, Pace};
use crate::session::Session;
use jeton::{Chain, Jeton, TokenRequest};
use jeton_agent::child::Child;
use jeton_agent::place::Place;
use jeton_agent::proxy::{Proxy, Settings};
use jeton_agent::run::desk::{Desk, Fresh};
use jeton_agent::run::outfit::upper;
use jeton_agent::run::provider::Wanted;
use jeton_agent::run::tools;
use jeton_agent::service::{self, Listener};
use jeton_agent::socket;
use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

mod ask;

pub(super) const COMMAND: Command = Command {
    name: "run",
    define: <Arguments as clap::Args>::augment_args,
    run: |session, matches| run(session, super::arguments(matches)?),
};

const EXAMPLES: &str = "\
Examples:
  jeton run --broker https://broker.example.com --session ID -- CMD        a session that is open already
  jeton run --broker https://broker.example.com --project P --agent A --user U -- CMD     opens one, and ends it
  jeton run --api ambient --broker http://backend.ns.svc:8080 --project P --session S -- CMD
  jeton run --broker URL --session ID --optional jira --proxy mcp/search=https://mcp.example.com -- CMD

CMD finds each credential in variables (GITHUB_TOKEN, GITLAB_TOKEN, JIRA_API_TOKEN, KUBECONFIG, MCP_SERVER_FIELD, …), which
stay as they were when it started, and in files (GITHUB_TOKEN_FILE, KUBECONFIG, …), which follow every rotation. git and gh
ask for the newest at each call, and so does every --proxy: its URL is in JETON_PROXY_PROVIDER.

Who asks, in this order: --caller; the session's own token (JETON_SESSION_TOKEN, or by PROFILE's or the platform's identity;
for ambient by its control plane); each --bearer (for ambient /var/run/secrets/ambient/bot-token, then BOT_TOKEN). After a 401
or 403 the next one is tried, once. With --api ambient BACKEND_API_URL, PROJECT_NAME, AGENTIC_SESSION_NAMESPACE,
AGENTIC_SESSION_NAME, CREDENTIAL_IDS and AMBIENT_CP_TOKEN_URL are read as that platform sets them.

Exit: CMD's own code, 128+N when it died of signal N, 126 or 127 when it could not be run; before CMD runs, the code of what
failed.";

/// Run a program with a session's credentials from a broker
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// A profile of config.toml whose identity opens the session; without one, the ambient chain
    #[arg(value_name = "PROFILE")]
    profile: Option<String>,
    /// The broker's URL; without a path, its API is at /v1
    #[arg(long, value_name = "URL")]
    broker: Option<String>,
    /// What it speaks: broker or ambient [default: broker]
    #[arg(long, value_name = "API")]
    api: Option<String>,
    /// A session that is open already
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    /// The project; with --agent, a session is opened there, and ended with CMD
    #[arg(long, value_name = "ID")]
    project: Option<String>,
    /// The agent whose session is opened
    #[arg(long, value_name = "ID")]
    agent: Option<String>,
    /// The user it is for: nobody else's credentials are given to CMD
    #[arg(long, value_name = "SUBJECT")]
    user: Option<String>,
    /// Only these, and not without them: github, mcp/NAME, … (comma-separated) [default: all of the session]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    provider: Vec<String>,
    /// Run CMD also without these, or without `all`; what is missing is said (comma-separated)
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    optional: Vec<String>,
    /// A credential by its id (repeatable)
    #[arg(long, value_name = "PROVIDER=ID")]
    credential: Vec<String>,
    /// The token of the person this is for: env:VAR, file:PATH, command:CMD
    #[arg(long, value_name = "SPEC")]
    caller: Option<String>,
    /// One more token to ask with, in this order (repeatable)
    #[arg(long, value_name = "SPEC")]
    bearer: Vec<String>,
    /// One more host that credentials may be asked of, with --api ambient (repeatable)
    #[arg(long, value_name = "HOST")]
    allow_host: Vec<String>,
    /// Put a local address in front of URL: requests go on with that credential, fresh each time (repeatable)
    #[arg(long, value_name = "PROVIDER=URL")]
    proxy: Vec<String>,
    /// How often each credential is asked for again while nobody uses it [default: 15s]
    #[arg(long, value_name = "D")]
    every: Option<String>,
    /// Write the files into DIR and leave them there at the end
    #[arg(long, value_name = "DIR")]
    persist: Option<PathBuf>,
    /// Hide credentials in what CMD prints, also on a terminal [default: where it is none]
    #[arg(long)]
    redact: bool,
    /// Leave CMD's output alone
    #[arg(long, conflicts_with = "redact")]
    no_redact: bool,
    /// Let a variable through that proves this platform's identity (repeatable)
    #[arg(long, value_name = "NAME")]
    pass: Vec<String>,
    /// The audience of the identity that opens the session (repeatable) [default: the broker's origin]
    #[arg(short, long, value_name = "AUD")]
    audience: Vec<String>,
    /// Try exactly these sources for that identity, in this order (repeatable)
    #[arg(long, value_name = "SPEC")]
    source: Vec<String>,
    #[command(flatten)]
    pace: Pace,
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<OsString>,
}

/// How often a credential is asked for again when nobody says otherwise: what only reads files has no other way to hear of
/// a rotation, and somebody who rotates a leaked secret waits for that.
const EVERY: Duration = Duration::from_secs(15);

fn run(session: &Session, mut arguments: Arguments) -> Result<Exit, Failure> {
    for list in [&mut arguments.provider, &mut arguments.optional] {
        *list = list
            .iter()
            .map(|name| name.trim().to_owned())
            .filter(|name| !name.is_empty())
            .collect();
    }
    let arguments = &arguments;
    let whole = ask::settle(session, arguments)?;
    let proxies = proxies(&arguments.proxy)?;
    session.serve(async {
        let place = Place::new(&session.env)?;
        // CMD may stand elsewhere when it reads the names.
        let folder = match &arguments.persist {
            Some(folder) => std::path::absolute(folder)?,
            None => place.path().to_path_buf(),
        };
        let signal = crate::session::signal()?;
        let mut stop = std::pin::pin!(signal);
        let opened = tokio::select! {
            biased;
            failure = &mut stop => return Err(failure),
            opened = whole.open(session, arguments, folder) => opened?,
        };
        // Until CMD runs, a signal is meant for us; from then on it is passed on.
        let prepared = tokio::select! {
            biased;
            failure = &mut stop => Err(failure),
            prepared = prepare(session, arguments, &opened.desk, &place, &proxies) => prepared,
        };
        let ended = match prepared {
            Ok(prepared) => serve(session, arguments, &whole, &opened, &place, prepared).await,
            Err(failure) => Err(failure),
        };
        if arguments.persist.is_none() {
            opened.desk.clear();
        }
        opened.end(session).await;
        ended
    })
}

/// `PROVIDER=URL`, each.
fn proxies(texts: &[String]) -> Result<Vec<(String, Url)>, Failure> {
    let one = |text: &String| {
        let wrong = |why: &str| Failure::usage(format!("--proxy {text}: {why}"));
        let (provider, url) = text
            .split_once('=')
            .ok_or_else(|| wrong("write it like github=https://api.github.com"))?;
        if Wanted::parse(provider).is_none() {
            return Err(wrong("there is no such provider"));
        }
        let url = Url::parse(url).map_err(|e| wrong(&e.to_string()))?;
        Ok((provider.to_owned(), url))
    };
    texts.iter().map(one).collect()
}

/// What CMD is given.
struct Prepared {
    variables: Vec<(String, String)>,
    _bound: socket::Bound,
}

async fn prepare(
    session: &Session,
    arguments: &Arguments,
    desk: &Arc<Desk>,
    place: &Place,
    proxies: &[(String, Url)],
) -> Result<Prepared, Failure> {
    ask::judge(session, arguments, desk).await?;
    let held = desk.held();
    let held: Vec<_> = held.iter().map(AsRef::as_ref).collect();
    let jeton = std::env::current_exe()
        .map_err(|e| Failure::new(Exit::Other, format!("cannot find the program itself: {e}")))?;
    tools::install(&held, place.path(), &jeton)?;
    let (listener, bound) = socket::bind(&place.path().join(tools::SOCKET)).await?;
    let listener = Listener::Unix(listener);
    tokio::spawn(service::serve(listener, Arc::clone(desk), std::future::pending()));
    let mut variables = desk.variables()?;
    variables.extend(tools::variables(&session.env, &held, place.path()));
    variables.push((
        tools::SOCKET_VARIABLE.to_owned(),
        bound.path().display().to_string(),
    ));
    for (provider, upstream) in proxies {
        let url = open_proxy(session, desk, provider, upstream).await?;
        variables.push((format!("JETON_PROXY_{}", upper(provider)), url));
    }
    Ok(Prepared {
        variables,
        _bound: bound,
    })
}

/// A local address in front of a server that takes one of the credentials.
async fn open_proxy(
    session: &Session,
    desk: &Arc<Desk>,
    provider: &str,
    upstream: &Url,
) -> Result<String, Failure> {
    let source = Fresh::of(desk, provider)
        .ok_or_else(|| Failure::usage(format!("--proxy {provider}: this session has no such credential")))?;
    let (cx, _) = session.context(&session.env);
    let tokens = Jeton::builder(cx, Chain::named(vec![Arc::new(source)]));
    // Each request asks anew: the broker knows what was rotated, a cache does not.
    let tokens = tokens.cache_ttl(Some(Duration::ZERO)).build();
    let settings = Settings {
        request: TokenRequest::default().min_validity(Duration::ZERO),
        ..Settings::new(upstream.clone())
    };
    let proxy = Proxy::bind(settings, tokens).await?;
    let url = proxy.url();
    tokio::spawn(proxy.serve(std::future::pending()));
    Ok(url)
}

async fn serve(
    session: &Session,
    arguments: &Arguments,
    whole: &ask::Whole,
    opened: &ask::Opened,
    place: &Place,
    prepared: Prepared,
) -> Result<Exit, Failure> {
    let is_seen = std::io::stdout().is_terminal() || std::io::stderr().is_terminal();
    let redact = arguments.redact || !(arguments.no_redact || is_seen);
    let child = Child {
        command: &arguments.command,
        env: &session.env,
        variables: prepared.variables,
        pass: arguments.pass.clone(),
        started: Some(Box::new(|id| place.watch(id))),
        redact: redact.then(|| opened.desk.secrets()),
    };
    let code = tokio::select! {
        code = child.run() => code?,
        () = opened.desk.follow(whole.every) => return Ok(Exit::Other),
        () = opened.renew(session) => return Ok(Exit::Other),
    };
    if matches!(code, 126 | 127) {
        let program = arguments.command.first().map(|p| p.display().to_string());
        let why = format!("{}: cannot be run, or is not there", program.unwrap_or_default());
        session.output.failure(&Failure::new(Exit::Child(code), why));
    }
    Ok(Exit::Child(code))
}
