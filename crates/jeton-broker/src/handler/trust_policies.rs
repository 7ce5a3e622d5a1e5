//! Trust policies: written, listed, replayed. Those in files are shown with the rest and cannot be written.
use crate::answer::Answer;
use crate::call::{Access, Call};
use crate::id;
use crate::listing::Wanted;
use crate::policy::{self, Kept};
use crate::problem::Problem;
use http::StatusCode;
use jeton_core::Claims;
use jeton_core::json::{self, Json};
use jeton_core::trust::{Severity, TrustPolicy, decide, lint};
use serde_json::{Value, json};

pub(crate) async fn list(call: &Call, _: &Access) -> Result<Answer, Problem> {
    let wanted = Wanted::read(call, &["name"])?;
    let mut all = policy::all(&call.broker.store, &call.live.keyring).await?;
    all.retain(|kept| in_file(call, &kept.policy.name).is_none());
    all.extend(call.live.policies.iter().cloned());
    all.sort_by(|a, b| a.policy.name.cmp(&b.policy.name));
    if wanted.order.contains("DESC") {
        all.reverse();
    }
    let search = wanted.search.as_deref().map(str::to_lowercase);
    all.retain(|kept| {
        search.as_deref().is_none_or(|text| {
            kept.body.to_text().to_lowercase().contains(text) || kept.policy.name.contains(text)
        })
    });
    let total = i64::try_from(all.len()).unwrap_or(i64::MAX);
    let (skip, take) = (usize::try_from(wanted.offset()), usize::try_from(wanted.size));
    let page = all
        .iter()
        .skip(skip.unwrap_or(usize::MAX))
        .take(take.unwrap_or(0));
    let items: Vec<Value> = page.map(Kept::json).collect();
    Ok(wanted.answer("TrustPolicyList", total, &items))
}

fn in_file<'a>(call: &'a Call, name: &str) -> Option<&'a Kept> {
    call.live.policies.iter().find(|kept| kept.policy.name == name)
}

async fn find(call: &Call) -> Result<Kept, Problem> {
    let name = call.parameter("name");
    if let Some(kept) = in_file(call, name) {
        return Ok(kept.clone());
    }
    let found = policy::named(&call.broker.store, &call.live.keyring, name).await?;
    found.ok_or_else(Problem::not_found)
}

pub(crate) async fn read(call: &Call, _: &Access) -> Result<Answer, Problem> {
    Ok(Answer::ok(&find(call).await?.json()))
}

/// A policy in a file is changed there.
fn writable(call: &Call) -> Result<&str, Problem> {
    let name = call.parameter("name");
    match in_file(call, name) {
        Some(_) => Err(Problem::conflict(
            "this policy is kept in a file; change it there",
        )),
        None => Ok(name),
    }
}

pub(crate) async fn put(call: &Call, access: &Access) -> Result<Answer, Problem> {
    let name = writable(call)?;
    let body = json::parse(&call.body).map_err(|error| Problem::invalid("body", &error.to_string()))?;
    let body = written(body);
    let policy =
        TrustPolicy::read(name, &body).map_err(|wrong| Problem::invalid(&wrong.field, &wrong.why))?;
    if let Some(found) = lint(&policy)
        .into_iter()
        .find(|found| found.severity == Severity::Refused)
    {
        return Err(Problem::invalid(&found.field, &found.reason));
    }
    let now = call.broker.now();
    let mut tx = call.broker.store.begin().await?;
    tx.lock("trust policies").await?;
    let is_new = policy::put(&mut tx, &call.live.keyring, &policy, &body, now).await?;
    let keyring = &call.live.keyring;
    policy::keep_roles(&mut tx, keyring, &policy, now, || id::stored(now)).await?;
    let record = call
        .record("trust_policy.put", "allow", &access.principal)
        .with("trust_policy", name)
        .with(
            "policy",
            serde_json::from_str::<Value>(&body.to_text()).unwrap_or_default(),
        )
        .with("rule", access.rule.as_str());
    call.note(&mut tx, record).await?;
    tx.commit().await?;
    let kept = find(call).await?;
    let status = if is_new {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    Ok(Answer::json(status, &kept.json()))
}

/// What a client that read a policy and writes it back sends along: members of the answer that are no part of it.
fn written(mut body: Json) -> Json {
    for name in ["kind", "created_at", "updated_at", "warnings", "read_only"] {
        body.take(name);
    }
    body
}

pub(crate) async fn delete(call: &Call, access: &Access) -> Result<Answer, Problem> {
    let name = writable(call)?;
    let mut tx = call.broker.store.begin().await?;
    if !policy::remove(&mut tx, name).await? {
        return Err(Problem::not_found());
    }
    let record = call
        .record("trust_policy.delete", "allow", &access.principal)
        .with("trust_policy", name)
        .with("rule", access.rule.as_str());
    call.note(&mut tx, record).await?;
    tx.commit().await?;
    Ok(Answer::empty())
}

/// Replays claims that nobody proves: what the policy would decide, and why.
pub(crate) async fn test(call: &Call, _: &Access) -> Result<Answer, Problem> {
    let kept = find(call).await?;
    let mut fields = call.fields()?;
    let claims = fields
        .take("claims")
        .ok_or_else(|| Problem::invalid("claims", "is missing"))?;
    fields.end()?;
    if claims.as_object().is_none() {
        return Err(Problem::invalid("claims", "must be a JSON object"));
    }
    let claims =
        Claims::strict(claims).map_err(|rejection| Problem::invalid("claims", &rejection.to_string()))?;
    let policies = [kept.policy];
    let verdict = decide(&policies, &claims, |_| true);
    let rule = verdict.allowed_by.map(|policy| policy.name.as_str());
    let decision = if rule.is_some() { "allow" } else { "deny" };
    Ok(Answer::ok(
        &json!({"decision": decision, "rule": rule, "why": verdict.explain()}),
    ))
}
