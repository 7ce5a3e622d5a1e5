//! Where the keys come from: a file, a URL, or the issuer's own discovery document.
use super::Refused;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::plan::{self, Pace};
use crate::session::Session;
use jeton::core::{Issuer, KeySet, Rejection};
use jeton::http::JWKS_BODY_CAP;
use jeton::{Context, Discovery, NotVerified, RemoteKeys};
use std::io::Read;
use std::sync::Arc;
use url::Url;

/// The keys to verify with. The outer error is one of usage or of a signal.
pub(super) fn get(
    session: &Session,
    jwks: Option<&str>,
    issuer: &Issuer,
    pace: &Pace,
) -> Result<Result<KeySet, Refused>, Failure> {
    let url = match jwks {
        Some(text) if is_url(text) => {
            Some(Url::parse(text).map_err(|e| Failure::usage(format!("jwks: {e} (from the flag --jwks)")))?)
        }
        Some(path) => return Ok(of_file(path)),
        None => None,
    };
    let layers = session.layers()?;
    let env = plan::with_ca_file(layers, session.env.clone())?;
    let (mut cx, progress) = session.context(&env);
    let timeout;
    (cx.policy, timeout) = plan::policy(layers, pace)?;
    progress.within(timeout);
    session.run(&progress, async {
        let cx = cx.within(timeout);
        Ok(fetch(&cx, url, issuer).await)
    })
}

fn is_url(text: &str) -> bool {
    text.starts_with("https://") || text.starts_with("http://")
}

/// The keys of a file.
pub(super) fn of_file(path: &str) -> Result<KeySet, Refused> {
    let unavailable = |e: std::io::Error| Refused {
        exit: match e.kind() {
            std::io::ErrorKind::NotFound => Exit::NotFound,
            _ => Exit::Protocol,
        },
        rejection: Rejection::KeysUnavailable(format!("{path}: {e}")),
    };
    let mut bytes = Vec::new();
    // One byte more than a set may have, so that the core sees that it is too large.
    let cap = JWKS_BODY_CAP as u64 + 1;
    let read = std::fs::File::open(path).and_then(|file| file.take(cap).read_to_end(&mut bytes));
    read.map_err(unavailable)?;
    Ok(KeySet::parse(&bytes)?)
}

async fn fetch(cx: &Context, url: Option<Url>, issuer: &Issuer) -> Result<KeySet, Refused> {
    let keys = match url {
        Some(url) => RemoteKeys::at_url(url.as_str()).map_err(NotVerified::Unavailable),
        None => Ok(RemoteKeys::discovered(Arc::new(Discovery::new(issuer.as_str())))),
    };
    let refused = |why: NotVerified| Refused {
        exit: Exit::from(why.class()),
        rejection: why.rejection(),
    };
    keys.map_err(refused)?.set(cx).await.map_err(refused)
}
