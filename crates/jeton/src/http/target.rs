//! Which URLs and which addresses may be asked.
use super::{Fault, Guard, Request};
use crate::Error;
use jeton_core::{Class, Failure};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use url::{Host, Url};

/// The names that clouds give their metadata servers.
const METADATA_NAMES: [&str; 3] = ["metadata.google.internal", "metadata", "instance-data"];
/// EC2's metadata, ECS' and EKS' credentials over IPv6: unique local addresses that Amazon took for itself.
const AMAZON_LOCAL: [u16; 2] = [0xfd00, 0x0ec2];
/// The address of Azure's wire server: public in form, local in truth.
const AZURE_WIRE_SERVER: Ipv4Addr = Ipv4Addr::new(168, 63, 129, 16);

/// Makes a URL of a text from a variable, a file or a document, if a request may be sent there: `https`, or `http` to
/// this machine. `what` names where the text came from.
///
/// # Errors
/// [`Class::Config`], before anything is sent.
pub fn checked_url(text: &str, what: &str) -> Result<Url, Error> {
    checked(
        text,
        what,
        is_loopback,
        "it must be https, or http to this machine",
    )
}

/// The same for a metadata server, which platforms have on link-local addresses in clear text.
///
/// # Errors
/// [`Class::Config`], before anything is sent.
pub fn checked_metadata_url(text: &str, what: &str) -> Result<Url, Error> {
    checked(
        text,
        what,
        is_local,
        "it must be https, or http to this machine or a link-local address",
    )
}

fn checked(text: &str, what: &str, may_be_clear: fn(&Url) -> bool, rule: &str) -> Result<Url, Error> {
    let refuse = |why: &str| {
        Err(Error::new(
            Class::Config,
            format!("{what} is no URL that can be asked: {why}"),
        )
        .with_hint("write it whole, as https://HOST/PATH"))
    };
    // The URL parser drops line breaks and tabs in silence; two programs would then see two URLs.
    if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return refuse("it has white space or control characters in it");
    }
    let Ok(url) = Url::parse(text) else {
        return refuse("it cannot be read");
    };
    if !is_plain(&url) {
        return refuse("it must have a host and no user name or password");
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if may_be_clear(&url) => Ok(url),
        _ => refuse(rule),
    }
}

/// Whether it has a host, no user information, and a scheme we speak.
pub(super) fn is_plain(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https")
        && url.host().is_some()
        && url.username().is_empty()
        && url.password().is_none()
}

/// Whether its host is this machine: `localhost`, or a literal loopback address.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => is_localhost(name),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// `localhost` and everything below it is this machine and is never looked up (RFC 6761 section 6.3).
pub(super) fn is_localhost(name: &str) -> bool {
    let name = name.trim_end_matches('.');
    name.eq_ignore_ascii_case("localhost") || name.to_ascii_lowercase().ends_with(".localhost")
}

/// Whether its host is this machine or a platform's metadata server beside it: never reached through a proxy, and
/// allowed in clear text.
#[must_use]
pub fn is_local(url: &Url) -> bool {
    let local = match url.host() {
        Some(Host::Domain(name)) => METADATA_NAMES.contains(&name.trim_end_matches('.')),
        Some(Host::Ipv4(address)) => is_link_local(address.into()),
        Some(Host::Ipv6(address)) => is_link_local(address.into()),
        None => false,
    };
    local || is_loopback(url)
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local() || v4 == AZURE_WIRE_SERVER,
        IpAddr::V6(v6) => v6.is_unicast_link_local() || v6.segments()[..2] == AMAZON_LOCAL,
    }
}

/// The host and port as they are named in messages.
pub(super) fn place(url: &Url) -> String {
    match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (Some(host), None) => host.to_owned(),
        (None, _) => url.scheme().to_owned(),
    }
}

/// What is checked of every request before anything is sent.
pub(super) fn check(request: &Request) -> Result<(), Fault> {
    if matches!(request.route, super::Route::Unix(_)) {
        return Ok(());
    }
    let url = &request.url;
    let refuse = |why: &str| Err(Fault::new(Failure::Config, why));
    if !is_plain(url) {
        return refuse("the URL must be https or http, with a host and without user name or password");
    }
    let clear_text_is_fine = is_local(url) || request.clear_text;
    if url.scheme() == "http" && !clear_text_is_fine {
        return refuse("the URL must be https: clear text is for this machine and its metadata server only");
    }
    check_guarded(request.guard, url)
}

fn check_guarded(guard: Guard, url: &Url) -> Result<(), Fault> {
    let loopback_is_fine = guard == Guard::PublicOrLoopback && is_loopback(url);
    if guard == Guard::Off || loopback_is_fine {
        return Ok(());
    }
    match url.host() {
        _ if url.scheme() != "https" => Err(forbidden("it is not https")),
        Some(Host::Domain(_)) if is_local(url) => {
            Err(forbidden("it is a name of this machine or its neighbours"))
        }
        Some(Host::Ipv4(address)) => check_address(guard, address.into()),
        Some(Host::Ipv6(address)) => check_address(guard, address.into()),
        _ => Ok(()),
    }
}

