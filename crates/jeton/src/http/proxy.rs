//! Which proxy the environment names for a host, as other programs read the same variables.
use super::{Fault, target};
use crate::Env;
use ::http::{HeaderValue, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jeton_core::Failure;
use percent_encoding::percent_decode_str;
use std::net::IpAddr;
use url::{Host, Url};

/// The variables that name hosts to be reached without a proxy.
const EXCEPTIONS: [&str; 2] = ["NO_PROXY", "no_proxy"];
/// Set by a web server for a CGI program, whose `HTTP_PROXY` is then a header of the client ("httpoxy").
const CGI: &str = "REQUEST_METHOD";

/// A proxy.
pub(super) struct Proxy {
    /// Where it is, without user name and password.
    pub(super) url: Url,
    /// `Proxy-Authorization`, when its URL has a user name.
    pub(super) authorization: Option<HeaderValue>,
}

/// The proxy on the way to `url`; `None` when the way is straight.
pub(super) fn of(env: &Env, url: &Url) -> Result<Option<Proxy>, Fault> {
    if target::is_local(url) || is_excepted(env, url) {
        return Ok(None);
    }
    let names: &[&str] = match url.scheme() {
        "https" => &["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"],
        _ if env.raw(CGI).is_some() => &["http_proxy", "ALL_PROXY", "all_proxy"],
        _ => &["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"],
    };
    let named = names.iter().find_map(|name| Some((*name, env.get(name)?)));
    named.map(|(name, value)| read(name, value)).transpose()
}

fn read(variable: &str, value: &str) -> Result<Proxy, Fault> {
    let refuse = |why: &str| {
        Fault::new(
            Failure::Proxy,
            format!("the proxy in {variable} cannot be used: {why}"),
        )
        .with_hint(format!(
            "set {variable} to http://HOST:PORT or https://HOST:PORT, or unset it"
        ))
    };
    let text = value.trim();
    let text = if text.contains("://") {
        text.to_owned()
    } else {
        format!("http://{text}")
    };
    let mut url = Url::parse(&text).map_err(|_| refuse("it is no URL"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(refuse("only http and https proxies are spoken to"));
    }
    let authorization = basic(&url).map_err(|()| refuse("its user name or password cannot be sent"))?;
    let cleared = url.set_username("").is_ok() && url.set_password(None).is_ok();
    if !cleared || url.host().is_none() {
        return Err(refuse("it has no host"));
    }
    Ok(Proxy { url, authorization })
}

fn basic(url: &Url) -> Result<Option<HeaderValue>, ()> {
    if url.username().is_empty() && url.password().is_none() {
        return Ok(None);
    }
    let plain = |text| percent_decode_str(text).collect::<Vec<u8>>();
    let pair = [plain(url.username()), plain(url.password().unwrap_or_default())].join(&b':');
    let mut value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair))).map_err(|_| ())?;
    value.set_sensitive(true);
    Ok(Some(value))
}

fn is_excepted(env: &Env, url: &Url) -> bool {
    let list = EXCEPTIONS
        .iter()
        .find_map(|name| env.get(name))
        .unwrap_or_default();
    list.split([',', ' '])
        .map(str::trim)
        .any(|entry| matches(entry, url))
}

/// Whether one entry of `NO_PROXY` means the host of `url`: `*`, an address, a block of addresses, or a name that
/// stands for itself and everything below it (`example.com`, `.example.com`, `*.example.com`), each with an optional port.
fn matches(entry: &str, url: &Url) -> bool {
    if entry.is_empty() {
        return false;
    }
    if entry == "*" {
        return true;
    }
    let (entry, port) = split_port(entry);
    if port.is_some_and(|port| Some(port) != url.port_or_known_default()) {
        return false;
    }
    let address = match url.host() {
        Some(Host::Domain(name)) => return matches_name(entry, name),
        Some(Host::Ipv4(address)) => IpAddr::from(address),
        Some(Host::Ipv6(address)) => IpAddr::from(address),
        None => return false,
    };
    match entry.split_once('/') {
        Some((network, bits)) => in_block(address, network, bits).unwrap_or(false),
        None => entry.parse() == Ok(address),
    }
}

fn matches_name(entry: &str, name: &str) -> bool {
    let entry = entry
        .trim_start_matches('*')
        .trim_start_matches('.')
        .to_ascii_lowercase();
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name.strip_suffix(&entry)
        .is_some_and(|rest| !entry.is_empty() && (rest.is_empty() || rest.ends_with('.')))
}

/// `host:port` apart; an IPv6 address has its port after brackets only.
fn split_port(entry: &str) -> (&str, Option<u16>) {
    if let Some((host, rest)) = entry.strip_prefix('[').and_then(|e| e.split_once(']')) {
        return (host, rest.strip_prefix(':').and_then(|port| port.parse().ok()));
    }
    match entry.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') => match port.parse() {
            Ok(port) => (host, Some(port)),
            Err(_) => (entry, None),
        },
        _ => (entry, None),
    }
}

fn in_block(address: IpAddr, network: &str, bits: &str) -> Option<bool> {
    let bits: u32 = bits.parse().ok()?;
    match (address, network.parse().ok()?) {
        (IpAddr::V4(a), IpAddr::V4(n)) => {
            let shift = 32_u32.checked_sub(bits)?;
            Some((u64::from(a.to_bits()) >> shift) == (u64::from(n.to_bits()) >> shift))
        }
        (IpAddr::V6(a), IpAddr::V6(n)) => {
            let shift = 128_u32.checked_sub(bits)?;
            Some(shift == 128 || (a.to_bits() >> shift) == (n.to_bits() >> shift))
        }
        _ => Some(false),
    }
}

