//! `jeton broker serve`.
use super::{configuration, location};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::session::Session;
use jeton_agent::{hardening, systemd};
use jeton_broker::broker::{Broker, Live, Log};
use jeton_broker::reload::{self, Origin};
use jeton_broker::service::{self, Listener};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What `serve` takes.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct Serve {
    /// Let everybody with an accepted token do everything: for trying out, on loopback only
    #[arg(long)]
    insecure_no_authorization: bool,
}

struct Told(Arc<Output>);

impl Log for Told {
    fn warning(&self, message: &str) {
        self.0.warning(message);
    }

    fn note(&self, message: &str) {
        self.0.note(message);
    }
}

pub(super) fn run(session: &Session, arguments: &Serve) -> Result<Exit, Failure> {
    hardening::seal();
    let config = configuration(session)?;
    let insecure = arguments.insecure_no_authorization;
    if insecure {
        if !config.listen.ip().is_loopback() || config.behind_proxy {
            let message = format!(
                "--insecure-no-authorization: {} is reached from beyond this machine; authorization stays on there",
                config.listen
            );
            return Err(Failure::usage(message));
        }
        session.output.warning(
            "AUTHORIZATION IS OFF (--insecure-no-authorization): everybody with an accepted token is platform:admin and \
             reads every credential",
        );
    }
    session.serve_many(async {
        let (cx, _) = session.context(&session.env);
        let live = Live::load(&cx, config, None).await?;
        let listener = Listener::open(live.config.listen, live.tls.is_some()).await?;
        let public_url = live.config.public_url(listener.address());
        let log = Arc::new(Told(Arc::clone(&session.output)));
        let broker = Broker::open(live, cx, log, public_url, insecure).await?;
        serve(session, listener, broker).await
    })
}

async fn serve(session: &Session, listener: Listener, broker: Broker) -> Result<Exit, Failure> {
    let mut signals = Stop::new()?;
    let mut again = Stop::new()?;
    let mut hangup = signal(SignalKind::hangup())?;
    let origin = Origin {
        env: session.env.clone(),
        path: location(session),
        folder: PathBuf::new(),
    };
    session.output.line(&listener.url())?;
    systemd::ready();
    let serving = async {
        let second = async {
            again.next().await;
            again.next().await;
        };
        service::serve(listener, &broker, signals.next(), second).await;
    };
    let watching = reload::watch(&broker, &origin, async || {
        // There is no end of signals while the process lives.
        let _ = hangup.recv().await;
    });
    tokio::select! {
        () = serving => (),
        () = watching => (),
        () = jeton_broker::upkeep::run(&broker) => (),
    }
    systemd::stopping();
    broker.close().await;
    Ok(Exit::Done)
}

/// The signals that end a server: SIGTERM and SIGINT.
struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    fn new() -> Result<Self, Failure> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => (),
            _ = self.interrupt.recv() => (),
        }
    }
}
