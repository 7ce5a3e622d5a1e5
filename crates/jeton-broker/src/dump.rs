//! Backup and restore: every row of every table as a line of JSON, from either database into either. What is sealed stays
//! sealed: a backup without its keyring tells nothing secret.
//!
//! The first line says what it is, the last one how many rows there were and their SHA-256: a file that was cut off or
//! changed is refused whole. A restored broker's sessions are ended: nothing that was revoked meanwhile comes back to life.
use crate::audit::{self, Head, Record};
use crate::broker::KEYRING_CHECK;
use crate::keyring::{Keyring, hex};
use crate::store::{Arg, Row, Store, StoreError, Tx, migration};
use aws_lc_rs::digest::{Context, SHA256};
use jeton::{Class, Error};
use jeton_core::UnixTime;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// What the first line says.
const FORMAT: &str = "jeton-broker-backup-1";
/// How many rows are read at once.
const BATCH: i64 = 500;

/// A table, its columns, and which of them are numbers. The first column is the key; parents come before children.
struct Table {
    name: &'static str,
    texts: &'static [&'static str],
    numbers: &'static [&'static str],
    /// What the rows are ordered by: unique.
    key: &'static str,
}

/// Every table that is kept. What is good for one process or some minutes only is not: used tokens, sessions.
const TABLES: &[Table] = &[
    Table {
        name: "projects",
        texts: &["id", "name", "description"],
        numbers: &["created_at", "updated_at"],
        key: "id",
    },
    Table {
        name: "agents",
        texts: &["id", "project_id", "name", "description"],
        numbers: &["created_at", "updated_at"],
        key: "id",
    },
    Table {
        name: "credentials",
        texts: &[
            "id",
            "name",
            "description",
            "provider",
            "url",
            "email",
            "labels",
            "annotations",
            "secret",
        ],
        numbers: &["created_at", "updated_at"],
        key: "id",
    },
    Table {
        name: "role_bindings",
        texts: &[
            "id",
            "role",
            "scope",
            "issuer",
            "subject",
            "trust_policy",
            "project_id",
            "agent_id",
            "credential_id",
            "session_id",
            "origin",
            "mac",
        ],
        numbers: &["created_at"],
        key: "id",
    },
    Table {
        name: "trust_policies",
        texts: &["name", "issuer", "body", "mac"],
        numbers: &["created_at", "updated_at"],
        key: "name",
    },
    Table {
        name: "trust_policies",
        texts: &["name", "issuer", "body", "mac"],
        numbers: &["created_at", "updated_at"],
        key: "name",
    },
    Table {
        name: "audit",
        texts: &["record", "hash"],
        numbers: &["seq", "at"],
        key: "seq",
    },
    Table {
        name: "audit_head",
        texts: &["hash", "mac"],
        numbers: &["id", "seq"],
        key: "id",
    },
    Table {
        name: "meta",
        texts: &["name", "value"],
        numbers: &[],
        key: "name",
    },
];

fn wrong(path: &Path, why: &str) -> Error {
    Error::new(Class::Config, format!("{}: {why}", path.display()))
}

fn of_store(error: StoreError) -> Error {
    let class = match error {
        StoreError::Unavailable(_) => Class::Unavailable,
        _ => Class::Other,
    };
    Error::new(class, error.to_string())
}

/// Writes a backup to a new file that only this user can read; how many rows.
///
/// # Errors
/// The file is there already or cannot be written, or the database failed.
pub async fn write(store: &Store, path: &Path, now: UnixTime) -> Result<u64, Error> {
    let failed = |e: std::io::Error| wrong(path, &e.to_string());
    let file = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(failed)?;
    let mut out = Lines::new(file);
    let head = json!({"format": FORMAT, "schema": migration::newest(), "at": crate::answer::time(now)});
    out.put(&head).map_err(failed)?;
    let mut tx = store.snapshot().await.map_err(of_store)?;
    let mut rows = 0;
    for table in TABLES {
        let mut offset = 0;
        loop {
            let batch = tx
                .rows(AssertSqlSafe(table.select()), vec![BATCH.into(), offset.into()])
                .await;
            let batch = batch.map_err(of_store)?;
            if batch.is_empty() {
                break;
            }
            offset += BATCH;
            for row in &batch {
                out.put(&table.line(row).map_err(of_store)?).map_err(failed)?;
                rows += 1;
            }
        }
    }
    drop(tx);
    out.end(rows).map_err(failed)?;
    Ok(rows)
}

