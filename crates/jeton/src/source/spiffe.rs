//! SPIFFE: a JWT-SVID over the Workload API.
//!
//! SPIFFE Workload Endpoint and SPIFFE Workload API specifications. Nobody is authenticated but by the agent itself, which
//! looks at the process at the other end of the socket. The call is behind the feature `spiffe`; without it, a socket that
//! is there is an error and never a reason to fall through to a weaker identity.
#[cfg(feature = "spiffe")]
mod message;
#[cfg(feature = "spiffe")]
mod workload_api;

use super::{Presence, Source, projected};
use crate::{Context, Error};
use futures_util::future::BoxFuture;
use jeton_core::{Class, Token, TokenRequest};
use std::net::SocketAddr;
use std::path::PathBuf;

const NAME: &str = "spiffe";
const SOCKET: &str = "SPIFFE_ENDPOINT_SOCKET";
/// Which of several identities, by its SPIFFE ID …
const ID: &str = "JETON_SPIFFE_ID";
/// … or by the word that the operator gave it.
const HINT: &str = "JETON_SPIFFE_HINT";
const SOCKET_FORM: &str = "write unix:///absolute/path or tcp://ADDRESS:PORT";

/// The source `spiffe`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spiffe;

/// Where the Workload API is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Socket {
    Unix(PathBuf),
    Tcp(SocketAddr),
}

impl Socket {
    /// Reads the URI of the variable: these two forms and no other (SPIFFE Workload Endpoint, section 4).
    fn parse(text: &str) -> Option<Self> {
        if let Some(path) = text.strip_prefix("unix://") {
            let path = PathBuf::from(path);
            let plain = path.is_absolute() && !text.contains(['?', '#']);
            return plain.then_some(Self::Unix(path));
        }
        text.strip_prefix("tcp://")?.parse().ok().map(Self::Tcp)
    }
}

impl Source for Spiffe {
    fn name(&self) -> &str {
        NAME
    }

    fn presence(&self, cx: &Context, _request: &TokenRequest) -> Presence {
        let Some(text) = cx.env.get(SOCKET) else {
            return Presence::absent(format!("{SOCKET} is not set"));
        };
        match Socket::parse(text) {
            None => Presence::broken(format!("{SOCKET} is no URI of a Workload API"), SOCKET_FORM),
            Some(_) if cfg!(not(feature = "spiffe")) => Presence::broken(
                format!("{SOCKET} is set, but this build has no SPIFFE"),
                NO_FEATURE,
            ),
            Some(Socket::Unix(path)) if !path.exists() => Presence::broken(
                format!(
                    "{SOCKET} names {}, which does not exist",
                    super::file::shown(&path)
                ),
                "mount the agent's socket, or take the variable away",
            ),
            Some(_) => {
                let parts = [SOCKET, ID, HINT].map(|name| cx.env.get(name).unwrap_or_default().as_bytes());
                Presence::ready(format!("{SOCKET} is set"), projected::joined(parts))
            }
        }
    }

    fn fetch<'a>(
        &'a self,
        cx: &'a Context,
        request: &'a TokenRequest,
    ) -> BoxFuture<'a, Result<Token, Error>> {
        Box::pin(async move {
            let text = cx
                .env
                .get(SOCKET)
                .ok_or_else(|| config(format!("{SOCKET} is not set"), SOCKET_FORM))?;
            let socket = Socket::parse(text)
                .ok_or_else(|| config(format!("{SOCKET} is no URI of a Workload API"), SOCKET_FORM))?;
            if request.audience.is_empty() {
                return Err(config(
                    "no audience".to_owned(),
                    "say whom the token is for: --audience",
                ));
            }
            fetch(cx, &socket, request).await
        })
    }
}

const NO_FEATURE: &str = "build jeton with the feature `spiffe`, or name another source";

fn config(message: String, hint: &str) -> Error {
    Error::new(Class::Config, format!("spiffe: {message}")).with_hint(hint)
}

