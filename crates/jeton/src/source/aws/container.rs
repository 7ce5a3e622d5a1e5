//! The container credentials endpoint: ECS, EKS Pod Identity, and whoever speaks like them on loopback.
//!
//! AWS SDKs and Tools Reference Guide, "Container credential provider". The token file wins over the token variable
//! and is read anew for each attempt, because the kubelet replaces it; it is sent without the line break that many
//! files end with, which no header can hold.
use super::credentials::{self, Credentials};
use crate::http::{Request, Route, checked_metadata_url};
use crate::source::file::TokenFile;
use crate::{Context, Env, Error};
use jeton_core::{Class, Secret};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;
use url::{Host, Url};

/// Where a relative URI is looked for: the ECS agent.
const ECS_HOST: &str = "http://169.254.170.2";
/// The hosts beside loopback that may be asked in clear text: the agents of ECS and of EKS.
const CLEAR_TEXT_V4: [Ipv4Addr; 2] = [Ipv4Addr::new(169, 254, 170, 2), Ipv4Addr::new(169, 254, 170, 23)];
const CLEAR_TEXT_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x23);
/// The SDKs' own times for this neighbour.
const CONNECT: Duration = Duration::from_secs(2);
const ATTEMPT: Duration = Duration::from_secs(5);

/// The variable that says that there is an endpoint.
pub(super) fn named_by(env: &Env) -> Option<&'static str> {
    [
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    ]
    .into_iter()
    .find(|name| env.get(name).is_some())
}

/// The credentials that the endpoint gives.
pub(super) async fn fetch(cx: &Context) -> Result<Credentials, Error> {
    let url = allowed(endpoint(&cx.env)?).await?;
    let token = Token::of(&cx.env);
    let mut near = cx.clone();
    near.policy.attempt_timeout = near.policy.attempt_timeout.min(ATTEMPT);
    let make = |_| {
        let mut request = Request::get(url.clone()).header("accept", "application/json");
        request.route = Route::Direct;
        request.connect_timeout = Some(CONNECT);
        request.credential = true;
        Ok(match token.read()? {
            Some(token) => request.secret_header("authorization", &token),
            None => request,
        })
    };
    near.fetch_anew("aws: container credentials", make, credentials::read)
        .await
}

/// The URL of the endpoint, before its host is judged. The relative form wins, as in the SDKs.
fn endpoint(env: &Env) -> Result<Url, Error> {
    if let Some(path) = env.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") {
        let path = if path.starts_with('/') {
            path.to_owned()
        } else {
            format!("/{path}")
        };
        return checked_metadata_url(
            &format!("{ECS_HOST}{path}"),
            "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        );
    }
    let full = env.get("AWS_CONTAINER_CREDENTIALS_FULL_URI").unwrap_or_default();
    // Names in clear text are judged by what they resolve to, so only the form is judged here.
    let refuse = || {
        Error::new(
            Class::Config,
            "AWS_CONTAINER_CREDENTIALS_FULL_URI is no URL that can be asked",
        )
        .with_hint("it must be http or https, with a host and without user name or password")
    };
    if full.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(refuse());
    }
    let url = Url::parse(full).map_err(|_| refuse())?;
    let plain = url.username().is_empty() && url.password().is_none() && url.host().is_some();
    if plain && matches!(url.scheme(), "http" | "https") {
        Ok(url)
    } else {
        Err(refuse())
    }
}

/// The same URL if it may be asked: `https`, or an allowed address in clear text. A name in clear text must resolve to
/// allowed addresses only, and the address that was judged is the one that is asked.
async fn allowed(mut url: Url) -> Result<Url, Error> {
    let name = match url.host() {
        _ if url.scheme() == "https" => return Ok(url),
        Some(Host::Ipv4(v4)) if is_allowed(v4.into()) => return Ok(url),
        Some(Host::Ipv6(v6)) if is_allowed(v6.into()) => return Ok(url),
        Some(Host::Domain("localhost")) => return Ok(url),
        Some(Host::Domain(name)) => name.to_owned(),
        _ => return Err(forbidden(&url)),
    };
    let port = url.port_or_known_default().unwrap_or(80);
    let resolved = tokio::net::lookup_host((name.as_str(), port)).await;
    let addresses: Vec<IpAddr> = resolved
        .map_err(|error| {
            let message = format!(
                "aws: container credentials: {name} does not resolve: {}",
                error.kind()
            );
            Error::new(Class::Unavailable, message)
        })?
        .map(|address| address.ip())
        .collect();
    match addresses.first() {
        Some(first) if addresses.iter().all(|address| is_allowed(*address)) => {
            let _ = url.set_ip_host(*first);
            Ok(url)
        }
        _ => Err(forbidden(&url)),
    }
}

