//! Where a session's credentials are asked for: a broker of the contract, or the two URL schemes of the Ambient platform.
use super::provider::Wanted;
use jeton::http::{checked_url, is_local};
use jeton::{Error, Secret, http::Request};
use jeton_core::{Class, redact};
use url::{Host, Url};

/// Under which path a broker serves when its URL says none.
const USUAL_BASE: &str = "v1";
/// The credential's own route, below the platform's base.
const AMBIENT: [&str; 4] = ["api", "ambient", "v1", "projects"];
/// Names inside a cluster: served in clear text, reached over the cluster's own network only.
const CLUSTER: [&str; 2] = [".svc", ".svc.cluster.local"];
/// The header that names the user whom a request is for.
const CURRENT_USER: &str = "x-runner-current-user";

/// What is asked, and how its URLs are built.
#[derive(Clone, Debug)]
pub enum Api {
    /// A broker.
    Broker {
        /// Its URL with its base path.
        base: Url,
        /// The project whose path credentials are asked for under; none: their own.
        project: Option<String>,
    },
    /// The Ambient platform.
    Ambient {
        /// The backend's URL.
        base: Url,
        /// The project.
        project: Option<String>,
        /// The session.
        session: Option<String>,
    },
}

impl Api {
    /// A broker at this URL; without a path in it, at its usual one. Under a project, only what is bound to it is given.
    ///
    /// # Errors
    /// `Class::Config` for a URL that a credential must not be sent to.
    pub fn broker(url: &str, project: Option<String>) -> Result<Self, Error> {
        let mut base = plain(checked_url(url, "--broker")?)?;
        if base.path().trim_matches('/').is_empty() {
            base.set_path(USUAL_BASE);
        }
        Ok(Self::Broker { base, project })
    }

    /// The Ambient platform at this URL. Only hosts inside a cluster, this machine, and the names in `allowed` are ever
    /// sent a credential.
    ///
    /// # Errors
    /// `Class::Config` for every other host, before anything is sent.
    pub fn ambient(
        url: &str,
        allowed: &[String],
        project: Option<String>,
        session: Option<String>,
    ) -> Result<Self, Error> {
        Ok(Self::Ambient {
            base: allowed_url(url, "--broker", allowed)?,
            project,
            session,
        })
    }

    /// Where one credential is asked for; `None` when nothing says which it would be.
    ///
    /// # Errors
    /// `Class::Config` for an id that cannot be a part of a path.
    pub fn token_url(&self, wanted: &Wanted) -> Result<Option<Url>, Error> {
        match self {
            Self::Broker { base, project } => {
                let Some(id) = &wanted.id else { return Ok(None) };
                let mut path: Vec<&str> = Vec::new();
                if let Some(project) = project {
                    path.extend(["projects", project]);
                }
                path.extend(["credentials", id, "token"]);
                Ok(Some(below(base, &path)?))
            }
            Self::Ambient {
                base,
                project,
                session,
            } => {
                let Some(project) = project.as_deref() else {
                    return Ok(None);
                };
                if let Some(id) = &wanted.id {
                    let mut path = AMBIENT.to_vec();
                    path.extend([project, "credentials", id, "token"]);
                    return Ok(Some(below(base, &path)?));
                }
                let Some(session) = session.as_deref() else {
                    return Ok(None);
                };
                let mut path = vec!["projects", project, "agentic-sessions", session, "credentials"];
                path.push(wanted.provider.name());
                path.extend(wanted.name.as_deref());
                Ok(Some(below(base, &path)?))
            }
        }
    }

    /// A request for `url` with this bearer, on behalf of `user`.
    #[must_use]
    pub fn request(&self, url: Url, bearer: &Secret, user: Option<&str>) -> Request {
        let request = Request::get(url).header("accept", "application/json");
        self.signed(request, bearer, user)
    }

    /// The same request with this bearer, on behalf of `user`.
    #[must_use]
    pub fn signed(&self, request: Request, bearer: &Secret, user: Option<&str>) -> Request {
        let mut request = request.bearer(bearer);
        // Where it may go was settled when the URL was: names inside a cluster have no certificates.
        request.clear_text = matches!(self, Self::Ambient { .. });
        match user {
            Some(user) => request.header(CURRENT_USER, user),
            None => request,
        }
    }
}

/// A URL whose host is this machine, a service of the cluster, or one of `allowed`, each exactly.
///
/// # Errors
/// `Class::Config`.
pub fn allowed_url(text: &str, what: &str, allowed: &[String]) -> Result<Url, Error> {
    let shown = redact::foreign(text, &[]);
    let wrong = |why: &str| Error::new(Class::Config, format!("{what} {shown}: {why}"));
    if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(wrong("it has white space or control characters in it"));
    }
    let url = Url::parse(text).map_err(|e| wrong(&e.to_string()))?;
    let is_plain =
        matches!(url.scheme(), "http" | "https") && url.username().is_empty() && url.password().is_none();
    if !is_plain {
        return Err(wrong("it must be http or https, without user name and password"));
    }
    let name = url
        .host_str()
        .unwrap_or_default()
        .trim_end_matches('.')
        .to_owned();
    let is_listed = allowed.iter().any(|a| a.eq_ignore_ascii_case(&name));
    let in_cluster = matches!(url.host(), Some(Host::Domain(_)))
        && CLUSTER
            .iter()
            .any(|end| name.strip_suffix(end).is_some_and(|rest| !rest.is_empty()));
    let is_here = matches!(name.as_str(), "localhost" | "127.0.0.1" | "[::1]");
    // Clear text leaves the machine only for the cluster's own network.
    let is_clear_abroad = url.scheme() == "http" && !in_cluster && !is_local(&url);
    match is_here || in_cluster || is_listed {
        true if is_clear_abroad => Err(wrong("it must be https beyond this machine and the cluster")),
        true => plain(url),
        false => Err(
            wrong("this host is not one that credentials are sent to").with_hint(
                "it must be a service of the cluster or this machine; --allow-host HOST allows one more",
            ),
        ),
    }
}