/// What is checked of every address that a guarded name resolved to; the connection then goes to that very address.
pub(super) fn check_addresses(guard: Guard, addresses: &[SocketAddr]) -> Result<(), Fault> {
    addresses
        .iter()
        .try_for_each(|address| check_address(guard, address.ip()))
}

fn check_address(guard: Guard, address: IpAddr) -> Result<(), Fault> {
    let fine = match guard {
        Guard::Off => true,
        Guard::Public => is_public(address),
        Guard::PublicOrLoopback => is_public(address) || address.is_loopback(),
    };
    if fine {
        Ok(())
    } else {
        Err(forbidden("it is an address of this machine or a private network"))
    }
}

fn forbidden(why: &str) -> Fault {
    Fault::new(
        Failure::ForbiddenTarget,
        format!("a document named a place that must not be asked: {why}"),
    )
}

/// Whether an address is one of the public internet (IANA's special-purpose registries; RFC 6890).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let shared = a == 100 && (64..128).contains(&b); // RFC 6598, carrier-grade NAT; some clouds' metadata
    let protocol_assignments = (a, b, c) == (192, 0, 0);
    let benchmarking = a == 198 && (b == 18 || b == 19);
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_broadcast()
        || address.is_documentation()
        || address == AZURE_WIRE_SERVER
        || a == 0
        || a >= 224 // multicast, and what is reserved above it
        || shared
        || protocol_assignments
        || benchmarking)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let s = address.segments();
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match s {
        [0, 0, 0, 0, 0, 0xffff, ..] => embedded(s[6], s[7]), // an IPv4 address in disguise
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => embedded(high, low), // NAT64
        [0x2002, high, low, ..] => embedded(high, low),      // 6to4
        [0x2001, 0xdb8, ..] | [0x2001, 0, ..] => false,      // documentation, Teredo
        _ => (0x2000..0x4000).contains(&s[0]),               // the only global unicast there is
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b2_which_urls_can_be_asked() {
        // (text, as a URL, as a metadata server's URL)
        let rows = [
            ("https://issuer.example.com/a?b=c", true, true),
            ("http://localhost:8080/", true, true),
            ("http://127.0.0.1:1/", true, true),
            ("http://[::1]:1/", true, true),
            ("http://169.254.169.254/latest", false, true),
            ("http://169.254.170.23/v1", false, true),
            ("http://[fd00:ec2::23]/v1", false, true),
            ("http://metadata.google.internal/", false, true),
            ("http://168.63.129.16/", false, true),
            ("http://issuer.example.com/", false, false),
            ("http://localhost.example.com/", false, false),
            ("http://127.0.0.1.example.com/", false, false),
            ("http://10.0.0.1/", false, false),
            ("ftp://issuer.example.com/", false, false),
            ("file:///etc/passwd", false, false),
            ("https://user@issuer.example.com/", false, false),
            ("https://:word@issuer.example.com/", false, false),
            ("https://issuer.example.com/\r\nX: y", false, false),
            ("https://issuer.example.com/\t", false, false),
            (" https://issuer.example.com/", false, false),
            ("https://", false, false),
            ("issuer.example.com", false, false),
            ("", false, false),
        ];
        for (text, plain, metadata) in rows {
            assert_eq!(checked_url(text, "X").is_ok(), plain, "{text:?}");
            assert_eq!(checked_metadata_url(text, "X").is_ok(), metadata, "{text:?}");
        }
        let error = checked_url("http://user:canary@h/", "VARIABLE").unwrap_err();
        assert_eq!(error.kind(), Class::Config);
        assert!(error.to_string().contains("VARIABLE") && !error.to_string().contains("canary"));
    }

    #[test]
    fn which_addresses_are_public() {
        let rows = [
            ("93.184.216.34", true),
            ("8.8.8.8", true),
            ("2606:4700::1111", true),
            ("10.0.0.1", false),
            ("172.16.0.1", false),
            ("172.32.0.1", true),
            ("192.168.0.1", false),
            ("127.0.0.1", false),
            ("0.0.0.0", false),
            ("169.254.169.254", false),
            ("100.64.0.1", false),
            ("100.100.100.200", false),
            ("168.63.129.16", false),
            ("192.0.0.192", false),
            ("192.0.2.1", false),
            ("198.18.0.1", false),
            ("224.0.0.1", false),
            ("240.0.0.1", false),
            ("255.255.255.255", false),
            ("::", false),
            ("::1", false),
            ("::ffff:10.0.0.1", false),
            ("::ffff:8.8.8.8", true),
            ("::10.0.0.1", false),
            ("64:ff9b::a9fe:a9fe", false),
            ("64:ff9b::808:808", true),
            ("2002:a9fe:a9fe::1", false),
            ("2001:db8::1", false),
            ("2001::1", false),
            ("fc00::1", false),
            ("fd00:ec2::254", false),
            ("fe80::1", false),
            ("ff02::1", false),
        ];
        for (text, public) in rows {
            assert_eq!(is_public(text.parse().unwrap()), public, "{text}");
        }
    }
}
