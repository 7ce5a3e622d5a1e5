//! Workload identity: the federated token of a pod, and the client assertion that turns it into an access token.
//!
//! Microsoft identity platform documentation, "Access token request with a federated credential"; RFC 7523 section 2.2.
use super::{EXCHANGE_AUDIENCE, NAME, TOKEN_FILE, access_token, fingerprint, projected, resource};
use crate::http::{Fault, Request, Response, checked_url};
use crate::source::Presence;
use crate::source::file::TokenFile;
use crate::{Context, Env, Error, answer};
use jeton_core::{Class, Secret, Token, TokenRequest};

const AUTHORITY: &str = "https://login.microsoftonline.com/";
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Who asks for an access token, and by what proof.
#[derive(Clone, Debug)]
pub struct ClientAssertion {
    /// Where Entra is: `https://login.microsoftonline.com/`, or another cloud's.
    pub authority: String,
    /// The directory: an id or a domain.
    pub tenant: String,
    /// The application's id.
    pub client_id: String,
    /// The token that the application's federated credential trusts.
    pub assertion: Secret,
}

impl ClientAssertion {
    /// What `AZURE_AUTHORITY_HOST`, `AZURE_TENANT_ID` and `AZURE_CLIENT_ID` say, with `assertion` as the proof.
    ///
    /// # Errors
    /// [`Class::Config`] naming the variable that is missing.
    pub fn from_env(env: &Env, assertion: Secret) -> Result<Self, Error> {
        let needed = |name: &str| {
            env.get(name).map(|value| value.trim().to_owned()).ok_or_else(|| {
                Error::new(Class::Config, format!("azure: {name} is not set"))
                    .with_hint("the webhook of workload identity sets it: label the pod azure.workload.identity/use=true")
            })
        };
        Ok(Self {
            authority: env
                .get("AZURE_AUTHORITY_HOST")
                .unwrap_or(AUTHORITY)
                .trim()
                .to_owned(),
            tenant: needed("AZURE_TENANT_ID")?,
            client_id: needed("AZURE_CLIENT_ID")?,
            assertion,
        })
    }
}

pub(super) fn presence(cx: &Context, request: &TokenRequest, reason: String) -> Presence {
    let token = match file(&cx.env).map(|file| projected::look(&file)) {
        Some(Err(broken)) => return broken,
        Some(Ok(token)) => token,
        None => None,
    };
    if let Some(token) = token.as_ref().filter(|token| projected::fits(token, request)) {
        return Presence::ready(
            format!("{reason}, and its token fits"),
            projected::fingerprint_whole(token),
        );
    }
    if let Some(missing) = ["AZURE_TENANT_ID", "AZURE_CLIENT_ID"]
        .iter()
        .find(|name| cx.env.get(name).is_none())
    {
        return Presence::broken(
            format!("{reason}, but {missing} is not set"),
            format!("set {missing}, or ask for --audience {EXCHANGE_AUDIENCE}"),
        );
    }
    let file = token
        .map(|token| projected::fingerprint(&token))
        .unwrap_or_default();
    Presence::ready(
        reason,
        projected::joined([fingerprint(&cx.env).as_slice(), &file]),
    )
}

pub(super) async fn fetch(cx: &Context, request: &TokenRequest) -> Result<Token, Error> {
    let file =
        file(&cx.env).ok_or_else(|| Error::new(Class::Config, format!("azure: {TOKEN_FILE} is not set")))?;
    let token = file.read().await?;
    if projected::fits(&token, request) {
        return projected::token(cx, NAME, &token, request);
    }
    let resource = resource(request)?;
    let client = ClientAssertion::from_env(&cx.env, token)?;
    client_assertion(cx, &client, &format!("{resource}/.default"), request).await
}

/// Exchanges a federated token for an access token of the application, for `scope` (`https://vault.azure.net/.default`).
///
/// # Errors
/// [`Class::Refused`] when the application does not trust the token, with a hint; every class of the wire.
pub async fn client_assertion(
    cx: &Context,
    client: &ClientAssertion,
    scope: &str,
    wanted: &TokenRequest,
) -> Result<Token, Error> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    if client.tenant.is_empty() || !client.tenant.bytes().all(plain) {
        return Err(Error::new(
            Class::Config,
            "azure: AZURE_TENANT_ID is no directory's id or domain",
        ));
    }
    let url = format!(
        "{}/{}/oauth2/v2.0/token",
        client.authority.trim_end_matches('/'),
        client.tenant
    );
    let url = checked_url(&url, "AZURE_AUTHORITY_HOST")?;
    let fields = [
        ("grant_type", "client_credentials"),
        ("client_id", client.client_id.as_str()),
        ("client_assertion_type", ASSERTION_TYPE),
        ("client_assertion", client.assertion.reveal()),
        ("scope", scope),
    ];
    let request = Request::form(url, &fields);
    cx.fetch("azure: client assertion", &request, |response| {
        if response.status == 200 {
            access_token(cx, response, wanted)
        } else {
            Err(refused(response))
        }
    })
    .await
}

/// The fault of an answer that is no success, with what to do by Entra's own number in the description.
fn refused(response: &Response) -> Fault {
    let fault = answer::oauth_fault(response);
    match HINTS.iter().find(|(number, _)| fault.detail.contains(number)) {
        Some((_, hint)) => fault.with_hint(*hint),
        None => fault,
    }
}

/// What Entra's numbers ask for.
const HINTS: [(&str, &str); 5] = [
    (
        "AADSTS700024",
        "the federated token is outside its time: is the file kept fresh, and the clock right?",
    ),
    (
        "AADSTS70021",
        "add a federated credential to the application for exactly this issuer, subject and audience",
    ),
    (
        "AADSTS700016",
        "AZURE_CLIENT_ID is no application of the directory in AZURE_TENANT_ID",
    ),
    (
        "AADSTS500011",
        "the directory knows no such resource: check --audience",
    ),
    ("AADSTS90002", "AZURE_TENANT_ID is no directory of this authority"),
];

fn file(env: &Env) -> Option<TokenFile> {
    Some(TokenFile::of_platform(env.get(TOKEN_FILE)?, TOKEN_FILE).replaced())
}
