//! `GET /roles`.
use crate::answer::Answer;
use crate::call::{Access, Call};
use crate::problem::Problem;
use jeton_core::access::Role;
use serde_json::{Value, json};

pub(crate) async fn list(call: &Call, _: &Access) -> Result<Answer, Problem> {
    call.only_query(&[])?;
    let items: Vec<Value> = Role::all().map(shown).collect();
    Ok(Answer::ok(&json!({
        "kind": "RoleList",
        "page": 1,
        "size": items.len(),
        "total": items.len(),
        "items": items,
    })))
}

fn shown(role: Role) -> Value {
    json!({
        "kind": "Role",
        "name": role.name(),
        "level": role.level(),
        "permissions": role.permissions(),
        "internal": role.is_internal(),
    })
}
