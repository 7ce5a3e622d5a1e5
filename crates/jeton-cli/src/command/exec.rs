//! `jeton exec`: any program, with the means to get tokens late.
use super::Command;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::plan::{self, Asked, Keep, Pace, Plan};
use crate::session::Session;
use jeton::config::AMBIENT;
use jeton::profiles::Profiles;
use jeton::{Secret, TokenRequest};
use jeton_agent::agent::{Agent, keep_file};
use jeton_agent::child::Child;
use jeton_agent::facade::{Facade, Facades};
use jeton_agent::place::Place;
use jeton_agent::redaction::Secrets;
use jeton_agent::service::{self, Listener};
use jeton_agent::token_file::{Layout, TokenFile, USUAL_MODE};
use jeton_agent::{secret_file, socket};
use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
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
    session.serve(async {
        let place = Place::new(&session.env)?;
        let signal = crate::session::signal()?;
        // Until CMD runs, a signal is meant for us; from then on it is passed on.
        let prepared = tokio::select! {
            biased;
            failure = signal => Err(failure),
            prepared = prepare(session, arguments, &plan, &place, &facades) => prepared,
        };
        serve(session, arguments, &place, prepared?).await
    })
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

/// What CMD is given.
struct Prepared {
    agent: Arc<Agent>,
    secrets: Secrets,
    variables: Vec<(String, String)>,
    _bound: socket::Bound,
}

async fn prepare(
    session: &Session,
    arguments: &Arguments,
    plan: &Plan,
    place: &Place,
    facades: &[Facade],
) -> Result<Prepared, Failure> {
    let profile = arguments.profile.clone().unwrap_or_else(|| AMBIENT.to_owned());
    let secrets = Secrets::default();
    let config = Arc::new(session.config()?.clone());
    let wishes = plan::wishes(session.layers()?, plan.timeout)?;
    let profiles = Profiles::new(config, plan.jeton.context().clone(), wishes);
    let agent = Agent::new(profiles, Some(profile.clone()), plan.request.audience.clone());
    agent.provide(profile.clone(), plan.jeton.clone());
    agent.watch(secrets.clone());

    let (listener, bound) = socket::bind(&place.path().join("agent.sock")).await?;
    let mut variables = vec![("JETON_AGENT".to_owned(), bound.path().display().to_string())];
    tokio::spawn(service::serve(
        Listener::Unix(listener),
        Arc::clone(&agent),
        std::future::pending(),
    ));
    if !facades.is_empty() {
        variables.extend(open_facades(&agent, &secrets, facades.to_vec()).await?);
    }
    for name in &arguments.file {
        let kept = keep(session, plan, &agent, &profile, place.path(), name).await?;
        variables.push((name.clone(), kept));
    }
    if facades.contains(&Facade::Kubernetes) {
        let file = keep(session, plan, &agent, &profile, place.path(), "kubernetes-token").await?;
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
    Ok(Prepared {
        agent,
        secrets,
        variables,
        _bound: bound,
    })
}

async fn serve(
    session: &Session,
    arguments: &Arguments,
    place: &Place,
    prepared: Prepared,
) -> Result<Exit, Failure> {
    let child = Child {
        command: &arguments.command,
        env: &session.env,
        variables: prepared.variables,
        pass: arguments.pass.clone(),
        started: Some(Box::new(|id| place.watch(id))),
        redact: arguments.redact.then_some(prepared.secrets),
    };
    let code = child.run().await?;
    if arguments.revoke {
        prepared.agent.revoke_all().await;
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
    agent: &Arc<Agent>,
    profile: &str,
    folder: &Path,
    name: &str,
) -> Result<String, Failure> {
    if name.is_empty() || Path::new(name).file_name() != Some(name.as_ref()) {
        return Err(Failure::usage(format!("--file {name}: no name of a variable")));
    }
    let file = TokenFile {
        path: folder.join(name),
        mode: USUAL_MODE,
        layout: Layout::Plain,
    };
    let slot = plan.jeton.slot(&plan.request);
    let token = slot.token().await?;
    agent.hand(profile, &token);
    file.write(&token.value)?;
    let path = file.path.display().to_string();
    let output = Arc::clone(&session.output);
    let (agent, profile, clock) = (Arc::clone(agent), profile.to_owned(), session.clock.clone());
    let alarm = agent.alarm();
    tokio::spawn(async move {
        let hand = |token: &jeton::Token| agent.hand(&profile, token);
        keep_file(slot, file, clock, alarm, hand, |e| output.warning(&e.to_string())).await;
    });
    Ok(path)
}