/// 407, whoever it was that asked.
pub(super) fn wants_authentication() -> Fault {
    let mut fault = Fault::new(Failure::Proxy, "the proxy wants authentication (status 407)")
        .with_hint("put the user name and password into the proxy's URL: http://USER:PASSWORD@HOST:PORT");
    fault.status = Some(407);
    fault
}

/// A proxy that gave no tunnel. That it cannot reach the host now is transient, as it would be without a proxy.
pub(super) fn refused(status: StatusCode, place: &str) -> Fault {
    let code = status.as_u16();
    let mut fault = match code {
        407 => return wants_authentication(),
        429 | 500 | 502 | 503 | 504 => Fault::new(
            Failure::Connect,
            format!("the proxy {place} could not connect (status {code})"),
        ),
        _ => Fault::new(
            Failure::Proxy,
            format!("the proxy {place} refused the connection (status {code})"),
        )
        .with_hint("ask the proxy's owner to allow the host, or name it in NO_PROXY"),
    };
    fault.status = Some(code);
    fault
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(variables: &[(&str, &str)], url: &str) -> Option<String> {
        let env: Env = variables.iter().copied().collect();
        let url = Url::parse(url).unwrap();
        let proxy = of(&env, &url).unwrap_or_else(|fault| panic!("{}", fault.detail));
        proxy.map(|proxy| proxy.url.to_string())
    }

    #[test]
    fn b9_which_variable_counts_for_which_scheme() {
        let (s, h, a) = (
            ("HTTPS_PROXY", "s:1"),
            ("HTTP_PROXY", "h:1"),
            ("ALL_PROXY", "a:1"),
        );
        let cgi = ("REQUEST_METHOD", "GET");
        let (https, http) = ("https://x.org/", "http://x.org/");
        type Variables<'a> = &'a [(&'a str, &'a str)];
        let rows: [(Variables<'_>, &str, Option<&str>); 10] = [
            (&[s, h, a], https, Some("http://s:1/")),
            (&[s, h, a], http, Some("http://h:1/")),
            (&[a], https, Some("http://a:1/")),
            (&[h], https, None),
            (&[s], http, None),
            (&[("https_proxy", "l:1")], https, Some("http://l:1/")),
            (&[h, cgi], http, None),
            (&[("http_proxy", "l:1"), h, cgi], http, Some("http://l:1/")),
            (&[("HTTPS_PROXY", ""), a], https, Some("http://a:1/")),
            (&[], https, None),
        ];
        for (variables, url, proxy) in rows {
            assert_eq!(chosen(variables, url).as_deref(), proxy, "{variables:?} {url}");
        }
    }

    #[test]
    fn b9_this_machine_and_its_metadata_are_never_proxied() {
        for host in [
            "localhost",
            "a.localhost",
            "127.0.0.1",
            "127.9.9.9",
            "[::1]",
            "169.254.169.254",
            "169.254.170.2",
            "[fd00:ec2::254]",
            "[fe80::1]",
            "metadata.google.internal",
        ] {
            assert_eq!(
                chosen(&[("ALL_PROXY", "a:1")], &format!("http://{host}/")),
                None,
                "{host}"
            );
        }
    }

    #[test]
    fn b9_what_an_entry_of_no_proxy_means() {
        let rows = [
            ("*", "a.example.com", true),
            ("example.com", "example.com", true),
            ("example.com", "a.example.com", true),
            (".example.com", "a.example.com", true),
            (".example.com", "example.com", true),
            ("*.example.com", "a.example.com", true),
            ("EXAMPLE.com", "a.Example.COM", true),
            ("example.com", "badexample.com", false),
            ("example.com", "example.com.evil.org", false),
            ("ample.com", "example.com", false),
            ("example.com:443", "example.com", true),
            ("example.com:8443", "example.com", false),
            ("other.org, example.com", "example.com", true),
            ("other.org example.com", "example.com", true),
            (",, ,", "example.com", false),
            (".", "example.com", false),
            ("10.0.0.0/8", "10.1.2.3", true),
            ("10.0.0.0/8", "11.1.2.3", false),
            ("0.0.0.0/0", "11.1.2.3", true),
            ("10.1.2.3", "10.1.2.3", true),
            ("10.1.2.3:443", "10.1.2.3", true),
            ("10.1.2.3:80", "10.1.2.3", false),
            ("10.0.0.0/99", "10.1.2.3", false),
            ("2001:db8::/32", "[2001:db8::1]", true),
            ("2001:db8::1", "[2001:db8::1]", true),
            ("[2001:db8::1]:443", "[2001:db8::1]", true),
            ("::/0", "[2001:db8::1]", true),
            ("2001:db9::/32", "[2001:db8::1]", false),
        ];
        for (list, host, straight) in rows {
            let variables = [("HTTPS_PROXY", "p:1"), ("NO_PROXY", list)];
            let proxy = chosen(&variables, &format!("https://{host}/"));
            assert_eq!(proxy.is_none(), straight, "{list:?} {host}");
        }
    }
}
