//! STS: `GetWebIdentityToken`, `AssumeRoleWithWebIdentity` and `GetCallerIdentity`, in the query protocol.
use super::{ACCESS_KEY, CREDENTIALS_LIFE};
use crate::answer::Answer;
use crate::call::{Call, Form};
use crate::desk::{Desk, claims};
use crate::grants::unverified_claims;
use crate::keys::unguessable;
use crate::mint::Mint;
use crate::platforms::rfc3339;
use crate::routes::{Reach, Route, route};
use http::Method;
use serde_json::{Value, json};
use std::ops::RangeInclusive;
use std::time::Duration;

/// What an answer's life may be asked to be.
const DURATION_SECONDS: RangeInclusive<u64> = 60..=3600;
/// What it is when nobody asks.
const DEFAULT_SECONDS: u64 = 300;
/// How many audiences one token may have.
const MOST_AUDIENCES: usize = 10;
const ROLE_ARN: &str = "arn:aws:iam::123456789012:role/build";

pub(super) const ROUTES: &[Route] = &[
    route("aws-sts", Method::POST, "/aws/sts", Reach::Host, query),
    route("aws-sts", Method::POST, "/aws/sts/", Reach::Host, query),
];

fn query(desk: &Desk<'_>, call: &Call) -> Answer {
    let form = call.form();
    let answered = match form.one("Action").as_deref() {
        Some("GetWebIdentityToken") => signed(call).and_then(|()| web_identity_token(desk, &form)),
        Some("AssumeRoleWithWebIdentity") => assume_role(desk, &form),
        Some("GetCallerIdentity") => signed(call).map(|()| caller_identity()),
        _ => Err(error(400, "InvalidAction", "no such action")),
    };
    answered.unwrap_or_else(|refusal| refusal)
}

/// That there is a signature of version 4 over the right things. Whether it is right is not checked: the secret key
/// of a test's environment is not kept.
fn signed(call: &Call) -> Result<(), Answer> {
    let field = call.header("authorization").unwrap_or_default();
    let whole = field.starts_with("AWS4-HMAC-SHA256 Credential=")
        && field.contains("SignedHeaders=")
        && field.contains("host")
        && field.contains("Signature=")
        && field.contains("/sts/aws4_request");
    let dated = call.header("x-amz-date").is_some();
    match whole && dated {
        true => Ok(()),
        false => Err(error(
            403,
            "MissingAuthenticationToken",
            "Request is missing Authentication Token",
        )),
    }
}

fn web_identity_token(desk: &Desk<'_>, form: &Form) -> Result<Answer, Answer> {
    let audiences = form.under("Audience.member.");
    if audiences.is_empty() || audiences.len() > MOST_AUDIENCES {
        return Err(error(400, "ValidationError", "Audience has 1 to 10 members"));
    }
    if !matches!(form.one("SigningAlgorithm").as_deref(), Some("RS256" | "ES384")) {
        return Err(error(
            400,
            "ValidationError",
            "SigningAlgorithm is RS256 or ES384",
        ));
    }
    let seconds = form
        .one("DurationSeconds")
        .map_or(Ok(DEFAULT_SECONDS), |text| text.parse());
    let seconds = seconds.ok().filter(|seconds| DURATION_SECONDS.contains(seconds));
    let seconds = seconds.ok_or_else(|| error(400, "ValidationError", "DurationSeconds is 60 to 3600"))?;
    let audience = match audiences.as_slice() {
        [one] => json!(one),
        many => json!(many),
    };
    let life = Duration::from_secs(seconds);
    let members = claims([("aud", audience), ("sub", json!(ROLE_ARN))]);
    let token = desk.sign(Mint::new(desk.url(), desk.now(), life, members));
    let ends = rfc3339(desk.now().plus(life).seconds());
    let inside = format!("<WebIdentityToken>{token}</WebIdentityToken><Expiration>{ends}</Expiration>");
    Ok(result("GetWebIdentityToken", &inside))
}

fn assume_role(desk: &Desk<'_>, form: &Form) -> Result<Answer, Answer> {
    let wanted = |name: &str| {
        form.one(name)
            .ok_or_else(|| error(400, "ValidationError", &format!("{name} is missing")))
    };
    let (role, session) = (wanted("RoleArn")?, wanted("RoleSessionName")?);
    let token = wanted("WebIdentityToken")?;
    let identity = unverified_claims(&token);
    let identity = identity.ok_or_else(|| error(400, "InvalidIdentityToken", "the token is no JWT"))?;
    let exp = identity.get("exp").and_then(Value::as_i64).unwrap_or_default();
    if exp <= desk.now().seconds() {
        return Err(error(
            400,
            "ExpiredTokenException",
            "Token expired: current date/time must be before its end",
        ));
    }
    let subject = identity.get("sub").and_then(Value::as_str).unwrap_or_default();
    let ends = rfc3339(desk.now().plus(CREDENTIALS_LIFE).seconds());
    let inside = format!(
        "<Credentials><AccessKeyId>{ACCESS_KEY}</AccessKeyId><SecretAccessKey>{}</SecretAccessKey>\
         <SessionToken>{}</SessionToken><Expiration>{ends}</Expiration></Credentials>\
         <SubjectFromWebIdentityToken>{}</SubjectFromWebIdentityToken>\
         <AssumedRoleUser><Arn>{}</Arn><AssumedRoleId>AROAJETON:{}</AssumedRoleId></AssumedRoleUser>",
        unguessable("secret-"),
        unguessable("session-"),
        escaped(subject),
        escaped(&format!("{role}/{session}")),
        escaped(&session),
    );
    Ok(result("AssumeRoleWithWebIdentity", &inside))
}

fn caller_identity() -> Answer {
    let inside =
        format!("<Arn>{ROLE_ARN}</Arn><UserId>AROAJETON:build</UserId><Account>123456789012</Account>");
    result("GetCallerIdentity", &inside)
}

fn result(action: &str, inside: &str) -> Answer {
    let body = format!(
        "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{action}Result>{inside}</{action}Result>\
         <ResponseMetadata><RequestId>{}</RequestId></ResponseMetadata></{action}Response>\n",
        unguessable("")
    );
    Answer::typed(200, "text/xml", body)
}

fn error(status: u16, code: &str, message: &str) -> Answer {
    let body = format!(
        "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>\
         <Code>{code}</Code><Message>{}</Message></Error><RequestId>{}</RequestId></ErrorResponse>\n",
        escaped(message),
        unguessable("")
    );
    Answer::typed(status, "text/xml", body)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
