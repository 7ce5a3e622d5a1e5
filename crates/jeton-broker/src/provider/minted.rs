//! Providers that make what they release when it is asked for.
use super::{Provider, Released};
use crate::broker::{Broker, Live};
use crate::credential::Credential;
use crate::metrics::Counter;
use crate::minting::cloud::Exchanged;
use crate::minting::github::{self, App};
use crate::minting::google::{self, OAuthClient};
use crate::minting::lease::{self, LOOK, Lease};
use crate::minting::{Key, Minted, PATIENCE, provider_url};
use crate::problem::Problem;
use crate::provider::Stored;
use crate::store::{StoreError, Tx};
use jeton::{Class, Error};
use jeton_core::verify::token_digest;
use jeton_core::{Json, Secret};
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::Duration;

/// How often a secret may be sealed again while another is put in its place.
const PLACES: usize = 5;

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

/// The same, as it is stored.
fn digest(credential: &Credential, sealed: &str) -> String {
    crate::keyring::hex(&key(credential, sealed).secret)
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
        match self.credential.provider {
            Provider::Google => self.refresh().await,
            _ => self.counted().await,
        }
    }

    async fn counted(&self) -> Result<Minted, Error> {
        let made = self.ask().await;
        let outcome = if made.is_ok() { "made" } else { "failed" };
        let label = format!("{} {outcome}", self.credential.provider.name());
        self.broker.metrics.count(Counter::Mints, &label);
        made
    }

    /// Uses a secret that each use may change: by one replica at a time, with what is stored now.
    async fn refresh(mut self) -> Result<Minted, Error> {
        let (broker, id) = (self.broker.clone(), self.credential.id.clone());
        let mut looks = 0;
        let lease = loop {
            if let Some(minted) = self.made_elsewhere().await? {
                return Ok(minted);
            }
            let holder = broker.fresh_id().map_err(|_| lost("no randomness"))?;
            let taken = Lease::take(&broker.store, &id, holder, broker.now()).await;
            if let Some(lease) = taken.map_err(|why| of_store(&why))? {
                break lease;
            }
            looks += 1;
            if LOOK * looks > PATIENCE {
                return Err(lost("another replica has not made it"));
            }
            tokio::time::sleep(LOOK).await;
        };
        // What was read before the lease was ours may have been used up meanwhile.
        let made = match self.made_elsewhere().await {
            Ok(Some(minted)) => Ok((minted, None)),
            Ok(None) => self.counted().await.map(|mut minted| {
                let rotated = minted.rotated.take();
                (minted, Some(rotated))
            }),
            Err(why) => Err(why),
        };
        match made {
            Ok((minted, Some(rotated))) => {
                self.keep(lease, rotated.as_ref(), &minted).await?;
                Ok(minted)
            }
            other => {
                // It ends by itself as well.
                let _ = lease.give_back().await;
                other.map(|(minted, _)| minted)
            }
        }
    }

    /// Reads the credential as it is now, and what another replica made from it.
    async fn made_elsewhere(&mut self) -> Result<Option<Minted>, Error> {
        let store = &self.broker.store;
        let found = Credential::find(store, &self.credential.id, None).await;
        self.credential = found
            .map_err(|why| of_store(&why))?
            .ok_or_else(|| lost("the credential is gone"))?;
        match self.credential.open(&self.live) {
            Ok(Stored::Object(secret)) => self.secret = secret,
            _ => return Err(lost("the credential was changed")),
        }
        let from = digest(&self.credential, &self.credential.sealed);
        let now = self.broker.now();
        let left = lease::left(store, &self.live.keyring, &self.credential.id, &from, now).await;
        let left = left.map_err(|why| of_store(&why))?;
        if let Some(minted) = &left {
            let key = key(&self.credential, &self.credential.sealed);
            self.broker.mint.keep(key, minted.clone());
        }
        Ok(left)
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

    /// Keeps what was made, and a refresh token that took the place of the one that was used, before anything is
    /// handed out.
    async fn keep(&self, lease: Lease<'_>, rotated: Option<&Secret>, minted: &Minted) -> Result<(), Error> {
        let failed = |why: String| lost(&format!("the new refresh token was not kept: {why}"));
        let mut tx = self.broker.store.begin().await.map_err(|why| of_store(&why))?;
        let id = &self.credential.id;
        tx.lock(&format!("credential {id}"))
            .await
            .map_err(|why| of_store(&why))?;
        let sealed = match rotated {
            None => Some(self.credential.sealed.clone()),
            Some(rotated) => self.put_in_place(&mut tx, rotated).await.map_err(failed)?,
        };
        let from = sealed.as_deref().map(|sealed| digest(&self.credential, sealed));
        let from = from.unwrap_or_default();
        let left = lease.leave(&mut tx, &self.live.keyring, &from, minted);
        left.await.map_err(|why| of_store(&why))?;
        tx.commit().await.map_err(|why| failed(why.to_string()))?;
        if let Some(sealed) = sealed {
            self.broker
                .mint
                .keep(key(&self.credential, &sealed), minted.clone());
        }
        Ok(())
    }

    /// Puts a new refresh token in the place of the one that was used, and only there: the owner may have put in another
    /// meanwhile. Sealed again with another key it is still the same.
    async fn put_in_place(&self, tx: &mut Tx, rotated: &Secret) -> Result<Option<String>, String> {
        let (id, keyring) = (&self.credential.id, &self.live.keyring);
        let mut secret = self.secret.clone();
        secret.set("refresh_token", rotated.reveal());
        let sealed = keyring.seal(id, &Secret::new(secret.to_text()));
        let sealed = sealed.map_err(|why| why.to_string())?;
        let mut there = self.credential.sealed.clone();
        for _ in 0..PLACES {
            let sql = "UPDATE credentials SET secret = $1 WHERE id = $2 AND secret = $3";
            let args = vec![(&sealed).into(), id.into(), (&there).into()];
            if tx.execute(sql, args).await.map_err(|why| why.to_string())? == 1 {
                return Ok(Some(sealed));
            }
            let sql = "SELECT secret FROM credentials WHERE id = $1";
            let row = tx
                .row(sql, vec![id.into()])
                .await
                .map_err(|why| why.to_string())?;
            let Some(row) = row else { return Ok(None) };
            there = row.text(0).map_err(|why| why.to_string())?;
            // It may be sealed with a key that is newer than the settings of this request.
            let keyring = Arc::clone(&self.broker.live().keyring);
            let opened = keyring.open(id, &there).map_err(|why| why.to_string())?;
            match Stored::from_sealed(&opened) {
                Ok(Stored::Object(now)) if now == self.secret => (),
                _ => return Ok(None),
            }
        }
        Err("it is changed all the time".to_owned())
    }
}

/// Made by nobody, and worth another try.
fn lost(why: &str) -> Error {
    Error::new(Class::Unavailable, why)
}

fn of_store(error: &StoreError) -> Error {
    lost(&error.to_string())
}
