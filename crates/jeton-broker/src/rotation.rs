//! Everything that is sealed is sealed again with the newest key, some rows at a time, while requests are served. It can be
//! interrupted and begun again: each row is always readable, with its old key or with its new one.
use crate::audit::{self, Record};
use crate::binding::{self, Bound};
use crate::broker::KEYRING_CHECK;
use crate::keyring::{Keyring, SealError, version_of};
use crate::store::{Store, StoreError};
use crate::{policy, session};
use jeton_core::UnixTime;
use sqlx::AssertSqlSafe;
use std::collections::BTreeMap;
use std::fmt;

/// How many rows one transaction changes; other writers wait no longer than for these.
const BATCH: i64 = 100;

/// A column that holds what a keyring sealed, for the row's own id.
struct Sealed {
    table: &'static str,
    id: &'static str,
    column: &'static str,
    /// Which rows.
    filter: &'static str,
}

/// Every such column. Whoever seals something else puts it here.
const SEALED: &[Sealed] = &[
    Sealed {
        table: "credentials",
        id: "id",
        column: "secret",
        filter: "1 = 1",
    },
    Sealed {
        table: "meta",
        id: "name",
        column: "value",
        filter: "value LIKE 'enc:v%'",
    },
];

/// What was found, and done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many rows were sealed with which version, before.
    pub by_version: BTreeMap<u32, u64>,
    /// How many rows were sealed again, or would be.
    pub changed: u64,
    /// Rows that do not open: their table and id.
    pub broken: Vec<String>,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let versions: Vec<String> = self
            .by_version
            .iter()
            .map(|(version, count)| format!("v{version}: {count}"))
            .collect();
        let versions = if versions.is_empty() {
            "nothing".to_owned()
        } else {
            versions.join(", ")
        };
        write!(
            f,
            "found {versions}; {} sealed again; {} broken",
            self.changed,
            self.broken.len()
        )
    }
}

/// Seals again what is not sealed with the newest key. With `dry`, only counts, and tries whether everything opens.
///
/// # Errors
/// [`StoreError`]; what was done until then is done.
pub async fn run(store: &Store, keyring: &Keyring, now: UnixTime, dry: bool) -> Result<Tally, StoreError> {
    let mut tally = Tally::default();
    for sealed in SEALED {
        let mut last = String::new();
        while let Some(id) = batch(store, keyring, sealed, &last, dry, &mut tally).await? {
            last = id;
        }
    }
    let mut codes = codes(store, keyring, dry).await?;
    if !dry {
        codes += policy::recode(store, keyring).await?;
        codes += session::record::recode(store, keyring).await?;
    }
    if !dry && tally.changed + codes > 0 {
        let mut tx = store.begin().await?;
        let record = Record::new("keyring.rotate", "allow")
            .with("version", keyring.newest())
            .with("sealed", tally.changed)
            .with("codes", codes);
        // This puts the head of the chain under the newest key as well.
        audit::append(&mut tx, keyring, [record], now).await?;
        tx.commit().await?;
    }
    Ok(tally)
}

/// One batch behind `last`; the id of its last row, or nothing when there was none.
async fn batch(
    store: &Store,
    keyring: &Keyring,
    sealed: &Sealed,
    last: &str,
    dry: bool,
    tally: &mut Tally,
) -> Result<Option<String>, StoreError> {
    let Sealed {
        table,
        id,
        column,
        filter,
    } = sealed;
    let select =
        format!("SELECT {id}, {column} FROM {table} WHERE {id} > $1 AND {filter} ORDER BY {id} LIMIT $2");
    let update = format!("UPDATE {table} SET {column} = $3 WHERE {id} = $1 AND {column} = $2");
    let rows = store
        .rows(AssertSqlSafe(select), vec![last.into(), BATCH.into()])
        .await?;
    let mut fresh = Vec::new();
    let mut end = None;
    for row in rows {
        let (name, old) = (row.text(0)?, row.text(1)?);
        match again(keyring, &name, &old, tally) {
            Ok(Some(new)) => fresh.push((name.clone(), old, new)),
            Ok(None) => (),
            Err(_) => tally.broken.push(format!("{table} {name}")),
        }
        end = Some(name);
    }
    if dry || fresh.is_empty() {
        tally.changed += u64::try_from(fresh.len()).unwrap_or(0);
        return Ok(end);
    }
    let mut tx = store.begin().await?;
    for (name, old, new) in fresh {
        // A row that somebody changed meanwhile has the newest key already.
        let sql = AssertSqlSafe(update.clone());
        tally.changed += tx.execute(sql, vec![name.into(), old.into(), new.into()]).await?;
    }
    tx.commit().await?;
    Ok(end)
}

fn again(keyring: &Keyring, name: &str, old: &str, tally: &mut Tally) -> Result<Option<String>, SealError> {
    let version = version_of(old)?;
    *tally.by_version.entry(version).or_default() += 1;
    let plain = keyring.open(name, old)?;
    if version == keyring.newest() {
        return Ok(None);
    }
    keyring.seal(name, &plain).map(Some)
}

/// Puts bindings under the newest key's code; how many.
async fn codes(store: &Store, keyring: &Keyring, dry: bool) -> Result<u64, StoreError> {
    let newest = format!("v{}:%", keyring.newest());
    let select = format!(
        "SELECT {} FROM role_bindings b WHERE b.id > $1 AND b.mac NOT LIKE $2 ORDER BY b.id LIMIT $3",
        binding::COLUMNS
    );
    let (mut last, mut changed) = (String::new(), 0);
    loop {
        let args = vec![(&last).into(), (&newest).into(), BATCH.into()];
        let rows = store.rows(AssertSqlSafe(select.clone()), args).await?;
        let Some(row) = rows.last() else {
            return Ok(changed);
        };
        last = row.text(0)?;
        if dry {
            continue;
        }
        let mut tx = store.begin().await?;
        for row in &rows {
            // A row that no broker wrote stays what it is: nothing.
            let Some(bound) = Bound::read(row, keyring)? else {
                continue;
            };
            let sql = "UPDATE role_bindings SET mac = $2 WHERE id = $1 AND mac = $3";
            let args = vec![
                (&bound.id).into(),
                keyring.code(&bound.message()).into(),
                row.text(12)?.into(),
            ];
            changed += tx.execute(sql, args).await?;
        }
        tx.commit().await?;
    }
}

/// The row that shows whose keyring this is can be opened with what is there.
///
/// # Errors
/// [`StoreError`].
pub async fn is_ours(store: &Store, keyring: &Keyring) -> Result<bool, StoreError> {
    let row = store
        .row(
            "SELECT value FROM meta WHERE name = $1",
            vec![KEYRING_CHECK.into()],
        )
        .await?;
    let sealed = row.map(|row| row.text(0)).transpose()?;
    Ok(sealed.is_none_or(|sealed| keyring.open(KEYRING_CHECK, &sealed).is_ok()))
}
