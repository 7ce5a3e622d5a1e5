//! The device flow (RFC 8628), with PKCE: a code here, a confirmation on any other screen.
use super::{Ask, Authority, Client, Granted, random, refusal};
use crate::http::{Fault, Request, Response, checked_url};
use crate::{Context, Error, answer};
use jeton_core::oauth::{DeviceAnswer, Next, OAuthError, Poll, PollAnswer, Verifier, grant_type};
use jeton_core::{Class, Failure, RetryPolicy, TokenRequest};
use std::time::Duration;
use tokio::time::Instant;

/// What a person is shown while the device flow waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// Where to go.
    pub verification_uri: String,
    /// The same with the code in it.
    pub verification_uri_complete: Option<String>,
    /// The code to type there.
    pub user_code: String,
    /// How long it is good.
    pub expires_in: Duration,
}

/// Logs in by device code. `show` is called once, when there is something to show.
///
/// Dropping the future stops the polling.
///
/// # Errors
/// `Class::Refused` when the person or the server said no, `Class::Timeout` when the code ran out, else as
/// [`Context::fetch`].
pub async fn login(
    cx: &Context,
    what: &str,
    authority: &Authority,
    client: &Client,
    request: &TokenRequest,
    show: impl FnOnce(&Prompt),
) -> Result<Granted, Error> {
    let verifier = Verifier::new(random()?);
    let device = authorize(cx, what, authority, client, request, &verifier).await?;
    show(&Prompt {
        verification_uri: device.verification_uri.clone(),
        verification_uri_complete: device.verification_uri_complete.clone(),
        user_code: device.user_code.clone(),
        expires_in: device.expires_in,
    });
    let token_endpoint = authority.token_endpoint(cx).await?;
    let ask = Ask {
        what,
        endpoint: &token_endpoint,
        client,
        fields: vec![
            ("grant_type", grant_type::DEVICE_CODE.to_owned()),
            ("device_code", device.device_code.reveal().to_owned()),
            ("code_verifier", verifier.secret().reveal().to_owned()),
        ],
        repeatable: true,
    };
    poll(cx, &ask, &device).await
}

async fn authorize(
    cx: &Context,
    what: &str,
    authority: &Authority,
    client: &Client,
    request: &TokenRequest,
    verifier: &Verifier,
) -> Result<DeviceAnswer, Error> {
    let endpoint = authority.endpoint(cx, "device_authorization_endpoint").await?;
    let url = checked_url(&endpoint, what)?;
    let credential = client.credential(cx).await?;
    let mut fields = super::client_credentials::target_fields(request);
    fields.push(("code_challenge", verifier.challenge()));
    fields.push(("code_challenge_method", "S256".to_owned()));
    let make = |_| {
        let mut fields = fields.clone();
        let authorization = credential.apply(&mut fields, &url, cx.clock.now())?;
        if authorization.is_some() {
            // RFC 8628 section 3.1 wants `client_id` in the form even where the client proves itself in a header.
            fields.push(("client_id", client.id.clone()));
        }
        let borrowed: Vec<(&str, &str)> = fields.iter().map(|(k, v)| (*k, v.as_str())).collect();
        let form = Request::form(url.clone(), &borrowed).header("accept", "application/json");
        Ok(authorization
            .iter()
            .fold(form, |form, value| form.secret_header("authorization", value)))
    };
    cx.fetch_anew(what, make, read_device).await
}

fn read_device(response: &Response) -> Result<DeviceAnswer, Fault> {
    if response.status != 200 {
        return Err(refusal(response));
    }
    let body = answer::json(response)?;
    DeviceAnswer::read(&body)
        .map_err(|e| Fault::new(Failure::Unexpected, format!("the device answer's {}", e.0)))
}

/// Polls until the token is there, somebody says no, or the code runs out. One request a poll: the interval is the
/// retry, so that nothing asks more often than the server wants.
async fn poll(cx: &Context, ask: &Ask<'_>, device: &DeviceAnswer) -> Result<Granted, Error> {
    let ends = Instant::now() + device.expires_in;
    let once = Context {
        policy: RetryPolicy {
            max_attempts: 1,
            ..cx.policy
        },
        ..cx.clone()
    };
    let mut poll = Poll::new(device);
    let mut wait = poll.interval();
    loop {
        if Instant::now() + wait >= ends {
            tokio::time::sleep_until(ends).await;
            return Err(expired(ask.what));
        }
        cx.bounded(ask.what, async {
            tokio::time::sleep(wait).await;
            Ok(())
        })
        .await?;
        let (granted, said) = classify(ask.send(&once).await)?;
        wait = match (poll.next(said), granted) {
            (Next::Done, Some(granted)) => return Ok(granted),
            (Next::Wait(wait), _) => wait,
            (Next::Denied(error), _) => {
                return Err(
                    Error::new(Class::Refused, format!("{}: {error}", ask.what)).with_oauth(error.code)
                );
            }
            (Next::Expired | Next::Done, _) => return Err(expired(ask.what)),
        };
    }
}

/// Sorts an attempt's end into what the poll's decision takes; an error that is neither OAuth's nor transient ends it.
fn classify(sent: Result<Granted, Error>) -> Result<(Option<Granted>, PollAnswer), Error> {
    match sent {
        Ok(granted) => Ok((Some(granted), PollAnswer::Granted)),
        Err(e) => match e.oauth() {
            Some(code) => Ok((
                None,
                PollAnswer::Error(OAuthError {
                    code: code.to_owned(),
                    description: None,
                }),
            )),
            None if e.is_transient() && e.kind() != Class::Timeout => Ok((None, PollAnswer::Lost)),
            None => Err(e),
        },
    }
}

fn expired(what: &str) -> Error {
    Error::new(
        Class::Timeout,
        format!("{what}: the device code ran out before it was confirmed"),
    )
    .with_hint("start again and confirm the code in time")
}
