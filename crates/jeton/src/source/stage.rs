//! What the sources of platforms are tested on: a development issuer that looks like the platform, and surroundings in
//! which time stands still and waits take none.
use crate::context::Observer;
use crate::{Clock, Context, Env, Error, Presence, Source};
use jeton_core::{Token, TokenRequest, UnixTime};
use jeton_issuer::{Issuer, Options, RunningIssuer};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;

/// The present of every test.
pub(super) const NOW: UnixTime = UnixTime::from_seconds(1_800_000_000);

/// Variables of a row.
pub(super) type Variables<'a> = &'a [(&'a str, &'a str)];

/// Surroundings with a folder as the root of the file system.
pub(super) struct Stage {
    pub(super) cx: Context,
    pub(super) notes: Arc<Notes>,
    root: TempDir,
}

impl Stage {
    pub(super) fn new() -> Self {
        let root = TempDir::new().unwrap();
        let notes = Arc::new(Notes::default());
        let mut cx = Context::new(Env::default().with_root(root.path()), Clock::manual(NOW));
        cx.observer = notes.clone();
        // A paused clock jumps to the end of a wait as soon as nothing else runs; only waits are to be skipped.
        let stage = Self { cx, notes, root };
        stage.within(Duration::from_secs(60))
    }

    /// The same stage, where everything must be over within `span`.
    pub(super) fn within(mut self, span: Duration) -> Self {
        self.cx.deadline = None;
        self.cx = self.cx.within(span);
        self
    }

    pub(super) fn set(&mut self, name: &str, value: impl Into<String>) {
        self.cx.env = self.cx.env.clone().with(name, value);
        self.cx.http = crate::http::Http::new(self.cx.env.clone(), self.cx.clock.clone());
    }

    pub(super) fn path(&self, absolute: &str) -> PathBuf {
        self.root.path().join(absolute.trim_start_matches('/'))
    }

    pub(super) fn write(&self, absolute: &str, text: &str) -> PathBuf {
        let path = self.path(absolute);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    /// An issuer that looks like `platform`; its variables are set. `options` may change how it is started.
    pub(super) async fn issuer(
        &mut self,
        platform: &str,
        options: impl FnOnce(&mut Options),
    ) -> RunningIssuer {
        let clock = self.cx.clock.clone();
        let mut chosen = Options::new(move || clock.now().wall);
        chosen.algorithm = jeton_issuer::Algorithm::Es256;
        options(&mut chosen);
        let issuer = Issuer::start(chosen).await.unwrap();
        for (name, value) in issuer.environment(platform).unwrap() {
            self.set(&name, value);
        }
        issuer
    }

    pub(super) async fn fetch(&self, source: &dyn Source, audience: &[&str]) -> Result<Token, Error> {
        source.fetch(&self.cx, &request(audience)).await
    }

    pub(super) fn presence(&self, source: &dyn Source, audience: &[&str]) -> Presence {
        source.presence(&self.cx, &request(audience))
    }
}

/// A request for these audiences.
pub(super) fn request(audience: &[&str]) -> TokenRequest {
    TokenRequest {
        audience: audience.iter().map(|a| (*a).to_owned()).collect(),
        ..TokenRequest::default()
    }
}

/// An unsigned token with these claims, and times that fit the stage's.
pub(super) fn jwt(claims: &str) -> String {
    use base64::Engine;
    let part = |text: &str| base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(text);
    let (iat, exp) = (NOW.seconds(), NOW.seconds() + 3600);
    let claims = format!("{{\"iat\":{iat},\"exp\":{exp},{claims}}}");
    format!("{}.{}.c2ln", part("{\"alg\":\"RS256\"}"), part(&claims))
}

/// One word for a presence, for tables.
pub(super) fn word(presence: &Presence) -> &'static str {
    match presence {
        Presence::Absent { .. } => "absent",
        Presence::Ready { .. } => "ready",
        Presence::Broken { .. } => "broken",
    }
}

/// What a presence says of itself.
pub(super) fn reason(presence: &Presence) -> &str {
    match presence {
        Presence::Absent { reason } | Presence::Ready { reason, .. } | Presence::Broken { reason, .. } => {
            reason
        }
    }
}

/// What proves the identity of one that is ready.
pub(super) fn fingerprint(presence: &Presence) -> &[u8] {
    match presence {
        Presence::Ready { fingerprint, .. } => fingerprint,
        other => panic!("not ready: {other:?}"),
    }
}

/// A file that is replaced as a kubelet does it: `name -> ..data/name`, and the link `..data` swapped.
pub(super) fn project(folder: &Path, version: &str, name: &str, text: &str) {
    std::fs::create_dir_all(folder.join(version)).unwrap();
    std::fs::write(folder.join(version).join(name), text).unwrap();
    let swapped = folder.join("..data_tmp");
    std::os::unix::fs::symlink(version, &swapped).unwrap();
    std::fs::rename(swapped, folder.join("..data")).unwrap();
    if !folder.join(name).exists() {
        std::os::unix::fs::symlink(format!("..data/{name}"), folder.join(name)).unwrap();
    }
}

/// Keeps what it is told, and lets waits pass at once: time is paused from the beginning of a wait to the next attempt.
#[derive(Default)]
pub(super) struct Notes {
    warnings: Mutex<Vec<String>>,
    waits: Mutex<Vec<Duration>>,
    paused: AtomicBool,
}

impl Notes {
    pub(super) fn warnings(&self) -> Vec<String> {
        self.warnings.lock().unwrap().clone()
    }

    pub(super) fn waits(&self) -> Vec<Duration> {
        self.waits.lock().unwrap().clone()
    }
}

impl Observer for Notes {
    fn attempt(&self, _host: &str, _attempt: u32, _of: u32) {
        if self.paused.swap(false, Ordering::Relaxed) {
            tokio::time::resume();
        }
    }

    fn waiting(&self, _host: &str, _what: &str, wait: Duration) {
        self.waits.lock().unwrap().push(wait);
        if !self.paused.swap(true, Ordering::Relaxed) {
            tokio::time::pause();
        }
    }

    fn warning(&self, message: &str) {
        self.warnings.lock().unwrap().push(message.to_owned());
    }
}
