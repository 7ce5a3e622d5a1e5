//! The state that every request is handed.
use crate::audit;
use crate::config::Config;
use crate::id;
use crate::issuers::Issuers;
use crate::keyring::Keyring;
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::minting::Mint;
use crate::own_issuer::OwnIssuer;
use crate::policy::{self, Kept};
use crate::policy_file;
use crate::problem::Problem;
use crate::remembered::{Epoch, Remembered};
use crate::store::{Store, StoreError, migration};
use crate::{binding, key_service, keyring, rotation, service};
use arc_swap::{ArcSwap, Guard};
use jeton::{Class, Context, Error};
use jeton_core::{Secret, UnixTime};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio_rustls::TlsAcceptor;

/// Told what the broker has to say to whoever runs it. No secret ever comes here.
pub trait Log: Send + Sync {
    /// Something that somebody should look at.
    fn warning(&self, message: &str);
    /// Something worth a line.
    fn note(&self, message: &str);
}

/// What can be read again while the broker runs: replaced whole, or not at all.
pub struct Live {
    /// The settings.
    pub config: Config,
    /// The keys that encrypt.
    pub keyring: Arc<Keyring>,
    /// Whose tokens are accepted.
    pub issuers: Issuers,
    /// Trust policies that are kept in files.
    pub policies: Vec<Kept>,
    /// What shakes hands, with the certificate as it is now.
    pub tls: Option<TlsAcceptor>,
}

/// A broker. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Broker(Arc<Inner>);

/// What is in it.
pub struct Inner {
    /// Where everything is kept.
    pub store: Store,
    /// Environment, clock, the wire.
    pub cx: Context,
    /// Who is told.
    pub log: Arc<dyn Log>,
    /// The way into the record.
    pub audit: audit::Writer,
    /// How others reach it; the issuer of its own tokens.
    pub public_url: String,
    /// The broker as an issuer.
    pub own: OwnIssuer,
    /// What is counted.
    pub metrics: Metrics,
    /// How much is too much.
    pub limits: Limits,
    /// What was decided lately.
    pub remembered: Remembered,
    /// Short-lived credentials that were made.
    pub mint: Mint,
    /// The way to a collector of traces.
    #[cfg(feature = "otel")]
    pub tracer: crate::trace::Tracer,
    /// Whether everybody may do everything: for trying out, on loopback only.
    pub insecure: bool,
    live: Arc<ArcSwap<Live>>,
    stopping: AtomicBool,
}

impl std::ops::Deref for Broker {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

/// How long the database's connections are waited for at the end.
const CLOSE_TIME: Duration = Duration::from_secs(5);
/// The row whose sealed value shows that the keyring is this database's.
pub(crate) const KEYRING_CHECK: &str = "keyring-check";

impl Live {
    /// Reads everything that a configuration names. What did not change is taken over from `before`.
    ///
    /// # Errors
    /// `Class::Config`: what is wrong, and in which file; and what a key service fails with.
    pub async fn load(cx: &Context, config: Config, before: Option<&Self>) -> Result<Self, Error> {
        let known = before.map(|before| &before.keyring);
        let keyring = key_service::keyring(cx, &config, known).await?;
        let issuers = Issuers::new(
            &config.issuers,
            before.map_or(&Issuers::default(), |before| &before.issuers),
        )?;
        let policies = match &config.policies {
            Some(path) => policy_file::load(path)
                .map_err(|wrong| Error::new(Class::Config, format!("policies: {wrong}")))?,
            None => Vec::new(),
        };
        let tls = config.tls.as_ref().map(service::acceptor).transpose()?;
        Ok(Self {
            config,
            keyring,
            issuers,
            policies,
            tls,
        })
    }
}

impl Broker {
    /// Opens the store, brings its schema up to date, and holds it against the keyring.
    ///
    /// # Errors
    /// `Class::Config` for a keyring that is another database's, `Class::Unavailable` for a database that is not there.
    pub async fn open(
        live: Live,
        cx: Context,
        log: Arc<dyn Log>,
        public_url: String,
        insecure: bool,
    ) -> Result<Self, Error> {
        let store = Store::open(&live.config.database)
            .await
            .map_err(|e| of_store(&live.config, &e))?;
        let now = cx.clock.now().wall;
        let ready = async {
            for name in migration::run(&store, now).await? {
                log.note(&format!("the database was brought up to date: {name}"));
            }
            check_keyring(&store, &live.keyring).await
        };
        let fits: Result<bool, StoreError> = ready.await;
        if !fits.map_err(|e| of_store(&live.config, &e))? {
            let message = format!(
                "keyring {}: is not the one that this database was made with",
                live.config.keyring.display()
            );
            return Err(Error::new(Class::Config, message)
                .with_hint("put back the keyring that belongs to the database"));
        }
        let own = own_issuer(&live.config, &public_url)?;
        let live = Arc::new(ArcSwap::from_pointee(live));
        let epoch = Epoch::default();
        let audit = audit::Writer::start(store.clone(), Arc::clone(&live), cx.clock.clone(), epoch.clone());
        let limits = Limits::new(&store);
        #[cfg(feature = "otel")]
        let tracer = crate::trace::Tracer::start(&cx, Arc::clone(&log));
        let broker = Self(Arc::new(Inner {
            store,
            cx,
            log,
            audit,
            public_url,
            own,
            metrics: Metrics::default(),
            limits,
            remembered: Remembered::new(epoch),
            mint: Mint::default(),
            #[cfg(feature = "otel")]
            tracer,
            insecure,
            live,
            stopping: AtomicBool::new(false),
        }));
        broker
            .keep_admins()
            .await
            .map_err(|e| of_store(&broker.live().config, &e))?;
        Ok(broker)
    }

