//! Providers that make what they release when it is asked for.
use super::{Provider, Released};
use crate::broker::{Broker, Live};
use crate::credential::Credential;
use crate::metrics::Counter;
use crate::minting::cloud::Exchanged;
use crate::minting::github::{self, App};
use crate::minting::google::{self, OAuthClient};
use crate::minting::{Key, Minted, PATIENCE, provider_url};
use crate::problem::Problem;
use jeton::{Class, Error};
use jeton_core::verify::token_digest;
use jeton_core::{Json, Secret};
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::Duration;

/// How long a token of ours lives that is exchanged at once.
const OURS: Duration = Duration::from_secs(5 * 60);

/// Makes it, or hands out what was made before.
pub(super) async fn release(
    broker: &Broker,
    live: &Arc<Live>,
    credential: &Credential,
    secret: &Json,
) -> Result<Released, Problem> {
    let work = Work {
        broker: broker.clone(),
        live: Arc::clone(live),
        credential: credential.clone(),
        secret: secret.clone(),
    };
    let key = key(credential, &credential.sealed);
    let minted = broker.mint.get(&broker.cx.clock, key, || work.mint()).await;
    let minted = minted.map_err(|error| problem(credential, &error))?;
    let mut more = Map::new();
    for (name, value) in &minted.parts {
        more.insert((*name).to_owned(), part(name, value.reveal()));
    }
    Ok(Released {
        token: minted.token.clone(),
        expires_at: minted.expires_at,
        more,
    })
}

/// Everything that the result stands on: another secret or another address is another result.
fn key(credential: &Credential, sealed: &str) -> Key {
    Key {
        credential: credential.id.clone(),
        secret: token_digest(&Json::from(&[sealed, &credential.url][..]).to_text()),
    }
}

/// A part of an answer; scopes are a list there.
fn part(name: &str, value: &str) -> Value {
    match name {
        "scopes" => value.split_whitespace().collect(),
        _ => value.into(),
    }
}

/// What a failure means to who asked: wait, or ask the credential's owner. Why is for our log.
fn problem(credential: &Credential, error: &Error) -> Problem {
    let inside = format!("credential {}: {error}", credential.id);
    match error.kind() {
        Class::Unavailable | Class::Timeout | Class::Throttled => {
            let problem = Problem::unavailable(inside);
            error
                .retry_after()
                .map_or(problem.clone(), |wait| problem.after(wait))
        }
        _ => Problem::upstream(inside),
    }
}

/// What is needed to make a result, by itself: who asked may be gone before it is done.
struct Work {
    broker: Broker,
    live: Arc<Live>,
    credential: Credential,
    secret: Json,
}

impl Work {
    async fn mint(self) -> Result<Minted, Error> {
        let made = self.ask().await;
        let outcome = if made.is_ok() { "made" } else { "failed" };
        let label = format!("{} {outcome}", self.credential.provider.name());
        self.broker.metrics.count(Counter::Mints, &label);
        let mut minted = made?;
        if let Some(rotated) = minted.rotated.take() {
            self.keep(&rotated, &minted).await?;
        }
        Ok(minted)
    }

    async fn ask(&self) -> Result<Minted, Error> {
        let cx = self.broker.cx.within(PATIENCE);
        let url = match (self.credential.url.as_str(), self.credential.provider) {
            ("", Provider::Github) => github::API,
            ("", Provider::Google) => google::TOKEN_ENDPOINT,
            (url, _) => url,
        };
        let loopback = self.live.config.listen.ip().is_loopback();
        let checked = match url {
            "" => None,
            url => Some(provider_url(url, loopback)?),
        };
        match (self.credential.provider, &checked) {
            (Provider::Github, Some(api)) => App::read(&self.secret)?.mint(&cx, api).await,
            (Provider::Google, Some(endpoint)) => OAuthClient::read(&self.secret)?.mint(&cx, endpoint).await,
            (provider, _) => {
                let exchanged = Exchanged {
                    provider: provider.name(),
                    secret: &self.secret,
                    url: Some(url).filter(|url| !url.is_empty()),
                };
                let ours = self.ours(&exchanged.audience()?)?;
                exchanged.mint(&cx, &ours).await
            }
        }
    }

    /// A token of ours about the credential, for somebody who trusts us.
    fn ours(&self, audience: &str) -> Result<Secret, Error> {
        let claims = Json::object([
            ("sub", Json::from(format!("credential:{}", self.credential.id))),
            ("aud", Json::from(audience)),
            ("credential_id", Json::from(self.credential.id.as_str())),
        ]);
        let signed = self.broker.own.sign(claims, self.broker.now(), OURS);
        signed.map_err(|why| Error::new(Class::Other, why.to_string()))
    }

    /// Keeps a refresh token that took the place of the one that was used, before what came with it is handed out.
    async fn keep(&self, rotated: &Secret, minted: &Minted) -> Result<(), Error> {
        let mut secret = self.secret.clone();
        secret.set("refresh_token", rotated.reveal());
        let failed = |why: String| {
            Error::new(
                Class::Unavailable,
                format!("the new refresh token was not kept: {why}"),
            )
        };
        let id = &self.credential.id;
        let sealed = self.live.keyring.seal(id, &Secret::new(secret.to_text()));
        let sealed = sealed.map_err(|why| failed(why.to_string()))?;
        // Only in the place of the one that was used: the owner may have put in another meanwhile.
        let sql = "UPDATE credentials SET secret = $1 WHERE id = $2 AND secret = $3";
        let args = vec![(&sealed).into(), id.into(), (&self.credential.sealed).into()];
        let kept = self.broker.store.execute(sql, args).await;
        kept.map_err(|why| failed(why.to_string()))?;
        self.broker
            .mint
            .keep(key(&self.credential, &sealed), minted.clone());
        Ok(())
    }
}
