//! The Security Token Service: which endpoint, which of its two calls, and what its answers mean.
//!
//! AWS STS API Reference, `AssumeRoleWithWebIdentity` and `GetWebIdentityToken`; the query protocol's answers are XML
//! of a handful of elements without attributes, so an element is found by its name and must be there exactly once.
use super::signature::{Scope, sign};
use super::{Credentials, WebIdentity};
use crate::http::{Fault, Request, Response, checked_url};
use crate::{Context, Env, Error};
use jeton_core::{Class, Failure, Secret, TokenRequest, UnixTime};
use std::time::Duration;
use url::Url;

/// The version of the API, a constant since 2011.
const VERSION: &str = "2011-06-15";
/// What every relying party can verify; ES384 is the other choice.
const SIGNING_ALGORITHM: &str = "RS256";
/// The service's bounds for `DurationSeconds` of `GetWebIdentityToken`, and its default.
const DURATION: (u64, u64, u64) = (60, 300, 3600);
/// What is asked for beyond the caller's need, for the way from there to here.
const DURATION_SLACK: u64 = 60;
/// The service's bound on `Audience.member.N`.
const MOST_AUDIENCES: usize = 10;
/// AWS refuses signatures that are older or younger than five minutes; a clock off by less is not why it refused.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(4 * 60);

/// Where STS is for this region: `AWS_ENDPOINT_URL_STS`, `AWS_ENDPOINT_URL`, else the region's own.
///
/// # Errors
/// [`Class::Config`] for a variable that is no URL, and for a region that is no name.
pub(super) fn endpoint(env: &Env, region: Option<&str>) -> Result<Url, Error> {
    let ignored = env.is_true("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS");
    let set = ["AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL"]
        .into_iter()
        .find_map(|name| Some((name, env.get(name)?)))
        .filter(|_| !ignored);
    if let Some((name, value)) = set {
        return checked_url(value, name);
    }
    let Some(region) = region else {
        return checked_url("https://sts.amazonaws.com/", "STS");
    };
    if !region.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        return Err(Error::new(Class::Config, "the AWS region is no region's name")
            .with_hint("set AWS_REGION to something like eu-central-1"));
    }
    let domain = if region.starts_with("cn-") {
        "amazonaws.com.cn"
    } else {
        "amazonaws.com"
    };
    checked_url(&format!("https://sts.{region}.{domain}/"), "AWS_REGION")
}

/// Exchanges a web identity token for the credentials of a role. The call is not signed: the token is what proves.
///
/// # Errors
/// [`Class::Refused`] when the role does not trust the token, [`Class::Unavailable`] also for the 400s that say that
/// the issuer's keys could not be fetched, and every class of the wire.
pub async fn assume_role_with_web_identity(
    cx: &Context,
    region: Option<&str>,
    identity: &WebIdentity,
) -> Result<Credentials, Error> {
    let fields = [
        ("Action", "AssumeRoleWithWebIdentity"),
        ("Version", VERSION),
        ("RoleArn", identity.role_arn.as_str()),
        ("RoleSessionName", identity.session_name.as_str()),
        ("WebIdentityToken", identity.token.reveal()),
    ];
    let request = Request::form(endpoint(&cx.env, region)?, &fields);
    cx.fetch("aws: AssumeRoleWithWebIdentity", &request, |response| {
        success(response)?;
        let text = String::from_utf8_lossy(&response.body);
        let field = |name| element(&text, name).ok_or_else(|| missing(response, name));
        Ok(Credentials {
            access_key_id: field("AccessKeyId")?,
            secret_access_key: Secret::new(field("SecretAccessKey")?),
            session_token: Some(Secret::new(field("SessionToken")?)),
            expires_at: element(&text, "Expiration").and_then(|end| super::time(&end)),
        })
    })
    .await
}

/// Has STS sign a token about the caller for these audiences. `read` makes of the token's text what it is worth.
///
/// # Errors
/// [`Class::Refused`] with a hint when the account has not switched outbound federation on or the role may not ask,
/// and every class of the wire.
pub(super) async fn get_web_identity_token<T>(
    cx: &Context,
    region: &str,
    credentials: &Credentials,
    wanted: &TokenRequest,
    read: impl Fn(&Secret, &Response) -> Result<T, Fault>,
) -> Result<T, Error> {
    let request = unsigned(cx, region, wanted)?;
    let mut at = None;
    // Twice at most: once by our clock, once by theirs where ours turns out to be wrong.
    loop {
        let make = |_| {
            let at = at.unwrap_or_else(|| cx.clock.now().wall);
            Ok(sign(
                request.clone(),
                credentials,
                Scope {
                    region,
                    service: "sts",
                    at,
                },
            ))
        };
        let read = |response: &Response| {
            if at.is_none()
                && let Some(theirs) = clock_refused(response)
            {
                return Ok(Answer::OtherClock(theirs));
            }
            success(response)?;
            let text = String::from_utf8_lossy(&response.body);
            let token =
                element(&text, "WebIdentityToken").ok_or_else(|| missing(response, "WebIdentityToken"))?;
            read(&Secret::new(token), response).map(Answer::Token)
        };
        match cx.fetch_anew("aws: GetWebIdentityToken", make, read).await? {
            Answer::Token(token) => return Ok(token),
            Answer::OtherClock(theirs) => {
                cx.observer
                    .warning("aws: the local clock is wrong; the request is signed by the server's");
                at = Some(theirs);
            }
        }
    }
}

