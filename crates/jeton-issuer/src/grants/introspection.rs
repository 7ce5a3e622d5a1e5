//! What becomes of tokens: revocation (RFC 7009), introspection (RFC 7662), and the user behind one (OpenID Connect Core
//! section 5.3).
use super::{Granted, assertion, client, refresh, required};
use crate::answer::Answer;
use crate::call::Call;
use crate::desk::{Desk, lock};
use serde_json::{Value, json};

/// `POST /revoke`: 200 for a token nobody knows too (RFC 7009 section 2.2).
pub(super) fn revoke(desk: &Desk<'_>, call: &Call) -> Answer {
    revoked(desk, call).unwrap_or_else(|refusal| refusal)
}

fn revoked(desk: &Desk<'_>, call: &Call) -> Granted {
    let form = call.form();
    client::authenticate(desk, call, &form)?;
    let token = required(&form, "token")?;
    if !refresh::revoke(desk, &token) {
        lock(&desk.provider.ledger).revoked.insert(token);
    }
    Ok(Answer::empty(200))
}

/// `POST /introspect`.
pub(super) fn introspect(desk: &Desk<'_>, call: &Call) -> Answer {
    introspected(desk, call).unwrap_or_else(|refusal| refusal)
}

fn introspected(desk: &Desk<'_>, call: &Call) -> Granted {
    let form = call.form();
    client::authenticate(desk, call, &form)?;
    let token = required(&form, "token")?;
    if let Some((client, scope, subject)) = refresh::live(desk, &token) {
        let body = json!({"active": true, "client_id": client, "scope": scope, "sub": subject,
            "token_type": "refresh_token", "iss": desk.url()});
        return Ok(Answer::json(200, body));
    }
    let body = match assertion::proved(desk, &token) {
        Ok(mut claims) => {
            claims.insert("active".into(), json!(true));
            claims.insert("token_type".into(), json!("Bearer"));
            Value::Object(claims)
        }
        Err(_) => json!({"active": false}),
    };
    Ok(Answer::json(200, body))
}

/// `GET /userinfo`, with the access token as bearer.
pub(super) fn userinfo(desk: &Desk<'_>, call: &Call) -> Answer {
    let Some(token) = call.authorization("bearer") else {
        return Answer::empty(401).with("www-authenticate", "Bearer");
    };
    match assertion::proved(desk, token) {
        Ok(claims) => {
            let subject = claims.get("sub").and_then(Value::as_str).unwrap_or_default();
            let body =
                json!({"sub": subject, "email": format!("{subject}@example.com"), "email_verified": true});
            Answer::json(200, body)
        }
        Err(why) => {
            let challenge = format!("Bearer error=\"invalid_token\", error_description=\"{why}\"");
            Answer::oauth_error(401, "invalid_token", &why).with("www-authenticate", challenge)
        }
    }
}