fn is_allowed(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_loopback() || CLEAR_TEXT_V4.contains(&v4),
        IpAddr::V6(v6) => v6.is_loopback() || v6 == CLEAR_TEXT_V6,
    }
}

fn forbidden(url: &Url) -> Error {
    let host = jeton_core::redact::foreign(url.host_str().unwrap_or_default(), &[]);
    Error::new(Class::Config, format!("AWS_CONTAINER_CREDENTIALS_FULL_URI: {host} must not be asked over http")).with_hint(
        "over http only this machine, 169.254.170.2, 169.254.170.23 and fd00:ec2::23 are asked; use https for others",
    )
}

/// Where the endpoint's own token comes from.
enum Token {
    Nowhere,
    Variable(Secret),
    File(TokenFile),
}

impl Token {
    fn of(env: &Env) -> Self {
        const FILE: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE";
        match (env.get(FILE), env.get("AWS_CONTAINER_AUTHORIZATION_TOKEN")) {
            (Some(path), _) => Self::File(TokenFile::of_platform(path, FILE).replaced()),
            (None, Some(token)) => Self::Variable(Secret::new(token.trim())),
            (None, None) => Self::Nowhere,
        }
    }

    fn read(&self) -> Result<Option<Secret>, Error> {
        let token = match self {
            Self::Nowhere => return Ok(None),
            Self::Variable(token) => token.clone(),
            Self::File(file) => file.read_now()?,
        };
        if token.reveal().chars().any(|c| c.is_control()) {
            let message = "AWS_CONTAINER_AUTHORIZATION_TOKEN holds a line break or another control character";
            return Err(Error::new(Class::Config, message));
        }
        Ok(Some(token))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn clear_text_goes_to_neighbours_only() {
        let rows = [
            ("http://127.0.0.1:8080/x", true),
            ("http://localhost:8080/x", true),
            ("http://[::1]/x", true),
            ("http://169.254.170.2/x", true),
            ("http://169.254.170.23/v1/credentials", true),
            ("http://[fd00:ec2::23]/v1/credentials", true),
            ("https://credentials.example.com/x", true),
            ("http://169.254.169.254/x", false),
            ("http://[fd00:ec2::24]/x", false),
            ("http://10.0.0.1/x", false),
            ("http://192.0.2.1/x", false),
        ];
        for (url, fine) in rows {
            let url = Url::parse(url).unwrap();
            let judged = allowed(url.clone()).await;
            assert_eq!(judged.as_ref().ok(), fine.then_some(&url), "{url}");
            if let Err(error) = judged {
                assert_eq!(error.kind(), Class::Config);
            }
        }
    }

    #[test]
    fn the_relative_form_wins_and_nonsense_is_refused() {
        let relative = ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/credentials/1");
        let full = |uri| ("AWS_CONTAINER_CREDENTIALS_FULL_URI", uri);
        let url = |pairs: Vec<(&str, &str)>| endpoint(&pairs.into_iter().collect()).map(String::from);
        assert_eq!(
            url(vec![relative]).unwrap(),
            "http://169.254.170.2/v2/credentials/1"
        );
        assert_eq!(
            url(vec![relative, full("http://127.0.0.1/")]).unwrap(),
            "http://169.254.170.2/v2/credentials/1"
        );
        for bad in [
            "file:///etc/passwd",
            "127.0.0.1/x",
            "http://u:p@127.0.0.1/",
            "http://127.0.0.1/\r\nx",
        ] {
            assert_eq!(url(vec![full(bad)]).unwrap_err().kind(), Class::Config, "{bad}");
        }
    }
}
