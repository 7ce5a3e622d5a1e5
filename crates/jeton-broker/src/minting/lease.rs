//! One replica at a time makes something from a secret that each use changes.
//!
//! A rotating refresh token that is used twice is taken for stolen, and everything from that login is revoked (RFC 9700
//! section 4.14.2). So whoever uses it holds a lease in the database, and leaves there, sealed, what he got: the others
//! wait and take it from there. The lease of somebody who died ends by itself.
use super::{MARGIN, Minted, PATIENCE};
use crate::keyring::Keyring;
use crate::store::{Store, StoreError, Tx};
use jeton_core::{Json, Secret, UnixTime, json};
use std::time::Duration;

/// How long a lease counts: longer than a provider is waited for, so that clocks which differ by seconds and a slow
/// database do no harm.
pub const LEASE: Duration = PATIENCE.saturating_add(Duration::from_secs(5));

/// How often those who wait look.
pub const LOOK: Duration = Duration::from_millis(50);

/// What a result that is sealed is sealed for: never to be taken for the credential's own secret.
fn place(credential: &str) -> String {
    format!("minted:{credential}")
}

/// A lease that is held.
pub struct Lease<'a> {
    store: &'a Store,
    credential: &'a str,
    holder: String,
}

impl<'a> Lease<'a> {
    /// Takes the lease of a credential, unless somebody holds it. `holder` is nobody else's name.
    ///
    /// # Errors
    /// [`StoreError`]; also when the credential is gone.
    pub async fn take(
        store: &'a Store,
        credential: &'a str,
        holder: String,
        now: UnixTime,
    ) -> Result<Option<Self>, StoreError> {
        let sql = "INSERT INTO mintings AS kept (credential_id, holder, lease_until, made_from, sealed) \
                   VALUES ($1, $2, $3, '', '') ON CONFLICT (credential_id) DO UPDATE \
                   SET holder = excluded.holder, lease_until = excluded.lease_until WHERE kept.lease_until < $4";
        let args = vec![
            credential.into(),
            (&holder).into(),
            now.plus(LEASE).into(),
            now.into(),
        ];
        let taken = store.execute(sql, args).await? == 1;
        Ok(taken.then_some(Self {
            store,
            credential,
            holder,
        }))
    }

    /// Gives it back with nothing made.
    ///
    /// # Errors
    /// [`StoreError`]; then it ends by itself.
    pub async fn give_back(self) -> Result<(), StoreError> {
        let sql = "UPDATE mintings SET lease_until = 0 WHERE credential_id = $1 AND holder = $2";
        let args = vec![self.credential.into(), self.holder.into()];
        self.store.execute(sql, args).await.map(drop)
    }

    /// Gives it back with what was made from the secret of which `from` is the digest, as a part of a transaction.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn leave(
        self,
        tx: &mut Tx,
        keyring: &Keyring,
        from: &str,
        minted: &Minted,
    ) -> Result<(), StoreError> {
        let sealed = keyring.seal(&place(self.credential), &Secret::new(written(minted)));
        let sealed = sealed.map_err(|why| StoreError::Failed(why.to_string()))?;
        let sql = "UPDATE mintings SET lease_until = 0, made_from = $3, sealed = $4 \
                   WHERE credential_id = $1 AND holder = $2";
        let args = vec![
            self.credential.into(),
            self.holder.into(),
            from.into(),
            sealed.into(),
        ];
        tx.execute(sql, args).await.map(drop)
    }
}

/// What was made from the secret of which `from` is the digest, by whichever replica, if it has enough life left. What
/// does not open (a key that is gone) is made anew.
///
/// # Errors
/// [`StoreError`].
pub async fn left(
    store: &Store,
    keyring: &Keyring,
    credential: &str,
    from: &str,
    now: UnixTime,
) -> Result<Option<Minted>, StoreError> {
    let sql = "SELECT sealed FROM mintings WHERE credential_id = $1 AND made_from = $2";
    let row = store.row(sql, vec![credential.into(), from.into()]).await?;
    let Some(row) = row else {
        return Ok(None);
    };
    let text = keyring.open(&place(credential), &row.text(0)?).ok();
    let minted = text.and_then(|text| read(text.reveal()));
    Ok(minted.filter(|minted| minted.expires_at.is_some_and(|end| now.plus(MARGIN) < end)))
}

fn written(minted: &Minted) -> String {
    let parts = minted
        .parts
        .iter()
        .map(|(name, value)| (*name, Json::from(value.reveal())));
    let mut members = vec![
        ("token", Json::from(minted.token.reveal())),
        ("parts", Json::object(parts)),
    ];
    if let Some(end) = minted.expires_at {
        members.push(("ends", Json::Integer(end.millis().into())));
    }
    Json::object(members).to_text()
}

fn read(text: &str) -> Option<Minted> {
    let whole = json::parse(text.as_bytes()).ok()?;
    let ends = match whole.get("ends") {
        Some(Json::Integer(millis)) => i64::try_from(*millis).ok().map(UnixTime::from_millis),
        _ => None,
    };
    let mut minted = Minted::new(Secret::new(whole.get("token")?.as_str()?), ends);
    // The only part that a refreshed token has.
    if let Some(scopes) = whole.get("parts").and_then(|parts| parts.get("scopes")) {
        minted.parts.push(("scopes", Secret::new(scopes.as_str()?)));
    }
    Some(minted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_reads_as_it_was_made() {
        let end = UnixTime::from_seconds(1_800_000_000);
        let mut minted = Minted::new(Secret::new("ya29"), Some(end));
        minted.parts.push(("scopes", Secret::new("a b")));
        let again = read(&written(&minted)).expect("read");
        assert_eq!((again.token.reveal(), again.expires_at), ("ya29", Some(end)));
        assert_eq!(again.parts, minted.parts);
        assert!(read("{}").is_none() && read("").is_none());
    }
}
