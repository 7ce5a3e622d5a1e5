//! The record of what was done: a chain of hashes, written before anything is released.
//!
//! Each record's hash is SHA-256 over the hash before it, a newline and the record's own text, byte for byte as it is
//! stored. The newest hash stands once more beside the chain, under a code that takes the keyring: records that were
//! changed, taken out, put in or cut off at the end are found, and where.
use crate::id;
use crate::keyring::{Keyring, hex};
use crate::principal::Principal;
use crate::problem::Problem;
use crate::store::{Addition, Linked, Store, StoreError, Tx};
use jeton_core::UnixTime;
use jeton_core::verify::token_digest;
use serde_json::Value;

mod chain;
mod writer;

pub use chain::{Fault, Head, verify};
pub use writer::{NotWritten, SEEN_TIME, Writer};

/// What the first record stands on.
pub const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Room for the members of most records, and for their text.
const MEMBERS: usize = 16;
const LENGTH: usize = 640;

/// What happened, being written down.
#[derive(Clone, Debug)]
pub struct Record {
    members: Vec<(&'static str, Value)>,
}

impl Record {
    /// `action` is what was done or asked for, such as `credential.token`; `decision` is `allow` or `deny`.
    #[must_use]
    pub fn new(action: &str, decision: &str) -> Self {
        let mut members = Vec::with_capacity(MEMBERS);
        members.push(("action", action.into()));
        members.push(("decision", decision.into()));
        Self { members }
    }

    /// One more thing that is known. Never a secret: see [`Record::issued`].
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        let value = value.into();
        if !value.is_null() {
            self.members.retain(|(known, _)| *known != name);
            self.members.push((name, value));
        }
        self
    }

    /// Who asked.
    #[must_use]
    pub fn by(self, principal: &Principal) -> Self {
        self.with("issuer", principal.issuer.as_str())
            .with("subject", principal.subject.as_str())
            .with("session", principal.session.clone())
    }

    /// What was issued, as its SHA-256.
    #[must_use]
    pub fn issued(self, value: &str) -> Self {
        self.with("sha256", hex(&token_digest(value)))
    }

    fn text(mut self, at: UnixTime) -> Result<String, StoreError> {
        self.members.push(("at", crate::answer::time(at).into()));
        self.members.push(("id", id::stored(at)?.into()));
        let mut text = Vec::with_capacity(LENGTH);
        for (name, value) in self.members {
            text.push(if text.is_empty() { b'{' } else { b',' });
            let written = serde_json::to_writer(&mut text, name).and_then(|()| {
                text.push(b':');
                serde_json::to_writer(&mut text, &value)
            });
            written.map_err(|wrong| StoreError::Failed(wrong.to_string()))?;
        }
        text.push(b'}');
        String::from_utf8(text).map_err(|wrong| StoreError::Failed(wrong.to_string()))
    }
}

/// Adds records to the chain, as a part of a transaction: what they tell of happens if and only if they are there.
///
/// # Errors
/// [`StoreError`].
pub async fn append(
    tx: &mut Tx,
    keyring: &Keyring,
    records: impl IntoIterator<Item = Record>,
    now: UnixTime,
) -> Result<(), StoreError> {
    tx.lock("audit").await?;
    let head = chain::head(tx).await?;
    let texts: Result<Vec<_>, StoreError> = records
        .into_iter()
        .map(|record| Ok((now.millis(), record.text(now)?)))
        .collect();
    let texts = texts?;
    if texts.is_empty() {
        return Ok(());
    }
    tx.add(linked(head, texts, keyring)).await
}

/// Texts in their places behind `head`.
fn linked(mut head: Head, texts: Vec<(i64, String)>, keyring: &Keyring) -> Addition {
    let link = |(at, record): (i64, String)| {
        head = head.followed_by(&record);
        Linked {
            seq: head.seq,
            at,
            record,
            hash: head.hash.clone(),
        }
    };
    let records = texts.into_iter().map(link).collect();
    let mac = keyring.code(&head.message());
    Addition { records, mac }
}

/// Records, newest first, as they are answered: `seq`, `hash`, and what was written.
///
/// # Errors
/// [`Problem`].
pub async fn page(
    store: &Store,
    search: Option<&str>,
    size: i64,
    offset: i64,
) -> Result<(i64, Vec<Value>), Problem> {
    let like = search.map(crate::listing::like);
    let filter = "($1 IS NULL OR LOWER(record) LIKE $1 ESCAPE '\\')";
    let count = sqlx::AssertSqlSafe(format!("SELECT COUNT(*) FROM audit WHERE {filter}"));
    let total = store.row(count, vec![(&like).into()]).await?;
    let total = total.map_or(Ok(0), |row| row.int(0))?;
    let sql = sqlx::AssertSqlSafe(format!(
        "SELECT seq, record, hash FROM audit WHERE {filter} ORDER BY seq DESC LIMIT $2 OFFSET $3"
    ));
    let rows = store
        .rows(sql, vec![like.into(), size.into(), offset.into()])
        .await?;
    let mut items = Vec::with_capacity(rows.len());
    for row in rows {
        items.push(shown(row.int(0)?, &row.text(1)?, &row.text(2)?));
    }
    Ok((total, items))
}

/// A record with its place in the chain.
#[must_use]
pub fn shown(seq: i64, record: &str, hash: &str) -> Value {
    let mut whole: Value = serde_json::from_str(record).unwrap_or_default();
    if let Some(members) = whole.as_object_mut() {
        members.insert("seq".into(), seq.into());
        members.insert("hash".into(), hash.into());
    }
    whole
}

/// Records behind number `last`, oldest first, with their numbers.
///
/// # Errors
/// [`StoreError`].
pub async fn after(store: &Store, last: i64, most: i64) -> Result<Vec<(i64, Value)>, StoreError> {
    let sql = "SELECT seq, record, hash FROM audit WHERE seq > $1 ORDER BY seq LIMIT $2";
    let rows = store.rows(sql, vec![last.into(), most.into()]).await?;
    let read = |row: &crate::store::Row| Ok((row.int(0)?, shown(row.int(0)?, &row.text(1)?, &row.text(2)?)));
    rows.iter().map(read).collect()
}