enum Answer<T> {
    Token(T),
    OtherClock(UnixTime),
}

fn unsigned(cx: &Context, region: &str, wanted: &TokenRequest) -> Result<Request, Error> {
    if wanted.audience.len() > MOST_AUDIENCES {
        let message = format!("aws: at most {MOST_AUDIENCES} audiences can be asked for");
        return Err(Error::new(Class::Config, message));
    }
    let (least, usual, most) = DURATION;
    let needed = wanted.min_validity.as_secs().saturating_add(DURATION_SLACK);
    let duration = needed.max(usual).clamp(least, most).to_string();
    let names: Vec<String> = (1..=wanted.audience.len())
        .map(|n| format!("Audience.member.{n}"))
        .collect();
    let mut fields = vec![
        ("Action", "GetWebIdentityToken"),
        ("Version", VERSION),
        ("DurationSeconds", duration.as_str()),
        ("SigningAlgorithm", SIGNING_ALGORITHM),
    ];
    fields.extend(
        names
            .iter()
            .map(String::as_str)
            .zip(wanted.audience.iter().map(String::as_str)),
    );
    Ok(Request::form(endpoint(&cx.env, Some(region))?, &fields))
}

/// The server's present, when it refused a signature and its clock and ours are too far apart.
fn clock_refused(response: &Response) -> Option<UnixTime> {
    let text = String::from_utf8_lossy(&response.body);
    let code = element(&text, "Code")?;
    let of_time = [
        "RequestExpired",
        "SignatureDoesNotMatch",
        "RequestTimeTooSkewed",
        "InvalidSignatureException",
    ];
    let theirs = response.date?;
    let ours = response.received.wall;
    let apart = theirs.since(ours).max(ours.since(theirs));
    (of_time.contains(&code.as_str()) && apart > CLOCK_TOLERANCE).then_some(theirs)
}

fn missing(response: &Response, name: &str) -> Fault {
    response.fault(Failure::Unexpected, format!("the answer has no {name}"))
}

/// Passes a 200 on and makes a fault of everything else, by the error code in it.
fn success(response: &Response) -> Result<(), Fault> {
    if response.status == 200 {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&response.body);
    let code = element(&text, "Code").unwrap_or_default();
    let message = element(&text, "Message").unwrap_or_default();
    let detail = match code.as_str() {
        "" => format!("status {}", response.status),
        code => format!(
            "status {}, {}: {}",
            response.status,
            response.foreign(code),
            response.foreign(&message)
        ),
    };
    let fault = response.fault(failure(response.status, &code, &message), detail);
    Err(match hint(&code) {
        Some(hint) => fault.with_hint(hint),
        None => fault,
    })
}

/// Some 400s of STS are transient: it could not fetch the issuer's keys just now, or wants us to slow down.
fn failure(status: u16, code: &str, message: &str) -> Failure {
    match code {
        "IDPCommunicationError" | "RequestTimeout" | "InternalFailure" | "ServiceUnavailable" => {
            Failure::OAuthTransient
        }
        "InvalidIdentityToken"
            if message
                .to_ascii_lowercase()
                .contains("couldn't retrieve verification key") =>
        {
            Failure::OAuthTransient
        }
        "Throttling" | "ThrottlingException" | "RequestLimitExceeded" | "TooManyRequestsException" => {
            Failure::Status(429)
        }
        _ => Failure::Status(status),
    }
}

