//! The refresh grant (RFC 6749 section 6), with rotation and reuse detection (RFC 9700 section 4.14.2).
use super::client::Caller;
use super::issue::{Issue, audiences};
use super::{Granted, Ledger, narrowed, refused, required};
use crate::call::Form;
use crate::desk::{Desk, lock};
use crate::keys::unguessable;

/// A refresh token.
#[derive(Clone, Debug)]
pub(super) struct Held {
    issue: Issue,
    /// All that came out of one login; they fall together.
    family: String,
    used: bool,
}

/// The first refresh token of a login.
pub(super) fn begin(desk: &Desk<'_>, issue: Issue) -> String {
    let family = unguessable("");
    hold(
        &mut lock(&desk.provider.ledger),
        Held {
            issue,
            family,
            used: false,
        },
    )
}

/// A refresh token out of nothing, for tests that do not want to log in first.
pub(crate) fn planted(desk: &Desk<'_>, client: &str, subject: &str, scope: &str) -> String {
    let caller = Caller {
        id: client.to_owned(),
    };
    let mut issue = Issue::new(&caller, subject, &Form::default());
    scope.clone_into(&mut issue.scope);
    begin(desk, issue)
}

fn hold(ledger: &mut Ledger, held: Held) -> String {
    let token = unguessable("refresh-");
    ledger.refresh.insert(token.clone(), held);
    token
}

/// `grant_type=refresh_token`.
pub(super) fn refresh(desk: &Desk<'_>, caller: &Caller, form: &Form) -> Granted {
    let token = required(form, "refresh_token")?;
    let (mut issue, next) = {
        let mut ledger = lock(&desk.provider.ledger);
        let held = usable(&mut ledger, caller, &token)?;
        let narrow = narrowed(&held.issue.scope, form.one("scope"))?;
        let issue = Issue {
            scope: narrow,
            ..held.issue.clone()
        };
        (
            issue,
            desk.options()
                .rotate_refresh
                .then(|| rotate(&mut ledger, &token, held)),
        )
    };
    let asked = audiences(form);
    if !asked.is_empty() {
        issue.audience = asked;
    }
    Ok(issue.refreshed_answer(desk, next))
}

fn usable(ledger: &mut Ledger, caller: &Caller, token: &str) -> Result<Held, crate::answer::Answer> {
    let held = ledger.refresh.get(token).cloned();
    let held = held.ok_or_else(|| refused("invalid_grant", "unknown or revoked refresh token"))?;
    if held.used {
        end_family(ledger, &held.family);
        return Err(refused(
            "invalid_grant",
            "this refresh token was used before; all that came from its login are revoked",
        ));
    }
    if held.issue.client != caller.id {
        return Err(refused(
            "invalid_grant",
            "this refresh token is of another client",
        ));
    }
    Ok(held)
}

fn rotate(ledger: &mut Ledger, token: &str, held: Held) -> String {
    if let Some(old) = ledger.refresh.get_mut(token) {
        old.used = true;
    }
    hold(ledger, held)
}

fn end_family(ledger: &mut Ledger, family: &str) {
    ledger.refresh.retain(|_, held| held.family != family);
}

/// Revokes a refresh token and its family; `false` when it is none.
pub(super) fn revoke(desk: &Desk<'_>, token: &str) -> bool {
    let mut ledger = lock(&desk.provider.ledger);
    let family = ledger.refresh.get(token).map(|held| held.family.clone());
    family.inspect(|family| end_family(&mut ledger, family)).is_some()
}

/// The client and the scope of a refresh token that can be used.
pub(super) fn live(desk: &Desk<'_>, token: &str) -> Option<(String, String, String)> {
    let ledger = lock(&desk.provider.ledger);
    let held = ledger.refresh.get(token).filter(|held| !held.used)?;
    let Issue {
        client,
        scope,
        subject,
        ..
    } = held.issue.clone();
    Some((client, scope, subject))
}
