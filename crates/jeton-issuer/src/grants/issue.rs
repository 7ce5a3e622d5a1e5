//! What a grant gives: an access token (RFC 9068) and the answer around it.
use super::client::Caller;
use crate::answer::Answer;
use crate::call::Form;
use crate::desk::{Desk, claims};
use crate::mint::Mint;
use serde_json::{Map, Value, json};

/// What is to be issued, and to whom.
#[derive(Clone, Debug)]
pub(super) struct Issue {
    pub(super) client: String,
    pub(super) subject: String,
    pub(super) scope: String,
    /// What `aud` will be: the audiences and resources asked for (RFC 8707, RFC 8693), or the issuer.
    pub(super) audience: Vec<String>,
    /// Claims beyond the usual ones.
    pub(super) more: Map<String, Value>,
}

impl Issue {
    pub(super) fn new(caller: &Caller, subject: &str, form: &Form) -> Self {
        let mut audience = form.all("audience");
        audience.extend(form.all("resource"));
        Self {
            client: caller.id.clone(),
            subject: subject.to_owned(),
            scope: form.one("scope").unwrap_or_default(),
            audience,
            more: Map::new(),
        }
    }

    /// The access token, a JWT with type `at+jwt`.
    pub(super) fn access_token(&self, desk: &Desk<'_>) -> String {
        let mut members = claims([
            ("sub", json!(self.subject)),
            ("aud", self.audience_claim(desk)),
            ("client_id", json!(self.client)),
            ("scope", json!(self.scope)),
        ]);
        members.extend(self.more.clone());
        let life = desk.options().access_life;
        desk.sign(Mint::new(desk.url(), desk.now(), life, members).typed("at+jwt"))
    }

    fn audience_claim(&self, desk: &Desk<'_>) -> Value {
        match self.audience.as_slice() {
            [] => json!(desk.url()),
            [one] => json!(one),
            many => json!(many),
        }
    }

    /// The members of a successful answer (RFC 6749 section 5.1).
    pub(super) fn members(&self, desk: &Desk<'_>) -> Map<String, Value> {
        claims([
            ("access_token", json!(self.access_token(desk))),
            ("token_type", json!("Bearer")),
            ("expires_in", json!(desk.options().access_life.as_secs())),
            ("scope", json!(self.scope)),
        ])
    }

    pub(super) fn answer(&self, desk: &Desk<'_>) -> Answer {
        answer(self.members(desk))
    }
}

pub(super) fn answer(members: Map<String, Value>) -> Answer {
    Answer::json(200, Value::Object(members))
        .with("cache-control", "no-store")
        .token_at("/access_token")
}
