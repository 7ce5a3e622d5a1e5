//! Which request goes where: the table of routes, and the routes that steer the issuer.
mod steering;

use crate::answer::Answer;
use crate::call::Call;
use crate::desk::Desk;
use crate::{discovery, grants, platforms};
use http::Method;

/// What answers a route.
pub(crate) type Handler = fn(&Desk<'_>, &Call) -> Answer;

/// A line of the table.
pub(crate) struct Route {
    /// How faults and the record call it. Several lines may share a name.
    pub(crate) name: &'static str,
    pub(crate) method: Method,
    /// The path under the issuer URL; `{piece}` is any one segment.
    pub(crate) path: &'static str,
    pub(crate) reach: Reach,
    pub(crate) handle: Handler,
}

/// From where a route can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Under the issuer URL only.
    Issuer,
    /// At the root of the server too: the platform's clients are told a host, not a URL.
    Host,
    /// As [`Reach::Host`]; it steers the issuer, so it is neither recorded nor has faults.
    Steering,
}

pub(crate) const fn route(
    name: &'static str,
    method: Method,
    path: &'static str,
    reach: Reach,
    handle: Handler,
) -> Route {
    Route {
        name,
        method,
        path,
        reach,
        handle,
    }
}

const PROVIDER: &[Route] = &[
    route(
        "discovery",
        Method::GET,
        "/.well-known/openid-configuration",
        Reach::Issuer,
        discovery::document,
    ),
    route(
        "discovery",
        Method::GET,
        OAUTH_METADATA,
        Reach::Issuer,
        discovery::document,
    ),
    route("jwks", Method::GET, "/jwks", Reach::Issuer, discovery::jwks),
    route(
        "rotate",
        Method::POST,
        "/rotate",
        Reach::Issuer,
        discovery::rotate,
    ),
    route("token", Method::POST, "/token", Reach::Issuer, discovery::token),
];

/// RFC 8414 section 3.1 puts this between host and path; under the path it is found too.
const OAUTH_METADATA: &str = "/.well-known/oauth-authorization-server";

fn tables() -> impl Iterator<Item = &'static Route> {
    let own = [PROVIDER, grants::ROUTES, steering::ROUTES].into_iter().flatten();
    own.chain(platforms::routes())
}

/// The names that faults can be bound to.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    let names = tables()
        .filter(|route| route.reach != Reach::Steering)
        .map(|route| route.name);
    names.chain([WORKLOAD_API])
}

/// The name of the route that is not HTTP/1.1: the SPIFFE Workload API on its socket.
pub(crate) const WORKLOAD_API: &str = "spiffe";

/// What a path and a method lead to.
pub(crate) enum Found {
    Route(&'static Route, Vec<String>),
    /// The path is there, for these methods.
    OtherMethod(&'static str, String),
    Nothing,
}

/// Takes the issuer's path off; `None` when the request is not under it.
fn under_issuer<'a>(path: &'a str, prefix: &str) -> Option<&'a str> {
    if path.strip_prefix(OAUTH_METADATA) == Some(prefix) {
        return Some(OAUTH_METADATA);
    }
    let rest = path.strip_prefix(prefix)?;
    (rest.is_empty() || rest.starts_with('/')).then_some(rest)
}

/// Finds the route, and the path under the issuer URL.
pub(crate) fn find(prefix: &str, method: &Method, path: &str) -> (Found, String) {
    let inside = under_issuer(path, prefix);
    let shown = inside.unwrap_or(path).to_owned();
    let mut others = Vec::new();
    for route in tables() {
        let from_root = (route.reach != Reach::Issuer).then_some(path);
        let candidates = inside.into_iter().chain(from_root);
        let Some(pieces) = candidates.into_iter().find_map(|path| pieces(route.path, path)) else {
            continue;
        };
        if route.method == *method || (route.method == Method::GET && *method == Method::HEAD) {
            return (Found::Route(route, pieces), shown);
        }
        others.push(route);
    }
    match others.first() {
        Some(first) => {
            let allowed: Vec<_> = others.iter().map(|route| route.method.as_str()).collect();
            (Found::OtherMethod(first.name, allowed.join(", ")), shown)
        }
        None => (Found::Nothing, shown),
    }
}

/// What the pieces of a pattern stand for in a path, decoded; `None` when it does not fit.
fn pieces(pattern: &str, path: &str) -> Option<Vec<String>> {
    let (wanted, given) = (pattern.split('/'), path.split('/'));
    if wanted.clone().count() != given.clone().count() {
        return None;
    }
    let mut found = Vec::new();
    for (wanted, given) in wanted.zip(given) {
        match wanted.strip_prefix('{').and_then(|open| open.split_once('}')) {
            Some((_, ending)) => found.push(decoded(given.strip_suffix(ending)?)?),
            None if wanted == given => {}
            None => return None,
        }
    }
    Some(found)
}

fn decoded(segment: &str) -> Option<String> {
    let text = percent_encoding::percent_decode_str(segment).decode_utf8().ok()?;
    (!text.is_empty()).then(|| text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_where_they_should() {
        // (prefix, method, path) -> name
        let rows = [
            ("", "GET", "/jwks", "jwks"),
            ("/a/b", "GET", "/a/b/jwks", "jwks"),
            ("/a/b", "GET", "/jwks", "-"),
            ("/a/b", "GET", "/a/bjwks", "-"),
            (
                "/a/b",
                "GET",
                "/.well-known/oauth-authorization-server/a/b",
                "discovery",
            ),
            (
                "/a/b",
                "GET",
                "/a/b/.well-known/oauth-authorization-server",
                "discovery",
            ),
            ("", "GET", "/.well-known/oauth-authorization-server", "discovery"),
            ("", "POST", "/jwks", "405 jwks"),
            ("", "GET", "/nothing", "-"),
            ("/a", "GET", "/_requests", "requests"),
            ("", "GET", "/github/idtoken", "github"),
        ];
        for (prefix, method, path, expected) in rows {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let found = match find(prefix, &method, path).0 {
                Found::Route(route, _) => route.name.to_owned(),
                Found::OtherMethod(name, _) => format!("405 {name}"),
                Found::Nothing => "-".to_owned(),
            };
            assert_eq!(found, expected, "{prefix} {path}");
        }
    }

    #[test]
    fn pieces_have_endings_and_are_decoded() {
        let pattern = "/v1/{sa}:generateIdToken";
        assert_eq!(
            pieces(pattern, "/v1/a%40b:generateIdToken"),
            Some(vec!["a@b".to_owned()])
        );
        assert_eq!(pieces(pattern, "/v1/a:other"), None);
        assert_eq!(pieces(pattern, "/v1/a/b:generateIdToken"), None);
    }
}
