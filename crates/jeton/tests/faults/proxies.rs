//! B9: proxies as the environment names them (FAULTS row 73).
use super::*;
use jeton_issuer::TlsMode;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

/// What a proxy of a test does with every request.
#[derive(Clone, Copy)]
enum Manner {
    /// A tunnel to this address, whatever host was asked for.
    Tunnel(SocketAddr),
    /// This status.
    Status(u16),
    /// Nothing.
    Stall,
}

/// A proxy and the heads of the requests it saw.
struct Proxy {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    async fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let record = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, manner, Arc::clone(&record)));
            }
        });
        Self { address, seen }
    }

    fn seen(&self) -> Vec<String> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}

async fn serve(
    mut stream: TcpStream,
    manner: Manner,
    record: Arc<Mutex<Vec<String>>>,
) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    record.lock().unwrap().push(String::from_utf8(head).unwrap());
    match manner {
        Manner::Tunnel(to) => {
            let mut target = TcpStream::connect(to).await?;
            stream
                .write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
                .await?;
            copy_bidirectional(&mut stream, &mut target).await?;
        }
        Manner::Status(status) => {
            let answer = format!("HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n");
            stream.write_all(answer.as_bytes()).await?;
        }
        Manner::Stall => std::future::pending().await,
    }
    Ok(())
}

/// The issuer under the only public name its certificates know.
const NAME: &str = "wrong.example.com";

