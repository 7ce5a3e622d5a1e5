//! Trust policies as they are kept. They are asked of the database for each exchange, so that a change holds at once on
//! every replica; a row that was written past the broker decides nothing.
use crate::answer::time;
use crate::binding::{BY_POLICY, Bound};
use crate::keyring::Keyring;
use crate::store::{Row, Store, StoreError, Tx};
use jeton_core::UnixTime;
use jeton_core::access::{Role, Scope};
use jeton_core::json::{self, Json};
use jeton_core::trust::{Finding, Severity, TrustPolicy};
use serde_json::{Value, json};

/// A policy as it is kept.
#[derive(Clone, Debug)]
pub struct Kept {
    /// The policy.
    pub policy: TrustPolicy,
    /// Its text.
    pub body: Json,
    /// When it was first written, and when last.
    pub times: Option<(UnixTime, UnixTime)>,
}

impl Kept {
    /// From a row of name, body, code and both times; `None` when it is not the broker's, or no policy any more.
    fn read(row: &Row, keyring: &Keyring) -> Result<Option<Self>, StoreError> {
        let (name, text) = (row.text(0)?, row.text(1)?);
        if !keyring.is_coded(&message(&name, &text), &row.text(2)?) {
            return Ok(None);
        }
        let times = (row.time(3)?, row.time(4)?);
        let Ok(body) = json::parse(text.as_bytes()) else {
            return Ok(None);
        };
        let policy = TrustPolicy::read(&name, &body).ok();
        Ok(policy.map(|policy| Self {
            policy,
            body,
            times: Some(times),
        }))
    }

    /// As it is answered: what was written, its name, and what lint warns of.
    #[must_use]
    pub fn json(&self) -> Value {
        let mut whole: Value = serde_json::from_str(&self.body.to_text()).unwrap_or_default();
        let findings = jeton_core::trust::lint(&self.policy);
        whole["kind"] = "TrustPolicy".into();
        whole["name"] = self.policy.name.as_str().into();
        whole["warnings"] = findings.iter().map(shown).collect();
        match self.times {
            Some((created, updated)) => {
                whole["created_at"] = time(created).into();
                whole["updated_at"] = time(updated).into();
            }
            None => whole["read_only"] = true.into(),
        }
        whole
    }
}

/// A finding as it is answered.
#[must_use]
pub fn shown(finding: &Finding) -> Value {
    let severity = match finding.severity {
        Severity::Warning => "warning",
        Severity::Refused => "refused",
    };
    json!({"severity": severity, "code": finding.code, "field": finding.field, "reason": finding.reason})
}

/// What a row's code is made over.
fn message(name: &str, body: &str) -> String {
    Json::from(&["trust policy", name, body][..]).to_text()
}

/// The policies about tokens of `issuer`.
///
/// # Errors
/// [`StoreError`].
pub async fn of_issuer(store: &Store, keyring: &Keyring, issuer: &str) -> Result<Vec<Kept>, StoreError> {
    let sql =
        "SELECT name, body, mac, created_at, updated_at FROM trust_policies WHERE issuer = $1 ORDER BY name";
    let rows = store.rows(sql, vec![issuer.into()]).await?;
    read_all(&rows, keyring)
}

/// All policies.
///
/// # Errors
/// [`StoreError`].
pub async fn all(store: &Store, keyring: &Keyring) -> Result<Vec<Kept>, StoreError> {
    let sql = "SELECT name, body, mac, created_at, updated_at FROM trust_policies ORDER BY name";
    read_all(&store.rows(sql, vec![]).await?, keyring)
}

/// The policy of this name.
///
/// # Errors
/// [`StoreError`].
pub async fn named(store: &Store, keyring: &Keyring, name: &str) -> Result<Option<Kept>, StoreError> {
    let sql = "SELECT name, body, mac, created_at, updated_at FROM trust_policies WHERE name = $1";
    let rows = store.rows(sql, vec![name.into()]).await?;
    Ok(read_all(&rows, keyring)?.pop())
}

fn read_all(rows: &[Row], keyring: &Keyring) -> Result<Vec<Kept>, StoreError> {
    let mut all = Vec::with_capacity(rows.len());
    for row in rows {
        all.extend(Kept::read(row, keyring)?);
    }
    Ok(all)
}

