//! Settings that change while the broker runs: at a signal, and when a file is another than it was.
//!
//! A new configuration replaces the old one whole, or not at all: one that is wrong is refused and said, and what was
//! right goes on.
use crate::broker::{Broker, Live};
use crate::config::Config;
use crate::metrics::Counter;
use jeton::{Env, Error};
use jeton_core::verify::token_digest;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often the files are looked at.
pub const GLANCE: Duration = Duration::from_secs(1);

/// Where the settings come from.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The variables.
    pub env: Env,
    /// The configuration's file.
    pub path: PathBuf,
    /// Where relative paths in variables start.
    pub folder: PathBuf,
}

/// Looks at the files for ever, and at each `signal`.
pub async fn watch(broker: &Broker, origin: &Origin, mut signal: impl AsyncFnMut()) {
    let mut seen = fingerprint(broker, origin);
    loop {
        let asked = tokio::select! {
            () = tokio::time::sleep(GLANCE) => false,
            () = signal() => true,
        };
        let now = fingerprint(broker, origin);
        if now == seen && !asked {
            continue;
        }
        let outcome = match again(broker, origin).await {
            Ok(()) => {
                broker.log.note("the settings were read again");
                "taken"
            }
            Err(wrong) => {
                let message = format!("the settings stay as they were: {wrong}");
                broker.log.warning(&message);
                "refused"
            }
        };
        broker.metrics.count(Counter::Reloads, outcome);
        // Which files there are to look at may be another now.
        seen = fingerprint(broker, origin);
    }
}

/// Reads everything again.
///
/// # Errors
/// What is wrong; then nothing has changed.
pub async fn again(broker: &Broker, origin: &Origin) -> Result<(), Error> {
    let mut config = Config::load(&origin.env, &origin.path, &origin.folder)?;
    let before = broker.live_full();
    if keep_fixed(&mut config, &before.config) {
        broker.log.warning(
            "listen, public_url, base_path, database and whether there is [tls] take a restart; the others are taken over",
        );
    }
    broker
        .replace(Live::load(&broker.cx, config, Some(&before)).await?)
        .await
}

/// What was settled at the start stays; whether something of it was to change.
fn keep_fixed(new: &mut Config, old: &Config) -> bool {
    let before = new.clone();
    new.listen = old.listen;
    new.public_url.clone_from(&old.public_url);
    new.base_path.clone_from(&old.base_path);
    new.database = old.database.clone();
    if new.tls.is_some() != old.tls.is_some() {
        new.tls.clone_from(&old.tls);
    }
    *new != before
}

/// The bytes of every file that matters, as one number; a file that is not there counts as such.
fn fingerprint(broker: &Broker, origin: &Origin) -> [u8; 32] {
    let live = broker.live_full();
    let mut whole = String::new();
    let mut add = |path: &Path| {
        let bytes = std::fs::read(path).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        whole.push_str(&crate::keyring::hex(&token_digest(&text)));
        // Rights matter too: a keyring that others can read is none.
        let mode = std::fs::metadata(path).map_or(0, |found| std::os::unix::fs::MetadataExt::mode(&found));
        whole.push_str(&mode.to_string());
    };
    add(&origin.path);
    add(&live.config.keyring);
    add(&live.config.signing_key);
    if let Some(tls) = &live.config.tls {
        add(&tls.cert);
        add(&tls.key);
    }
    live.config
        .issuers
        .iter()
        .filter_map(|issuer| issuer.jwks_file.as_deref())
        .for_each(&mut add);
    if let Some(policies) = &live.config.policies {
        add(policies);
        let mut files: Vec<_> = std::fs::read_dir(policies)
            .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
            .unwrap_or_default();
        files.sort();
        files.iter().for_each(|path: &PathBuf| add(path));
    }
    token_digest(&whole)
}
