//! The forward proxy.
use crate::client::*;
use jeton_issuer::{Proxy, ProxyMode};

fn address(proxy: &Proxy) -> std::net::SocketAddr {
    proxy.url().strip_prefix("http://").unwrap().parse().unwrap()
}

#[test]
fn b9_it_forwards_both_forms_and_remembers() {
    let (issuer, proxy) = (issuer(), Proxy::in_thread(ProxyMode::Forward).unwrap());
    let connect = format!("CONNECT {0} HTTP/1.1\r\nhost: {0}\r\n\r\n", issuer.address());
    let mut stream = std::net::TcpStream::connect(address(&proxy)).unwrap();
    assert_eq!(
        hear_on(&mut stream, connect.as_bytes(), Wait::Quiet).status(),
        200
    );
    assert_eq!(
        hear_on(
            &mut stream,
            request("GET", "/jwks", &[], "").as_bytes(),
            Wait::End
        )
        .status(),
        200
    );
    let target = format!("{}/jwks?x=1", issuer.url());
    let absolute = request("GET", &target, &[("proxy-authorization", "Basic x")], "");
    assert_eq!(hear(address(&proxy), &absolute).status(), 200);
    let seen = proxy.requests();
    assert_eq!(
        (seen[0].method.as_str(), seen[1].target.as_str()),
        ("CONNECT", target.as_str())
    );
    let last = issuer.requests().pop().unwrap();
    assert_eq!(
        (last.query.as_str(), last.header("proxy-authorization")),
        ("x=1", None)
    );
}

#[test]
fn it_refuses_as_it_is_told() {
    let issuer = issuer();
    let line = format!("CONNECT {0} HTTP/1.1\r\nhost: {0}\r\n", issuer.address());
    let (plain, shown) = (
        format!("{line}\r\n"),
        format!("{line}proxy-authorization: Basic eA==\r\n\r\n"),
    );
    let rows = [
        (ProxyMode::Challenge, &plain, 407, End::Closed),
        (
            ProxyMode::Authorized("Basic eA==".into()),
            &plain,
            407,
            End::Closed,
        ),
        (
            ProxyMode::Authorized("Basic eA==".into()),
            &shown,
            200,
            End::Silent,
        ),
        (ProxyMode::Status(502), &plain, 502, End::Closed),
        (ProxyMode::Stall, &plain, 0, End::Silent),
        (ProxyMode::Close, &plain, 0, End::Closed),
    ];
    for (mode, head, status, end) in rows {
        let proxy = Proxy::in_thread(mode.clone()).unwrap();
        let mut stream = std::net::TcpStream::connect(address(&proxy)).unwrap();
        let wait = match (end, status) {
            (End::Silent, 0) => Wait::Nothing,
            (End::Silent, _) => Wait::Quiet,
            _ => Wait::End,
        };
        let heard = hear_on(&mut stream, head.as_bytes(), wait);
        assert_eq!((heard.status(), heard.end), (status, end), "{mode:?}");
        assert_eq!(proxy.requests().len(), 1);
    }
}
