//! Signature Version 4: what makes a request to AWS its sender's own (AWS IAM User Guide, "Signing AWS API requests").
//!
//! Written here because the vendor's crate wants a newer compiler than we ask of our users and brings sixty others for
//! what is five HMACs; checked against the vendor's published test suite below.
use super::Credentials;
use crate::http::Request;
use aws_lc_rs::{digest, hmac};
use jeton_core::UnixTime;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// RFC 3986's unreserved characters stay; everything else is encoded.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');
/// The same for a path, whose slashes stay.
const ENCODED_PATH: &AsciiSet = &ENCODED.remove(b'/');

/// For which service, where, and when a signature is good.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scope<'a> {
    /// The region, such as `eu-central-1`.
    pub(super) region: &'a str,
    /// The service's signing name, such as `sts`.
    pub(super) service: &'a str,
    /// The signer's present. AWS allows five minutes either way.
    pub(super) at: UnixTime,
}

/// The same request, signed: `x-amz-date`, `x-amz-security-token` where the credentials have one, `authorization`.
/// Every header it has by then is signed, and `host`.
pub(super) fn sign(request: Request, credentials: &Credentials, scope: Scope<'_>) -> Request {
    let stamp = stamp(scope.at);
    let mut request = request.header("x-amz-date", &stamp);
    if let Some(token) = &credentials.session_token {
        request = request.secret_header("x-amz-security-token", token);
    }
    let (canonical, signed) = canonical_request(&request);
    let date = &stamp[..8];
    let place = format!("{date}/{}/{}/aws4_request", scope.region, scope.service);
    let to_sign = format!("{ALGORITHM}\n{stamp}\n{place}\n{}", sha256(canonical.as_bytes()));
    let signature = hex(hmac(&signing_key(credentials, date, scope), &to_sign).as_ref());
    let authorization = format!(
        "{ALGORITHM} Credential={}/{place}, SignedHeaders={signed}, Signature={signature}",
        credentials.access_key_id
    );
    request.secret_header("authorization", &authorization.into())
}

fn signing_key(credentials: &Credentials, date: &str, scope: Scope<'_>) -> hmac::Tag {
    let secret = jeton_core::Secret::new(format!("AWS4{}", credentials.secret_access_key.reveal()));
    let start = hmac::sign(
        &hmac::Key::new(hmac::HMAC_SHA256, secret.reveal().as_bytes()),
        date.as_bytes(),
    );
    [scope.region, scope.service, "aws4_request"]
        .iter()
        .fold(start, |key, part| hmac(&key, part))
}

fn hmac(key: &hmac::Tag, text: &str) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.as_ref()), text.as_bytes())
}

/// The canonical request, and the names of the headers that are in it.
fn canonical_request(request: &Request) -> (String, String) {
    let mut headers: Vec<(String, String)> = request
        .headers
        .iter()
        .map(|(name, value)| {
            (
                name.as_str().to_owned(),
                one_line(&String::from_utf8_lossy(value.as_bytes())),
            )
        })
        .collect();
    headers.push(("host".to_owned(), request.place()));
    headers.sort();
    let lines: String = headers
        .iter()
        .map(|(name, value)| format!("{name}:{value}\n"))
        .collect();
    let names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
    let names = names.join(";");
    let canonical = format!(
        "{}\n{}\n{}\n{lines}\n{names}\n{}",
        request.method,
        // Encoded once more, as every service but S3 wants it.
        utf8_percent_encode(request.url.path(), ENCODED_PATH),
        canonical_query(request),
        sha256(request.body.as_deref().unwrap_or_default()),
    );
    (canonical, names)
}

fn canonical_query(request: &Request) -> String {
    let encode = |text: &str| utf8_percent_encode(text, ENCODED).to_string();
    let mut pairs: Vec<(String, String)> = request
        .url
        .query_pairs()
        .map(|(name, value)| (encode(&name), encode(&value)))
        .collect();
    pairs.sort();
    let pairs: Vec<String> = pairs
        .into_iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    pairs.join("&")
}