/// Fills an empty database; how many rows.
///
/// # Errors
/// The file is none, was changed, is of a newer program or of another keyring; the database is not empty, or failed.
/// Then nothing was restored.
pub async fn read(store: &Store, keyring: &Keyring, path: &Path, now: UnixTime) -> Result<u64, Error> {
    let rows = check(path)?;
    migration::run(store, now).await.map_err(of_store)?;
    let mut tx = store.begin().await.map_err(of_store)?;
    for table in TABLES.iter().filter(|table| table.name != "meta") {
        let sql = AssertSqlSafe(format!("SELECT COUNT(*) FROM {}", table.name));
        let count = tx
            .row(sql, vec![])
            .await
            .and_then(|row| row.map_or(Ok(0), |row| row.int(0)));
        if count.map_err(of_store)? > 0 {
            return Err(Error::new(
                Class::Config,
                format!("the database is not empty: it has {}", table.name),
            )
            .with_hint("restore into a new one: nothing is ever overwritten"));
        }
    }
    tx.execute("DELETE FROM meta", vec![]).await.map_err(of_store)?;
    for value in body(path)? {
        restore(&mut tx, &value?, path).await?;
    }
    // What was granted to sessions ends with them: they are not in the backup.
    let sessions = "DELETE FROM role_bindings WHERE origin = 'session' OR session_id IS NOT NULL";
    tx.execute(sessions, vec![]).await.map_err(of_store)?;
    note(&mut tx, keyring, now).await.map_err(of_store)?;
    let sealed = tx
        .row(
            "SELECT value FROM meta WHERE name = $1",
            vec![KEYRING_CHECK.into()],
        )
        .await;
    let sealed = sealed
        .and_then(|row| row.map(|row| row.text(0)).transpose())
        .map_err(of_store)?;
    if sealed.is_some_and(|sealed| keyring.open(KEYRING_CHECK, &sealed).is_err()) {
        return Err(wrong(path, "was made with another keyring").with_hint("put that one back first"));
    }
    tx.commit().await.map_err(of_store)?;
    Ok(rows)
}

async fn note(tx: &mut Tx, keyring: &Keyring, now: UnixTime) -> Result<(), StoreError> {
    let row = tx
        .row("SELECT seq, hash FROM audit_head WHERE id = 1", vec![])
        .await?;
    let head = match row {
        Some(row) => Head {
            seq: row.int(0)?,
            hash: row.text(1)?,
        },
        None => Head::genesis(),
    };
    let record = Record::new("backup.restore", "allow")
        .with("restored_head", head.hash.as_str())
        .with("restored_records", head.seq);
    audit::append(tx, keyring, [record], now).await
}

async fn restore(tx: &mut Tx, value: &Value, path: &Path) -> Result<(), Error> {
    let name = value.get("table").and_then(Value::as_str).unwrap_or_default();
    let table = TABLES.iter().find(|table| table.name == name);
    let table = table.ok_or_else(|| wrong(path, "has a table that is not known"))?;
    let args = table
        .args(value)
        .ok_or_else(|| wrong(path, "has a row that is not of its table"))?;
    tx.execute(AssertSqlSafe(table.insert()), args)
        .await
        .map(drop)
        .map_err(of_store)
}

impl Table {
    fn select(&self) -> String {
        let columns: Vec<&str> = self.texts.iter().chain(self.numbers).copied().collect();
        let (name, key) = (self.name, self.key);
        format!(
            "SELECT {} FROM {name} ORDER BY {key} LIMIT $1 OFFSET $2",
            columns.join(", ")
        )
    }

    fn insert(&self) -> String {
        let columns: Vec<&str> = self.texts.iter().chain(self.numbers).copied().collect();
        let places: Vec<String> = (1..=columns.len()).map(|n| format!("${n}")).collect();
        format!(
            "INSERT INTO {} ({}) VALUES ({})",
            self.name,
            columns.join(", "),
            places.join(", ")
        )
    }

