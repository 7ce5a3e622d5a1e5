//! Start, stop, and what a test asks of a running issuer.
use crate::desk::{Desk, Provider, lock};
use crate::error::Error;
use crate::faults::{self, Board, Rule};
use crate::grants;
use crate::keys::unguessable;
use crate::listener;
use crate::options::Options;
use crate::platforms;
use crate::record::Recorded;
use crate::tls::{self, Tls};
use serde_json::{Map, Value};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The way to a running issuer.
#[derive(Debug)]
pub struct Issuer;

impl Issuer {
    /// Starts an issuer on the runtime of the caller.
    ///
    /// # Errors
    /// An address beyond loopback without `force`, a path that is none, a port that is taken, a key that could not be
    /// made.
    pub async fn start(options: Options) -> Result<RunningIssuer, Error> {
        check(&options)?;
        let listener = TcpListener::bind(options.listen).await;
        let listener = listener.map_err(|e| Error::io(format!("cannot listen on {}", options.listen), e))?;
        let address = listener
            .local_addr()
            .map_err(|e| Error::io("the socket has no address", e))?;
        let tls = options.tls.map(tls::make).transpose()?;
        let (stop, stopped) = watch::channel(false);
        let (acceptor, ca_pem) = tls.map_or((None, None), |Tls { acceptor, ca_pem }| {
            (Some(acceptor), Some(ca_pem))
        });
        let provider = Provider::new(options.clone(), url(&options, address), ca_pem)?;
        let provider = Arc::new(provider);
        let mut tasks = Vec::new();
        #[cfg(unix)]
        if let Some(path) = &options.unix_socket {
            let socket = bind_unix(path)?;
            tasks.push(tokio::spawn(listener::run_unix(
                socket,
                Arc::clone(&provider),
                stopped.clone(),
            )));
        }
        #[cfg(all(unix, feature = "spiffe"))]
        if let Some(path) = &options.spiffe_socket {
            let (socket, provider) = (bind_unix(path)?, Arc::clone(&provider));
            tasks.push(tokio::spawn(listener::run_workload_api(
                socket,
                provider,
                stopped.clone(),
            )));
        }
        tasks.push(tokio::spawn(listener::run_tcp(
            listener,
            acceptor,
            Arc::clone(&provider),
            stopped,
        )));
        tracing::warn!(
            url = provider.url,
            "an issuer for development: whoever reaches it gets any token"
        );
        Ok(RunningIssuer {
            provider,
            address,
            stop,
            tasks,
            thread: None,
        })
    }

    /// Starts an issuer on a thread of its own, for callers without a runtime.
    ///
    /// # Errors
    /// As [`Issuer::start`], or a thread that could not be started.
    pub fn in_thread(options: Options) -> Result<RunningIssuer, Error> {
        let (started, wait) = std::sync::mpsc::channel();
        let body = move || run_thread(options, &started);
        let builder = std::thread::Builder::new().name(unguessable("jeton-issuer-"));
        let thread = builder
            .spawn(body)
            .map_err(|e| Error::io("no thread could be started", e))?;
        let mut running = wait
            .recv()
            .map_err(|_| Error::new("the issuer's thread ended early"))??;
        running.thread = Some(thread);
        Ok(running)
    }
}

fn run_thread(options: Options, started: &std::sync::mpsc::Sender<Result<RunningIssuer, Error>>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = started.send(Err(Error::io("no runtime could be started", error)));
            return;
        }
    };
    runtime.block_on(async {
        match Issuer::start(options).await {
            Ok(mut running) => {
                let tasks = std::mem::take(&mut running.tasks);
                let _ = started.send(Ok(running));
                for task in tasks {
                    let _ = task.await;
                }
            }
            Err(error) => {
                let _ = started.send(Err(error));
            }
        }
    });
}

fn check(options: &Options) -> Result<(), Error> {
    if !options.listen.ip().is_loopback() && !options.force {
        return Err(Error::new(format!(
            "{} is not a loopback address: this issuer gives any token to anybody who can reach it, so it listens \
             beyond this machine only when forced",
            options.listen
        )));
    }
    if options.spiffe_socket.is_some() && cfg!(not(feature = "spiffe")) {
        return Err(Error::new(
            "this build has no SPIFFE: the crate's feature `spiffe` is off",
        ));
    }
    let path = options.path.as_str();
    if !path.is_empty() && (!path.starts_with('/') || path.contains(['?', '#', ' ']) || path.contains("//")) {
        return Err(Error::new(format!(
            "`{path}` is no path for an issuer URL; it begins with one slash"
        )));
    }
    Ok(())
}

fn url(options: &Options, address: SocketAddr) -> String {
    let scheme = if options.tls.is_some() { "https" } else { "http" };
    let path = options.path.trim_end_matches('/');
    if address.ip().is_unspecified() {
        return format!("{scheme}://localhost:{}{path}", address.port());
    }
    format!("{scheme}://{address}{path}")
}

