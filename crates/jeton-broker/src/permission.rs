//! May he? The bindings that cover the object are read, and `jeton_core::access` decides.
//!
//! What may not be read is not there: 404, the same as for what does not exist. A change that is not allowed to somebody
//! who may read the object is 403.
use crate::binding;
use crate::broker::{Broker, Live};
use crate::call::Access;
use crate::principal::Principal;
use crate::problem::Problem;
use http::Method;
use jeton_core::access::{Binding, Decision, Object, Permission, Role, Scope, decide};

/// The role of everybody where authorization was taken away.
const EVERYBODY: &str = "insecure-no-authorization";

/// The bindings of a principal that can be about `object`. A session's token opens nothing but its session.
///
/// # Errors
/// [`Problem`].
pub async fn bindings(
    broker: &Broker,
    live: &Live,
    who: &Principal,
    object: &Object,
) -> Result<Vec<Binding>, Problem> {
    if broker.insecure {
        return Ok(vec![everything()]);
    }
    Ok(binding::of(&broker.store, &live.keyring, who, object).await?)
}

fn everything() -> Binding {
    Binding {
        id: EVERYBODY.to_owned(),
        role: Role::PlatformAdmin,
        scope: Scope::Global,
        project: None,
        agent: None,
        session: None,
        credential: None,
    }
}

/// Whether `who` may do `permission` to `object`, asked with `method`.
///
/// # Errors
/// 404 or 403.
pub async fn check(
    broker: &Broker,
    live: &Live,
    who: Principal,
    permission: Permission,
    object: Object,
    method: &Method,
) -> Result<Access, Problem> {
    let bindings = bindings(broker, live, &who, &object).await?;
    let rule = match decide(&bindings, permission, &object) {
        Decision::Allow(binding) => rule(binding),
        Decision::Deny => return Err(denied(&bindings, permission, &object, method)),
    };
    Ok(Access {
        principal: who,
        object,
        bindings,
        rule,
    })
}

/// How a binding is named in the record.
#[must_use]
pub fn rule(binding: &Binding) -> String {
    format!("{} ({})", binding.role.name(), binding.id)
}

fn denied(bindings: &[Binding], permission: Permission, object: &Object, method: &Method) -> Problem {
    let read = Permission::new(permission.kind, "read");
    if *method != Method::GET && decide(bindings, read, object).is_allow() {
        return Problem::forbidden("a role that allows this is needed here");
    }
    Problem::not_found()
}

/// The part of `WHERE` that leaves the rows of `t` on which the principal `$1`, `$2`, with the policy `$3`, has a role
/// that names `permission`; `places` are the scopes that such a row can be reached by.
#[must_use]
pub fn visible(broker: &Broker, permission: Permission, places: &[(Scope, &'static str)]) -> String {
    if broker.insecure {
        return "(1 = 1 OR $1 = $2 OR $2 = $3)".to_owned();
    }
    let roles: Vec<String> = Role::all()
        .filter(|role| role.permits(permission))
        .map(|role| format!("'{}'", role.name()))
        .collect();
    let mut reach = String::from("m.scope = 'global'");
    for (scope, same) in places {
        reach.push_str(&format!(" OR (m.scope = '{}' AND {same})", scope.name()));
    }
    format!(
        "EXISTS (SELECT 1 FROM role_bindings m WHERE ((m.issuer = $1 AND m.subject = $2) OR m.trust_policy = $3) \
         AND m.role IN ({}) AND ({reach}))",
        roles.join(", ")
    )
}
