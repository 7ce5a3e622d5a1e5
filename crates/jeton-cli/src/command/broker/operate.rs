//! What an operator does: on the machine of the broker, with its configuration.
use super::configuration;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::session::Session;
use jeton::Context;
use jeton_broker::broker::{Live, of_store};
use jeton_broker::config::Config;
use jeton_broker::keyring::{self, Keyring};
use jeton_broker::setup::{self, Wishes};
use jeton_broker::store::{Store, StoreError, migration};
use jeton_broker::{audit, dump, key_service, own_issuer, rotation};
use serde_json::json;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// What `init` takes.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct Init {
    /// Where to write [default: the current folder]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// The issuer whose tokens are accepted
    #[arg(long, value_name = "URL", requires = "audience")]
    issuer: Option<String>,
    /// For whom its tokens must be (repeatable)
    #[arg(long, value_name = "AUD", requires = "issuer")]
    audience: Vec<String>,
    /// A subject of that issuer who is platform:admin (repeatable)
    #[arg(long, value_name = "SUBJECT", requires = "issuer")]
    admin: Vec<String>,
}

#[derive(clap::Subcommand, Clone, Debug)]
pub(super) enum KeyringAction {
    /// Add a fresh key; from now on it encrypts
    #[command(after_help = "Examples:\n  jeton broker keyring add && jeton broker rotate-keys")]
    Add,
    /// List the versions
    #[command(after_help = "Examples:\n  jeton broker keyring list")]
    List,
}

#[derive(clap::Subcommand, Clone, Debug)]
pub(super) enum SigningKeyAction {
    /// Put a fresh key in front; it signs from now on, and what older keys signed is verified until it ends
    #[command(after_help = "Examples:\n  jeton broker signing-key rotate")]
    Rotate,
}

