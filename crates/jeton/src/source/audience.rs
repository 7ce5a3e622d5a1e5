//! The audience in a request: one where a platform takes one, and as a query parameter where it takes it there.
use crate::{Error, TokenRequest};
use jeton_core::Class;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use url::Url;

/// What stands for itself in a query value: RFC 3986's unreserved characters. Everything else is encoded, so that no
/// audience can add a parameter (`&`), end the query (`#`) or turn into a space (`+`).
const QUERY_VALUE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The one audience that is asked for, or none.
///
/// # Errors
/// [`Class::Config`] for several: `platform` puts one audience into a token.
pub fn one<'a>(platform: &str, request: &'a TokenRequest) -> Result<Option<&'a str>, Error> {
    match request.audience.as_slice() {
        [] => Ok(None),
        [audience] => Ok(Some(audience)),
        several => Err(Error::new(
            Class::Config,
            format!(
                "{platform} issues a token for one audience, {} were asked for",
                several.len()
            ),
        )
        .with_hint("ask once for each audience")),
    }
}

/// `url` with `audience=…`, in the place of every `audience` it had; the rest of its query stays as it is.
#[must_use]
pub fn in_query(mut url: Url, audience: &str) -> Url {
    let value = utf8_percent_encode(audience, QUERY_VALUE);
    let mut query: String = url
        .query()
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty() && !is_audience(pair))
        .map(|pair| format!("{pair}&"))
        .collect();
    query.push_str(&format!("audience={value}"));
    url.set_query(Some(&query));
    url.set_fragment(None);
    url
}

fn is_audience(pair: &str) -> bool {
    let name = pair.split('=').next().unwrap_or_default();
    percent_decode_str(name)
        .decode_utf8()
        .is_ok_and(|name| name == "audience")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a3_the_audience_is_appended_encoded_and_only_once() {
        let rows = [
            ("https://h/x", "a", "https://h/x?audience=a"),
            ("https://h/x?", "a", "https://h/x?audience=a"),
            (
                "https://h/x?api-version=2.0",
                "a",
                "https://h/x?api-version=2.0&audience=a",
            ),
            ("https://h/x?p=%2F&q", "a", "https://h/x?p=%2F&q&audience=a"),
            (
                "https://h/x?audience=old&v=2",
                "new",
                "https://h/x?v=2&audience=new",
            ),
            ("https://h/x?%61udience=old", "new", "https://h/x?audience=new"),
            ("https://h/x?audience", "new", "https://h/x?audience=new"),
            ("https://h/x#part", "a", "https://h/x?audience=a"),
            (
                "https://h/x",
                "https://a:1/?b&c=d#e f+g",
                "https://h/x?audience=https%3A%2F%2Fa%3A1%2F%3Fb%26c%3Dd%23e%20f%2Bg",
            ),
            ("https://h/x", "ü'\"%", "https://h/x?audience=%C3%BC%27%22%25"),
        ];
        for (url, audience, expected) in rows {
            assert_eq!(in_query(Url::parse(url).unwrap(), audience).as_str(), expected);
        }
    }

    #[test]
    fn several_audiences_are_a_usage_error() {
        let mut request = TokenRequest::audience("a");
        assert_eq!(one("x", &request).unwrap(), Some("a"));
        request.audience.push("b".to_owned());
        assert_eq!(one("x", &request).unwrap_err().kind(), Class::Config);
        assert_eq!(one("x", &TokenRequest::default()).unwrap(), None);
    }
}
