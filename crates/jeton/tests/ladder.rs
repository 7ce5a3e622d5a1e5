//! A cloud's whole ladder, request by request: row C2 with C6, C7, C12 and C13.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on should say where"
)]
#[path = "../examples/ladder/profiles.rs"]
mod profiles;

use jeton::config::Config;
use jeton::profiles::{LoginFlow, LoginPrompt, Profiles, Prompted, Wishes};
use jeton::{Clock, Context, Env, Error, Token, TokenRequest};
use jeton_core::UnixTime;
use jeton_issuer::{Issuer, Options, RunningIssuer};
use profiles::{API, RUNGS, ladder};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

/// How long the issuer's access tokens live: the login's, the organization's, the stack's, the API's.
const LIFE: Duration = Duration::from_secs(3600);
/// What every request wants left (the default of `jeton token`).
const GRACE: Duration = Duration::from_secs(30);

struct Silent;

impl LoginPrompt for Silent {
    fn show(&self, _what: &Prompted<'_>) {}
}

/// A member of the cloud, logged in: a home, an issuer, and one clock for both.
struct Member {
    issuer: RunningIssuer,
    clock: Clock,
    home: tempfile::TempDir,
}

impl Member {
    async fn new() -> Self {
        let clock = Clock::manual(UnixTime::from_seconds(1_800_000_000));
        let present = clock.clone();
        let mut options =
            Options::new(move || present.now().wall).with_algorithm(jeton_issuer::Algorithm::Es256);
        options.approve_devices = true;
        options.device_interval = Duration::from_secs(1);
        options.access_life = LIFE;
        let member = Self {
            issuer: Issuer::in_thread(options).unwrap(),
            clock,
            home: tempfile::tempdir().unwrap(),
        };
        let login = member
            .profiles()
            .login("membership", LoginFlow::Device, &Silent)
            .await;
        assert!(login.unwrap().lasting);
        member
    }

    /// What a new process of the member sees: nothing in memory.
    fn profiles(&self) -> Profiles {
        let url = self.issuer.url();
        let config = Config::parse(&ladder(url, url, "acme", "prod"), "the ladder").unwrap();
        let env = Env::from_iter([("HOME", self.home.path().to_str().unwrap())]);
        Profiles::new(
            Arc::new(config),
            Context::new(env, self.clock.clone()),
            Wishes::default(),
        )
    }

    async fn token(&self, rung: &str) -> Result<Token, Error> {
        let profiles = self.profiles();
        let request = profiles
            .request(rung, TokenRequest::default())?
            .min_validity(GRACE);
        profiles.open(rung)?.token(&request).await
    }

    /// The requests since the last time, each as `grant resource scope`, or by its route.
    fn asked(&self) -> Vec<String> {
        let show = |request: &jeton_issuer::Recorded| {
            let field = |name| request.form_value(name).unwrap_or_default();
            let grant = field("grant_type");
            match grant.rsplit(':').next().filter(|grant| !grant.is_empty()) {
                Some(grant) => format!("{grant} {} {}", field("resource"), field("scope")),
                None => request.route.clone(),
            }
        };
        let asked = self.issuer.requests().iter().map(show).collect();
        self.issuer.reset_requests();
        asked
    }

