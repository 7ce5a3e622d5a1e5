//! Which header fields go on, and which end here (RFC 9110 section 7.6.1).
use super::guard::SECRET_FIELD;
use http::{HeaderMap, HeaderName, HeaderValue, header};

/// Fields about one connection; never sent on.
const HOP_BY_HOP: [HeaderName; 8] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Fields of a request that the proxy replaces or keeps to itself.
const OURS: [HeaderName; 5] = [
    header::AUTHORIZATION,
    SECRET_FIELD,
    header::HOST,
    header::EXPECT,
    header::TRAILER,
];

/// What the server says about cross-origin access; the proxy's own rules stand in its place.
const CORS: [HeaderName; 6] = [
    header::ACCESS_CONTROL_ALLOW_ORIGIN,
    header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
    header::ACCESS_CONTROL_ALLOW_METHODS,
    header::ACCESS_CONTROL_ALLOW_HEADERS,
    header::ACCESS_CONTROL_MAX_AGE,
    HeaderName::from_static("access-control-allow-private-network"),
];

/// HTTP/2 in clear text: requests would pass in the tunnel that nobody has looked at, and nothing speaks it any more
/// (RFC 9113 section 3.1).
const UNSEEN: &[u8] = b"h2c";

/// The protocol that a request or an answer wants to switch to.
#[must_use]
pub fn upgrade(headers: &HeaderMap) -> Option<HeaderValue> {
    let asks = listed(headers).any(|name| name.eq_ignore_ascii_case("upgrade"));
    let wanted = headers.get(header::UPGRADE).filter(|_| asks)?;
    let mut protocols = wanted.as_bytes().split(|byte| *byte == b',');
    let is_unseen = protocols.any(|name| name.trim_ascii().eq_ignore_ascii_case(UNSEEN));
    (!is_unseen).then(|| wanted.clone())
}

/// Makes a client's fields fit to go on: what `Connection` lists is removed *before* anything is added, so that a
/// client cannot make the proxy drop what it adds (CVE-2021-33197).
pub fn for_request(headers: &mut HeaderMap) {
    strip(headers);
    for name in OURS {
        headers.remove(name);
    }
    // Some servers take `Authorization` and an underscore spelling for the same field (CVE-2025-64484).
    let variants: Vec<HeaderName> = headers
        .keys()
        .filter(|name| is_variant(name.as_str()))
        .cloned()
        .collect();
    for name in variants {
        headers.remove(name);
    }
}

/// Makes a server's fields fit to go back.
pub fn for_answer(headers: &mut HeaderMap) {
    strip(headers);
    for name in CORS {
        headers.remove(name);
    }
}

fn strip(headers: &mut HeaderMap) {
    let named: Vec<String> = listed(headers).map(str::to_ascii_lowercase).collect();
    for name in named {
        headers.remove(name.as_str());
    }
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}

/// The names that `Connection` lists.
fn listed(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let values = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|v| v.to_str().ok());
    values
        .flat_map(|v| v.split(','))
        .map(str::trim)
        .filter(|name| !name.is_empty())
}

fn is_variant(name: &str) -> bool {
    name.contains('_') && {
        let plain = name.replace('_', "-");
        OURS.iter().chain(&HOP_BY_HOP).any(|ours| ours.as_str() == plain)
    }
}

/// Whether a request's framing can be understood in two ways (RFC 9112 section 6.1), or is a coding that would have to
/// be undone here.
#[must_use]
pub fn is_ambiguous(headers: &HeaderMap) -> bool {
    let lengths = headers.get_all(header::CONTENT_LENGTH).iter().count();
    let codings = headers.get_all(header::TRANSFER_ENCODING).iter().count();
    let is_plain = |coding: &HeaderValue| coding.as_bytes().eq_ignore_ascii_case(b"chunked");
    let is_other = headers
        .get(header::TRANSFER_ENCODING)
        .is_some_and(|c| !is_plain(c));
    lengths > 1 || codings > 1 || (lengths == 1 && codings == 1) || is_other
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(fields: &[(&str, &str)]) -> HeaderMap {
        let pair = |(n, v): &(&str, &str)| {
            (
                HeaderName::try_from(*n).expect("name"),
                HeaderValue::try_from(*v).expect("value"),
            )
        };
        fields.iter().map(pair).collect()
    }

    #[test]
    fn c14_only_end_to_end_fields_go_on() {
        let mut headers = map(&[
            ("connection", "keep-alive, X-Hop, authorization"),
            ("x-hop", "1"),
            ("keep-alive", "5"),
            ("te", "trailers"),
            ("upgrade", "h2c"),
            ("proxy-authorization", "Bearer s"),
            ("authorization", "Bearer client"),
            ("x_jeton_secret", "s"),
            ("authorization_", "kept: another name"),
            ("host", "127.0.0.1:1"),
            ("expect", "100-continue"),
            ("accept", "*/*"),
            ("cookie", "a=b"),
        ]);
        for_request(&mut headers);
        let mut names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["accept", "authorization_", "cookie"]);
    }

    #[test]
    fn c14_only_protocols_that_carry_no_requests_are_switched_to() {
        for (connection, protocol, switches) in [
            ("Upgrade", "websocket", true),
            ("keep-alive, upgrade", "websocket", true),
            ("close", "websocket", false),
            ("Upgrade, HTTP2-Settings", "h2c", false),
            ("Upgrade", "websocket, H2C", false),
        ] {
            let headers = map(&[("connection", connection), ("upgrade", protocol)]);
            assert_eq!(upgrade(&headers).is_some(), switches, "{connection}: {protocol}");
        }
    }

    #[test]
    fn a_length_beside_a_coding_is_ambiguous() {
        for (fields, wanted) in [
            (&[("content-length", "1")][..], false),
            (&[("transfer-encoding", "chunked")], false),
            (&[("transfer-encoding", "gzip, chunked")], true),
            (&[("content-length", "1"), ("content-length", "1")], true),
            (&[("content-length", "1"), ("transfer-encoding", "chunked")], true),
        ] {
            let headers: HeaderMap = fields
                .iter()
                .map(|(n, v)| {
                    (
                        HeaderName::try_from(*n).expect("name"),
                        HeaderValue::try_from(*v).expect("value"),
                    )
                })
                .collect();
            assert_eq!(is_ambiguous(&headers), wanted, "{fields:?}");
        }
    }
}
