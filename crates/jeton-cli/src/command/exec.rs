//! `jeton exec`: any program, with the means to get tokens late.
use super::Command;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::plan::{self, Asked, Keep, Pace, Plan};
use crate::session::Session;
use jeton::config::AMBIENT;
use jeton::profiles::{Profiles, Wishes};
use jeton::{Secret, TokenRequest};
use jeton_agent::agent::{Agent, keep_file};
use jeton_agent::child::Child;
use jeton_agent::facade::{Facade, Facades};
use jeton_agent::redaction::Secrets;
use jeton_agent::service::{self, Listener};
use jeton_agent::token_file::{TokenFile, USUAL_MODE};
use jeton_agent::{secret_file, socket};
use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(super) const COMMAND: Command = Command {
    name: "exec",
    define: <Arguments as clap::Args>::augment_args,
    run: |session, matches| run(session, &super::arguments(matches)?),
};

const EXAMPLES: &str = "\
Examples:
  jeton exec -a https://vault.example.com --file VAULT_JWT_FILE -- ./deploy.sh
  jeton exec --facade github -- node publish.js       @actions/core's getIDToken gets fresh tokens
  jeton exec cloud --facade aws,gcp -- terraform apply
  jeton exec -a api --env API_TOKEN --redact -- make  one token, fetched once: it ends while a long job runs

CMD finds a private agent at JETON_AGENT; `jeton token` in it asks there. What proves this platform's identity
(ACTIONS_ID_TOKEN_REQUEST_TOKEN and its kin) does not reach CMD; --pass NAME lets one through.
Exit: CMD's own code, 128+N when it died of signal N, 126 or 127 when it could not be run.";

/// Run a program with the means to get tokens late
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// A profile of config.toml; without one, the ambient chain
    #[arg(value_name = "PROFILE")]
    profile: Option<String>,
    /// The audience of the tokens (repeatable) [default: the profile's, or the source's own]
    #[arg(short, long, value_name = "AUD")]
    audience: Vec<String>,
    /// Try exactly these sources, in this order (repeatable)
    #[arg(long, value_name = "SPEC")]
    source: Vec<String>,
    /// Set NAME to one token, fetched once: it ends while a long job runs, and every program that CMD starts sees it
    #[arg(long, value_name = "NAME")]
    env: Vec<String>,
    /// Set NAME to a file that is kept fresh
    #[arg(long, value_name = "NAME")]
    file: Vec<String>,
    /// Speak these platforms' protocols to CMD: github, aws, gcp, azure, kubernetes (comma-separated)
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    facade: Vec<String>,
    /// Let a variable through that proves this platform's identity (repeatable)
    #[arg(long, value_name = "NAME")]
    pass: Vec<String>,
    /// Replace tokens in what CMD prints: raw, in base64 and URL-encoded
    #[arg(long)]
    redact: bool,
    /// Give back what can be revoked when CMD has ended
    #[arg(long)]
    revoke: bool,
    #[command(flatten)]
    pace: Pace,
    #[command(flatten)]
    keep: Keep,
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<OsString>,
}

fn run(session: &Session, arguments: &Arguments) -> Result<Exit, Failure> {
    let asked = Asked {
        profile: arguments.profile.clone(),
        audience: arguments.audience.clone(),
        source: arguments.source.clone(),
        ..Asked::default()
    };
    let facades = facades(&arguments.facade)?;
    let plan = plan::settle(session, &asked, &arguments.pace, &arguments.keep)?;
    session.serve(serve(session, arguments, &plan, facades))
}

fn facades(names: &[String]) -> Result<Vec<Facade>, Failure> {
    let facade = |name: &String| {
        let known = Facade::ALL.map(Facade::name).join(", ");
        Facade::named(name.trim()).ok_or_else(|| {
            Failure::usage(format!("--facade {name}: no such facade")).with_hint(format!("one of {known}"))
        })
    };
    names
        .iter()
        .filter(|name| !name.trim().is_empty())
        .map(facade)
        .collect()
}

