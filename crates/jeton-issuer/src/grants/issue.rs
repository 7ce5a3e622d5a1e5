//! What a grant gives: an access token (RFC 9068), an ID token (OpenID Connect Core section 2), and the answer around
//! them (RFC 6749 section 5.1).
use super::client::Caller;
use super::refresh;
use crate::answer::Answer;
use crate::call::Form;
use crate::desk::{Desk, claims};
use crate::keys::half_hash;
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
    /// Claims of the access token beyond the usual ones.
    pub(super) more: Map<String, Value>,
    /// The nonce of the request that an ID token answers.
    pub(super) nonce: Option<String>,
}

impl Issue {
    pub(super) fn new(caller: &Caller, subject: &str, form: &Form) -> Self {
        Self {
            client: caller.id.clone(),
            subject: subject.to_owned(),
            scope: form.one("scope").unwrap_or_default(),
            audience: audiences(form),
            more: Map::new(),
            nonce: None,
        }
    }

    pub(super) fn has_scope(&self, wanted: &str) -> bool {
        self.scope.split(' ').any(|scope| scope == wanted)
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

    /// The ID token that goes with an access token; for the client, whatever the access token is for.
    pub(super) fn id_token(&self, desk: &Desk<'_>, access_token: &str) -> String {
        let mut members = claims([
            ("sub", json!(self.subject)),
            ("aud", json!(self.client)),
            ("azp", json!(self.client)),
            (
                "at_hash",
                json!(half_hash(desk.provider.keys().algorithm(), access_token)),
            ),
            ("auth_time", json!(desk.now().seconds())),
        ]);
        if let Some(nonce) = &self.nonce {
            members.insert("nonce".into(), json!(nonce));
        }
        if self.has_scope("email") {
            members.insert("email".into(), json!(format!("{}@example.com", self.subject)));
            members.insert("email_verified".into(), json!(true));
        }
        desk.sign(Mint::new(
            desk.url(),
            desk.now(),
            desk.options().access_life,
            members,
        ))
    }

    fn audience_claim(&self, desk: &Desk<'_>) -> Value {
        match self.audience.as_slice() {
            [] => json!(desk.url()),
            [one] => json!(one),
            many => json!(many),
        }
    }

    fn members(&self, desk: &Desk<'_>, access_token: &str) -> Map<String, Value> {
        claims([
            ("access_token", json!(access_token)),
            ("token_type", json!("Bearer")),
            ("expires_in", json!(desk.options().access_life.as_secs())),
            ("scope", json!(self.scope)),
        ])
    }

    /// The answer of a grant without a user.
    pub(super) fn answer(&self, desk: &Desk<'_>) -> Answer {
        answer(self.members(desk, &self.access_token(desk)))
    }

    /// The answer of a grant with a user: an ID token for `openid`, a refresh token for `offline_access`.
    pub(super) fn user_answer(&self, desk: &Desk<'_>) -> Answer {
        let refresh_token = self
            .has_scope("offline_access")
            .then(|| refresh::begin(desk, self.clone()));
        self.refreshed_answer(desk, refresh_token)
    }

    pub(super) fn refreshed_answer(&self, desk: &Desk<'_>, refresh_token: Option<String>) -> Answer {
        let access_token = self.access_token(desk);
        let mut members = self.members(desk, &access_token);
        if self.has_scope("openid") {
            members.insert("id_token".into(), json!(self.id_token(desk, &access_token)));
        }
        if let Some(token) = refresh_token {
            members.insert("refresh_token".into(), json!(token));
        }
        answer(members)
    }
}

/// The audiences (RFC 8693) and resources (RFC 8707) of a request.
pub(super) fn audiences(form: &Form) -> Vec<String> {
    let mut all = form.all("audience");
    all.extend(form.all("resource"));
    all
}

pub(super) fn answer(members: Map<String, Value>) -> Answer {
    Answer::json(200, Value::Object(members))
        .with("cache-control", "no-store")
        .token_at("/access_token")
}
