//! The device authorization grant (RFC 8628), with PKCE (RFC 7636) for clients that send it.
use super::client::{self, Caller};
use super::issue::Issue;
use super::{Granted, code, refused, required};
use crate::answer::Answer;
use crate::call::{Call, Form};
use crate::desk::{Desk, lock};
use crate::keys::unguessable;
use serde_json::json;
use std::time::Duration;

/// What `slow_down` adds to the interval (RFC 8628 section 3.5).
const SLOWER: Duration = Duration::from_secs(5);
/// How much earlier than the interval a poll may come: clocks and networks are not exact.
const EARLY: Duration = Duration::from_millis(100);

/// A device that waits for its user.
#[derive(Debug)]
pub(super) struct Pending {
    issue: Issue,
    user_code: String,
    challenge: Option<String>,
    state: State,
    /// When it was begun and last polled, on the issuer's monotonic clock.
    begun: Duration,
    polled: Option<Duration>,
    interval: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    Approved,
    Denied,
}

/// `POST /device_authorization`.
pub(super) fn authorization(desk: &Desk<'_>, call: &Call) -> Answer {
    begin(desk, call).unwrap_or_else(|refusal| refusal)
}

fn begin(desk: &Desk<'_>, call: &Call) -> Granted {
    let form = call.form();
    let caller = client::authenticate(desk, call, &form)?;
    if caller.id.is_empty() {
        return Err(refused("invalid_request", "client_id is missing"));
    }
    let challenge = code::challenge(&form)?;
    let options = desk.options();
    let (device_code, user_code) = (unguessable("device-"), user_code());
    let mut issue = Issue::new(&caller, "user", &form);
    // Some clients send the resource in the query.
    issue
        .audience
        .extend(Form::parse(call.query.as_bytes()).all("resource"));
    let pending = Pending {
        issue,
        user_code: user_code.clone(),
        challenge,
        state: if options.approve_devices {
            State::Approved
        } else {
            State::Waiting
        },
        begun: desk.provider.since_start(),
        polled: None,
        interval: options.device_interval,
    };
    lock(&desk.provider.ledger)
        .devices
        .insert(device_code.clone(), pending);
    let page = format!("{}/device", desk.url());
    Ok(Answer::json(
        200,
        json!({
            "device_code": device_code,
            "user_code": user_code,
            "verification_uri": page,
            "verification_uri_complete": format!("{page}?user_code={user_code}"),
            "expires_in": options.device_life.as_secs(),
            "interval": options.device_interval.as_secs(),
        }),
    ))
}

/// Letters that cannot be taken for each other, as RFC 8628 section 6.1 has it.
fn user_code() -> String {
    const LETTERS: &[u8] = b"BCDFGHJKLMNPQRSTVWXZ";
    let random = unguessable("");
    let letters: Vec<_> = random
        .bytes()
        .take(8)
        .map(|byte| LETTERS[usize::from(byte) % LETTERS.len()])
        .collect();
    let text = String::from_utf8_lossy(&letters);
    format!("{}-{}", &text[..4], &text[4..])
}

/// `GET /device`: what a person would see.
pub(super) fn page(_: &Desk<'_>, _: &Call) -> Answer {
    Answer::typed(
        200,
        "text/html; charset=utf-8",
        "<!DOCTYPE html><title>Device</title><form method=post action=device/approve>\
         <label>Code <input name=user_code></label> <button>Approve</button>\
         <button name=deny value=true>Deny</button></form>\n",
    )
}

/// `POST /device/approve` with `user_code`, and `subject`, or `deny=true`.
pub(super) fn approve(desk: &Desk<'_>, call: &Call) -> Answer {
    let form = call.form();
    let user_code = form
        .one("user_code")
        .or(call.query_value("user_code"))
        .unwrap_or_default();
    let mut ledger = lock(&desk.provider.ledger);
    let Some(pending) = ledger.devices.values_mut().find(|one| one.user_code == user_code) else {
        return Answer::text(404, "no device has this code\n");
    };
    let denied = form.one("deny").as_deref() == Some("true");
    pending.state = if denied { State::Denied } else { State::Approved };
    if let Some(subject) = form.one("subject") {
        pending.issue.subject = subject;
    }
    Answer::text(200, "done\n")
}

/// `grant_type=urn:ietf:params:oauth:grant-type:device_code`.
pub(super) fn poll(desk: &Desk<'_>, caller: &Caller, form: &Form) -> Granted {
    let device_code = required(form, "device_code")?;
    let issue = {
        let mut ledger = lock(&desk.provider.ledger);
        let pending = ledger.devices.get_mut(&device_code);
        let pending = pending.filter(|one| one.issue.client == caller.id);
        let pending = pending.ok_or_else(|| refused("invalid_grant", "unknown device code"))?;
        judge(desk, pending)?;
        code::check_verifier(pending.challenge.as_deref(), form)?;
        let issue = pending.issue.clone();
        ledger.devices.remove(&device_code);
        issue
    };
    Ok(issue.user_answer(desk))
}

fn judge(desk: &Desk<'_>, pending: &mut Pending) -> Result<(), Answer> {
    let now = desk.provider.since_start();
    let since = pending
        .polled
        .replace(now)
        .map(|polled| now.saturating_sub(polled));
    if now.saturating_sub(pending.begun) > desk.options().device_life {
        return Err(refused("expired_token", "nobody approved in time"));
    }
    if since.is_some_and(|since| since + EARLY < pending.interval) {
        pending.interval += SLOWER;
        return Err(refused("slow_down", "polled too soon"));
    }
    match pending.state {
        State::Waiting => Err(refused("authorization_pending", "nobody approved yet")),
        State::Denied => Err(refused("access_denied", "the user said no")),
        State::Approved => Ok(()),
    }
}