    async fn keep_admins(&self) -> Result<(), StoreError> {
        let live = self.live();
        let now = self.now();
        let fresh = || id::stored(now);
        binding::keep_admins(&self.store, &live.keyring, &live.config.admins, now, fresh).await?;
        policy::keep_files(&self.store, &live.keyring, &live.policies, now, fresh).await
    }

    /// The settings as they are now; a request takes them once and keeps them to its end.
    #[must_use]
    pub fn live(&self) -> Guard<Arc<Live>> {
        self.live.load()
    }

    /// The same, to be kept over a wait.
    #[must_use]
    pub fn live_full(&self) -> Arc<Live> {
        self.live.load_full()
    }

    /// Replaces the settings.
    ///
    /// # Errors
    /// `Class::Config` when the keyring is not this database's; then everything stays as it was.
    pub async fn replace(&self, live: Live) -> Result<(), Error> {
        let fits = check_keyring(&self.store, &live.keyring)
            .await
            .map_err(|e| of_store(&live.config, &e))?;
        if !fits {
            return Err(Error::new(
                Class::Config,
                "keyring: is not the one that this database was made with",
            ));
        }
        let reloaded = self.own.reload(&live.config.signing_key);
        reloaded.map_err(|wrong| Error::new(Class::Config, wrong.to_string()))?;
        self.live.store(Arc::new(live));
        // Whoever takes the epoch first and the settings then decides with both from before, or with both from now.
        self.remembered.epoch.end();
        let kept = self.keep_admins().await;
        kept.map_err(|e| of_store(&self.live().config, &e))
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> UnixTime {
        self.cx.clock.now().wall
    }

    /// A new id.
    ///
    /// # Errors
    /// No randomness.
    pub fn fresh_id(&self) -> Result<String, Problem> {
        id::fresh(self.now())
    }

    /// From now on the broker says that it is not ready.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Ends what it has open, after the last request.
    pub async fn close(&self) {
        #[cfg(feature = "otel")]
        self.tracer.flush().await;
        let closing = self.store.close();
        // A connection that hangs is not waited for.
        let _ = tokio::time::timeout(CLOSE_TIME, closing).await;
    }

    /// Whether it is about to stop.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }
}

/// The issuer that the broker is, with the keys that its configuration names.
fn own_issuer(config: &Config, public_url: &str) -> Result<OwnIssuer, Error> {
    let issuer = jeton_core::Issuer::parse(public_url)
        .map_err(|wrong| Error::new(Class::Config, format!("public_url: {wrong}")))?;
    OwnIssuer::open(issuer, &config.base_path, &config.signing_key).map_err(|wrong| {
        Error::new(Class::Config, wrong.to_string()).with_hint("`jeton broker init` makes a signing key")
    })
}

/// A store's error as an error of the program.
#[must_use]
pub fn of_store(config: &Config, error: &StoreError) -> Error {
    let class = match error {
        StoreError::Unavailable(_) => Class::Unavailable,
        _ => Class::Other,
    };
    Error::new(class, format!("{:?}: {error}", config.database))
}

/// Whether the keyring opens what this database was sealed with; the first one that comes is the right one.
async fn check_keyring(store: &Store, keyring: &Keyring) -> Result<bool, StoreError> {
    let sealed = keyring.seal(KEYRING_CHECK, &Secret::new("jeton-broker"));
    let sealed = sealed.map_err(|e: keyring::SealError| StoreError::Failed(e.to_string()))?;
    let sql = "INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
    store
        .execute(sql, vec![KEYRING_CHECK.into(), sealed.into()])
        .await?;
    rotation::is_ours(store, keyring).await
}