/// Writes a policy; whether it is new.
///
/// # Errors
/// [`StoreError`].
pub async fn put(
    tx: &mut Tx,
    keyring: &Keyring,
    policy: &TrustPolicy,
    body: &Json,
    now: UnixTime,
) -> Result<bool, StoreError> {
    let text = body.to_text();
    let mac = keyring.code(&message(&policy.name, &text));
    let sql = "UPDATE trust_policies SET issuer = $1, body = $2, mac = $3, updated_at = $4 WHERE name = $5";
    let name = policy.name.as_str();
    let args = vec![
        policy.issuer.as_str().into(),
        (&text).into(),
        (&mac).into(),
        now.into(),
        name.into(),
    ];
    if tx.execute(sql, args).await? == 1 {
        return Ok(false);
    }
    let sql = "INSERT INTO trust_policies (name, issuer, body, mac, created_at, updated_at) \
               VALUES ($1, $2, $3, $4, $5, $6)";
    let args = vec![
        name.into(),
        policy.issuer.as_str().into(),
        text.into(),
        mac.into(),
        now.into(),
        now.into(),
    ];
    tx.execute(sql, args).await?;
    Ok(true)
}

/// Removes a policy, and the bindings of its tokens with it; whether there was one.
///
/// # Errors
/// [`StoreError`].
pub async fn remove(tx: &mut Tx, name: &str) -> Result<bool, StoreError> {
    // A binding dies with its object; another policy of the same name must not inherit it.
    tx.execute(
        "DELETE FROM role_bindings WHERE trust_policy = $1",
        vec![name.into()],
    )
    .await?;
    let gone = tx
        .execute("DELETE FROM trust_policies WHERE name = $1", vec![name.into()])
        .await?;
    Ok(gone == 1)
}

/// Writes the roles that a policy's tokens carry, as bindings of the policy, in place of those that it had.
///
/// # Errors
/// [`StoreError`].
pub async fn keep_roles(
    tx: &mut Tx,
    keyring: &Keyring,
    policy: &TrustPolicy,
    now: UnixTime,
    fresh: impl Fn() -> Result<String, StoreError>,
) -> Result<(), StoreError> {
    let sql = "DELETE FROM role_bindings WHERE trust_policy = $1 AND origin = 'policy'";
    tx.execute(sql, vec![policy.name.as_str().into()]).await?;
    // Names that are no roles of ours are for those whom the tokens are for.
    let roles = policy.roles.iter().filter_map(|name| Role::named(name));
    for role in roles.filter(|role| role.fits(Scope::Global)) {
        let bound = Bound {
            id: fresh()?,
            role,
            scope: Scope::Global,
            principal: None,
            trust_policy: Some(policy.name.clone()),
            project: None,
            agent: None,
            credential: None,
            session: None,
            origin: BY_POLICY,
            created: now,
        };
        match bound.insert(tx, keyring).await {
            Ok(()) | Err(StoreError::Conflict) => (),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Takes over the policies that are kept in files: their roles are bound, and those of a policy that is in no file and
/// not in the database any more are not.
///
/// # Errors
/// [`StoreError`].
pub async fn keep_files(
    store: &Store,
    keyring: &Keyring,
    files: &[Kept],
    now: UnixTime,
    fresh: impl Fn() -> Result<String, StoreError>,
) -> Result<(), StoreError> {
    let mut tx = store.begin().await?;
    tx.lock("trust policies").await?;
    let bound = "SELECT DISTINCT trust_policy FROM role_bindings WHERE origin = 'policy' AND trust_policy NOT IN \
                 (SELECT name FROM trust_policies)";
    for row in tx.rows(bound, vec![]).await? {
        let sql = "DELETE FROM role_bindings WHERE trust_policy = $1 AND origin = 'policy'";
        tx.execute(sql, vec![row.text(0)?.into()]).await?;
    }
    for file in files {
        keep_roles(&mut tx, keyring, &file.policy, now, &fresh).await?;
    }
    tx.commit().await
}

/// Puts policies under a code of the newest key; how many. One that no broker wrote stays what it is: nothing.
///
/// # Errors
/// [`StoreError`].
pub async fn recode(store: &Store, keyring: &Keyring) -> Result<u64, StoreError> {
    let sql = "SELECT name, body, mac, created_at, updated_at FROM trust_policies WHERE mac NOT LIKE $1";
    let newest = format!("v{}:%", keyring.newest());
    let mut changed = 0;
    for row in store.rows(sql, vec![newest.into()]).await? {
        let (name, body, code) = (row.text(0)?, row.text(1)?, row.text(2)?);
        if !keyring.is_coded(&message(&name, &body), &code) {
            continue;
        }
        let sql = "UPDATE trust_policies SET mac = $1 WHERE name = $2 AND mac = $3";
        let fresh = keyring.code(&message(&name, &body));
        changed += store
            .execute(sql, vec![fresh.into(), name.into(), code.into()])
            .await?;
    }
    Ok(changed)
}
