//! From a URL to a stream of bytes: names, addresses, proxies' tunnels, TLS.
use super::exchange::{self, Limits};
use super::proxy::{self, Proxy};
use super::target;
use super::trust::Trust;
use super::wire::{Phase, Progress, Stream, Watched};
use super::{Fault, Guard, Request, Route};
use crate::Env;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use jeton_core::{Failure, RetryPolicy};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;
use tokio::net::{TcpStream, UnixStream};
use url::{Host, Url};

/// How long one address may take before the next is tried beside it (RFC 8305 section 8).
const HEAD_START: Duration = Duration::from_millis(250);

/// How one request gets to where it is sent.
pub(super) struct Plan {
    url: Url,
    way: Way,
    guard: Guard,
    connect_timeout: Option<Duration>,
}

enum Way {
    Straight,
    Through(Proxy),
    Unix(PathBuf),
}

impl Plan {
    pub(super) fn new(env: &Env, request: &Request) -> Result<Self, Fault> {
        let way = match &request.route {
            Route::Unix(path) => Way::Unix(path.clone()),
            Route::Direct => Way::Straight,
            Route::Auto => proxy::of(env, &request.url)?.map_or(Way::Straight, Way::Through),
        };
        Ok(Self {
            url: request.url.clone(),
            way,
            guard: request.guard,
            connect_timeout: request.connect_timeout,
        })
    }

    /// The proxy that wants the whole URL in the request line: the one on the way to a target in clear text.
    pub(super) fn absolute_form(&self) -> Option<&Proxy> {
        match &self.way {
            Way::Through(proxy) if self.url.scheme() == "http" => Some(proxy),
            _ => None,
        }
    }
}

/// Connects as `plan` says, within the connection's time and the attempt's.
pub(super) async fn connect(
    trust: &Trust,
    plan: &Plan,
    policy: &RetryPolicy,
    limits: &Limits,
    progress: &Progress,
) -> Result<Stream, Fault> {
    let within = plan.connect_timeout.unwrap_or(policy.connect_timeout);
    let work = async {
        let stream = match &plan.way {
            Way::Unix(path) => return unix(path, progress).await,
            Way::Straight => tcp(&plan.url, plan.guard, within, progress).await?,
            Way::Through(proxy) => {
                let stream = tcp(&proxy.url, Guard::Off, within, progress).await?;
                let stream = secured(trust, &proxy.url, stream, progress).await?;
                if plan.absolute_form().is_some() {
                    return Ok(stream);
                }
                progress.enter(Phase::Tunnel);
                exchange::tunnel(stream, &plan.url, proxy, progress).await?
            }
        };
        secured(trust, &plan.url, stream, progress).await
    };
    tokio::time::timeout_at(limits.head_by, work)
        .await
        .unwrap_or_else(|_| Err(progress.timed_out(limits.head)))
}

async fn unix(path: &PathBuf, progress: &Progress) -> Result<Stream, Fault> {
    progress.enter(Phase::Connecting);
    match UnixStream::connect(path).await {
        Ok(inner) => Ok(watched(inner, progress)),
        Err(error) => Err(Fault::new(
            Failure::Connect,
            format!("cannot connect to the socket {}: {error}", path.display()),
        )),
    }
}

fn watched<S: super::wire::Duplex + 'static>(inner: S, progress: &Progress) -> Stream {
    Box::new(Watched {
        inner,
        progress: progress.clone(),
    })
}

async fn tcp(url: &Url, guard: Guard, within: Duration, progress: &Progress) -> Result<Stream, Fault> {
    progress.enter(Phase::Resolving);
    let addresses = resolve(url).await?;
    target::check_addresses(guard, &addresses)?;
    progress.enter(Phase::Connecting);
    let stream = tokio::time::timeout(within, dial(addresses))
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        .map_err(|error| refused(&error))?;
    // One small request at a time: nothing to coalesce.
    let _ = stream.set_nodelay(true);
    Ok(watched(stream, progress))
}

fn refused(error: &io::Error) -> Fault {
    match error.kind() {
        io::ErrorKind::TimedOut => Fault::new(Failure::ConnectTimeout, "the connection timed out"),
        io::ErrorKind::ConnectionRefused => Fault::new(Failure::Connect, "the connection was refused"),
        _ => Fault::new(Failure::Connect, format!("cannot connect: {error}")),
    }
}

async fn resolve(url: &Url) -> Result<Vec<SocketAddr>, Fault> {
    let port = url.port_or_known_default().unwrap_or_default();
    let name = match url.host() {
        Some(Host::Ipv4(address)) => return Ok(vec![(address, port).into()]),
        Some(Host::Ipv6(address)) => return Ok(vec![(address, port).into()]),
        Some(Host::Domain(name)) => name,
        None => return Err(Fault::new(Failure::Config, "the URL has no host")),
    };
    if target::is_localhost(name) {
        let both: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        return Ok(both.map(|address| (address, port).into()).to_vec());
    }
    let found: Vec<_> = match tokio::net::lookup_host((name, port)).await {
        Ok(found) => found.collect(),
        Err(error) => {
            return Err(Fault::new(
                Failure::Dns,
                format!("the name does not resolve: {error}"),
            ));
        }
    };
    if found.is_empty() {
        return Err(Fault::new(Failure::Dns, "the name has no address"));
    }
    Ok(alternating(found))
}

/// The families take turns, in the resolver's order, so that one broken family costs one head start (RFC 8305).
fn alternating(found: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = found.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) = found.into_iter().partition(|a| a.is_ipv6() == first_is_v6);
    let longest = first.len().max(second.len());
    (0..longest)
        .flat_map(|i| [first.get(i).copied(), second.get(i).copied()])
        .flatten()
        .collect()
}

/// The first address that answers, each with a head start before the next.
async fn dial(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let mut waiting = addresses.into_iter();
    let mut dialing = FuturesUnordered::new();
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    loop {
        if let Some(address) = waiting.next() {
            dialing.push(TcpStream::connect(address));
        }
        tokio::select! {
            answer = dialing.next() => match answer {
                Some(Ok(stream)) => return Ok(stream),
                Some(Err(error)) => last = error,
                None => return Err(last),
            },
            () = tokio::time::sleep(HEAD_START), if waiting.len() > 0 => {}
        }
    }
}

/// TLS over `stream` when the URL wants it.
async fn secured(trust: &Trust, url: &Url, stream: Stream, progress: &Progress) -> Result<Stream, Fault> {
    if url.scheme() != "https" {
        return Ok(stream);
    }
    progress.enter(Phase::Handshake);
    let secured = trust.handshake(url, stream).await?;
    Ok(Box::new(secured))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_take_turns() {
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        let (a, b, c) = (at("[2001:db8::1]:1"), at("[2001:db8::2]:1"), at("192.0.2.1:1"));
        assert_eq!(alternating(vec![a, b, c]), [a, c, b]);
        assert_eq!(alternating(vec![c, a, b]), [c, a, b]);
    }
}
