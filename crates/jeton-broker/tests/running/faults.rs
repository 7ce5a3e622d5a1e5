//! What goes wrong around a broker, and what somebody makes go wrong. Row by row, where another file does not show it:
//!
//! | row | shown by |
//! |---|---|
//! | order of authentication | `a_hopeless_token_…`; the matrix |
//! | every route × every token | the matrix, made from the table of routes |
//! | policies, one answer for all refusals, 503 for keys | `policies`, `exchange` |
//! | timing | `what_is_there_and_what_is_not_take_the_same_time` |
//! | replay | `one_token_is_one_use_…` |
//! | keys | `an_issuer_that_is_slow_…` |
//! | hostile addresses | the library's table of URLs, `minting` |
//! | rate limits | `limits`, `exchange`, `who_says_where_he_comes_from_…` |
//! | load | `slow_and_huge_requests_…`, `exchange` |
//! | secrets at rest, audit | `record`; kills while everything is sealed again: the command's own tests |
//! | revocation | `what_is_taken_away_is_gone_on_three_replicas` |
//! | tenants | the matrix, `names_are_only_names` |
//! | database | `a_database_that_is_away_…`, `connections_that_are_all_taken_…`; kills: the command's own tests |
//! | backup | `record` |
//! | shutdown, configuration | `stopping` |
use super::server::{Answered, Server, send};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// How long a revocation may take to hold everywhere.
const EVERYWHERE: Duration = Duration::from_secs(5);
/// How long a broker may take to recover when its database is back.
const BACK: Duration = Duration::from_secs(10);

/// The variable that says how many samples a comparison of times takes; the nightly run takes more.
const SAMPLES: &str = "JETON_TEST_SAMPLES";
const FEW_SAMPLES: usize = 400;

async fn credential(server: &Server, id: &str) {
    let body = json!({"id": id, "name": "c", "provider": "gitlab", "secret": "glpat"});
    server.made("POST", "/credentials", body).await;
}