#[cfg(unix)]
fn bind_unix(path: &Path) -> Result<tokio::net::UnixListener, Error> {
    tokio::net::UnixListener::bind(path)
        .map_err(|e| Error::io(format!("cannot listen on the unix socket {}", path.display()), e))
}

/// An issuer that is running. It stops when this is dropped.
pub struct RunningIssuer {
    provider: Arc<Provider>,
    address: SocketAddr,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl std::fmt::Debug for RunningIssuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunningIssuer")
            .field("url", &self.provider.url)
            .finish_non_exhaustive()
    }
}

impl RunningIssuer {
    /// The issuer URL, without a slash at its end.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.provider.url
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The authority that signed the certificate, as PEM; `None` without TLS.
    #[must_use]
    pub fn ca_pem(&self) -> Option<&str> {
        self.provider.ca_pem.as_deref()
    }

    /// What a platform's client must show.
    #[must_use]
    pub fn request_token(&self) -> &str {
        &self.provider.request_token
    }

    /// Every request since the start or the last reset, in order of arrival.
    #[must_use]
    pub fn requests(&self) -> Vec<Recorded> {
        lock(&self.provider.record).clone()
    }

    /// The requests of one route.
    #[must_use]
    pub fn requests_of(&self, route: &str) -> Vec<Recorded> {
        let record = lock(&self.provider.record);
        record.iter().filter(|one| one.route == route).cloned().collect()
    }

    /// Forgets the requests.
    pub fn reset_requests(&self) {
        lock(&self.provider.record).clear();
    }

    /// How many connections were made, faulty ones included.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.provider.connections.load(Ordering::Relaxed)
    }

    /// Adds a fault on a route (a name, a path, or `*`).
    ///
    /// # Errors
    /// A fault or a route that does not exist.
    pub fn fault(&self, route: &str, fault: &str) -> Result<(), Error> {
        self.add_rule(Rule::new(route, fault)?);
        Ok(())
    }

    /// Adds a rule after the others.
    pub fn add_rule(&self, rule: Rule) {
        lock(&self.provider.faults).add([rule]);
    }

    /// Replaces all rules by those of a file of faults.
    ///
    /// # Errors
    /// As [`faults::read`].
    pub fn set_faults(&self, text: &str) -> Result<(), Error> {
        *lock(&self.provider.faults) = Board::new(faults::read(text)?);
        Ok(())
    }

    /// The rules as they stand, with the number of times each was played.
    #[must_use]
    pub fn rules(&self) -> Vec<Rule> {
        lock(&self.provider.faults).rules().to_vec()
    }

    /// Back to normal.
    pub fn clear_faults(&self) {
        *lock(&self.provider.faults) = Board::default();
    }

    /// A new key signs; the old ones stay published for a while, unless they are dropped.
    ///
    /// # Errors
    /// A key that could not be made.
    pub fn rotate(&self, drop_old: bool) -> Result<(), Error> {
        self.provider.keys().rotate(drop_old)
    }

    /// Puts the issuer's clock ahead of (or, below zero, behind) the one it was given.
    pub fn set_clock_offset(&self, seconds: i64) {
        self.provider.offset_seconds.store(seconds, Ordering::Relaxed);
    }

    /// An identity token with these claims; time claims and `jti` are filled in, faults are not played.
    #[must_use]
    pub fn mint(&self, claims: Map<String, Value>) -> String {
        Desk::plain(&self.provider).identity_token(claims)
    }

    /// A refresh token as if somebody had logged in, for tests that begin there.
    #[must_use]
    pub fn refresh_token(&self, client: &str, subject: &str, scope: &str) -> String {
        grants::plant_refresh_token(&Desk::plain(&self.provider), client, subject, scope)
    }

    /// The public keys, as a JWK set.
    #[must_use]
    pub fn jwks(&self) -> Value {
        self.provider.keys().jwks()
    }

    /// The variables with which a program takes this issuer for that platform.
    ///
    /// # Errors
    /// A platform that is not known (the text names the nearest), or one that needs [`Options::folder`].
    pub fn environment(&self, platform: &str) -> Result<Vec<(String, String)>, Error> {
        platforms::environment(&Desk::plain(&self.provider), platform)
    }

    /// Stops: no new connections, requests in flight are finished, stalled ones are cut off.
    pub async fn stop(mut self) {
        let _ = self.stop.send(true);
        for task in std::mem::take(&mut self.tasks) {
            let _ = task.await;
        }
    }
}

impl Drop for RunningIssuer {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        #[cfg(unix)]
        for path in self
            .provider
            .options
            .unix_socket
            .iter()
            .chain(&self.provider.options.spiffe_socket)
        {
            // It was made by this issuer; one that is gone already is as good.
            let _ = std::fs::remove_file(path);
        }
    }
}