#[derive(clap::Subcommand, Clone, Debug)]
pub(super) enum AuditAction {
    /// Say whether the chain of records is whole, and where it is not
    #[command(after_help = "Examples:\n  jeton broker audit verify\n  jeton broker audit verify --head HASH")]
    Verify {
        /// A hash that was noted earlier and must be in the chain
        #[arg(long, value_name = "HASH")]
        head: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Print every record, one JSON object a line, oldest first
    #[command(after_help = "Examples:\n  jeton broker audit export > audit.jsonl")]
    Export,
}

/// What `backup` and `restore` take.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct Backup {
    /// The file
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

pub(super) fn init(session: &Session, arguments: &Init) -> Result<Exit, Failure> {
    let folder = arguments.dir.clone().unwrap_or_else(|| PathBuf::from("."));
    let wishes = Wishes {
        issuer: arguments.issuer.clone(),
        audiences: arguments.audience.clone(),
        admins: arguments.admin.clone(),
    };
    for made in setup::init(&folder, &wishes)? {
        session
            .output
            .line(&format!("{}: {}", made.path.display(), made.what))?;
    }
    if wishes.issuer.is_none() {
        session
            .output
            .note("name the issuers whose tokens are accepted in broker.toml, then: jeton broker serve");
    }
    Ok(Exit::Done)
}

/// A store's failure, said of its database.
fn failed(config: &Config) -> impl Fn(StoreError) -> Failure {
    let config = config.clone();
    move |error| Failure::from(of_store(&config, &error))
}

/// Runs `work` on a runtime of its own, with the database open.
fn with_store<T>(
    session: &Session,
    config: &Config,
    work: impl AsyncFnOnce(&Store) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let (_, progress) = session.context(&session.env);
    session.run(&progress, async {
        let store = Store::open(&config.database).await.map_err(failed(config))?;
        let result = work(&store).await;
        store.close().await;
        result
    })
}

/// Runs `work`, which may ask a key service.
fn asking<T>(
    session: &Session,
    work: impl AsyncFnOnce(&Context) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let (cx, progress) = session.context(&session.env);
    session.run(&progress, async { work(&cx).await })
}

fn ring(session: &Session, config: &Config) -> Result<Arc<Keyring>, Failure> {
    asking(session, async |cx| {
        Ok(key_service::keyring(cx, config, None).await?)
    })
}

pub(super) fn check(session: &Session) -> Result<Exit, Failure> {
    let config = configuration(session)?;
    let live = asking(
        session,
        async |cx| Ok(Live::load(cx, config.clone(), None).await?),
    )?;
    let pem = std::fs::read_to_string(&config.signing_key)
        .map_err(|e| Failure::usage(format!("signing_key {}: {e}", config.signing_key.display())))?;
    jeton::core::SigningKey::from_pem(&pem, None)
        .map_err(|e| Failure::usage(format!("signing_key {}: {e}", config.signing_key.display())))?;
    with_store(session, &config, async |store: &Store| {
        let fail = failed(&config);
        let version = migration::found(store).await.map_err(&fail)?;
        if version > 0 && !rotation::is_ours(store, &live.keyring).await.map_err(&fail)? {
            return Err(Failure::usage(format!(
                "keyring {}: is not the one that this database was made with",
                config.keyring.display()
            )));
        }
        let (newest, ring) = (migration::newest(), live.keyring.newest());
        session
            .output
            .line(&format!("configuration: {}", config.path.display()))?;
        session
            .output
            .line(&format!("keyring: version {ring} encrypts"))?;
        session.output.line(&format!(
            "database: {:?}, schema {version} of {newest}",
            config.database
        ))?;
        session
            .output
            .line(&format!("issuers: {}", config.issuers.len()))?;
        Ok(Exit::Done)
    })
}

pub(super) fn migrate(session: &Session) -> Result<Exit, Failure> {
    let config = configuration(session)?;
    with_store(session, &config, async |store: &Store| {
        let now = session.clock.now().wall;
        let taken = migration::run(store, now).await.map_err(failed(&config))?;
        for name in &taken {
            session.output.note(&format!("took: {name}"));
        }
        session.output.line(&format!("schema {}", migration::newest()))?;
        Ok(Exit::Done)
    })
}

/// How long brokers are given to notice a new key before anything is sealed with it: their glance, and as much again.
const NOTICE: Duration = Duration::from_secs(3);

pub(super) fn rotate(session: &Session, dry: bool) -> Result<Exit, Failure> {
    let config = configuration(session)?;
    let ring = ring(session, &config)?;
    let age = std::fs::metadata(&config.keyring)
        .and_then(|found| found.modified())
        .ok()
        .and_then(|at| at.elapsed().ok())
        .unwrap_or_default();
    with_store(session, &config, async |store: &Store| {
        let fail = failed(&config);
        if !dry && age < NOTICE {
            session
                .output
                .note("the keyring is new: running brokers are given a moment to notice");
            tokio::time::sleep(NOTICE.saturating_sub(age)).await;
        }
        migration::run(store, session.clock.now().wall)
            .await
            .map_err(&fail)?;
        let tally = rotation::run(store, &ring, session.clock.now().wall, dry)
            .await
            .map_err(&fail)?;
        for row in &tally.broken {
            session.output.warning(&format!("does not open: {row}"));
        }
        let versions: serde_json::Map<String, serde_json::Value> = tally
            .by_version
            .iter()
            .map(|(version, count)| (version.to_string(), json!(count)))
            .collect();
        session.output.json(&json!({
            "dry_run": dry,
            "version": ring.newest(),
            "found": versions,
            "rotated": tally.changed,
            "broken": tally.broken.len(),
        }))?;
        if tally.broken.is_empty() {
            return Ok(Exit::Done);
        }
        Err(Failure::new(
            Exit::Other,
            format!("{} rows do not open", tally.broken.len()),
        ))
    })
}

pub(super) fn keyring(session: &Session, action: &KeyringAction) -> Result<Exit, Failure> {
    let config = configuration(session)?;
    let path = &config.keyring;
    let wrong = |wrong: keyring::KeyringError| Failure::usage(format!("keyring {}: {wrong}", path.display()));
    let text = keyring::read(path).map_err(wrong)?;
    match action {
        KeyringAction::List => {
            let ring = ring(session, &config)?;
            for version in ring.versions() {
                let encrypts = if version == ring.newest() {
                    "\tencrypts"
                } else {
                    ""
                };
                session.output.line(&format!("{version}{encrypts}"))?;
            }
        }
        KeyringAction::Add => {
            let service = key_service::of(&config);
            let (text, version) = asking(session, async |cx| {
                let open = key_service::opened(&*service, cx, &text).await?;
                let (open, version) = keyring::extended(Some(&open)).map_err(wrong)?;
                Ok((key_service::sealed(&*service, cx, &open).await?, version))
            })?;
            replace(path, &text)
                .map_err(|e| Failure::new(Exit::Other, format!("{}: {e}", path.display())))?;
            session.output.line(&version.to_string())?;
            session
                .output
                .note("keep a copy of the keyring; running brokers notice it, and `jeton broker rotate-keys` does the rest");
        }
    }
    Ok(Exit::Done)
}

pub(super) fn signing_key(session: &Session, action: &SigningKeyAction) -> Result<Exit, Failure> {
    let SigningKeyAction::Rotate = action;
    let config = configuration(session)?;
    let key = own_issuer::rotate(&config.signing_key).map_err(|wrong| Failure::usage(wrong.to_string()))?;
    session.output.line(&key)?;
    session
        .output
        .note("running brokers notice it; where there are several, give all of them the same file");
    Ok(Exit::Done)
}

/// Written whole, for this user alone, or not at all.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or_else(|| Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    std::fs::File::open(folder)?.sync_all()
}