async fn within(longest: Duration, what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + longest;
    while !holds().await {
        assert!(Instant::now() < end, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hopeless_token_asks_nobody_for_anything() {
    let server = Server::start().await;
    let stranger = Server::start().await;
    let before = (server.issuer.connections(), stranger.issuer.connections());
    let foreign = stranger.token_with("ann", json!({"aud": server.root}));
    let upper = "eyJhbGciOiJFUzI1NiJ9";
    for token in [
        foreign.as_str(),
        "garbage",
        "a.b.c",
        upper,
        &format!("{upper}.e30.AAAA"),
        &"A".repeat(60_000),
    ] {
        let answered = server.call("GET", "/projects", token, None).await;
        assert_eq!(answered.status, 401, "{answered:?}");
    }
    let after = (server.issuer.connections(), stranger.issuer.connections());
    assert_eq!(before, after, "no connection to anybody");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_that_is_slow_is_asked_once_and_is_slow_for_nobody_else() {
    let slow = Server::start().await;
    let second = format!(
        "[[issuers]]\nissuer = \"{}\"\naudiences = [\"{}\"]\n",
        slow.issuer.url(),
        slow.root
    );
    let server = Server::with(&second).await;
    slow.issuer.fault("jwks", "delay-ms3000").unwrap();
    slow.issuer.reset_requests();
    let tokens: Vec<String> = (0..60).map(|n| slow.token(&format!("u{n}"))).collect();
    let waiting = tokens
        .iter()
        .map(|token| server.call("GET", "/projects", token, None));
    let waiting = futures_util::future::join_all(waiting);
    let others = async {
        let mut longest = Duration::ZERO;
        for n in 0..30 {
            let began = Instant::now();
            let token = server.token(&format!("o{n}"));
            assert_eq!(server.call("GET", "/projects", &token, None).await.status, 200);
            longest = longest.max(began.elapsed());
        }
        longest
    };
    let (answers, longest) = tokio::join!(waiting, others);
    assert!(
        longest < Duration::from_secs(2),
        "somebody else waited {longest:?}"
    );
    assert!(
        answers
            .iter()
            .all(|answered| matches!(answered.status, 200 | 503))
    );
    let asked = slow.issuer.requests_of("jwks").len();
    assert!((1..=2).contains(&asked), "{asked}");
    // Key names that nobody knows are asked for once in a cool-down.
    let forged = |n: usize| {
        use base64::Engine;
        let head = format!("{{\"alg\":\"ES256\",\"kid\":\"made-up-{n}\"}}");
        let head = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(head);
        let rest = tokens[0].split_once('.').unwrap().1;
        format!("{head}.{rest}")
    };
    slow.issuer.clear_faults();
    slow.issuer.reset_requests();
    for n in 0..200 {
        let status = server.call("GET", "/projects", &forged(n), None).await.status;
        assert!(matches!(status, 401 | 429), "{status}");
    }
    assert!(slow.issuer.requests_of("jwks").len() <= 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_token_is_one_use_on_three_replicas_however_it_is_written() {
    let server = Server::start().await;
    let (second, third) = (server.replica().await, server.replica().await);
    let replicas = [&server, &second, &third];
    for replica in replicas {
        replica.set_require_jti().await;
    }
    let token = server.token_with("admin", json!({"jti": "one"}));
    let asked = (0..100).map(|n| replicas[n % 3].call("GET", "/projects", &token, None));
    let answers = futures_util::future::join_all(asked).await;
    let done = answers.iter().filter(|answered| answered.status == 200).count();
    assert_eq!(done, 1);
    // By what its issuer called it: other bytes, another signature, are the same token.
    let again = server.token_with("admin", json!({"jti": "one", "more": 1}));
    assert_eq!(second.call("GET", "/projects", &again, None).await.status, 401);
    let other = server.token_with("admin", json!({"jti": "two"}));
    assert_eq!(third.call("GET", "/projects", &other, None).await.status, 200);
    let store = &server.broker.store;
    let count = async || {
        let row = store.row("SELECT COUNT(*) FROM used_tokens", vec![]).await;
        row.unwrap().unwrap().int(0).unwrap()
    };
    assert_eq!(count().await, 2);
    let later = server.broker.now().plus(Duration::from_secs(24 * 3600));
    jeton_broker::replay::sweep(store, later).await.unwrap();
    assert_eq!(count().await, 0, "what is dead is forgotten");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_where_he_comes_from_is_believed_behind_a_proxy_only_and_there_the_proxy_is() {
    let limited = async |more: &str, field: &dyn Fn(usize) -> String| {
        let server = Server::with(&format!("{more}\n[limits]\nfailures = 10\n")).await;
        let mut seen = BTreeMap::<u16, usize>::new();
        for n in 0..40 {
            let from = field(n);
            let fields = [("x-forwarded-for", from.as_str())];
            let answered = server.at("GET", "/v1/projects", "garbage", &fields, None).await;
            *seen.entry(answered.status).or_default() += 1;
        }
        seen.contains_key(&429)
    };
    let varying = |n: usize| format!("192.0.2.{n}");
    let invented = |n: usize| format!("192.0.2.{n}, 198.51.100.7");
    assert!(limited("", &varying).await, "nobody's word counts");
    assert!(!limited("behind_proxy = true", &varying).await, "forty sources");
    assert!(
        limited("behind_proxy = true", &invented).await,
        "one, whatever it says before"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_and_huge_requests_cost_others_nothing_and_are_cut_off() {
    let server = Server::start().await;
    let place = server.root.trim_start_matches("http://").to_owned();
    // Many who never finish a head.
    let mut slow = Vec::new();
    for _ in 0..300 {
        let mut stream = TcpStream::connect(&place).await.unwrap();
        stream
            .write_all(b"GET /v1/projects HTTP/1.1\r\nx: ")
            .await
            .unwrap();
        slow.push(stream);
    }
    let began = Instant::now();
    for _ in 0..10 {
        assert_eq!(
            server.call("GET", "/projects", &server.admin, None).await.status,
            200
        );
    }
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    // A body of which only the size is said is refused before it is read.
    for size in ["5368709120", "99999999999999999999999"] {
        let mut stream = TcpStream::connect(&place).await.unwrap();
        let head = format!(
            "POST /v1/credentials HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-length: {size}\r\nconnection: close\r\n\r\n",
            server.admin
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        // One that sends on is cut off at the limit.
        let piece = vec![b' '; 64 * 1024];
        let mut sent = 0;
        while sent < 16 * 1024 * 1024 && stream.write_all(&piece).await.is_ok() {
            sent += piece.len();
        }
        assert!(sent < 16 * 1024 * 1024, "{size}: it goes on reading");
    }
    // What is nested too deep, or has too many members, is no document.
    let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
    let many: String = (0..2000).map(|n| format!("\"m{n}\":1,")).collect();
    for body in [
        format!("{{\"name\":{deep}}}"),
        format!("{{{many}\"name\":\"x\"}}"),
    ] {
        let bearer = format!("Bearer {}", server.admin);
        let fields = [
            ("authorization", bearer.as_str()),
            ("content-type", "application/json"),
        ];
        let answered = send(&server.root, "POST", "/v1/projects", &fields, &body).await;
        assert_eq!(answered.status, 400, "{answered:?}");
    }
    // The slow ones are gone in time.
    let mut gone = 0;
    for stream in &mut slow {
        let mut rest = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(15), stream.read_to_end(&mut rest)).await;
        gone += usize::from(read.is_ok());
    }
    assert_eq!(gone, slow.len(), "a head has ten seconds");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_taken_away_is_gone_on_three_replicas() {
    let server = Server::start().await;
    let (second, third) = (server.replica().await, server.replica().await);
    let replicas = [&server, &second, &third];
    credential(&server, "shared").await;
    let role = json!({
        "role": "credential:token-reader", "scope": "credential", "credential_id": "shared",
        "principal": {"issuer": server.issuer.url(), "subject": "ann"},
    });
    let binding = server.made("POST", "/role_bindings", role).await;
    let policy = json!({"issuer": server.issuer.url(), "subject": "builder", "audience": ["https://r.example"], "ttl": "5m"});
    server.made("PUT", "/trust_policies/build", policy).await;
    let (project, agent) = server.place().await;
    let body = json!({"project": project, "agent": agent, "user": "u"});
    let session = server.made("POST", "/sessions", body).await;
    let id = session["id"].as_str().unwrap();
    let (ann, builder, token) = (
        server.token("ann"),
        server.token("builder"),
        session["token"].as_str().unwrap(),
    );
    let show = format!("/sessions/{id}");
    let statuses = async |replica: &Server| {
        let audience = [("audience", "https://r.example")];
        [
            replica
                .call("GET", "/credentials/shared/token", &ann, None)
                .await
                .status,
            replica.exchange(&builder, &audience).await.status,
            replica.call("GET", &show, token, None).await.status,
        ]
    };
    for replica in replicas {
        assert_eq!(statuses(replica).await, [200, 200, 200]);
    }
    let path = format!("/role_bindings/{}", binding["id"].as_str().unwrap());
    second.made("DELETE", &path, Value::Null).await;
    third.made("DELETE", "/trust_policies/build", Value::Null).await;
    server.made("DELETE", &show, Value::Null).await;
    for replica in replicas {
        within(EVERYWHERE, "it holds everywhere", async || {
            statuses(replica).await == [404, 400, 401]
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_only_names() {
    let server = Server::start().await;
    let odd = [
        "x' OR '1'='1",
        "%",
        "_",
        "\\",
        "a\"b",
        "ünï",
        "$1",
        "--",
        "; DROP TABLE credentials",
    ];
    for (owner, secret) in [("ann", "anns"), ("bob", "bobs")] {
        for name in odd {
            let body = json!({"name": name, "provider": "generic", "secret": secret});
            let made = server
                .call("POST", "/credentials", &server.token(owner), Some(body))
                .await;
            assert_eq!(made.status, 201, "{name}: {made:?}");
        }
    }
    for owner in ["ann", "bob"] {
        let token = server.token(owner);
        let all = server
            .call("GET", "/credentials?size=500", &token, None)
            .await
            .json();
        assert_eq!(all["total"], odd.len(), "{owner} sees his own");
        for name in odd {
            let search: String = url::form_urlencoded::byte_serialize(name.as_bytes()).collect();
            let path = format!("/credentials?search={search}");
            let found = server.call("GET", &path, &token, None).await.json();
            let wanted = odd.iter().filter(|other| other.contains(name)).count();
            assert_eq!(found["total"], wanted, "{owner} {name}");
        }
    }
    for name in ["", "nul\u{0}", "line\nbreak", "\u{202e}reversed"] {
        let body = json!({"name": name, "provider": "generic", "secret": "s"});
        let made = server
            .call("POST", "/credentials", &server.admin, Some(body))
            .await;
        assert_eq!(made.status, 400, "{name:?}: {made:?}");
    }
}

/// The middle of what was measured.
fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_there_and_what_is_not_take_the_same_time() {
    let server = Server::start().await;
    credential(&server, "is-there").await;
    server
        .made("POST", "/projects", json!({"id": "is-there", "name": "p"}))
        .await;
    let eve = server.token("eve");
    let samples = std::env::var(SAMPLES).map_or(FEW_SAMPLES, |samples| samples.parse().unwrap());
    let timed = async |path: &str| {
        let began = Instant::now();
        let answered: Answered = server.call("GET", path, &eve, None).await;
        assert_eq!(answered.status, 404);
        began.elapsed()
    };
    for kind in ["credentials", "projects"] {
        // In turns, so that what the machine does besides is on both sides; and again, should it have been too much.
        let mut seen = Vec::new();
        for _ in 0..4 {
            let (mut there, mut missing) = (Vec::new(), Vec::new());
            for _ in 0..samples {
                there.push(timed(&format!("/{kind}/is-there")).await);
                missing.push(timed(&format!("/{kind}/isnt-one")).await);
            }
            let (there, missing) = (median(there), median(missing));
            let apart = there.abs_diff(missing);
            seen.push((there, missing));
            if apart < Duration::from_micros(50) || apart * 20 < there {
                seen.clear();
                break;
            }
        }
        assert!(seen.is_empty(), "{kind}: {seen:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_are_all_taken_are_503_and_then_it_goes_on() {
    let server = Server::start().await;
    let store = &server.broker.store;
    let project = json!({"name": "p"});
    let mut held = Vec::new();
    for _ in 0..if store.is_postgres() { 16 } else { 1 } {
        held.push(store.begin().await.unwrap());
    }
    let answered = server
        .call("POST", "/projects", &server.admin, Some(project.clone()))
        .await;
    assert_eq!(answered.status, 503, "{answered:?}");
    assert!(answered.field("retry-after").is_some());
    assert_eq!(server.at("GET", "/healthz", "", &[], None).await.status, 200);
    assert_eq!(server.at("GET", "/readyz", "", &[], None).await.status, 503);
    drop(held);
    within(BACK, "it goes on", async || {
        server
            .call("POST", "/projects", &server.admin, Some(project.clone()))
            .await
            .status
            == 201
    })
    .await;
}

/// What stands between a broker and its database, and lets nothing through when it is told to.
struct Line {
    url: String,
    cut: tokio::sync::watch::Sender<bool>,
}

impl Line {
    async fn to(url: &str) -> Self {
        let (user, rest) = url.trim_start_matches("postgres://").split_once('@').unwrap();
        let (place, name) = rest.split_once('/').unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("postgres://{user}@{}/{name}", listener.local_addr().unwrap());
        let (cut, is_cut) = tokio::sync::watch::channel(false);
        let place = place.to_owned();
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let (mut is_cut, place) = (is_cut.clone(), place.clone());
                tokio::spawn(async move {
                    if *is_cut.borrow() {
                        return;
                    }
                    let mut far = TcpStream::connect(&place).await.unwrap();
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => (),
                        _ = is_cut.wait_for(|is_cut| *is_cut) => (),
                    }
                });
            }
        });
        Self { url, cut }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_away_is_503_and_ten_seconds_after_it_is_back_everything_is_well() {
    let first = Server::start().await;
    if !first.broker.store.is_postgres() {
        // A file is not away.
        return;
    }
    credential(&first, "kept").await;
    let path = first.folder.path().join("broker.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let url = text
        .split('"')
        .find(|part| part.starts_with("postgres://"))
        .unwrap();
    let line = Line::to(url).await;
    std::fs::write(&path, text.replace(url, &line.url)).unwrap();
    let server = first.replica().await;
    let token = async || {
        server
            .call("GET", "/credentials/kept/token", &server.admin, None)
            .await
    };
    assert_eq!(token().await.status, 200);
    line.cut.send(true).unwrap();
    for _ in 0..3 {
        let answered = token().await;
        assert_eq!(answered.status, 503, "{answered:?}");
        assert!(answered.field("retry-after").is_some(), "{answered:?}");
    }
    let exchanged = server
        .exchange(&server.token("builder"), &[("audience", "x")])
        .await;
    assert_eq!(
        exchanged.status, 503,
        "never that the token is wrong: {exchanged:?}"
    );
    // What needs no database goes on, and what tells how it is tells the truth.
    for (path, status) in [
        ("/healthz", 200),
        ("/readyz", 503),
        ("/jwks", 200),
        ("/.well-known/openid-configuration", 200),
        ("/metrics", 200),
    ] {
        assert_eq!(
            server.at("GET", path, "", &[], None).await.status,
            status,
            "{path}"
        );
    }
    assert_eq!(server.call("GET", "/projects", "garbage", None).await.status, 401);
    line.cut.send(false).unwrap();
    within(BACK, "it recovers", async || token().await.status == 200).await;
    within(BACK, "and says so", async || {
        server.at("GET", "/readyz", "", &[], None).await.status == 200
    })
    .await;
}