/// A header's value without blanks around it and with single blanks inside.
fn one_line(value: &str) -> String {
    value.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// ISO 8601 basic format in UTC: `20150830T123600Z`.
fn stamp(at: UnixTime) -> String {
    let at = jiff::Timestamp::from_second(at.seconds()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    at.strftime("%Y%m%dT%H%M%SZ").to_string()
}

fn sha256(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use jeton_core::Secret;
    use url::Url;

    /// The suite's own moment: 2015-08-30T12:36:00Z.
    const AT: i64 = 1_440_938_160;

    fn signature(
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &str,
        token: Option<&str>,
    ) -> String {
        let url = Url::parse(&format!("https://example.amazonaws.com{target}")).unwrap();
        let mut request = Request::new(method.parse().unwrap(), url);
        request.body = Some(Bytes::from(body.to_owned())).filter(|b| !b.is_empty());
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let credentials = Credentials {
            access_key_id: "AKIDEXAMPLE".into(),
            secret_access_key: Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
            session_token: token.map(Secret::new),
            expires_at: None,
        };
        let at = UnixTime::from_seconds(AT);
        let signed = sign(
            request,
            &credentials,
            Scope {
                region: "us-east-1",
                service: "service",
                at,
            },
        );
        let header = signed.headers["authorization"].to_str().unwrap().to_owned();
        header.split_once("Signature=").unwrap().1.to_owned()
    }

    #[test]
    fn the_vendors_published_test_suite_agrees() {
        let body_hash = "9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e";
        let form = [
            ("content-type", "application/x-www-form-urlencoded; charset=utf-8"),
            ("content-length", "13"),
            ("x-amz-content-sha256", body_hash),
        ];
        let session = "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267";
        type Row<'a> = (
            &'a str,
            &'a str,
            &'a str,
            &'a [(&'a str, &'a str)],
            &'a str,
            Option<&'a str>,
            &'a str,
        );
        let rows: [Row<'_>; 7] = [
            (
                "get-vanilla",
                "GET",
                "/",
                &[],
                "",
                None,
                "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
            ),
            (
                "post-vanilla",
                "POST",
                "/",
                &[],
                "",
                None,
                "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
            ),
            (
                "get-vanilla-with-session-token",
                "GET",
                "/",
                &[],
                "",
                Some(session),
                "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8",
            ),
            (
                "post-x-www-form-urlencoded-parameters",
                "POST",
                "/",
                &form,
                "Param1=value1",
                None,
                "328d1b9eaadca9f5818ef05e8392801e091653bafec24fcab71e7344e7f51422",
            ),
            (
                "get-vanilla-query-order-key-case",
                "GET",
                "/?Param2=value2&Param1=value1",
                &[],
                "",
                None,
                "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
            ),
            (
                "get-vanilla-query-unreserved",
                "GET",
                "/?-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz=-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
                &[],
                "",
                None,
                "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197",
            ),
            (
                "get-header-value-trim",
                "GET",
                "/",
                &[("my-header1", " value1"), ("my-header2", " \"a   b   c\"")],
                "",
                None,
                "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
            ),
        ];
        for (name, method, target, headers, body, token, expected) in rows {
            assert_eq!(
                signature(method, target, headers, body, token),
                expected,
                "{name}"
            );
        }
    }

    #[test]
    fn a_path_is_encoded_once_more_than_it_is_on_the_wire() {
        let host = "tj9n5r0m12.execute-api.us-east-1.amazonaws.com";
        let url = Url::parse(&format!("https://{host}/test/@connections/JBDvjfGEIAMCERw%3D")).unwrap();
        let request = Request::new("POST".parse().unwrap(), url).header("x-amz-date", "20210511T154045Z");
        let expected = format!(
            "POST\n/test/%40connections/JBDvjfGEIAMCERw%253D\n\nhost:{host}\nx-amz-date:20210511T154045Z\n\n\
             host;x-amz-date\ne3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        assert_eq!(canonical_request(&request).0, expected);
    }
}