pub(super) fn audit(session: &Session, action: &AuditAction) -> Result<Exit, Failure> {
    let config = configuration(session)?;
    let ring = ring(session, &config)?;
    with_store(session, &config, async |store: &Store| match action {
        AuditAction::Verify { head, json } => {
            verify(session, &config, store, &ring, head.as_deref(), *json).await
        }
        AuditAction::Export => export(session, &config, store).await,
    })
}

async fn verify(
    session: &Session,
    config: &Config,
    store: &Store,
    ring: &Keyring,
    head: Option<&str>,
    as_json: bool,
) -> Result<Exit, Failure> {
    match audit::verify(store, ring, head).await.map_err(failed(config))? {
        Ok(head) if as_json => {
            session
                .output
                .json(&json!({"valid": true, "records": head.seq, "head": head.hash}))?;
            Ok(Exit::Done)
        }
        Ok(head) => {
            session
                .output
                .line(&format!("whole: {} records, head {}", head.seq, head.hash))?;
            Ok(Exit::Done)
        }
        Err(fault) => {
            if as_json {
                session
                    .output
                    .json(&json!({"valid": false, "fault": fault.to_string(), "record": fault.record()}))?;
            }
            Err(Failure::new(
                Exit::Refused,
                format!("the record is not whole: {fault}"),
            ))
        }
    }
}

/// How many records are read at once.
const PAGE: i64 = 1000;

async fn export(session: &Session, config: &Config, store: &Store) -> Result<Exit, Failure> {
    let mut last = 0;
    loop {
        let records = audit::after(store, last, PAGE).await.map_err(failed(config))?;
        let Some((seq, _)) = records.last() else {
            return Ok(Exit::Done);
        };
        last = *seq;
        for (_, record) in &records {
            session.output.json(record)?;
        }
    }
}

pub(super) fn backup(session: &Session, arguments: &Backup) -> Result<Exit, Failure> {
    let config = configuration(session)?;
    with_store(session, &config, async |store: &Store| {
        let now = session.clock.now().wall;
        migration::run(store, now).await.map_err(failed(&config))?;
        let rows = dump::write(store, &arguments.file, now).await?;
        session
            .output
            .line(&format!("{}: {rows} rows", arguments.file.display()))?;
        Ok(Exit::Done)
    })
}

pub(super) fn restore(session: &Session, arguments: &Backup) -> Result<Exit, Failure> {
    let config = configuration(session)?;
    let ring = ring(session, &config)?;
    with_store(session, &config, async |store: &Store| {
        let now = session.clock.now().wall;
        let rows = dump::read(store, &ring, &arguments.file, now).await?;
        session
            .output
            .line(&format!("{}: {rows} rows", arguments.file.display()))?;
        Ok(Exit::Done)
    })
}
