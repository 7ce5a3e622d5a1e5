//! Who asks: client authentication (RFC 6749 section 2.3), and the grant that needs nothing else (section 4.4).
use super::Granted;
use super::issue::Issue;
use crate::answer::Answer;
use crate::call::{Call, Form};
use crate::desk::Desk;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// The client that asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) id: String,
    /// Whether it proved who it is.
    pub(crate) authenticated: bool,
}

/// How a client introduced itself.
struct Introduction {
    id: String,
    secret: Option<String>,
    /// By `Authorization`, so that a refusal must carry a challenge.
    by_header: bool,
}

/// Authenticates by `Authorization: Basic`, by form, or not at all for a public client.
pub(super) fn authenticate(desk: &Desk<'_>, call: &Call, form: &Form) -> Result<Caller, Answer> {
    let client = introduction(call, form)?;
    let known = &desk.options().clients;
    if known.is_empty() {
        let authenticated = client.secret.is_some();
        return Ok(Caller {
            id: client.id,
            authenticated,
        });
    }
    let registered = known.iter().find(|one| one.id == client.id);
    let registered = registered.ok_or_else(|| refused(&client))?;
    match (&registered.secret, &client.secret) {
        (None, _) => Ok(Caller {
            id: client.id,
            authenticated: false,
        }),
        (Some(right), Some(given)) if right == given => Ok(Caller {
            id: client.id,
            authenticated: true,
        }),
        _ => Err(refused(&client)),
    }
}

fn introduction(call: &Call, form: &Form) -> Result<Introduction, Answer> {
    let Some(basic) = call.authorization("basic") else {
        let id = form.one("client_id").unwrap_or_default();
        return Ok(Introduction {
            id,
            secret: form.one("client_secret"),
            by_header: false,
        });
    };
    if form.one("client_secret").is_some() {
        return Err(Answer::oauth_error(
            400,
            "invalid_request",
            "two ways of client authentication",
        ));
    }
    let decoded = BASE64_STANDARD
        .decode(basic)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok());
    let pair = decoded.as_deref().and_then(|pair| pair.split_once(':'));
    let (id, secret) =
        pair.ok_or_else(|| Answer::oauth_error(400, "invalid_request", "Basic is no id:secret"))?;
    Ok(Introduction {
        id: form_decoded(id),
        secret: Some(form_decoded(secret)),
        by_header: true,
    })
}

/// Both halves are form-encoded inside Basic (RFC 6749 section 2.3.1).
fn form_decoded(text: &str) -> String {
    let pairs = url::form_urlencoded::parse(text.as_bytes());
    pairs
        .map(|(name, _)| name.into_owned())
        .next()
        .unwrap_or_default()
}

fn refused(client: &Introduction) -> Answer {
    let answer = Answer::oauth_error(401, "invalid_client", "unknown client or wrong secret");
    if client.by_header {
        return answer.with("www-authenticate", "Basic realm=\"jeton\"");
    }
    answer
}

/// `grant_type=client_credentials`.
pub(super) fn credentials(desk: &Desk<'_>, caller: &Caller, form: &Form) -> Granted {
    if caller.id.is_empty() {
        return Err(Answer::oauth_error(
            401,
            "invalid_client",
            "this grant needs a client",
        ));
    }
    Ok(Issue::new(caller, &caller.id, form).answer(desk))
}
