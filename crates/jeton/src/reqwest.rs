//! A fresh token on each request of a `reqwest` client (feature `reqwest`).
use crate::Error;
use crate::bearer::authorization;
use crate::jeton::Jeton;
use ::http::header::AUTHORIZATION;
use ::reqwest::{Client, Request, Response, StatusCode};
use jeton_core::{Class, TokenRequest};

/// Sends `request` with a token that is fresh at this moment. After a 401 the token is forgotten and the request is
/// sent once more with a new one, if its body can be sent again; the second answer is the answer.
///
/// A client that follows redirects takes the header off when the host changes; `reqwest` does that by itself.
///
/// # Errors
/// What getting a token fails with; what sending fails with as `Class::Unavailable`, or `Class::Timeout`.
pub async fn send(
    jeton: &Jeton,
    client: &Client,
    wanted: &TokenRequest,
    mut request: Request,
) -> Result<Response, Error> {
    let token = jeton.token(wanted).await?;
    let again = request.try_clone();
    request
        .headers_mut()
        .insert(AUTHORIZATION, authorization(&token)?);
    let response = client.execute(request).await.map_err(unsent)?;
    let (StatusCode::UNAUTHORIZED, Some(mut again)) = (response.status(), again) else {
        return Ok(response);
    };
    jeton.invalidate(&token);
    let token = jeton.token(wanted).await?;
    again.headers_mut().insert(AUTHORIZATION, authorization(&token)?);
    client.execute(again).await.map_err(unsent)
}

fn unsent(error: ::reqwest::Error) -> Error {
    let class = if error.is_timeout() {
        Class::Timeout
    } else {
        Class::Unavailable
    };
    // A URL may hold a secret in its query.
    Error::new(class, "the request could not be sent").with_source(error.without_url())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Chain, Clock, Context, Env, source};
    use jeton_core::UnixTime;
    use jeton_issuer::{Issuer, Options};

    #[tokio::test]
    async fn c12_after_a_401_the_token_is_forgotten_and_the_request_sent_once_more() {
        let clock = Clock::manual(UnixTime::from_seconds(1_800_000_000));
        let theirs = clock.clone();
        let options = Options::new(move || theirs.now().wall).with_algorithm(jeton_issuer::Algorithm::Es256);
        let issuer = Issuer::start(options).await.unwrap();
        let env: Env = issuer.environment("github").unwrap().into_iter().collect();
        let chain = Chain::ambient(vec![source::named("github").unwrap()]);
        let jeton = Jeton::builder(Context::new(env, clock), chain)
            .no_disk_cache()
            .build();
        let (client, wanted) = (Client::new(), TokenRequest::audience("a"));
        let url = format!("{}/.well-known/openid-configuration", issuer.url());
        // (401 so often, status, requests)
        for (refusals, status, requests) in [(0, 200, 1), (1, 200, 2), (2, 401, 2)] {
            issuer.clear_faults();
            issuer.reset_requests();
            let refuse = jeton_issuer::Rule::new("discovery", "s401").unwrap();
            issuer.add_rule(refuse.times(refusals));
            let request = client.get(&url).build().unwrap();
            let response = send(&jeton, &client, &wanted, request).await.unwrap();
            assert_eq!(response.status(), status);
            let sent = issuer.requests_of("discovery");
            assert_eq!(sent.len(), requests);
            let mut shown: Vec<_> = sent.iter().filter_map(|r| r.header("authorization")).collect();
            shown.dedup();
            assert_eq!(shown.len(), requests, "each with a token of its own");
        }
    }
}