    fn line(&self, row: &Row) -> Result<Value, StoreError> {
        let mut values = Vec::new();
        for at in 0..self.texts.len() {
            values.push(row.maybe(at)?.map_or(Value::Null, Value::String));
        }
        for at in 0..self.numbers.len() {
            values.push(
                row.maybe_int(self.texts.len() + at)?
                    .map_or(Value::Null, Value::from),
            );
        }
        Ok(json!({"table": self.name, "row": values}))
    }

    fn args(&self, value: &Value) -> Option<Vec<Arg>> {
        let row = value.get("row")?.as_array()?;
        if row.len() != self.texts.len() + self.numbers.len() {
            return None;
        }
        let arg = |(at, value): (usize, &Value)| match (at < self.texts.len(), value) {
            (true, Value::Null) => Some(Arg::Text(None)),
            (true, Value::String(text)) => Some(Arg::Text(Some(text.clone()))),
            (false, Value::Null) => Some(Arg::Int(None)),
            (false, value) => value.as_i64().map(|number| Arg::Int(Some(number))),
            _ => None,
        };
        row.iter().enumerate().map(arg).collect()
    }
}

/// Lines, and the sum of all of them.
struct Lines {
    out: BufWriter<File>,
    sum: Context,
}

impl Lines {
    fn new(file: File) -> Self {
        Self {
            out: BufWriter::new(file),
            sum: Context::new(&SHA256),
        }
    }

    fn put(&mut self, value: &Value) -> std::io::Result<()> {
        let line = format!("{value}\n");
        self.sum.update(line.as_bytes());
        self.out.write_all(line.as_bytes())
    }

    fn end(self, rows: u64) -> std::io::Result<()> {
        let Self { mut out, sum } = self;
        let sum = hex(sum.finish().as_ref());
        out.write_all(format!("{}\n", json!({"rows": rows, "sha256": sum})).as_bytes())?;
        out.into_inner()
            .map_err(std::io::IntoInnerError::into_error)?
            .sync_all()
    }
}

/// The rows of a backup.
fn body(path: &Path) -> Result<impl Iterator<Item = Result<Value, Error>>, Error> {
    let file = File::open(path).map_err(|e| wrong(path, &e.to_string()))?;
    let path = path.to_owned();
    let lines = BufReader::new(file).lines().skip(1);
    let parsed = lines.map(move |line| {
        let line = line.map_err(|e| wrong(&path, &e.to_string()))?;
        serde_json::from_str::<Value>(&line).map_err(|_| wrong(&path, "has a line that is no JSON"))
    });
    Ok(parsed.filter(|line| line.as_ref().map_or(true, |value| value.get("table").is_some())))
}

/// Whether a file is a whole backup; how many rows it has.
fn check(path: &Path) -> Result<u64, Error> {
    let failed = |e: std::io::Error| wrong(path, &e.to_string());
    let mut reader = BufReader::new(File::open(path).map_err(failed)?);
    let (mut sum, mut line, mut count) = (Context::new(&SHA256), String::new(), 0_u64);
    let mut last = Value::Null;
    while reader.read_line(&mut line).map_err(failed)? > 0 {
        let value: Value = serde_json::from_str(&line).map_err(|_| wrong(path, "is no backup"))?;
        if count == 0 && value.get("format").and_then(Value::as_str) != Some(FORMAT) {
            return Err(wrong(path, "is no backup of this format"));
        }
        if count == 0 && value.get("schema").and_then(Value::as_i64) > Some(migration::newest()) {
            return Err(wrong(path, "was made by a newer program"));
        }
        last = value;
        if last.get("sha256").is_none() {
            sum.update(line.as_bytes());
        }
        count += 1;
        line.clear();
    }
    let rows = last.get("rows").and_then(Value::as_u64);
    let fits = last.get("sha256").and_then(Value::as_str) == Some(hex(sum.finish().as_ref()).as_str());
    match rows {
        Some(rows) if fits && rows + 2 == count => Ok(rows),
        _ => Err(wrong(path, "was cut off or changed")),
    }
}