fn plain(url: Url) -> Result<Url, Error> {
    if url.query().is_some() || url.fragment().is_some() {
        return Err(Error::new(
            Class::Config,
            "--broker: a query or a fragment means nothing here",
        ));
    }
    Ok(url)
}

/// `base` with these segments after its path.
///
/// # Errors
/// `Class::Config` for a segment that would lead elsewhere.
pub fn below(base: &Url, segments: &[&str]) -> Result<Url, Error> {
    let odd = |s: &&&str| s.is_empty() || **s == "." || **s == ".." || s.chars().any(char::is_control);
    if let Some(segment) = segments.iter().find(odd) {
        let shown = redact::foreign(segment, &[]);
        return Err(Error::new(Class::Config, format!("`{shown}` is no id")));
    }
    let mut url = base.clone();
    match url.path_segments_mut() {
        Ok(mut path) => {
            path.pop_if_empty().extend(segments);
        }
        Err(()) => return Err(Error::new(Class::Config, "the broker's URL has no path")),
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::provider::Provider;

    fn wanted(id: Option<&str>, provider: Provider, name: Option<&str>) -> Wanted {
        Wanted {
            id: id.map(str::to_owned),
            name: name.map(str::to_owned),
            ..Wanted::new(provider)
        }
    }

    #[test]
    fn d3_each_scheme_has_its_url() {
        let broker = |url| Api::broker(url, None).expect("broker");
        let some = |text: &str| Some(text.to_owned());
        let ambient = |project, session| {
            Api::ambient("http://backend.ns.svc:8080", &[], project, session).expect("ambient")
        };
        let rows = [
            (
                broker("https://b.example"),
                wanted(Some("c1"), Provider::Github, None),
                Some("https://b.example/v1/credentials/c1/token"),
            ),
            (
                broker("https://b.example/api/ambient/v1/"),
                wanted(Some("c/../1"), Provider::Github, None),
                Some("https://b.example/api/ambient/v1/credentials/c%2F..%2F1/token"),
            ),
            (
                Api::broker("https://b.example", Some("p".to_owned())).expect("broker"),
                wanted(Some("c1"), Provider::Github, None),
                Some("https://b.example/v1/projects/p/credentials/c1/token"),
            ),
            (
                broker("https://b.example"),
                wanted(None, Provider::Github, None),
                None,
            ),
            (
                ambient(some("p"), some("s")),
                wanted(Some("c1"), Provider::Jira, None),
                Some("http://backend.ns.svc:8080/api/ambient/v1/projects/p/credentials/c1/token"),
            ),
            (
                ambient(some("p"), some("s")),
                wanted(None, Provider::Jira, None),
                Some("http://backend.ns.svc:8080/projects/p/agentic-sessions/s/credentials/jira"),
            ),
            (
                ambient(some("p"), some("s")),
                wanted(None, Provider::Mcp, Some("search")),
                Some("http://backend.ns.svc:8080/projects/p/agentic-sessions/s/credentials/mcp/search"),
            ),
            (ambient(some("p"), None), wanted(None, Provider::Jira, None), None),
            (
                ambient(None, some("s")),
                wanted(Some("c1"), Provider::Jira, None),
                None,
            ),
        ];
        for (api, wanted, url) in rows {
            let found = api.token_url(&wanted).expect("a URL or none");
            assert_eq!(found.as_ref().map(Url::as_str), url, "{wanted}");
        }
        assert!(
            broker("https://b.example")
                .token_url(&wanted(Some(".."), Provider::Github, None))
                .is_err()
        );
    }

    #[test]
    fn d4_only_exact_hosts_are_sent_a_credential() {
        let listed = ["api.example.com".to_owned()];
        let rows = [
            ("http://localhost:8080", true),
            ("http://127.0.0.1:8080", true),
            ("http://[::1]:8080", true),
            ("http://backend.ns.svc:8080", true),
            ("http://backend.ns.svc.cluster.local:8080/base", true),
            ("https://api.example.com", true),
            ("http://api.example.com", false),
            ("https://evil.example", false),
            ("https://api.example.com.evil.example", false),
            ("https://xapi.example.com", false),
            ("http://svc:8080", false),
            ("http://.svc:8080", false),
            ("http://backend.svc.evil.example", false),
            ("http://localhost.evil.example", false),
            ("http://127.0.0.2:8080", false),
            ("http://user:word@localhost", false),
            ("ftp://localhost", false),
            ("http://localhost/?q=1", false),
        ];
        for (url, fits) in rows {
            assert_eq!(allowed_url(url, "--broker", &listed).is_ok(), fits, "{url}");
        }
    }
}
