//! What every call is handed: environment, clock, http, retry policy and the one deadline for all of it.
use crate::cache::Wanted;
use crate::http::Http;
use crate::session::Courier;
use crate::{Clock, Env, Error};
use jeton_core::{Class, RetryPolicy, Secret};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The time everything together may take when nobody says otherwise.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

/// Told what a call is doing, so that a person can be told. Every method may do nothing.
pub trait Observer: Send + Sync {
    /// Attempt number `attempt` of at most `of` is sent to `host`.
    fn attempt(&self, _host: &str, _attempt: u32, _of: u32) {}
    /// The last attempt failed as `what` says; the next one follows in `wait`.
    fn waiting(&self, _host: &str, _what: &str, _wait: Duration) {}
    /// Something worth a line on stderr that fails nothing.
    fn warning(&self, _message: &str) {}
    /// A secret came into being; who shows other programs' output hides it there (`::add-mask::`).
    fn minted(&self, _secret: &Secret) {}
    /// From here until [`Observer::waiting`] or the end of the call, cutting it off loses something: a single-use
    /// credential is on its way, and what replaces it is not yet in a file.
    fn committed(&self) {}
}

struct Silent;
impl Observer for Silent {}

/// The surroundings of a call. Cheap to clone.
#[derive(Clone)]
pub struct Context {
    /// The environment.
    pub env: Env,
    /// The clock.
    pub clock: Clock,
    /// The wire.
    pub http: Http,
    /// How often and how long apart.
    pub policy: RetryPolicy,
    /// Who is told.
    pub observer: Arc<dyn Observer>,
    /// When everything must be over; set by [`Context::within`].
    pub deadline: Option<Instant>,
    /// Who refreshes logins; `None`: this process itself, and a kill at the wrong moment costs the login.
    pub courier: Option<Arc<Courier>>,
    /// What a cache may answer this call with; `None`: nothing is read from one or kept in one. Set for each call.
    pub(crate) reuse: Option<Wanted>,
}

impl Context {
    /// Surroundings with the defaults of the contract.
    #[must_use]
    pub fn new(env: Env, clock: Clock) -> Self {
        let http = Http::new(env.clone(), clock.clone());
        let policy = RetryPolicy::default();
        Self {
            env,
            clock,
            http,
            policy,
            observer: Arc::new(Silent),
            deadline: None,
            courier: None,
            reuse: None,
        }
    }

    /// The same surroundings, in which everything must be over within `span` from now. An earlier deadline stays.
    #[must_use]
    pub fn within(&self, span: Duration) -> Self {
        let deadline = Instant::now().checked_add(span);
        let deadline = match (self.deadline, deadline) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        Self {
            deadline,
            ..self.clone()
        }
    }

    /// The time left until the deadline; `None` when there is none.
    #[must_use]
    pub fn left(&self) -> Option<Duration> {
        self.deadline.map(|d| d.saturating_duration_since(Instant::now()))
    }

    /// Runs `future` until the deadline.
    ///
    /// # Errors
    /// `Class::Timeout` when the deadline passes first, saying what for.
    pub async fn bounded<T>(
        &self,
        what: &str,
        future: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let Some(deadline) = self.deadline else {
            return future.await;
        };
        tokio::time::timeout_at(deadline, future)
            .await
            .unwrap_or_else(|_| Err(Error::new(Class::Timeout, format!("{what}: the deadline passed"))))
    }
}
