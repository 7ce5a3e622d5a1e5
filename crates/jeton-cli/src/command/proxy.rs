//! `jeton proxy`: a local address in front of a server, for programs that know nothing of tokens.
use super::Command;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::plan::{self, Asked, Keep, Pace};
use crate::session::Session;
use jeton::Jeton;
use jeton_agent::bridge::Bridge;
use jeton_agent::proxy::{Proxy, Settings, UPSTREAM_TIMEOUT};
use jeton_agent::{hardening, secret_file};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

pub(super) const COMMAND: Command = Command {
    name: "proxy",
    define: <Arguments as clap::Args>::augment_args,
    run: |session, matches| run(session, &super::arguments(matches)?),
};

const EXAMPLES: &str = "\
Examples:
  jeton proxy --upstream https://api.example.com -a https://api.example.com
  curl $URL/v1/things                                 with $URL what the proxy printed
  jeton proxy --upstream https://api.example.com cloud --listen 127.0.0.1:8080
  jeton proxy stack                                   a `[proxy.stack]` of config.toml
  jeton proxy --upstream https://api.example.com --allow-origin http://localhost:3000
  jeton proxy --stdio --upstream https://api.example.com/api/mcp       an MCP server for a client that starts it

Only programs of the same user are served; with --secret-file, only requests that carry the secret:
  curl --proxy-header 'Proxy-Authorization: Bearer SECRET' or -H 'X-Jeton-Secret: SECRET'";

/// Put a local address in front of a server; every request goes on with a fresh token
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// The server: its URL, perhaps with a path [default: the `[proxy.NAME]`'s]
    #[arg(long, value_name = "URL")]
    upstream: Option<String>,
    #[command(flatten)]
    asked: Asked,
    /// Where to listen, on this machine only [default: 127.0.0.1 and any free port]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// A web origin whose pages may call it from a browser (repeatable)
    #[arg(long, value_name = "ORIGIN")]
    allow_origin: Vec<String>,
    /// A Host, besides its own address, under which it may be called (repeatable)
    #[arg(long, value_name = "HOST")]
    allow_host: Vec<String>,
    /// Serve whoever sends the secret in this file; made if it is not there
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// Serve every user of this machine
    #[arg(long)]
    allow_any_local_user: bool,
    /// Carry JSON-RPC between standard input and output and an MCP server at the upstream
    #[arg(long, conflicts_with_all = ["listen", "allow_origin", "allow_host", "secret_file", "allow_any_local_user"])]
    stdio: bool,
    /// How long to wait for the head of the server's answer [default: 60s]
    #[arg(long, value_name = "D")]
    upstream_timeout: Option<String>,
    #[command(flatten)]
    pace: Pace,
    #[command(flatten)]
    keep: Keep,
}

fn run(session: &Session, arguments: &Arguments) -> Result<Exit, Failure> {
    let (asked, settings) = settle(session, arguments)?;
    let plan = plan::settle(session, &asked, &arguments.pace, &arguments.keep)?;
    let settings = Settings {
        request: plan.request.clone(),
        ..settings
    };
    let jeton = plan.jeton.clone();
    if arguments.stdio {
        return session.serve(bridge(session, &settings, jeton));
    }
    hardening::take_room();
    session.serve(async {
        let proxy = Proxy::bind(settings, jeton).await.map_err(Failure::from)?;
        session.output.line(&proxy.url())?;
        let mut stop = std::pin::pin!(crate::session::signal()?);
        proxy
            .serve(async {
                stop.as_mut().await;
            })
            .await;
        Ok(Exit::Done)
    })
}

/// Lines in, lines out, until either side ends.
async fn bridge(session: &Session, settings: &Settings, jeton: Jeton) -> Result<Exit, Failure> {
    let output = Arc::clone(&session.output);
    let bridge = Bridge::new(settings, jeton, tokio::io::stdout(), move |why| {
        output.warning(why)
    })?;
    let signal = crate::session::signal()?;
    tokio::select! {
        failure = signal => Err(failure),
        done = bridge.run(tokio::io::BufReader::new(tokio::io::stdin())) => Ok(done.map(|()| Exit::Done)?),
    }
}

/// Arguments over the `[proxy.NAME]` that the first one may name.
fn settle(session: &Session, arguments: &Arguments) -> Result<(Asked, Settings), Failure> {
    let mut asked = arguments.asked.clone();
    let named = asked
        .profile
        .as_ref()
        .and_then(|name| session.config().ok()?.proxies.get(name));
    let upstream = match (&arguments.upstream, named) {
        (Some(url), _) => Url::parse(url).map_err(|e| Failure::usage(format!("--upstream {url}: {e}")))?,
        (None, Some(named)) => named.upstream.clone(),
        (None, None) => {
            return Err(Failure::usage("proxy: whom should it stand in front of?")
                .with_hint("say --upstream URL, or name a `[proxy.NAME]` of config.toml"));
        }
    };
    let mut settings = Settings::new(upstream);
    if let Some(named) = named.filter(|_| arguments.upstream.is_none()) {
        asked.profile = Some(named.profile.clone());
        if asked.audience.is_empty() {
            asked.audience.extend(named.audience.clone());
        }
        settings.listen = named.listen.unwrap_or(settings.listen);
    }
    if let Some(listen) = &arguments.listen {
        settings.listen = address(listen)?;
    }
    settings.allow_origins.clone_from(&arguments.allow_origin);
    settings.allow_hosts.clone_from(&arguments.allow_host);
    settings.secret = arguments
        .secret_file
        .as_deref()
        .map(secret_file::read_or_make)
        .transpose()?;
    settings.allow_any_local_user = arguments.allow_any_local_user;
    settings.upstream_timeout = upstream_timeout(arguments)?;
    Ok((asked, settings))
}

fn address(text: &str) -> Result<SocketAddr, Failure> {
    let named = text
        .strip_prefix("localhost:")
        .map(|port| format!("127.0.0.1:{port}"));
    let address = named.as_deref().unwrap_or(text).parse();
    address.map_err(|_| {
        Failure::usage(format!("--listen {text}: no address and port"))
            .with_hint("write it like 127.0.0.1:8080")
    })
}

fn upstream_timeout(arguments: &Arguments) -> Result<Duration, Failure> {
    match &arguments.upstream_timeout {
        None => Ok(UPSTREAM_TIMEOUT),
        Some(text) => jeton::duration::parse(text).ok_or_else(|| {
            Failure::usage(format!("--upstream-timeout {text}: no duration")).with_hint("write it like 30s")
        }),
    }
}