#[cfg(not(feature = "spiffe"))]
async fn fetch(_cx: &Context, _socket: &Socket, _request: &TokenRequest) -> Result<Token, Error> {
    Err(config("this build has no SPIFFE".to_owned(), NO_FEATURE))
}

#[cfg(feature = "spiffe")]
async fn fetch(cx: &Context, socket: &Socket, request: &TokenRequest) -> Result<Token, Error> {
    let (id, hint) = (cx.env.get(ID), cx.env.get(HINT));
    let place = match socket {
        Socket::Unix(path) => super::file::shown(path),
        Socket::Tcp(address) => address.to_string(),
    };
    let svids = ask(cx, socket, &place, &request.audience, id).await?;
    let svid = choose(cx, svids, id, hint)?;
    let token = svid.token.filter(|token| !token.is_empty());
    let token = token.ok_or_else(|| Error::new(Class::Protocol, "spiffe: an identity without a token"))?;
    let subject = projected::claims(&token).and_then(|claims| claims.subject().map(str::to_owned));
    if subject.as_deref() != Some(svid.spiffe_id.as_str()) {
        let message = "spiffe: the token's subject is not the SPIFFE ID that came with it";
        return Err(Error::new(Class::Token, message));
    }
    projected::token(cx, NAME, &token, request)
}

/// Asks until there is an answer. A socket that takes a call and never answers is given up like a silent server.
#[cfg(feature = "spiffe")]
async fn ask(
    cx: &Context,
    socket: &Socket,
    place: &str,
    audience: &[String],
    id: Option<&str>,
) -> Result<Vec<Svid>, Error> {
    let mut attempts = Attempts::of(cx);
    loop {
        attempts.begin(place);
        let own_end = Instant::now().checked_add(cx.policy.attempt_timeout);
        let end = own_end
            .into_iter()
            .chain(attempts.deadline)
            .min()
            .unwrap_or_else(Instant::now);
        let call = workload_api::fetch(socket, audience, id);
        let fault = match tokio::time::timeout_at(end, call).await {
            Ok(Ok(svids)) => return Ok(svids),
            Ok(Err(fault)) => fault,
            Err(_) => {
                let mut fault = Fault::new(Failure::Stalled, "waited for the answer: timed out");
                fault.overdue = attempts.deadline == Some(end);
                fault
            }
        };
        attempts.failed("spiffe: FetchJWTSVID", place, &fault).await?;
    }
}

/// The identity that was asked for, else the first, which the specification calls the default.
#[cfg(feature = "spiffe")]
fn choose(cx: &Context, svids: Vec<Svid>, id: Option<&str>, hint: Option<&str>) -> Result<Svid, Error> {
    let fits =
        |svid: &Svid| id.is_none_or(|id| svid.spiffe_id == id) && hint.is_none_or(|hint| svid.hint == hint);
    let several = svids.len() > 1 && id.is_none() && hint.is_none();
    let names: Vec<&str> = svids.iter().map(|svid| svid.spiffe_id.as_str()).collect();
    let names = jeton_core::redact::foreign(&names.join(", "), &[]);
    let chosen = svids.into_iter().find(fits);
    if several && let Some(chosen) = &chosen {
        let chosen = jeton_core::redact::foreign(&chosen.spiffe_id, &[]);
        cx.observer.warning(&format!(
            "spiffe: several identities, the first is taken: {chosen} (choose with {ID})"
        ));
    }
    chosen.ok_or_else(|| {
        let error = Error::new(
            Class::NotFound,
            "spiffe: the Workload API gave no identity that was asked for",
        );
        match names.as_str() {
            "" => error.with_hint("it gave none at all"),
            names => error.with_hint(format!("it gave {names}")),
        }
    })
}

#[cfg(feature = "spiffe")]
use {crate::fetch::Attempts, crate::http::Fault, jeton_core::Failure, message::Svid, tokio::time::Instant};

#[cfg(test)]
mod tests;