fn hint(code: &str) -> Option<&'static str> {
    Some(match code.trim_end_matches("Exception") {
        "OutboundWebIdentityFederationDisabled" => {
            "an administrator of the account must switch it on: aws iam enable-outbound-web-identity-federation"
        }
        "SessionDurationEscalation" => {
            "the token would outlive the session that asks for it: ask for a shorter --min-validity"
        }
        "JWTPayloadSizeExceeded" => "ask for fewer or shorter audiences",
        "AccessDenied" => {
            "allow the role sts:GetWebIdentityToken, or let the role's trust policy name this issuer, subject and audience \
             for sts:AssumeRoleWithWebIdentity"
        }
        "InvalidIdentityToken" => {
            "register the token's issuer as an IAM identity provider of the account, with the token's audience as client id"
        }
        "ExpiredToken" => {
            "the session or the token in the file has ended: is whoever keeps it fresh still running?"
        }
        "InvalidClientTokenId" | "UnrecognizedClient" => {
            "the access key is not known in this region's partition, or AWS_SESSION_TOKEN is missing"
        }
        "SignatureDoesNotMatch" => {
            "AWS_SECRET_ACCESS_KEY does not belong to AWS_ACCESS_KEY_ID, or the clock is wrong"
        }
        "RegionDisabled" => {
            "switch STS on for the region in the account's settings, or set another AWS_REGION"
        }
        _ => return None,
    })
}

/// The text of the element `name`, which must be there exactly once and hold no other.
fn element(text: &str, name: &str) -> Option<String> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let (_, rest) = text.split_once(&open)?;
    let (inside, after) = rest.split_once(&close)?;
    let inside = inside.trim();
    let plain = !inside.is_empty() && !inside.contains('<') && !after.contains(&open);
    plain.then(|| unescaped(inside))
}

/// The five references that XML has without a declaration; `&amp;` last, so that nothing is read twice.
fn unescaped(text: &str) -> String {
    const REFERENCES: [(&str, &str); 5] = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&apos;", "'"),
        ("&amp;", "&"),
    ];
    let start = text.to_owned();
    REFERENCES
        .iter()
        .fold(start, |text, (reference, c)| text.replace(reference, c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_element_is_there_once_or_not_at_all() {
        let rows = [
            ("<a><Code>X</Code></a>", Some("X")),
            ("<a><Code> X\n</Code></a>", Some("X")),
            ("<a><Code></Code></a>", None),
            ("<a><Code>X", None),
            ("<Code>X</Code><Code>Y</Code>", None),
            ("<Code><b>X</b></Code>", None),
            ("<Code>a &lt; b &amp;lt;</Code>", Some("a < b &lt;")),
            ("", None),
        ];
        for (text, found) in rows {
            assert_eq!(element(text, "Code").as_deref(), found, "{text}");
        }
    }

    #[test]
    fn the_endpoint_is_the_variables_or_the_regions() {
        let env = |pairs: &[(&str, &str)]| pairs.iter().copied().collect::<Env>();
        let rows = [
            (env(&[]), None, "https://sts.amazonaws.com/"),
            (
                env(&[]),
                Some("eu-central-1"),
                "https://sts.eu-central-1.amazonaws.com/",
            ),
            (
                env(&[]),
                Some("cn-north-1"),
                "https://sts.cn-north-1.amazonaws.com.cn/",
            ),
            (
                env(&[("AWS_ENDPOINT_URL", "http://127.0.0.1:1")]),
                Some("x"),
                "http://127.0.0.1:1/",
            ),
            (
                env(&[
                    ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
                    ("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:2"),
                ]),
                None,
                "http://127.0.0.1:2/",
            ),
            (
                env(&[
                    ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
                    ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true"),
                ]),
                Some("us-east-1"),
                "https://sts.us-east-1.amazonaws.com/",
            ),
        ];
        for (env, region, url) in rows {
            assert_eq!(endpoint(&env, region).unwrap().as_str(), url);
        }
        for bad in ["evil.example.com/x", "a b", "x\r\ny"] {
            assert_eq!(endpoint(&env(&[]), Some(bad)).unwrap_err().kind(), Class::Config);
        }
        let foreign = env(&[("AWS_ENDPOINT_URL_STS", "http://sts.example.com")]);
        assert_eq!(endpoint(&foreign, None).unwrap_err().kind(), Class::Config);
    }

    #[test]
    fn a_400_that_says_that_keys_could_not_be_fetched_is_transient() {
        let keys = "Couldn't retrieve verification key from your identity provider, please reference …";
        let rows = [
            (400, "InvalidIdentityToken", keys, Failure::OAuthTransient),
            (
                400,
                "InvalidIdentityToken",
                "No OpenIDConnect provider found",
                Failure::Status(400),
            ),
            (400, "IDPCommunicationError", "", Failure::OAuthTransient),
            (400, "Throttling", "Rate exceeded", Failure::Status(429)),
            (
                403,
                "OutboundWebIdentityFederationDisabledException",
                "",
                Failure::Status(403),
            ),
            (503, "", "", Failure::Status(503)),
        ];
        for (status, code, message, expected) in rows {
            assert_eq!(failure(status, code, message), expected, "{code} {message}");
        }
        assert!(
            hint("OutboundWebIdentityFederationDisabledException")
                .is_some_and(|h| h.contains("enable-outbound"))
        );
        assert!(hint("SessionDurationEscalation").is_some());
    }
}
