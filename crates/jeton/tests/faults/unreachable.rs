//! What happens before there is a connection (FAULTS rows 2 to 5, 65), and on a unix socket.
use super::*;
use jeton::http::{Guard, Route};

async fn fails(request: &Request) -> (Class, String) {
    let mut cx = context();
    cx.policy.connect_timeout = Duration::from_millis(100);
    let error = get(&cx, request).await.unwrap_err();
    (error.kind(), error.to_string())
}

#[tokio::test]
async fn hosts_that_cannot_be_reached_are_tried_again() {
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    // A listener whose queue is full takes no more connections: a black hole.
    let hole = socket_that_never_accepts();
    let rows = [
        (
            "https://host.invalid/".to_owned(),
            "does not resolve",
            "3 attempts",
        ),
        (format!("http://{free}/"), "refused", "5 attempts"),
        (
            format!("http://localhost:{}/", free.port()),
            "refused",
            "5 attempts",
        ),
        (format!("http://{}/", hole.0), "timed out", "3 attempts"),
    ];
    for (url, words, attempts) in rows {
        let (class, text) = fails(&Request::get(url.parse().unwrap())).await;
        assert_eq!(class, Unavailable, "{text}");
        assert!(text.contains(words) && text.contains(attempts), "{text}");
    }
}

/// A listener with a queue of one, and what fills the queue.
fn socket_that_never_accepts() -> (
    std::net::SocketAddr,
    Vec<std::net::TcpStream>,
    rustix::fd::OwnedFd,
) {
    use rustix::net::{AddressFamily, SocketType, bind, getsockname, listen, socket};
    let listener = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    let any: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
    bind(&listener, &any).unwrap();
    listen(&listener, 0).unwrap();
    let address = std::net::SocketAddr::try_from(getsockname(&listener).unwrap()).unwrap();
    let fill = (0..4)
        .filter_map(|_| std::net::TcpStream::connect_timeout(&address, Duration::from_millis(50)).ok())
        .collect();
    (address, fill, listener)
}

#[tokio::test]
async fn b2_urls_that_must_not_be_asked_are_not() {
    let rows = [
        ("http://example.com/", Guard::Off, Class::Config),
        ("ftp://example.com/", Guard::Off, Class::Config),
        ("file:///etc/passwd", Guard::Off, Class::Config),
        ("https://user@example.com/", Guard::Off, Class::Config),
        ("https://user:word@localhost/", Guard::Off, Class::Config),
        ("http://127.0.0.1:1/", Guard::Public, Trust),
        ("https://127.0.0.1:1/", Guard::Public, Trust),
        ("https://localhost:1/", Guard::Public, Trust),
        ("https://[::1]:1/", Guard::Public, Trust),
        ("https://169.254.169.254/", Guard::Public, Trust),
        ("https://[::ffff:169.254.169.254]/", Guard::Public, Trust),
        ("https://[fd00:ec2::254]/", Guard::Public, Trust),
        ("https://metadata.google.internal/", Guard::Public, Trust),
        ("https://10.0.0.1/", Guard::Public, Trust),
        ("https://192.168.1.1/", Guard::PublicOrLoopback, Trust),
        ("https://100.100.100.200/", Guard::Public, Trust),
        ("https://0.0.0.0/", Guard::Public, Trust),
        ("https://2130706433/", Guard::Public, Trust), // 127.0.0.1 in another spelling
        ("https://0x7f.1/", Guard::Public, Trust),
    ];
    for (url, guard, class) in rows {
        let mut request = Request::get(url.parse().unwrap());
        request.guard = guard;
        let (found, text) = fails(&request).await;
        assert_eq!(found, class, "{url} {text}");
        assert!(!text.contains("retries"), "{text}");
    }
}

#[tokio::test]
async fn a_document_of_an_issuer_on_loopback_may_point_at_loopback() {
    let issuer = issuer();
    let url: jeton::http::Url = issuer.url().parse().unwrap();
    let guarded = request(&issuer, "/github/idtoken").guarded_by(&url);
    assert_eq!(guarded.guard, Guard::Off);
    get(&context(), &guarded).await.unwrap();
    let mut other = request(&issuer, "/github/idtoken");
    other.url.set_host(Some("localhost")).unwrap();
    let other = other.guarded_by(&url);
    assert_eq!(other.guard, Guard::PublicOrLoopback);
    get(&context(), &other).await.unwrap();
    let public = "https://issuer.example.com/".parse().unwrap();
    assert_eq!(other.guarded_by(&public).guard, Guard::Public);
}

#[tokio::test]
async fn a_unix_socket_is_a_way_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("api.sock");
    let clock = Clock::system();
    let mut options = Options::new(move || clock.now().wall).with_algorithm(Algorithm::Es256);
    options.unix_socket = Some(path.clone());
    let issuer = Issuer::in_thread(options).unwrap();
    let mut request = request(&issuer, "/github/idtoken");
    request.url = format!("http://localhost/github/idtoken?audience={AUDIENCE}")
        .parse()
        .unwrap();
    request.route = Route::Unix(path);
    get(&context(), &request).await.unwrap();
    request.route = Route::Unix(folder.path().join("none.sock"));
    let (class, text) = fails(&request).await;
    assert_eq!(class, Unavailable);
    assert!(text.contains("none.sock"), "{text}");
}
