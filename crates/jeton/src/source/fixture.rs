//! What the tests of sources share: a clock that stands still, an issuer on it, tokens nobody signed.
use super::{Presence, Source};
use crate::context::Observer;
use crate::{Class, Clock, Context, Env, TokenRequest, UnixTime};
use jeton_core::Secret;
use jeton_core::jose::encode_segment;
use jeton_issuer::{Algorithm, Issuer, Options, RunningIssuer};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The present of every test, in seconds.
pub(super) const NOW: i64 = 1_800_000_000;

/// Variables of a row.
pub(super) type Variables<'a> = &'a [(&'a str, &'a str)];

pub(super) fn env(rows: &[(&str, &str)]) -> Env {
    rows.iter().copied().collect()
}

/// Surroundings in which retries wait no time worth waiting.
pub(super) fn context(env: Env) -> Context {
    let mut cx = Context::new(env, Clock::manual(UnixTime::from_seconds(NOW)));
    cx.policy.backoff = Duration::from_millis(1);
    cx.within(Duration::from_secs(20))
}

pub(super) fn options() -> Options {
    Options::new(|| UnixTime::from_seconds(NOW)).with_algorithm(Algorithm::Es256)
}

pub(super) fn issuer() -> RunningIssuer {
    Issuer::in_thread(options()).unwrap()
}

/// The environment with which a program takes `issuer` for `platform`.
pub(super) fn looks_like(issuer: &RunningIssuer, platform: &str) -> Env {
    issuer.environment(platform).unwrap().into_iter().collect()
}

/// A token with these claims that nobody signed, one hour before its end.
pub(super) fn jwt(claims: &str) -> String {
    jwt_until(claims, NOW + 3600)
}

pub(super) fn jwt_until(claims: &str, exp: i64) -> String {
    let comma = if claims.is_empty() { "" } else { "," };
    let payload = format!(r#"{{"iat":{},"exp":{exp}{comma}{claims}}}"#, NOW - 60);
    let header = encode_segment(r#"{"alg":"ES256"}"#);
    format!(
        "{header}.{}.{}",
        encode_segment(payload),
        encode_segment("signature")
    )
}

pub(super) fn asking(audiences: &[&str]) -> TokenRequest {
    TokenRequest {
        audience: audiences.iter().map(|audience| (*audience).to_owned()).collect(),
        ..TokenRequest::default()
    }
}

/// `absent`, `ready` or `broken`, with the reason and the hint.
pub(super) fn presence(source: &dyn Source, env: &Env, request: &TokenRequest) -> (&'static str, String) {
    match source.presence(&context(env.clone()), request) {
        Presence::Absent { reason } => ("absent", reason),
        Presence::Ready { reason, .. } => ("ready", reason),
        Presence::Broken { reason, hint } => ("broken", format!("{reason} | {hint}")),
    }
}

/// The token's text, or the class of the error and all that it says.
pub(super) async fn fetched(
    source: &dyn Source,
    env: &Env,
    request: &TokenRequest,
) -> Result<String, (Class, String)> {
    let cx = context(env.clone());
    let token = source.fetch(&cx, request).await;
    token
        .map(|token| token.value.reveal().to_owned())
        .map_err(|error| {
            (
                error.kind(),
                format!("{error} | {}", error.hint().unwrap_or_default()),
            )
        })
}

/// Keeps what it is told.
#[derive(Default)]
pub(super) struct Ear {
    pub(super) warnings: Mutex<Vec<String>>,
    pub(super) minted: Mutex<Vec<Secret>>,
}

impl Observer for Ear {
    fn warning(&self, message: &str) {
        self.warnings.lock().unwrap().push(message.to_owned());
    }

    fn minted(&self, secret: &Secret) {
        self.minted.lock().unwrap().push(secret.clone());
    }
}

pub(super) fn overheard(cx: &mut Context) -> Arc<Ear> {
    let ear = Arc::new(Ear::default());
    cx.observer = Arc::clone(&ear) as Arc<dyn Observer>;
    ear
}
