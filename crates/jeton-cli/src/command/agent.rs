//! `jeton agent`: tokens kept fresh for as long as somebody is logged in, behind a socket and in files.
use super::Command;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::plan::{self, Pace};
use crate::session::Session;
use crate::settings::{Layers, variable as setting};
use jeton::config::Config;
use jeton::profiles::Profiles;
use jeton::{Env, Secret};
use jeton_agent::agent::{Agent, Report, Upkeep, check};
use jeton_agent::facade::{Facade, Facades};
use jeton_agent::service::{self, Listener};
use jeton_agent::token_file::{Layout, TokenFile, USUAL_MODE};
use jeton_agent::{hardening, secret_file, socket, systemd};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

mod ask;

pub(super) const COMMAND: Command = Command {
    name: "agent",
    define: <Arguments as clap::Args>::augment_args,
    run: |session, matches| run(session, &super::arguments(matches)?),
};

const EXAMPLES: &str = "\
Examples:
  jeton agent &                                     on $XDG_RUNTIME_DIR/jeton/agent.sock
  jeton agent --socket /run/user/1000/j.sock --listen 127.0.0.1:9911
  export JETON_AGENT=$XDG_RUNTIME_DIR/jeton/agent.sock; jeton token cloud
  jeton agent status
  jeton agent stop

Keeps the profiles' tokens fresh, writes the `[files]` and serves the `[proxy.NAME]`s of config.toml; SIGHUP reads it
again. With --listen: /healthz, /metrics and the platforms' own protocols; what programs need to use those is in the
file agent.env beside the socket, for this user alone.";

