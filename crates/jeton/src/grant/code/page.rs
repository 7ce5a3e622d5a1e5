//! The page a person sees at the end of a browser login: no script, nothing loaded from anywhere, everything escaped.
use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;margin:15vh auto;max-width:34rem;padding:0 1.5rem;\
color:#1b1b1b;background:#fff}h1{font-size:1.5rem;margin:0 0 .5rem}p{margin:0;color:#555}\
@media(prefers-color-scheme:dark){body{color:#eee;background:#161616}p{color:#aaa}}";

/// The last page: that all is well, or what went wrong.
pub(super) fn last(failure: Option<&str>) -> Response<Full<Bytes>> {
    match failure {
        None => page(
            StatusCode::OK,
            "You are logged in",
            "You can close this page and go back to the terminal.",
        ),
        Some(failure) => page(StatusCode::BAD_REQUEST, "The login failed", failure),
    }
}

/// A short answer to a request that belongs to no login.
pub(super) fn plain(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    page(status, "jeton", text)
}

fn page(status: StatusCode, title: &str, text: &str) -> Response<Full<Bytes>> {
    let (title, text) = (escape(title), escape(text));
    let html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{title}</title><style>{STYLE}</style><h1>{title}</h1><p>{text}</p></html>\n"
    );
    let mut response = Response::new(Full::new(Bytes::from(html)));
    *response.status_mut() = status;
    for (name, value) in [
        (http::header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (
            http::header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
        (http::header::REFERRER_POLICY, "no-referrer"),
        (http::header::CACHE_CONTROL, "no-store"),
        (http::header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (http::header::CONNECTION, "close"),
    ] {
        response
            .headers_mut()
            .insert(name, http::HeaderValue::from_static(value));
    }
    response
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d24_what_a_server_said_is_escaped() {
        assert_eq!(
            escape("<script>alert('x')</script>&\""),
            "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;&quot;"
        );
    }
}
