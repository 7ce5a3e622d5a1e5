//! What the long-lived agent does by itself: profiles kept fresh from the start, files, proxies. It all follows from
//! one configuration, and ends with it.
use super::{Agent, keep_file};
use crate::proxy::{Proxy, Settings};
use crate::token_file::{Layout, TokenFile};
use jeton::config;
use jeton::profiles::{self, Profiles};
use jeton::{Error, Token, TokenRequest};
use jeton_core::Class;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Who is told what goes wrong.
pub type Report = Arc<dyn Fn(&str) + Send + Sync>;

/// How long, and how often, a port is waited for that the configuration before this one still holds.
const PORT_PAUSE: Duration = Duration::from_millis(25);
const PORT_TRIES: u32 = 40;

/// Everything that runs by one configuration.
pub struct Upkeep {
    tasks: JoinSet<()>,
    stop: watch::Sender<bool>,
}

impl Upkeep {
    /// Starts it. What cannot be done now (a port that is taken) is reported; the rest goes on.
    pub async fn start(agent: &Arc<Agent>, report: &Report) -> Self {
        let profiles = agent.profiles();
        let mut upkeep = Self {
            tasks: JoinSet::new(),
            stop: watch::Sender::new(false),
        };
        for (path, file) in &profiles.config().files {
            if let Err(e) = upkeep.file(agent, path, file, report) {
                report(&format!("{}: {e}", path.display()));
            }
        }
        let mut urls = Vec::new();
        for (name, proxy) in &profiles.config().proxies {
            match upkeep.proxy(agent, proxy).await {
                Ok(url) => urls.push((name.clone(), url)),
                Err(e) => report(&format!("proxy {name}: {e}")),
            }
        }
        agent.tell_proxies(urls);
        let standings = profiles::status(&profiles);
        for standing in standings.into_iter().filter(|standing| standing.logged_in) {
            upkeep.profile(agent, standing.profile, report);
        }
        upkeep
    }

    /// Ends it: ports close at once, requests that are under way may finish.
    pub async fn end(mut self) {
        self.stop.send_replace(true);
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(crate::service::STOP_TIME, ended).await;
    }

    fn spawn(&mut self, work: impl Future<Output = ()> + Send + 'static) {
        let stopped = self.stopped();
        self.tasks.spawn(async move {
            tokio::select! {
                () = stopped => {}
                () = work => {}
            }
        });
    }

    fn stopped(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut stop = self.stop.subscribe();
        async move {
            // An error means that there is nobody left to say it.
            let _ = stop.wait_for(|stop| *stop).await;
        }
    }

    fn profile(&mut self, agent: &Arc<Agent>, profile: String, report: &Report) {
        let (agent, report) = (Arc::clone(agent), Arc::clone(report));
        self.spawn(async move {
            if let Err(e) = agent.warm(&profile).await {
                report(&format!("profile \"{profile}\" is not kept fresh: {e}"));
            }
        });
    }

    fn file(
        &mut self,
        agent: &Arc<Agent>,
        path: &Path,
        file: &config::TokenFile,
        report: &Report,
    ) -> Result<(), Error> {
        let asked = TokenRequest {
            audience: file.audience.iter().cloned().collect(),
            ..agent.asking(Some(&file.profile))
        };
        let request = agent.request(Some(&file.profile), asked)?;
        let slot = agent.open(Some(&file.profile))?.slot(&request);
        let layout = if file.kubernetes || Layout::of(path) == Layout::Kubernetes {
            Layout::Kubernetes
        } else {
            Layout::Plain
        };
        let target = TokenFile {
            path: path.to_path_buf(),
            mode: file.mode,
            layout,
        };
        let report = Arc::clone(report);
        let name = path.display().to_string();
        let (agent, profile) = (Arc::clone(agent), file.profile.clone());
        self.spawn(async move {
            let (clock, alarm) = (agent.clock(), agent.alarm());
            let hand = |token: &Token| agent.hand(&profile, token);
            keep_file(slot, target, clock, alarm, hand, |e| {
                report(&format!("{name}: {e}"))
            })
            .await;
        });
        Ok(())
    }

    async fn proxy(&mut self, agent: &Arc<Agent>, proxy: &config::Proxy) -> Result<String, Error> {
        let asked = TokenRequest {
            audience: proxy.audience.iter().cloned().collect(),
            ..agent.asking(Some(&proxy.profile))
        };
        let mut settings = Settings::new(proxy.upstream.clone());
        settings.request = agent.request(Some(&proxy.profile), asked)?;
        settings.listen = proxy.listen.unwrap_or(settings.listen);
        let tokens = agent.open(Some(&proxy.profile))?;
        let mut tries = 1;
        let bound = loop {
            match Proxy::bind(settings.clone(), tokens.clone()).await {
                Err(e) if e.kind() == Class::Other && tries < PORT_TRIES => tries += 1,
                bound => break bound?,
            }
            tokio::time::sleep(PORT_PAUSE).await;
        };
        let url = bound.url();
        let stopped = self.stopped();
        self.tasks.spawn(bound.serve(stopped));
        Ok(url)
    }
}

/// Every profile that a file or a proxy of the configuration names can be opened.
///
/// # Errors
/// `Class::Config` for one that cannot.
pub fn check(profiles: &Profiles) -> Result<(), Error> {
    let config = profiles.config();
    let files = config
        .files
        .iter()
        .map(|(path, file)| (format!("[files] {}", path.display()), &file.profile));
    let proxies = config
        .proxies
        .iter()
        .map(|(name, proxy)| (format!("[proxy.{name}]"), &proxy.profile));
    for (place, profile) in files.chain(proxies) {
        profiles.open(profile).map_err(|e| {
            let error = Error::new(Class::Config, format!("{place}: {e}"));
            match e.hint() {
                Some(hint) => error.with_hint(hint.to_owned()),
                None => error,
            }
        })?;
    }
    Ok(())
}