/// Keep tokens fresh and hand them out: over a socket, in files, in the platforms' own protocols
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = false)]
pub(super) struct Arguments {
    /// The socket [default: $JETON_AGENT, else $XDG_RUNTIME_DIR/jeton/agent.sock]
    #[arg(long, value_name = "PATH", global = true)]
    socket: Option<PathBuf>,
    /// Serve the platforms' protocols, /healthz and /metrics on this address of this machine
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(clap::Subcommand, Clone, Debug)]
enum Verb {
    /// Show what a running agent keeps fresh
    #[command(after_help = "Examples:\n  jeton agent status\n  jeton agent status --json")]
    Status {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// End a running agent
    #[command(after_help = "Examples:\n  jeton agent stop")]
    Stop,
}

fn run(session: &Session, arguments: &Arguments) -> Result<Exit, Failure> {
    let socket = socket::locate(&session.env, arguments.socket.as_deref())?;
    match &arguments.verb {
        Some(Verb::Status { json }) => ask::status(session, &socket, *json),
        Some(Verb::Stop) => ask::stop(session, &socket),
        None => {
            hardening::seal();
            hardening::take_room();
            let listen = arguments.listen.as_deref().map(address).transpose()?;
            let (profiles, audience) = profiles(session, session.config()?.clone(), &socket)?;
            let agent = Agent::new(profiles, None, audience);
            session.serve(serve(session, agent, &socket, listen))
        }
    }
}

fn address(text: &str) -> Result<SocketAddr, Failure> {
    let wrong = |what: &str| {
        Failure::usage(format!("--listen {text}: {what}")).with_hint("write it like 127.0.0.1:9911")
    };
    let numeric = text
        .strip_prefix("localhost:")
        .map(|port| format!("127.0.0.1:{port}"));
    let address: SocketAddr = numeric
        .as_deref()
        .unwrap_or(text)
        .parse()
        .map_err(|_| wrong("no address and port"))?;
    if address.ip().is_loopback() {
        return Ok(address);
    }
    Err(wrong("beyond this machine: whoever reaches it acts as you"))
}

/// The profiles of a configuration, and the audience that is meant when nobody says one.
fn profiles(session: &Session, config: Config, socket: &Path) -> Result<(Profiles, Vec<String>), Failure> {
    let layers = Layers {
        env: &session.env,
        config: &config,
    };
    let env = plan::with_ca_file(layers, without_itself(&session.env, socket))?;
    let (mut cx, _) = session.context(&env);
    let timeout;
    (cx.policy, timeout) = plan::policy(layers, &Pace::default())?;
    let audience = layers.texts(&setting::AUDIENCE, &[])?;
    let wishes = plan::wishes(layers, timeout)?;
    Ok((Profiles::new(Arc::new(config), cx, wishes), audience))
}

/// The agent's own ambient chain must not ask the agent.
fn without_itself(env: &Env, socket: &Path) -> Env {
    let named = env
        .get("JETON_AGENT")
        .map(|path| path.strip_prefix("unix:").unwrap_or(path));
    if named.is_some_and(|path| Path::new(path) == socket) {
        return env.clone().with("JETON_AGENT", "");
    }
    env.clone()
}

async fn serve(
    session: &Session,
    agent: Arc<Agent>,
    path: &Path,
    listen: Option<SocketAddr>,
) -> Result<Exit, Failure> {
    let output = Arc::clone(&session.output);
    let report: Report = Arc::new(move |message| output.warning(message));
    check(&agent.profiles())?;
    let mut end = pin!(crate::session::signal()?);
    let mut hangup = signal(SignalKind::hangup())?;
    let (listener, bound) = match systemd::socket() {
        Some(listener) => (listener, None),
        None => {
            let (listener, bound) = socket::bind(path).await?;
            (listener, Some(bound))
        }
    };
    let stop = watch::Sender::new(false);
    let mut servers = JoinSet::new();
    servers.spawn(service::serve(
        Listener::Unix(listener),
        Arc::clone(&agent),
        stopped(&stop),
    ));
    let open = match listen {
        Some(address) => Some(open_facades(&agent, path, address, &mut servers, stopped(&stop)).await?),
        None => None,
    };
    let mut upkeep = Upkeep::start(&agent, &report).await;
    systemd::ready();
    session.output.line(&path.display().to_string())?;
    let mut watchdog = pin!(systemd::watchdog());
    loop {
        tokio::select! {
            _ = &mut end => break,
            () = agent.stopped() => break,
            () = &mut watchdog => break,
            _ = hangup.recv() => upkeep = reload(session, &agent, path, upkeep, &report).await,
        }
    }
    systemd::stopping();
    stop.send_replace(true);
    drop(bound);
    if let Some(file) = open {
        file.remove();
    }
    upkeep.end().await;
    while servers.join_next().await.is_some() {}
    Ok(Exit::Done)
}

fn stopped(stop: &watch::Sender<bool>) -> impl Future<Output = ()> + Send + use<> {
    let mut stop = stop.subscribe();
    async move {
        // An error means that there is nobody left to say it.
        let _ = stop.wait_for(|stop| *stop).await;
    }
}

/// The new configuration replaces the old one whole, or not at all.
async fn reload(session: &Session, agent: &Arc<Agent>, path: &Path, old: Upkeep, report: &Report) -> Upkeep {
    let read = session
        .read_config()
        .and_then(|config| profiles(session, config, path))
        .and_then(|(profiles, _)| check(&profiles).map_err(Failure::from).map(|()| profiles));
    let profiles = match read {
        Ok(profiles) => profiles,
        Err(failure) => {
            let why = failure.message;
            report(&format!("the configuration stays as it was: {why}"));
            return old;
        }
    };
    agent.reload(profiles);
    // Requests that are under way in its proxies may end in their own time.
    tokio::spawn(old.end());
    session.output.note("the configuration was read again");
    Upkeep::start(agent, report).await
}

/// Opens the facades, and writes what programs need to find and to enter them.
async fn open_facades(
    agent: &Arc<Agent>,
    socket: &Path,
    address: SocketAddr,
    servers: &mut JoinSet<()>,
    stopped: impl Future<Output = ()> + Send + 'static,
) -> Result<TokenFile, Failure> {
    let listener = Listener::tcp(address).await;
    let listener = listener.map_err(|e| Failure::new(Exit::Other, format!("--listen {address}: {e}")))?;
    let address = listener.address().unwrap_or(address);
    let facades = Facades::new(
        Arc::clone(agent),
        None,
        secret_file::fresh()?,
        Facade::ALL.to_vec(),
    );
    let file = TokenFile {
        path: socket.with_extension("env"),
        mode: USUAL_MODE,
        layout: Layout::Plain,
    };
    let mut text = format!("JETON_AGENT='{}'\n", socket.display());
    for (name, value) in facades.environment(address) {
        text.push_str(&format!("{name}='{value}'\n"));
    }
    file.write(&Secret::new(text))?;
    agent.tell_facades(address, file.path.clone());
    servers.spawn(service::serve(listener, facades, stopped));
    Ok(file)
}
