//! What an answer is worth: from a whole HTTP answer, or a text from elsewhere, to a checked [`Token`].
//!
//! ```text
//! Response -> success -> json -> secret_member ┐
//!                     -> text ─────────────────┼-> token(…, Received) -> Token
//! variable, file, standard input ──────────────┘
//! ```
//! Every token that jeton hands out went through [`token`]: it is a token, it is for whom it was asked for, and it
//! is alive. Signatures are the verifier's business.
mod oauth;
mod received;

pub use oauth::oauth_fault;
pub use received::{Received, Shape, expires_in};

use crate::Context;
use crate::http::{Fault, Response};
use jeton_core::{Claims, Failure, Json, JsonError, Life, Secret, Token, TokenRequest, decode, json, redact};
use std::time::Duration;

/// The largest opaque token, in bytes: what a token answer may have at all.
const LARGEST_OPAQUE: usize = crate::http::TOKEN_BODY_CAP;
/// A difference between two clocks that is worth a hint.
const SKEW_WORTH_A_HINT: Duration = Duration::from_secs(60);

/// Passes a 200 on and makes a fault of everything else, with what the other side said, made fit to show.
///
/// # Errors
/// [`Failure::Status`].
pub fn success(response: &Response) -> Result<(), Fault> {
    if response.status == 200 {
        return Ok(());
    }
    Err(response.fault(Failure::Status(response.status), refusal(response)))
}

/// `status 403: what it said`.
fn refusal(response: &Response) -> String {
    let said = said(response).unwrap_or_default();
    match said.trim() {
        "" => format!("status {}", response.status),
        said => format!("status {}: {said}", response.status),
    }
}

/// What the body of a failure says: the member that usually holds it, or the text itself; nothing of a page.
fn said(response: &Response) -> Option<String> {
    const MEMBERS: [&str; 6] = [
        "error_description",
        "message",
        "Message",
        "detail",
        "title",
        "error",
    ];
    if is_page(response) {
        return None;
    }
    let text = std::str::from_utf8(&response.body).ok()?;
    let json = json::parse(&response.body).ok();
    let member = json.as_ref().and_then(|json| {
        let texts = MEMBERS.iter().filter_map(|name| json.get(name)?.as_str());
        texts.into_iter().next()
    });
    Some(response.foreign(member.unwrap_or(text)))
}

/// The body as JSON, whatever its content type says, unless that or the body itself says that it is a page.
///
/// # Errors
/// [`Failure::EmptyBody`], [`Failure::Html`], [`Failure::TruncatedJson`], and [`Failure::Unexpected`] for a member
/// twice, too much nesting, a byte order mark or another coding than UTF-8.
pub fn json(response: &Response) -> Result<Json, Fault> {
    text(response)?;
    json::parse(&response.body).map_err(|error| match error {
        JsonError::Truncated => {
            response.fault(Failure::TruncatedJson, "the JSON in the answer ends too soon")
        }
        other => response.fault(Failure::Unexpected, format!("the answer cannot be read: {other}")),
    })
}

/// The body as text, without white space at its end: for the formats in which the body is the token.
///
/// # Errors
/// [`Failure::EmptyBody`], [`Failure::Html`], and [`Failure::Unexpected`] for another coding than UTF-8.
pub fn text(response: &Response) -> Result<&str, Fault> {
    if is_page(response) {
        return Err(response
            .fault(Failure::Html, "an HTML page came instead of an answer")
            .with_hint("a proxy, a gateway or a captive portal answered in place of the server"));
    }
    let text = std::str::from_utf8(&response.body)
        .map_err(|_| response.fault(Failure::Unexpected, "the answer is not UTF-8"))?
        .trim_end();
    if text.is_empty() {
        return Err(response.fault(Failure::EmptyBody, "the answer is empty"));
    }
    Ok(text)
}

fn is_page(response: &Response) -> bool {
    let by_type = response.headers.get_all("content-type").iter().any(|value| {
        let value = value.as_bytes().to_ascii_lowercase();
        value.starts_with(b"text/html") || value.starts_with(b"application/xhtml")
    });
    by_type || response.body.trim_ascii_start().starts_with(b"<") && !is_xml(response)
}

/// AWS' query protocol answers in XML; that it is no page is for its reader to see.
fn is_xml(response: &Response) -> bool {
    let kind = response.header("content-type").unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("text/xml") || kind.eq_ignore_ascii_case("application/xml")
}

