//! Where the keys come from: a file, a URL, or the issuer's own discovery document.
use super::Refused;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::plan::{self, Pace};
use crate::session::Session;
use jeton::core::{Issuer, KeySet};
use jeton::discovery::Discovery;
use jeton::http::JWKS_BODY_CAP;
use jeton::keys::{NotVerified, RemoteKeys};
use jeton::{Class, Error};
use std::io::Read;
use std::sync::Arc;

/// The keys to verify with. The outer error is one of usage or of a signal.
pub(super) fn get(
    session: &Session,
    jwks: Option<&str>,
    issuer: &Issuer,
    pace: &Pace,
) -> Result<Result<KeySet, Refused>, Failure> {
    let remote = match jwks {
        None => RemoteKeys::discovered(Arc::new(Discovery::new(issuer.as_str()))),
        Some(url) if is_url(url) => RemoteKeys::at_url(url)?,
        Some(path) => return Ok(of_file(path)),
    };
    let layers = session.layers()?;
    let env = plan::with_ca_file(layers, session.env.clone())?;
    let (mut cx, progress) = session.context(&env);
    let timeout;
    (cx.policy, timeout) = plan::policy(layers, pace)?;
    progress.within(timeout);
    session.run(&progress, async {
        let cx = cx.within(timeout);
        let keys = cx.bounded("key set", async { Ok(remote.set(&cx).await) });
        Ok(keys
            .await
            .unwrap_or_else(|late| Err(NotVerified::Unavailable(late)))
            .map_err(refused))
    })
}

fn refused(why: NotVerified) -> Refused {
    Refused {
        exit: Exit::from(why.class()),
        rejection: why.rejection(),
    }
}

fn is_url(text: &str) -> bool {
    text.starts_with("https://") || text.starts_with("http://")
}

/// The keys of a file.
pub(super) fn of_file(path: &str) -> Result<KeySet, Refused> {
    let unavailable = |e: std::io::Error| {
        let class = match e.kind() {
            std::io::ErrorKind::NotFound => Class::NotFound,
            _ => Class::Protocol,
        };
        refused(NotVerified::Unavailable(Error::new(
            class,
            format!("{path}: {e}"),
        )))
    };
    let mut bytes = Vec::new();
    // One byte more than a set may have, so that the core sees that it is too large.
    let cap = JWKS_BODY_CAP as u64 + 1;
    let read = std::fs::File::open(path).and_then(|file| file.take(cap).read_to_end(&mut bytes));
    read.map_err(unavailable)?;
    Ok(KeySet::parse(&bytes)?)
}