fn named_issuer() -> (RunningIssuer, tempfile::TempDir, Env) {
    let clock = Clock::system();
    let options = Options::new(move || clock.now().wall).with_algorithm(Algorithm::Es256);
    let issuer = Issuer::in_thread(options.with_tls(TlsMode::WrongHost)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    std::fs::write(&path, issuer.ca_pem().unwrap()).unwrap();
    let env = Env::default().with("JETON_CA_FILE", path.to_str().unwrap());
    (issuer, folder, env)
}

fn named_request(issuer: &RunningIssuer) -> Request {
    let url = format!("https://{NAME}/github/idtoken?audience={AUDIENCE}");
    Request::get(url.parse().unwrap()).bearer(&Secret::new(issuer.request_token()))
}

fn with(env: Env) -> Context {
    let mut cx = Context::new(env, Clock::system());
    cx.policy = quick();
    cx.within(Duration::from_secs(20))
}

#[tokio::test]
async fn b9_https_goes_through_a_tunnel_and_the_proxy_sees_no_credential() {
    let (issuer, _folder, env) = named_issuer();
    let proxy = Proxy::start(Manner::Tunnel(issuer.address())).await;
    for (variable, url) in [
        ("HTTPS_PROXY", format!("http://{}", proxy.address)),
        ("https_proxy", proxy.address.to_string()),
        ("ALL_PROXY", format!("http://{}/", proxy.address)),
        ("all_proxy", format!("http://{}", proxy.address)),
    ] {
        let cx = with(env.clone().with(variable, url));
        get(&cx, &named_request(&issuer)).await.unwrap();
        let seen = proxy.seen();
        assert_eq!(seen.len(), 1, "{variable}");
        assert!(
            seen[0].starts_with(&format!("CONNECT {NAME}:443 HTTP/1.1\r\n")),
            "{seen:?}"
        );
        assert!(!seen[0].contains(issuer.request_token()), "{seen:?}");
        assert!(
            !seen[0].to_ascii_lowercase().contains("proxy-authorization"),
            "{seen:?}"
        );
    }
}

#[tokio::test]
async fn b9_a_user_name_in_the_proxys_url_is_sent_to_the_proxy() {
    let (issuer, _folder, env) = named_issuer();
    let proxy = Proxy::start(Manner::Tunnel(issuer.address())).await;
    let cx = with(env.with("HTTPS_PROXY", format!("http://al%40ce:pa%3Ass@{}", proxy.address)));
    get(&cx, &named_request(&issuer)).await.unwrap();
    // al@ce:pa:ss
    assert!(
        proxy.seen()[0]
            .to_ascii_lowercase()
            .contains("proxy-authorization: basic ywxay2u6cge6c3m=")
    );
}

#[tokio::test]
async fn b9_what_a_proxy_refuses() {
    let (issuer, _folder, env) = named_issuer();
    let rows = [
        (Manner::Status(407), 1, Class::Config, "407"),
        (Manner::Status(403), 1, Class::Config, "403"),
        (Manner::Status(502), 5, Unavailable, "502"),
        (Manner::Stall, 3, Unavailable, "waited for the proxy"),
    ];
    for (manner, attempts, class, words) in rows {
        let proxy = Proxy::start(manner).await;
        let secret = format!("http://alice:canary-word@{}", proxy.address);
        let cx = with(env.clone().with("HTTPS_PROXY", secret));
        let error = get(&cx, &named_request(&issuer)).await.unwrap_err();
        assert_eq!((proxy.seen().len(), error.kind()), (attempts, class), "{error}");
        assert!(error.to_string().contains(words), "{error}");
        assert!(
            !format!("{error:?} {:?}", error.hint()).contains("canary"),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn b9_clear_text_goes_in_absolute_form() {
    let issuer = issuer();
    let url = format!("http://api.example.com:8080/github/idtoken?audience={AUDIENCE}");
    let mut request = Request::get(url.parse().unwrap()).bearer(&Secret::new(issuer.request_token()));
    request.clear_text = true;
    let cx = with(Env::default().with("http_proxy", issuer.url()));
    get(&cx, &request).await.unwrap();
    assert_eq!(issuer.requests()[0].header("host"), Some("api.example.com:8080"));
    issuer.set_faults("[[rule]]\nfault = \"proxy407\"\n").unwrap();
    let error = get(&cx, &request).await.unwrap_err();
    assert_eq!(error.kind(), Class::Config, "{error}");
}

#[tokio::test]
async fn b9_loopback_and_what_no_proxy_names_are_reached_straight() {
    let proxy = Proxy::start(Manner::Status(418)).await;
    let url = format!("http://{}", proxy.address);
    let issuer = issuer();
    let cx = with(
        Env::default()
            .with("HTTP_PROXY", &url)
            .with("ALL_PROXY", &url)
            .with("HTTPS_PROXY", &url),
    );
    get(&cx, &request(&issuer, "/github/idtoken")).await.unwrap();
    assert_eq!(proxy.seen().len(), 0);
}

#[tokio::test]
async fn b9_a_proxy_that_cannot_be_used_is_named_by_its_variable() {
    for value in [
        "socks5://127.0.0.1:1080",
        "http://",
        "http://[",
        "ftp://127.0.0.1",
    ] {
        let cx = with(Env::default().with("HTTPS_PROXY", value));
        let error = get(&cx, &Request::get("https://api.example.com/".parse().unwrap()))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), Class::Config, "{value}: {error}");
        assert!(error.to_string().contains("HTTPS_PROXY"), "{error}");
        assert!(error.hint().is_some_and(|hint| hint.contains("HTTPS_PROXY")));
    }
}

#[tokio::test]
async fn b9_a_proxy_may_itself_be_reached_over_tls() {
    let clock = Clock::system();
    let options = Options::new(move || clock.now().wall).with_algorithm(Algorithm::Es256);
    let issuer = Issuer::in_thread(options.with_tls(TlsMode::Ok)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    std::fs::write(&path, issuer.ca_pem().unwrap()).unwrap();
    let env = Env::default().with("JETON_CA_FILE", path.to_str().unwrap());
    let url = format!("http://api.example.com/github/idtoken?audience={AUDIENCE}");
    let mut request = Request::get(url.parse().unwrap()).bearer(&Secret::new(issuer.request_token()));
    request.clear_text = true;
    get(&with(env.with("http_proxy", issuer.url())), &request)
        .await
        .unwrap();
    let untrusted = with(Env::default().with("http_proxy", issuer.url()));
    assert_eq!(get(&untrusted, &request).await.unwrap_err().kind(), Trust);
}