/// The secret text that `json` has as its member `name`.
///
/// # Errors
/// [`Failure::Unexpected`] when it is missing, null, empty or no string, or `json` is no object.
pub fn secret_member(json: &Json, name: &str) -> Result<Secret, Fault> {
    let unexpected = |why: String| Fault::new(Failure::Unexpected, why);
    if json.as_object().is_none() {
        return Err(unexpected(format!(
            "the answer is a JSON {}, no object",
            json.kind()
        )));
    }
    match json.get(name) {
        None => Err(unexpected(format!("the answer has no {name:?}"))),
        Some(Json::String(text)) if text.is_empty() => {
            Err(unexpected(format!("{name:?} in the answer is empty")))
        }
        Some(Json::String(text)) => Ok(Secret::new(text.as_str())),
        Some(other) => Err(unexpected(format!(
            "{name:?} in the answer is {}, no string",
            other.kind()
        ))),
    }
}

/// Makes a checked [`Token`] of a text that `source` gave for `request`.
///
/// # Errors
/// [`Failure::UnusableToken`] when it is no token of the promised shape or is for somebody else,
/// [`Failure::DyingToken`] when it is dead.
pub fn token(
    cx: &Context,
    source: &str,
    request: &TokenRequest,
    raw: &Secret,
    received: Received,
) -> Result<Token, Fault> {
    let claims = claims(raw.reveal(), received.shape)?;
    let audience = audience(request, claims.as_ref(), received.shape)?;
    let exp = claims.as_ref().and_then(Claims::expires_at);
    let life = life(claims.as_ref(), &received);
    if life.is_some_and(|life| life.left_at_receipt.is_zero()) {
        return Err(dead(&received));
    }
    if received.minted {
        cx.observer.minted(raw);
    }
    let own = |text: Option<&str>| text.map(str::to_owned);
    Ok(Token {
        value: raw.clone(),
        token_type: "Bearer".to_owned(),
        issuer: own(claims.as_ref().and_then(Claims::issuer)),
        subject: own(claims.as_ref().and_then(Claims::subject)),
        audience,
        scopes: received.scopes.unwrap_or_else(|| request.scopes.clone()),
        source: source.to_owned(),
        expires_at: exp.or_else(|| life.map(|life| received.moment.wall.plus(life.left_at_receipt))),
        life,
        cached: false,
    })
}

/// The claims of a token, where it has to have some or happens to.
fn claims(raw: &str, shape: Shape) -> Result<Option<Claims>, Fault> {
    let unusable = |why: String| Err(Fault::new(Failure::UnusableToken, why));
    if let Some(odd) = raw.bytes().find(|b| !b.is_ascii_graphic()) {
        let what = if odd.is_ascii_whitespace() {
            "white space"
        } else {
            "characters that no token has"
        };
        return unusable(format!("what came is no token: it has {what} in it"));
    }
    if raw.len() > LARGEST_OPAQUE {
        return unusable(format!(
            "what came is no token: it is larger than {} KiB",
            LARGEST_OPAQUE / 1024
        ));
    }
    match decode(raw) {
        Ok(claims) => Ok(Some(claims.into_peeked())),
        Err(_) if shape != Shape::Jwt && !raw.is_empty() => Ok(None),
        Err(rejection) => unusable(format!("what came is no identity token: {rejection}")),
    }
}

fn audience(request: &TokenRequest, claims: Option<&Claims>, shape: Shape) -> Result<Vec<String>, Fault> {
    let Some(claims) = claims else {
        return Ok(request.audience.clone());
    };
    let found: Vec<String> = claims.audience().map(str::to_owned).collect();
    let missing = request.audience.iter().any(|asked| !found.contains(asked));
    if missing && shape != Shape::Opaque {
        return Err(Fault::new(
            Failure::UnusableToken,
            format!(
                "the token is for the audience {}, not for {}",
                shown(&found),
                shown(&request.audience)
            ),
        )
        .with_hint("the audience that was asked for is not the one the issuer put into the token"));
    }
    Ok(found)
}

fn shown(audience: &[String]) -> String {
    match audience {
        [] => "of nobody".to_owned(),
        some => redact::foreign(&some.join(", "), &[]),
    }
}

/// The life as measured here: the shorter of what the token and the endpoint say.
fn life(claims: Option<&Claims>, received: &Received) -> Option<Life> {
    let by_claims = claims.and_then(|claims| {
        let exp = claims.expires_at()?;
        Some(Life::from_claims(
            claims.issued_at(),
            exp,
            received.date,
            received.moment,
        ))
    });
    let by_endpoint = received
        .expires_at
        .map(|at| Life::from_claims(None, at, received.date, received.moment));
    let by_span = received
        .expires_in
        .map(|span| Life::from_expires_in(span, received.moment));
    let all = [by_claims, by_endpoint, by_span];
    all.into_iter().flatten().min_by_key(|life| life.left_at_receipt)
}

fn dead(received: &Received) -> Fault {
    let fault = Fault::new(Failure::DyingToken, "the token that came has expired already");
    match received.skew() {
        Some(skew) if skew > SKEW_WORTH_A_HINT => fault.with_hint(format!(
            "this machine's clock and the server's differ by {} s: set the clock",
            skew.as_secs()
        )),
        _ => fault,
    }
}

#[cfg(test)]
mod tests;
