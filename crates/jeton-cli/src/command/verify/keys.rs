//! Where the keys come from: a file, a URL, or the issuer's own discovery document.
use super::Refused;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::plan::{self, Pace};
use crate::session::Session;
use jeton::answer;
use jeton::core::{Issuer, Json, KeySet, Rejection};
use jeton::http::{DISCOVERY_BODY_CAP, JWKS_BODY_CAP, Request};
use jeton::{Class, Context, Error};
use std::io::Read;
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
    let unavailable = |error: Error| Refused {
        exit: Exit::from(error.kind()),
        rejection: Rejection::KeysUnavailable(error.to_string()),
    };
    let url = match url {
        Some(url) => url,
        None => discover(cx, issuer).await.map_err(unavailable)?,
    };
    let mut request = Request::get(url);
    request.body_cap = JWKS_BODY_CAP;
    let keys = cx.fetch("key set", &request, |response| {
        answer::success(response)?;
        Ok(KeySet::parse(&response.body))
    });
    Ok(keys.await.map_err(unavailable)??)
}

/// The issuer's key set, as its discovery document names it (OpenID Connect Discovery section 4).
async fn discover(cx: &Context, issuer: &Issuer) -> Result<Url, Error> {
    let wrong = |what: String| Error::new(Class::Trust, format!("discovery of {issuer}: {what}"));
    let text = format!(
        "{}/.well-known/openid-configuration",
        issuer.as_str().trim_end_matches('/')
    );
    let mut request = Request::get(Url::parse(&text).map_err(|e| wrong(e.to_string()))?);
    request.body_cap = DISCOVERY_BODY_CAP;
    let document = cx.fetch("discovery", &request, |response| {
        answer::success(response)?;
        answer::json(response)
    });
    let document = document.await?;
    let named = document.get("issuer").and_then(Json::as_str).unwrap_or_default();
    if named != issuer.as_str() {
        let named = jeton::core::redact::foreign(named, &[]);
        return Err(wrong(format!("the document is of another issuer, `{named}`")));
    }
    let keys = document
        .get("jwks_uri")
        .and_then(Json::as_str)
        .unwrap_or_default();
    let url = Url::parse(keys).map_err(|e| wrong(format!("`jwks_uri`: {e}")))?;
    match url.scheme() {
        "https" => Ok(url),
        "http" if jeton::config::is_loopback(&url) && !issuer.is_https() => Ok(url),
        _ => Err(wrong("`jwks_uri` is not https".to_owned())),
    }
}
