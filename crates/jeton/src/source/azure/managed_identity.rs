//! Managed identities: one question, `resource`, to one of four endpoints that differ in names only.
//!
//! Azure documentation, "How to use managed identities for Azure resources on an Azure VM to acquire an access token"
//! and "… for App Service and Azure Functions, REST endpoint reference".
use super::Place;
use crate::http::{Fault, Request, Response, Route, checked_metadata_url};
use crate::{Context, Env, Error, answer};
use ::http::Method;
use jeton_core::{Failure, Secret, Token, TokenRequest};
use std::time::Duration;

/// Where the instance metadata service is, as the vendor's own libraries read it.
pub(super) const IMDS_OVERRIDE: &str = "AZURE_POD_IDENTITY_AUTHORITY_HOST";
const IMDS: &str = "http://169.254.169.254";
const IMDS_PATH: &str = "/metadata/identity/oauth2/token";
const APP_SERVICE_VERSION: &str = "2019-08-01";
const IMDS_VERSION: &str = "2019-08-01";
const MACHINE_LEARNING_VERSION: &str = "2017-09-01";
/// A neighbour that does not answer at once is not there.
const CONNECT: Duration = Duration::from_secs(1);

/// An access token for `resource`. Without a place, only a caller who named this source comes here.
pub(super) async fn fetch(
    cx: &Context,
    place: Option<Place>,
    resource: &str,
    wanted: &TokenRequest,
) -> Result<Token, Error> {
    let mut near = cx.clone();
    if place.is_none() {
        // Nothing says that this is Azure: this is a probe, and a probe is not repeated.
        near.policy.max_attempts = 1;
    }
    let request = request(&cx.env, place.unwrap_or(Place::Instance), resource)?;
    near.fetch("azure: managed identity", &request, |response| {
        read(cx, response, wanted)
    })
    .await
}

/// The question in the endpoint's own words.
fn request(env: &Env, place: Place, resource: &str) -> Result<Request, Error> {
    let value = |name: &str| env.get(name).unwrap_or_default().to_owned();
    let (endpoint, version, client_id, secret) = match place {
        Place::AppService => {
            let secret = ("x-identity-header", value("IDENTITY_HEADER"));
            (
                ("IDENTITY_ENDPOINT", value("IDENTITY_ENDPOINT")),
                Some(APP_SERVICE_VERSION),
                "client_id",
                Some(secret),
            )
        }
        Place::MachineLearning => {
            let secret = ("secret", value("MSI_SECRET"));
            (
                ("MSI_ENDPOINT", value("MSI_ENDPOINT")),
                Some(MACHINE_LEARNING_VERSION),
                "clientid",
                Some(secret),
            )
        }
        Place::CloudShell => (("MSI_ENDPOINT", value("MSI_ENDPOINT")), None, "", None),
        _ => {
            let host = env.get(IMDS_OVERRIDE).unwrap_or(IMDS).trim_end_matches('/');
            (
                (IMDS_OVERRIDE, format!("{host}{IMDS_PATH}")),
                Some(IMDS_VERSION),
                "client_id",
                None,
            )
        }
    };
    let mut url = checked_metadata_url(&endpoint.1, endpoint.0)?;
    let Some(version) = version else {
        // Cloud Shell takes a form, and has one identity only: the person's.
        return Ok(near(
            Request::form(url, &[("resource", resource)]).header("metadata", "true"),
        ));
    };
    url.query_pairs_mut()
        .append_pair("api-version", version)
        .append_pair("resource", resource);
    if let Some(id) = env.get("AZURE_CLIENT_ID") {
        url.query_pairs_mut().append_pair(client_id, id);
    }
    let request = near(Request::new(Method::GET, url));
    Ok(match secret {
        Some((name, secret)) => request.secret_header(name, &Secret::new(secret)),
        None => request.header("metadata", "true"),
    })
}

/// The same request as one to a neighbour: never through a proxy, never on to another place.
pub(super) fn near(mut request: Request) -> Request {
    request.route = Route::Direct;
    request.connect_timeout = Some(CONNECT);
    request.credential = true;
    request
}

/// Reads the answer of every one of these endpoints.
pub(super) fn read(cx: &Context, response: &Response, wanted: &TokenRequest) -> Result<Token, Fault> {
    if response.status == 200 {
        super::access_token(cx, response, wanted)
    } else {
        Err(refused(response))
    }
}

/// The fault of an answer that is no success. The instance metadata service says 404 and 410 while it starts or is being
/// updated, and its documentation has them asked again like a 503.
fn refused(response: &Response) -> Fault {
    let mut fault = answer::oauth_fault(response);
    match response.status {
        404 | 410 | 505..=511 => fault.failure = Failure::Status(503),
        _ => {}
    }
    match response.status {
        400 => fault.with_hint(
            "assign an identity to the machine or app, check AZURE_CLIENT_ID (it chooses among several), and ask for a \
             resource that Entra knows as --audience",
        ),
        403 => fault.with_hint("is something between this program and the metadata service, such as a proxy?"),
        _ => fault,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_endpoint_is_asked_in_its_own_words() {
        let env: Env = [
            ("IDENTITY_ENDPOINT", "http://127.0.0.1:41/msi/token"),
            ("IDENTITY_HEADER", "app-secret"),
            ("MSI_ENDPOINT", "http://127.0.0.1:42/msi"),
            ("MSI_SECRET", "ml-secret"),
            ("AZURE_CLIENT_ID", "an-id"),
        ]
        .into_iter()
        .collect();
        let rows = [
            (
                Place::AppService,
                "GET http://127.0.0.1:41/msi/token?api-version=2019-08-01&resource=https%3A%2F%2Fr&client_id=an-id",
                ("x-identity-header", "app-secret"),
            ),
            (
                Place::MachineLearning,
                "GET http://127.0.0.1:42/msi?api-version=2017-09-01&resource=https%3A%2F%2Fr&clientid=an-id",
                ("secret", "ml-secret"),
            ),
            (
                Place::CloudShell,
                "POST http://127.0.0.1:42/msi",
                ("metadata", "true"),
            ),
            (
                Place::Instance,
                "GET http://169.254.169.254/metadata/identity/oauth2/token?api-version=2019-08-01&resource=https%3A%2F%2Fr\
                 &client_id=an-id",
                ("metadata", "true"),
            ),
        ];
        for (place, line, (name, value)) in rows {
            let request = request(&env, place, "https://r").unwrap();
            assert_eq!(format!("{} {}", request.method, request.url), line);
            assert_eq!(request.headers[name], value, "{place:?}");
            assert!(request.credential && request.route == Route::Direct);
        }
    }
}