async fn serve(
    session: &Session,
    arguments: &Arguments,
    plan: &Plan,
    facades: Vec<Facade>,
) -> Result<Exit, Failure> {
    let place = Place::new(session)?;
    let profile = arguments.profile.clone().unwrap_or_else(|| AMBIENT.to_owned());
    let secrets = Secrets::default();
    let config = Arc::new(session.config()?.clone());
    let wishes = Wishes {
        timeout: Some(plan.timeout),
        ..Wishes::default()
    };
    let profiles = Profiles::new(config, plan.jeton.context().clone(), wishes);
    let agent = Agent::new(profiles, Some(profile.clone()), plan.request.audience.clone());
    agent.provide(profile, plan.jeton.clone());
    agent.watch(secrets.clone());

    let (listener, _bound) = socket::bind(&place.path.join("agent.sock")).await?;
    let mut variables = vec![(
        "JETON_AGENT".to_owned(),
        place.path.join("agent.sock").display().to_string(),
    )];
    tokio::spawn(service::serve(
        Listener::Unix(listener),
        Arc::clone(&agent),
        std::future::pending(),
    ));
    if !facades.is_empty() {
        variables.extend(open_facades(&agent, &secrets, facades.clone()).await?);
    }
    for name in &arguments.file {
        variables.push((
            name.clone(),
            keep(session, plan, &place, name, &plan.request).await?,
        ));
    }
    if facades.contains(&Facade::Kubernetes) {
        let file = keep(session, plan, &place, "kubernetes-token", &plan.request).await?;
        variables.push(("JETON_KUBERNETES_TOKEN_FILE".to_owned(), file));
    }
    for name in &arguments.env {
        let token = agent.token(
            None,
            TokenRequest {
                min_validity: plan.request.min_validity,
                ..TokenRequest::default()
            },
        );
        variables.push((name.clone(), token.await?.value.reveal().to_owned()));
    }
    let child = Child {
        command: &arguments.command,
        env: &session.env,
        variables,
        pass: arguments.pass.clone(),
        redact: arguments.redact.then_some(secrets),
    };
    let code = child.run().await?;
    if arguments.revoke {
        agent.revoke_all().await;
    }
    if matches!(code, 126 | 127) {
        let program = arguments
            .command
            .first()
            .map(|p| p.display().to_string())
            .unwrap_or_default();
        session.output.failure(&Failure::new(
            Exit::Child(code),
            format!("{program}: cannot be run, or is not there"),
        ));
    }
    Ok(Exit::Child(code))
}

/// A folder for the time of one run, that only this user may look into.
struct Place {
    path: PathBuf,
}

impl Place {
    fn new(session: &Session) -> Result<Self, Failure> {
        let base = ["XDG_RUNTIME_DIR", "TMPDIR"]
            .iter()
            .find_map(|name| session.env.get(name))
            .map_or_else(|| PathBuf::from("/tmp"), PathBuf::from);
        let made = tempfile::Builder::new().prefix("jeton-").tempdir_in(&base);
        let made = made.or_else(|_| tempfile::Builder::new().prefix("jeton-").tempdir_in("/tmp"));
        let folder = made.map_err(|e| Failure::new(Exit::Other, format!("{}: {e}", base.display())))?;
        Ok(Self { path: folder.keep() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Nothing of a token is left behind.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

async fn open_facades(
    agent: &Arc<Agent>,
    secrets: &Secrets,
    facades: Vec<Facade>,
) -> Result<Vec<(String, String)>, Failure> {
    let secret: Secret = secret_file::fresh()?;
    secrets.add(&secret);
    let listener = Listener::tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
    let address = listener
        .address()
        .unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    let facades = Facades::new(Arc::clone(agent), None, secret, facades);
    let variables = facades.environment(address);
    tokio::spawn(service::serve(listener, facades, std::future::pending()));
    Ok(variables
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect())
}

/// Writes a token into a file before the child starts, and keeps it fresh from then on.
async fn keep(
    session: &Session,
    plan: &Plan,
    place: &Place,
    name: &str,
    request: &TokenRequest,
) -> Result<String, Failure> {
    if name.is_empty() || Path::new(name).file_name() != Some(name.as_ref()) {
        return Err(Failure::usage(format!("--file {name}: no name of a variable")));
    }
    let file = TokenFile {
        path: place.path.join(name),
        mode: USUAL_MODE,
    };
    let slot = plan.jeton.slot(request);
    file.write(&slot.token().await?.value)?;
    let path = file.path.display().to_string();
    let output = Arc::clone(&session.output);
    tokio::spawn(async move { keep_file(slot, file, |e| output.warning(&e.to_string())).await });
    Ok(path)
}
