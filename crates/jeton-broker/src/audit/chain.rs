//! The chain itself: how a record follows another, and whether all of them do.
use super::GENESIS;
use crate::keyring::{Keyring, hex};
use crate::store::{Store, StoreError, Tx};
use jeton_core::verify::token_digest;
use std::fmt;

/// How many records are read at once.
const BATCH: i64 = 1000;

/// The newest record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its number; the first is 1.
    pub seq: i64,
    /// Its hash.
    pub hash: String,
}

impl Head {
    /// Of a chain that has no record yet.
    #[must_use]
    pub fn genesis() -> Self {
        Self {
            seq: 0,
            hash: GENESIS.to_owned(),
        }
    }

    /// The head when a record of this text is added.
    #[must_use]
    pub fn followed_by(&self, record: &str) -> Self {
        Self {
            seq: self.seq + 1,
            hash: hex(&token_digest(&format!("{}\n{record}", self.hash))),
        }
    }

    /// What the code beside the chain is made over.
    #[must_use]
    pub fn message(&self) -> String {
        format!("audit head {} {}", self.seq, self.hash)
    }
}

/// Where a chain is broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// This record is missing: there is a gap.
    Missing(i64),
    /// This record, or the hash beside it, was changed.
    Changed(i64),
    /// The records behind this one were cut off, or the head was changed.
    Truncated(i64),
    /// The head was not written by a broker with this keyring.
    Forged,
    /// The record that was known from before is not in the chain: it is another chain, or an older one.
    Unknown,
}

impl Fault {
    /// The number of the record at which it is, where one can be named.
    #[must_use]
    pub const fn record(&self) -> Option<i64> {
        match self {
            Self::Missing(seq) | Self::Changed(seq) | Self::Truncated(seq) => Some(*seq),
            Self::Forged | Self::Unknown => None,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(seq) => write!(f, "record {seq} is missing"),
            Self::Changed(seq) => write!(f, "record {seq} was changed"),
            Self::Truncated(seq) => write!(
                f,
                "the chain ends at record {seq}, and went on: records were cut off"
            ),
            Self::Forged => {
                f.write_str("the head of the chain was not written by a broker with this keyring")
            }
            Self::Unknown => {
                f.write_str("the hash is not in the chain: this is another chain, or an older one")
            }
        }
    }
}

pub(super) async fn head(tx: &mut Tx) -> Result<Head, StoreError> {
    let row = tx
        .row("SELECT seq, hash FROM audit_head WHERE id = 1", vec![])
        .await?;
    row.map_or(Ok(Head::genesis()), |row| {
        Ok(Head {
            seq: row.int(0)?,
            hash: row.text(1)?,
        })
    })
}

/// Looks at every record; `known` is a hash that was noted earlier, and has to be there still.
///
/// # Errors
/// The database failed. That the chain is broken is an answer: `Err(Fault)` inside.
pub async fn verify(
    store: &Store,
    keyring: &Keyring,
    known: Option<&str>,
) -> Result<Result<Head, Fault>, StoreError> {
    let row = store
        .row("SELECT seq, hash, mac FROM audit_head WHERE id = 1", vec![])
        .await?;
    let noted = match row {
        None => None,
        Some(row) => {
            let noted = Head {
                seq: row.int(0)?,
                hash: row.text(1)?,
            };
            if !keyring.is_coded(&noted.message(), &row.text(2)?) {
                return Ok(Err(Fault::Forged));
            }
            Some(noted)
        }
    };
    let noted = noted.unwrap_or_else(Head::genesis);
    let mut seen = known.is_none();
    let mut head = Head::genesis();
    loop {
        // What was added after the head was read is for the next time.
        let sql = "SELECT seq, record, hash FROM audit WHERE seq > $1 AND seq <= $2 ORDER BY seq LIMIT $3";
        let rows = store
            .rows(sql, vec![head.seq.into(), noted.seq.into(), BATCH.into()])
            .await?;
        if rows.is_empty() {
            break;
        }
        for row in rows {
            let next = head.followed_by(&row.text(1)?);
            if row.int(0)? != next.seq {
                return Ok(Err(Fault::Missing(next.seq)));
            }
            if row.text(2)? != next.hash {
                return Ok(Err(Fault::Changed(next.seq)));
            }
            seen |= known == Some(next.hash.as_str());
            head = next;
        }
    }
    if head != noted {
        return Ok(Err(Fault::Truncated(head.seq)));
    }
    if !seen {
        return Ok(Err(Fault::Unknown));
    }
    Ok(Ok(head))
}
