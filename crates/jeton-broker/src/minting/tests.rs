//! Against small servers that play what the providers' manuals say, and record what they were asked.
use super::cloud::Exchanged;
use super::github::App;
use super::google::OAuthClient;
use super::*;
use jeton::{Clock, Context, Env};
use jeton_core::{Algorithm, KeySet, SigningKey, json};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const NOW: UnixTime = UnixTime::from_seconds(1_800_000_000);

/// A server that plays these answers, one for each request, the last one for ever.
struct Played {
    url: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Played {
    async fn start(answers: &[(u16, &str)]) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("port");
        let url = format!("http://{}", listener.local_addr().expect("address"));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let mut answers: VecDeque<String> = answers
            .iter()
            .map(|(status, body)| written(*status, body))
            .collect();
        let record = Arc::clone(&requests);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let request = whole(&mut stream).await;
                record.lock().expect("record").push(request);
                let answer = if answers.len() > 1 {
                    answers.pop_front()
                } else {
                    answers.front().cloned()
                };
                let _ = stream.write_all(answer.unwrap_or_default().as_bytes()).await;
            }
        });
        Self { url, requests }
    }

    fn url(&self) -> Url {
        provider_url(&self.url, true).expect("url")
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().expect("record").clone()
    }
}

fn written(status: u16, body: &str) -> String {
    let kind = if body.starts_with('<') {
        "text/xml"
    } else {
        "application/json"
    };
    format!(
        "HTTP/1.1 {status} x\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

async fn whole(stream: &mut tokio::net::TcpStream) -> String {
    let mut all = Vec::new();
    let mut part = [0u8; 4096];
    loop {
        let read = stream.read(&mut part).await.unwrap_or(0);
        all.extend_from_slice(&part[..read]);
        let text = String::from_utf8_lossy(&all).into_owned();
        let length = text
            .to_ascii_lowercase()
            .split_once("content-length: ")
            .map_or(0, |(_, rest)| {
                rest.split("\r\n")
                    .next()
                    .and_then(|n| n.parse::<usize>().ok())
                    .unwrap_or(0)
            });
        let complete = text
            .split_once("\r\n\r\n")
            .is_some_and(|(_, body)| body.len() >= length);
        if read == 0 || complete {
            return text;
        }
    }
}

fn context() -> Context {
    Context::new(Env::default(), Clock::manual(NOW))
}

fn secret(text: &str) -> Json {
    json::parse(text.as_bytes()).expect("JSON")
}

fn key(secret: u8) -> Key {
    Key {
        credential: "c".to_owned(),
        secret: [secret; 32],
    }
}

fn app(key: &SigningKey) -> App {
    let pem = key.to_pem().expect("PEM");
    let secret = Json::object([
        ("app_id", Json::from(12_345_u64)),
        ("installation_id", Json::from("678")),
        ("private_key", Json::from(pem.reveal())),
    ]);
    App::read(&secret).expect("app")
}

const ENDS_IN_AN_HOUR: &str = r#"{"token":"ghs_made","expires_at":"2027-01-15T09:00:00Z"}"#;

#[tokio::test]
async fn d20_an_app_proves_itself_for_less_than_ten_minutes_and_its_token_is_kept_until_five_before_its_end()
{
    let github = Played::start(&[(201, ENDS_IN_AN_HOUR)]).await;
    let signing = SigningKey::generate(Algorithm::Rs256).expect("key");
    let (app, cx, mint) = (Arc::new(app(&signing)), context(), Mint::default());
    let get = async |secret| {
        let (app, cx, url) = (Arc::clone(&app), cx.clone(), github.url());
        let clock = cx.clock.clone();
        let made = mint.get(
            &clock,
            key(secret),
            move || async move { app.mint(&cx, &url).await },
        );
        made.await.expect("minted")
    };
    let first = get(1).await;
    assert_eq!(first.token.reveal(), "ghs_made");
    assert_eq!(first.expires_at, Some(NOW.plus(Duration::from_secs(3600))));
    let request = github.requests().remove(0);
    assert!(
        request.starts_with("POST /app/installations/678/access_tokens HTTP/1.1"),
        "{request}"
    );
    let proof = request
        .split("Bearer ")
        .nth(1)
        .and_then(|r| r.split("\r\n").next())
        .expect("bearer");
    let set = KeySet::from_json(&KeySet::document([signing.public_jwk()])).expect("set");
    let only = jeton_core::AlgorithmSet::of(&[Algorithm::Rs256]);
    let payload = jeton_core::verify::verify_jws(proof, &set, only)
        .expect("signed with RS256")
        .into_inner();
    let claims = json::parse(&payload).expect("claims");
    let time = |name: &str| claims.get(name).and_then(Json::as_i64).expect("time");
    assert_eq!(claims.get("iss").and_then(Json::as_str), Some("12345"));
    assert_eq!(
        (time("iat"), time("exp")),
        (NOW.seconds() - 60, NOW.seconds() + 480)
    );
    cx.clock.advance(Duration::from_secs(54 * 60));
    get(1).await;
    assert_eq!(github.requests().len(), 1, "kept");
    cx.clock.advance(Duration::from_secs(60));
    get(1).await;
    assert_eq!(
        github.requests().len(),
        2,
        "made anew five minutes before its end"
    );
    get(2).await;
    assert_eq!(github.requests().len(), 3, "another secret is another token");
}

#[tokio::test]
async fn d20_a_herd_makes_one_request_and_a_failure_is_everybodys_for_a_second() {
    let github = Played::start(&[(201, ENDS_IN_AN_HOUR)]).await;
    let refusing = Played::start(&[(401, r#"{"message":"A JSON web token could not be decoded"}"#)]).await;
    let signing = SigningKey::generate(Algorithm::Rs256).expect("key");
    let (app, cx, mint) = (Arc::new(app(&signing)), context(), Mint::default());
    let herd = |played: &Played, secret| {
        let url = played.url();
        let tasks: Vec<_> = (0..50)
            .map(|_| {
                let (app, cx, url, mint) = (Arc::clone(&app), cx.clone(), url.clone(), mint.clone());
                tokio::spawn(async move {
                    let clock = cx.clock.clone();
                    mint.get(
                        &clock,
                        key(secret),
                        move || async move { app.mint(&cx, &url).await },
                    )
                    .await
                })
            })
            .collect();
        async move {
            let mut good = 0;
            for task in tasks {
                good += usize::from(task.await.expect("task").is_ok());
            }
            good
        }
    };
    assert_eq!(herd(&github, 1).await, 50);
    assert_eq!(github.requests().len(), 1);
    assert_eq!(herd(&refusing, 2).await, 0);
    assert_eq!(refusing.requests().len(), 1);
    cx.clock.advance(PAUSE_IN_TEST);
    herd(&refusing, 2).await;
    assert_eq!(refusing.requests().len(), 2);
}

/// For how long a failure counts.
const PAUSE_IN_TEST: Duration = Duration::from_secs(1);

#[tokio::test]
async fn d21_a_refresh_token_gives_access_tokens_and_a_rotated_one_is_said() {
    let answer = r#"{"access_token":"ya29.made","expires_in":3600,"scope":"a b","token_type":"Bearer","refresh_token":"next"}"#;
    let google = Played::start(&[(200, answer)]).await;
    let secret =
        secret(r#"{"client_id":"id","client_secret":"s&cret","refresh_token":"first","scopes":["a","b"]}"#);
    let client = OAuthClient::read(&secret).expect("client");
    let minted = client.mint(&context(), &google.url()).await.expect("minted");
    assert_eq!(minted.token.reveal(), "ya29.made");
    assert_eq!(minted.expires_at, Some(NOW.plus(Duration::from_secs(3600))));
    assert_eq!(minted.rotated.as_ref().map(Secret::reveal), Some("next"));
    assert_eq!(minted.parts[0].1.reveal(), "a b");
    let request = google.requests().remove(0);
    let body = request.split("\r\n\r\n").nth(1).expect("body");
    assert_eq!(
        body,
        "grant_type=refresh_token&client_id=id&client_secret=s%26cret&refresh_token=first&scope=a+b"
    );
    let dead = Played::start(&[(400, r#"{"error":"invalid_grant"}"#)]).await;
    let error = client.mint(&context(), &dead.url()).await.expect_err("dead");
    assert_eq!(error.oauth(), Some("invalid_grant"));
    assert!(!error.to_string().contains("first"), "{error}");
}

#[tokio::test]
async fn a_cloud_gives_credentials_for_a_token_of_ours() {
    let sts = r#"<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>ASIA1</AccessKeyId><SecretAccessKey>sak</SecretAccessKey><SessionToken>st</SessionToken><Expiration>2027-01-15T09:00:00Z</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"#;
    let aws = Played::start(&[(200, sts)]).await;
    let vault = Played::start(&[(200, r#"{"auth":{"client_token":"hvs.1","lease_duration":600}}"#)]).await;
    let exchange = r#"{"access_token":"made","issued_token_type":"urn:ietf:params:oauth:token-type:access_token","token_type":"Bearer","expires_in":60}"#;
    let oidc = Played::start(&[(200, exchange)]).await;
    let azure = Played::start(&[(
        200,
        r#"{"access_token":"eyA","token_type":"Bearer","expires_in":60}"#,
    )])
    .await;
    let rows: [(&str, &str, &Played, &str, &str, &str); 4] = [
        (
            "azure",
            r#"{"tenant_id":"t","client_id":"c"}"#,
            &azure,
            "api://AzureADTokenExchange",
            "POST /t/oauth2/v2.0/token",
            "eyA",
        ),
        (
            "aws",
            r#"{"role":"arn:aws:iam::1:role/r"}"#,
            &aws,
            AWS_AUDIENCE_IN_TEST,
            "RoleArn=arn%3Aaws",
            "ASIA1",
        ),
        (
            "vault",
            r#"{"role":"ci","audience":"v"}"#,
            &vault,
            "v",
            "\"role\":\"ci\"",
            "hvs.1",
        ),
        (
            "oidc",
            r#"{"audience":"x","scope":"read"}"#,
            &oidc,
            "x",
            "scope=read",
            "made",
        ),
    ];
    for (provider, text, played, audience, sent, got) in rows {
        let secret = secret(text);
        let exchanged = Exchanged {
            provider,
            secret: &secret,
            url: Some(&played.url),
        };
        exchanged.check().expect(provider);
        assert_eq!(exchanged.audience().expect(provider), audience, "{provider}");
        let minted = exchanged
            .mint(&context(), &Secret::new("ours"))
            .await
            .expect(provider);
        assert!(minted.token.reveal().contains(got), "{provider}");
        let request = played.requests().remove(0);
        assert!(
            request.contains(sent) && request.contains("ours"),
            "{provider}: {request}"
        );
    }
}

/// What AWS wants when nobody says otherwise.
const AWS_AUDIENCE_IN_TEST: &str = "sts.amazonaws.com";

#[test]
fn what_is_missing_is_named_and_a_provider_is_never_this_machine_by_accident() {
    let rows = [
        ("aws", "{}", "secret.role"),
        ("gcp", "{}", "secret.audience"),
        ("oidc", "{}", "secret.audience"),
        ("azure", r#"{"client_id":"c","scope":"s"}"#, "tenant"),
    ];
    for (provider, text, named) in rows {
        let secret = secret(text);
        let exchanged = Exchanged {
            provider,
            secret: &secret,
            url: None,
        };
        match exchanged.check() {
            Err(error) => assert!(error.to_string().contains(named), "{provider}: {error}"),
            // A template's key is looked for when the request is made.
            Ok(()) => assert_eq!(provider, "azure"),
        }
    }
    for (text, anywhere, here) in [
        ("https://api.github.com", true, true),
        ("http://127.0.0.1:1", false, true),
        ("http://localhost:1", false, true),
        ("https://[::1]:1", false, true),
        ("http://api.github.com", false, false),
        ("http://169.254.169.254", false, false),
        ("https://user@api.github.com", false, false),
        ("file:///etc/passwd", false, false),
    ] {
        assert_eq!(provider_url(text, false).is_ok(), anywhere, "{text}");
        assert_eq!(provider_url(text, true).is_ok(), here, "{text}");
    }
}
