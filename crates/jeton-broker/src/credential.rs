//! A credential as it is stored, and where it is attached.
use crate::answer::time;
use crate::broker::Live;
use crate::problem::Problem;
use crate::provider::{Provider, Stored};
use crate::store::{Arg, Row, Store, StoreError};
use jeton_core::UnixTime;
use serde_json::{Map, Value, json};
use sqlx::AssertSqlSafe;

/// A row of `credentials`. Its secret is as it was sealed.
#[derive(Clone, Debug)]
pub struct Credential {
    /// Its id; what is sealed is sealed for it.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Whose it is.
    pub provider: Provider,
    /// Where it is good: what that means is the provider's.
    pub url: String,
    /// The address of the account.
    pub email: String,
    /// For who looks for it.
    pub labels: Map<String, Value>,
    /// For who uses it.
    pub annotations: Map<String, Value>,
    /// The secret, sealed.
    pub sealed: String,
    /// When it was made.
    pub created: UnixTime,
    /// When it was changed.
    pub updated: UnixTime,
}

/// The columns, in the order in which [`Credential::read`] takes them, of a table called `t`.
pub const COLUMNS: &str = "t.id, t.name, t.description, t.provider, t.url, t.email, t.labels, t.annotations, t.secret, \
                           t.created_at, t.updated_at";

/// Whether the credential `t` is bound to the project `$2`: there itself, on an agent of it, or everywhere. Without a
/// project (`NULL`) it does not matter.
pub const BOUND: &str = "(CAST($2 AS TEXT) IS NULL OR (EXISTS (SELECT 1 FROM projects p WHERE p.id = $2) AND EXISTS \
                         (SELECT 1 FROM role_bindings a LEFT JOIN agents g ON g.id = a.agent_id \
                         WHERE a.scope = 'credential' AND a.role = 'credential:viewer' AND a.credential_id = t.id \
                         AND a.subject IS NULL AND a.trust_policy IS NULL \
                         AND (a.project_id = $2 OR g.project_id = $2 OR (a.project_id IS NULL AND a.agent_id IS NULL)))))";

impl Credential {
    /// From a row of [`COLUMNS`].
    ///
    /// # Errors
    /// The row is not of these columns, or its provider is not known (a newer program wrote it).
    pub fn read(row: &Row) -> Result<Self, StoreError> {
        let provider = row.text(3)?;
        let provider = Provider::named(&provider)
            .ok_or_else(|| StoreError::Failed("a credential of a provider that is not known".into()))?;
        let map = |text: String| serde_json::from_str(&text).unwrap_or_default();
        Ok(Self {
            id: row.text(0)?,
            name: row.text(1)?,
            description: row.text(2)?,
            provider,
            url: row.text(4)?,
            email: row.text(5)?,
            labels: map(row.text(6)?),
            annotations: map(row.text(7)?),
            sealed: row.text(8)?,
            created: row.time(9)?,
            updated: row.time(10)?,
        })
    }

    /// The one of this id, if it is bound to `project`, or to whatever when there is none.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn find(store: &Store, id: &str, project: Option<&str>) -> Result<Option<Self>, StoreError> {
        let sql = AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM credentials t WHERE t.id = $1 AND {BOUND}"
        ));
        let row = store.row(sql, vec![id.into(), Arg::from(project)]).await?;
        row.as_ref().map(Self::read).transpose()
    }

    /// Its secret.
    ///
    /// # Errors
    /// 500: what is stored does not open. Why is for our log.
    pub fn open(&self, live: &Live) -> Result<Stored, Problem> {
        let opened = live.keyring.open(&self.id, &self.sealed);
        let opened = opened.map_err(|why| Problem::internal(format!("credential {}: {why}", self.id)))?;
        Stored::from_sealed(&opened)
    }

    /// How much there is to it, in bytes, about.
    #[must_use]
    pub fn size(&self) -> usize {
        let text = |value: &Value| value.as_str().map_or(0, str::len);
        let maps = self.labels.iter().chain(&self.annotations);
        let maps: usize = maps.map(|(name, value)| name.len() + text(value)).sum();
        let texts = [
            &self.name,
            &self.description,
            &self.url,
            &self.email,
            &self.sealed,
        ];
        maps + texts.iter().map(|text| text.len()).sum::<usize>()
    }

    /// An annotation; empty when it is not there.
    #[must_use]
    pub fn annotation(&self, name: &str) -> &str {
        self.annotations
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// As it is answered: everything but the secret.
    #[must_use]
    pub fn json(&self) -> Value {
        json!({
            "kind": "Credential",
            "id": self.id,
            "name": self.name,
            "description": self.description,
            "provider": self.provider.name(),
            "url": self.url,
            "email": self.email,
            "labels": self.labels,
            "annotations": self.annotations,
            "created_at": time(self.created),
            "updated_at": time(self.updated),
        })
    }
}
