//! The authorization code grant (RFC 6749 section 4.1) with PKCE (RFC 7636). Nobody is asked: whoever comes is the user
//! named by `login_hint`, or `user`.
use super::client::Caller;
use super::issue::Issue;
use super::{Granted, refused, required};
use crate::answer::Answer;
use crate::call::{Call, Form};
use crate::desk::{Desk, lock};
use crate::keys::{hash, unguessable};
use std::time::Duration;
use url::Url;

/// How long a code can be used: one minute is a tenth of what RFC 6749 section 4.1.2 allows.
const CODE_LIFE: Duration = Duration::from_secs(60);

/// A code that can be exchanged once.
#[derive(Debug)]
pub(super) struct Authorized {
    issue: Issue,
    redirect_uri: String,
    challenge: Option<String>,
    begun: Duration,
}

/// `GET /authorize`: sends the browser back at once.
pub(super) fn authorize(desk: &Desk<'_>, call: &Call) -> Answer {
    let form = Form::parse(call.query.as_bytes());
    let redirect = form.one("redirect_uri").unwrap_or_default();
    let Ok(mut back) = Url::parse(&redirect) else {
        return Answer::text(400, "redirect_uri is missing or no absolute URI\n");
    };
    // Without a client there is nobody to send an error to (RFC 6749 section 4.1.2.1).
    let Some(client) = form.one("client_id").filter(|id| is_known(desk, id)) else {
        return Answer::text(400, "client_id is missing or unknown\n");
    };
    let outcome = authorized(desk, &form, &client, &redirect);
    {
        let mut pairs = back.query_pairs_mut();
        match &outcome {
            Ok(code) => pairs.append_pair("code", code),
            Err((error, why)) => pairs
                .append_pair("error", error)
                .append_pair("error_description", why),
        };
        if let Some(state) = form.one("state") {
            pairs.append_pair("state", &state);
        }
        pairs.append_pair("iss", desk.url());
    }
    Answer::text(302, "back to the client\n").with("location", back.as_str())
}

fn is_known(desk: &Desk<'_>, id: &str) -> bool {
    let clients = &desk.options().clients;
    clients.is_empty() || clients.iter().any(|client| client.id == id)
}

type Outcome = Result<String, (&'static str, &'static str)>;

fn authorized(desk: &Desk<'_>, form: &Form, client: &str, redirect_uri: &str) -> Outcome {
    if form.one("response_type").as_deref() != Some("code") {
        return Err(("unsupported_response_type", "response_type is code"));
    }
    let challenge = challenge(form).map_err(|_| ("invalid_request", "code_challenge_method is S256"))?;
    if challenge.is_none() {
        return Err(("invalid_request", "code_challenge is missing"));
    }
    let caller = Caller {
        id: client.to_owned(),
    };
    let subject = form.one("login_hint").unwrap_or_else(|| "user".into());
    let mut issue = Issue::new(&caller, &subject, form);
    issue.nonce = form.one("nonce");
    let (code, begun) = (unguessable("code-"), desk.provider.since_start());
    let authorized = Authorized {
        issue,
        redirect_uri: redirect_uri.to_owned(),
        challenge,
        begun,
    };
    lock(&desk.provider.ledger).codes.insert(code.clone(), authorized);
    Ok(code)
}

/// The S256 challenge of a request, if it has one; `plain` is refused.
pub(super) fn challenge(form: &Form) -> Result<Option<String>, Answer> {
    match (
        form.one("code_challenge"),
        form.one("code_challenge_method").as_deref(),
    ) {
        (None, _) => Ok(None),
        (Some(challenge), Some("S256")) => Ok(Some(challenge)),
        (Some(_), _) => Err(refused("invalid_request", "code_challenge_method is S256")),
    }
}

/// That the verifier fits the challenge (RFC 7636 section 4.6); one without the other is refused.
pub(super) fn check_verifier(challenge: Option<&str>, form: &Form) -> Result<(), Answer> {
    let verifier = form.one("code_verifier");
    match (challenge, verifier) {
        (None, None) => Ok(()),
        (Some(challenge), Some(verifier)) if hash(&verifier) == challenge => Ok(()),
        _ => Err(refused("invalid_grant", "the code_verifier does not fit")),
    }
}

/// `grant_type=authorization_code`.
pub(super) fn exchange(desk: &Desk<'_>, caller: &Caller, form: &Form) -> Granted {
    let code = required(form, "code")?;
    // Whatever is wrong, a code that was shown once is used up.
    let authorized = lock(&desk.provider.ledger).codes.remove(&code);
    let authorized = authorized.ok_or_else(|| refused("invalid_grant", "unknown or used code"))?;
    let age = desk.provider.since_start().saturating_sub(authorized.begun);
    if age > CODE_LIFE || authorized.issue.client != caller.id {
        return Err(refused(
            "invalid_grant",
            "the code is too old, or of another client",
        ));
    }
    if form.one("redirect_uri").as_ref() != Some(&authorized.redirect_uri) {
        return Err(refused(
            "invalid_grant",
            "redirect_uri is not the one of the request",
        ));
    }
    check_verifier(authorized.challenge.as_deref(), form)?;
    Ok(authorized.issue.user_answer(desk))
}