    async fn revoke(&self, token: &Token) {
        use jeton::http::Request;
        let url = format!("{}/revoke", self.issuer.url()).parse().unwrap();
        let request = Request::form(url, &[("token", token.value.reveal())]);
        let cx = Context::new(Env::default(), Clock::system());
        cx.fetch("revoke", &request, jeton::fetch::success).await.unwrap();
        self.issuer.reset_requests();
    }
}

const STACK: &str = "refresh_token stack://acme/prod stack:Read stack:Write";
const EXCHANGE: &str = "jwt-bearer  openid email";

#[tokio::test]
async fn c2_c7_cold_warm_and_with_any_rung_out_of_date() {
    let member = Member::new().await;
    let login = member.asked();
    assert_eq!(
        login[..3],
        ["discovery", "device-authorization", "device_code  "],
        "{login:?}"
    );
    let first = member.token(API).await.unwrap();
    assert_eq!(member.asked(), [STACK, EXCHANGE], "cold");
    assert_eq!(first.subject, member.token("stack").await.unwrap().subject);
    member.token("organization").await.unwrap();
    assert_eq!(member.asked(), ["refresh_token organization://acme "]);
    for rung in RUNGS {
        assert!(member.token(rung).await.unwrap().cached, "{rung}");
    }
    assert_eq!(member.asked(), [""; 0], "warm");

    // C5: the top rung's own longest re-use passes; the rung below is good.
    member.clock.advance(Duration::from_secs(301));
    let second = member.token(API).await.unwrap();
    assert_eq!(member.asked(), ["discovery", EXCHANGE], "top out of date");
    assert_ne!(first.value.reveal(), second.value.reveal());

    // C7, C6: everything below the top has less left than is wanted, the top is good: nothing is asked.
    member
        .clock
        .advance(LIFE - Duration::from_secs(301) - GRACE - Duration::from_secs(100));
    member.token(API).await.unwrap();
    assert_eq!(member.asked(), ["discovery", EXCHANGE]);
    member.clock.advance(Duration::from_secs(101));
    member.token(API).await.unwrap();
    assert_eq!(member.asked(), [""; 0], "middle out of date");

    // C6: a rung with a second less than the grace is never used, on any rung.
    for rung in ["membership", "organization", "stack"] {
        assert!(!member.token(rung).await.unwrap().cached, "{rung}");
    }
    let scopes = "openid offline_access accesses on_behalf stack:Read stack:Write";
    let refreshes = [
        format!("refresh_token  {scopes}"),
        "refresh_token organization://acme ".into(),
        STACK.into(),
    ];
    assert_eq!(
        member
            .asked()
            .into_iter()
            .filter(|asked| asked != "discovery")
            .collect::<Vec<_>>(),
        refreshes
    );
}

#[tokio::test]
async fn c2_c12_each_rung_revoked() {
    let member = Member::new().await;
    let (api, stack) = (
        member.token(API).await.unwrap(),
        member.token("stack").await.unwrap(),
    );
    member.asked();

    // The API's token: its user is told by a 401, and drops it; only the exchange is repeated.
    member.profiles().open(API).unwrap().invalidate(&api);
    assert_ne!(
        member.token(API).await.unwrap().value.reveal(),
        api.value.reveal()
    );
    assert_eq!(member.asked(), [EXCHANGE], "api revoked");

    // The stack's token: the exchange is refused, climbed to once more.
    member.revoke(&stack).await;
    let api = member.token(API).await.unwrap();
    assert_eq!(
        member.asked(),
        [""; 0],
        "nobody has to know while the top is good"
    );
    member.profiles().open(API).unwrap().invalidate(&api);
    member.token(API).await.unwrap();
    assert_eq!(member.asked(), [EXCHANGE, STACK, EXCHANGE], "stack revoked");

    // The organization's: nothing else hangs on it.
    let organization = member.token("organization").await.unwrap();
    member.revoke(&organization).await;
    member
        .profiles()
        .open("organization")
        .unwrap()
        .invalidate(&organization);
    member.token("organization").await.unwrap();
    member.token(API).await.unwrap();
    assert_eq!(
        member.asked(),
        ["refresh_token organization://acme "],
        "organization revoked"
    );

    // The login: what is good is used to its end, then somebody has to log in, and nothing is asked in vain twice.
    member.issuer.fault("token", "einvalidgrant").unwrap();
    let stack = member.token("stack").await.unwrap();
    member.profiles().open("stack").unwrap().invalidate(&stack);
    let error = member.token("stack").await.unwrap_err();
    assert!(error.to_string().contains("login again"), "{error}");
    assert_eq!(member.asked(), [STACK], "login revoked");
    member.token(API).await.unwrap();
    member.token("stack").await.unwrap_err();
    assert_eq!(member.asked(), [""; 0]);
}

#[tokio::test]
async fn c13_what_was_granted_after_the_login_is_seen_without_another() {
    let member = Member::new().await;
    member.asked();
    let profiles = member.profiles();
    let new = TokenRequest {
        resource: vec!["stack://acme/new".into()],
        ..profiles.request("stack", TokenRequest::default()).unwrap()
    };
    member.issuer.fault("token", "einvalidtarget-x1").unwrap();
    let refused = profiles.open("stack").unwrap().token(&new).await.unwrap_err();
    assert_eq!(refused.oauth(), Some("invalid_target"));
    // The provider gives the member the stack; later, another process asks.
    member.clock.advance(Duration::from_secs(1));
    let token = member
        .profiles()
        .open("stack")
        .unwrap()
        .token(&new)
        .await
        .unwrap();
    assert_eq!(token.audience, ["stack://acme/new"]);
    let asked = "refresh_token stack://acme/new stack:Read stack:Write";
    assert_eq!(member.asked(), [asked, asked]);
}

/// The example, as a process: cold, then warm.
#[test]
fn c2_the_example_logs_in_once() {
    let present = || {
        let millis = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis();
        UnixTime::from_millis(i64::try_from(millis).unwrap())
    };
    let mut options = Options::new(present).with_algorithm(jeton_issuer::Algorithm::Es256);
    options.approve_devices = true;
    options.device_interval = Duration::from_secs(1);
    let issuer = Issuer::in_thread(options).unwrap();
    let home = tempfile::tempdir().unwrap();
    let tests = std::env::current_exe().unwrap();
    let example = tests.parent().unwrap().parent().unwrap().join("examples/ladder");
    // (requests for tokens, the stack's line)
    for (requests, line) in [
        (4, "stack        user cached=true"),
        (0, "api          user cached=true"),
    ] {
        let output = Command::new(&example)
            .args([issuer.url(), issuer.url(), "acme", "prod"])
            .env_clear()
            .env("HOME", home.path())
            .output()
            .unwrap();
        let shown = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && shown.contains(line), "{output:?}");
        assert!(!shown.contains("eyJ"), "{shown}");
        assert_eq!(issuer.requests_of("token").len(), requests);
        issuer.reset_requests();
    }
}
