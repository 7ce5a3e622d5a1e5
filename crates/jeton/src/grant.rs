//! A grant asks a token endpoint: who asks (a [`Client`]), whom (an [`Authority`]), with what (the grant's own fields).
//!
//! The children are the grants, one file each. What comes back is read by [`jeton_core::oauth`]; what a failure means
//! is the retry contract's business. A request that may have rotated a single-use refresh token is never repeated
//! blindly ([`Ask::repeatable`]).
use crate::answer::{Received, Shape};
use crate::http::{Fault, Request, Response, checked_url};
use crate::{Context, Error, answer};
use jeton_core::oauth::TokenAnswer;
use jeton_core::{Class, Failure, Moment, Token, TokenRequest, UnixTime};

pub mod authority;
pub mod client;
pub mod client_credentials;
pub mod code;
pub mod device;
pub mod exchange;
pub mod identity;
pub mod jwt_bearer;
pub mod preset;
pub mod refresh;
pub mod revocation;

pub use authority::Authority;
pub use client::{Client, ClientAuth};

/// A token endpoint's answer, with what is needed to measure its life.
#[derive(Clone, Debug)]
pub struct Granted {
    /// What was answered.
    pub answer: TokenAnswer,
    /// The answer's `Date`.
    pub date: Option<UnixTime>,
    /// When it was received.
    pub received: Moment,
}

/// One request to a token endpoint.
pub struct Ask<'a> {
    /// What is being done, for messages: `profile "stack": refresh`.
    pub what: &'a str,
    /// The endpoint.
    pub endpoint: &'a str,
    /// Who asks.
    pub client: &'a Client,
    /// The grant's own fields, `grant_type` first.
    pub fields: Vec<(&'static str, String)>,
    /// Whether the request may be sent again when an answer was lost.
    pub repeatable: bool,
}

impl Ask<'_> {
    /// Sends it under the retry contract.
    ///
    /// # Errors
    /// `Class::Refused` with the OAuth code for an error answer, `Class::Protocol` for a 200 that is no answer, and
    /// everything that [`Context::fetch`] fails with.
    pub async fn send(&self, cx: &Context) -> Result<Granted, Error> {
        let url = checked_url(self.endpoint, self.what)?;
        let credential = self.client.credential(cx).await?;
        let make = |_attempt| {
            let mut fields: Vec<(&str, String)> = self.fields.clone();
            // A client assertion is used once: a fresh one, with a fresh `jti`, for every attempt (RFC 7523 section 3).
            let authorization = credential.apply(&mut fields, &url, cx.clock.now())?;
            let borrowed: Vec<(&str, &str)> = fields.iter().map(|(k, v)| (*k, v.as_str())).collect();
            let mut request = Request::form(url.clone(), &borrowed).header("accept", "application/json");
            if let Some(value) = authorization {
                request = request.secret_header("authorization", &value);
            }
            request.repeatable = self.repeatable;
            if !self.repeatable {
                cx.observer.committed();
            }
            Ok(request)
        };
        cx.fetch_anew(self.what, make, read_granted).await
    }
}

pub(crate) fn read_granted(response: &Response) -> Result<Granted, Fault> {
    if response.status != 200 {
        return Err(refusal(response));
    }
    let body = answer::json(response)?;
    // Some servers answer 200 with an error.
    if body.get("error").is_some_and(|error| error.as_str().is_some()) {
        return Err(answer::oauth_fault(response));
    }
    let answer = TokenAnswer::read(&body)
        .map_err(|e| Fault::new(Failure::Unexpected, format!("the answer's {}", e.0)))?;
    Ok(Granted {
        answer,
        date: response.date,
        received: response.received,
    })
}

/// An answer other than 200: an OAuth error where the body holds one, else what the status says.
pub(crate) fn refusal(response: &Response) -> Fault {
    let mut fault = answer::oauth_fault(response);
    let words = match response.status {
        401 => "unauthorized access",
        403 => "forbidden access",
        _ => return fault,
    };
    fault.detail = format!("{words}: {}", fault.detail);
    fault
}

impl Granted {
    /// The access token as a checked [`Token`] for `request`.
    ///
    /// # Errors
    /// `Class::Token` when it is dead or for somebody else.
    pub fn into_token(
        &self,
        cx: &Context,
        source: &str,
        request: &TokenRequest,
        what: &str,
    ) -> Result<Token, Error> {
        let mut received = Received::at(self.received)
            .shape(Shape::Any)
            .expires_in(self.answer.expires_in);
        received.date = self.date;
        received.minted = true;
        received.scopes.clone_from(&self.answer.scopes);
        let token = answer::token(cx, source, request, &self.answer.access_token, received);
        let mut token = token.map_err(|fault| {
            let error = Error::new(fault.failure.verdict().class, format!("{what}: {}", fault.detail));
            fault.hint.iter().fold(error, |error, hint| error.with_hint(hint))
        })?;
        token.token_type.clone_from(&self.answer.token_type);
        Ok(token)
    }
}

/// The error of a grant whose session is over: who must log in, and how.
#[must_use]
pub fn login_needed(profile: &str, why: &str) -> Error {
    Error::new(
        Class::Refused,
        format!("profile \"{profile}\": {why}: login again"),
    )
    .with_hint(format!("run `jeton login {profile}`"))
}

/// Random bytes for states, nonces, verifiers and ids.
///
/// # Errors
/// `Class::Other` when the system has no randomness to give.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0u8; N];
    aws_lc_rs::rand::fill(&mut bytes)
        .map_err(|_| Error::new(Class::Other, "the system gave no random bytes"))?;
    Ok(bytes)
}

/// A random value of 128 bits in hexadecimal, for `jti`, `state` and `nonce`.
pub(crate) fn random_id() -> Result<String, Error> {
    Ok(random::<16>()?.iter().map(|b| format!("{b:02x}")).collect())
}
