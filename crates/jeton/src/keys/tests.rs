use super::*;
use crate::context::Observer;
use crate::{Clock, Env};
use jeton_core::{Audience, Issuer, UnixTime};
use jeton_issuer::{Options, RunningIssuer};
use serde_json::json;

const NOW: UnixTime = UnixTime::from_seconds(1_800_000_000);

/// Counts warnings.
#[derive(Default)]
struct Told(AtomicU64);

impl Observer for Told {
    fn warning(&self, _: &str) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

struct Stage {
    issuer: RunningIssuer,
    clock: Clock,
    told: Arc<Told>,
    cx: Context,
    keys: RemoteKeys,
    expect: Expectations,
}

impl Stage {
    async fn new() -> Self {
        let clock = Clock::manual(NOW);
        let theirs = clock.clone();
        let mut options =
            Options::new(move || theirs.now().wall).with_algorithm(jeton_issuer::Algorithm::Es256);
        options.token_life = Duration::from_secs(7 * 24 * 3600);
        let issuer = jeton_issuer::Issuer::start(options).await.unwrap();
        let told = Arc::new(Told::default());
        let mut cx = Context::new(Env::default(), clock.clone());
        cx.policy.backoff = Duration::from_millis(1);
        cx.observer = told.clone();
        let keys = RemoteKeys::at_url(&format!("{}/jwks", issuer.url())).unwrap();
        let expect = Expectations::new(
            Issuer::parse(issuer.url()).unwrap(),
            Audience::parse("aud").unwrap(),
        );
        Self {
            issuer,
            clock,
            told,
            cx,
            keys,
            expect,
        }
    }

    fn token(&self) -> Secret {
        self.token_with(json!({"aud": "aud", "sub": "me"}))
    }

    fn token_with(&self, claims: serde_json::Value) -> Secret {
        Secret::new(self.issuer.mint(claims.as_object().unwrap().clone()))
    }

    /// The code of the outcome; `ok` when it is one.
    async fn outcome(&self, token: &Secret) -> &'static str {
        match self.keys.verify(&self.cx, token, &self.expect).await {
            Ok(_) => "ok",
            Err(error) => error.rejection().code(),
        }
    }

    fn fetches(&self) -> usize {
        self.issuer.requests_of("jwks").len()
    }

    fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

/// A token by a key that the issuer never had, under a name of its own.
fn strangers(name: &str) -> Secret {
    let key = jeton_core::SigningKey::generate(jeton_core::Algorithm::Es256).unwrap();
    let json = |text: &str| jeton_core::json::parse(text.as_bytes()).unwrap();
    let header = json(&format!(r#"{{"alg":"ES256","kid":"{name}"}}"#));
    Secret::new(key.sign_with(&header, &json(r#"{"iss":"x"}"#)).unwrap())
}

#[tokio::test]
async fn d7_a_rotation_costs_one_more_fetch() {
    let stage = Stage::new().await;
    let old = stage.token();
    assert_eq!(stage.outcome(&old).await, "ok");
    stage.issuer.rotate(false).unwrap();
    let new = stage.token();
    assert_eq!(stage.outcome(&new).await, "ok");
    assert_eq!(stage.outcome(&old).await, "ok");
    assert_eq!(stage.fetches(), 2);
}

#[tokio::test]
async fn d7_made_up_key_names_cost_one_fetch_in_a_cool_down() {
    let stage = Stage::new().await;
    let good = stage.token();
    assert_eq!(stage.outcome(&good).await, "ok");
    let flood: Vec<_> = (0..50).map(|n| strangers(&format!("k{n}"))).collect();
    let outcomes = flood.iter().map(|token| stage.outcome(token));
    for outcome in futures_util::future::join_all(outcomes).await {
        assert_eq!(outcome, "unknown-key");
    }
    assert_eq!(stage.fetches(), 2);
    stage.pass(29);
    assert_eq!(stage.outcome(&flood[0]).await, "unknown-key");
    assert_eq!(stage.outcome(&good).await, "ok");
    assert_eq!(stage.fetches(), 2);
    stage.pass(2);
    assert_eq!(stage.outcome(&flood[0]).await, "unknown-key");
    assert_eq!(stage.fetches(), 3);
}

#[tokio::test]
async fn known_keys_are_used_for_a_day_while_the_endpoint_is_down() {
    let stage = Stage::new().await;
    let good = stage.token();
    assert_eq!(stage.outcome(&good).await, "ok");
    stage.issuer.fault("jwks", "s503").unwrap();
    stage.pass(70);
    assert_eq!(stage.outcome(&good).await, "ok");
    assert_eq!(stage.told.0.load(Ordering::Relaxed), 1);
    assert_eq!(stage.outcome(&strangers("new")).await, "keys-unavailable");
    stage.pass(24 * 3600);
    let error = stage
        .keys
        .verify(&stage.cx, &good, &stage.expect)
        .await
        .unwrap_err();
    assert_eq!(
        (error.rejection().code(), error.class()),
        ("keys-unavailable", Class::Unavailable)
    );
    stage.issuer.clear_faults();
    stage.pass(60);
    assert_eq!(stage.outcome(&good).await, "ok");
}

#[tokio::test]
async fn a_bad_document_is_told_from_one_that_cannot_be_had_and_never_replaces_a_good_one() {
    // (fault, code, class)
    let rows = [
        ("jwksempty", "keys-unusable", Class::Protocol),
        ("jsonarray", "keys-unusable", Class::Protocol),
        ("htmljson", "keys-unusable", Class::Protocol),
        ("truncjson", "keys-unusable", Class::Protocol),
        ("s503", "keys-unavailable", Class::Unavailable),
        ("s404", "keys-unavailable", Class::Refused),
        ("s429", "keys-unavailable", Class::Throttled),
        ("rst", "keys-unavailable", Class::Unavailable),
    ];
    for (fault, code, class) in rows {
        let stage = Stage::new().await;
        let token = stage.token();
        stage.issuer.fault("jwks", fault).unwrap();
        let error = stage
            .keys
            .verify(&stage.cx, &token, &stage.expect)
            .await
            .unwrap_err();
        assert_eq!(
            (error.rejection().code(), error.class()),
            (code, class),
            "{fault}"
        );
        stage.issuer.clear_faults();
        stage.pass(31);
        assert_eq!(stage.outcome(&token).await, "ok", "after {fault}");
        stage.pass(3601);
        stage.issuer.fault("jwks", fault).unwrap();
        assert_eq!(
            stage.outcome(&token).await,
            "ok",
            "a good one is kept through {fault}"
        );
    }
}

#[tokio::test]
async fn a_hopeless_token_costs_no_request() {
    let stage = Stage::new().await;
    for hopeless in ["", "a.b.c", "eyJhbGciOiJub25lIn0.e30."] {
        assert_ne!(stage.outcome(&Secret::new(hopeless)).await, "ok");
    }
    assert_eq!(stage.issuer.requests().len(), 0);
}

#[tokio::test]
async fn an_etag_is_sent_back_and_304_keeps_the_set() {
    let stage = Stage::new().await;
    let etag = jeton_issuer::Rule::new("jwks", "etag").unwrap().value("\"v1\"");
    stage.issuer.add_rule(etag);
    let token = stage.token();
    assert_eq!(stage.outcome(&token).await, "ok");
    stage.pass(61);
    assert_eq!(stage.outcome(&token).await, "ok");
    let requests = stage.issuer.requests_of("jwks");
    assert_eq!(requests[1].header("if-none-match"), Some("\"v1\""));
    stage.pass(30);
    assert_eq!(stage.outcome(&token).await, "ok");
    assert_eq!(stage.fetches(), 2, "a 304 makes it fresh again");
}

#[tokio::test]
async fn keys_are_found_through_discovery() {
    let stage = Stage::new().await;
    let discovery = Arc::new(Discovery::new(stage.issuer.url()));
    let keys = RemoteKeys::discovered(discovery);
    keys.verify(&stage.cx, &stage.token(), &stage.expect)
        .await
        .unwrap();
    assert_eq!(stage.issuer.requests().len(), 2);
}

#[tokio::test]
async fn a_key_that_left_the_set_is_gone_with_the_sets_life() {
    let stage = Stage::new().await;
    let token = stage.token();
    assert_eq!(stage.outcome(&token).await, "ok");
    stage.issuer.rotate(true).unwrap();
    stage.pass(61);
    assert_eq!(stage.outcome(&token).await, "unknown-key");
}

#[tokio::test]
async fn a_token_verified_before_is_judged_anew_but_not_computed_again() {
    let stage = Stage::new().await;
    let verifier = Verifier::new(stage.keys.clone(), stage.expect.clone());
    let exp = NOW.seconds() + 100;
    let token = stage.token_with(json!({"aud": "aud", "sub": "me", "exp": exp}));
    let first = verifier.verify(&stage.cx, token.reveal()).await.unwrap();
    let second = verifier.verify(&stage.cx, token.reveal()).await.unwrap();
    assert!(Arc::ptr_eq(&first, &second));
    assert_eq!(verifier.remembered(), 1);

    // Never past its end: within the leeway it is computed again, beyond it it has expired.
    stage.pass(101);
    let third = verifier.verify(&stage.cx, token.reveal()).await.unwrap();
    assert!(!Arc::ptr_eq(&first, &third));
    stage.pass(100);
    let late = verifier.verify(&stage.cx, token.reveal()).await.unwrap_err();
    assert_eq!(late.rejection().code(), "expired");

    // Dropped when its key goes.
    let token = stage.token();
    verifier.verify(&stage.cx, token.reveal()).await.unwrap();
    stage.issuer.rotate(true).unwrap();
    stage.pass(61);
    assert_eq!(stage.outcome(&stage.token()).await, "ok");
    let gone = verifier.verify(&stage.cx, token.reveal()).await.unwrap_err();
    assert_eq!(gone.rejection().code(), "unknown-key");
}

#[tokio::test]
async fn pinned_keys_verify_without_a_request_and_what_they_do_not_know_stays_unknown() {
    let stage = Stage::new().await;
    let set = KeySet::parse(stage.issuer.jwks().to_string().as_bytes()).unwrap();
    let verifier = Verifier::new(RemoteKeys::fixed(set), stage.expect.clone());
    for _ in 0..2 {
        let token = stage.token();
        assert!(verifier.verify(&stage.cx, token.reveal()).await.is_ok());
        stage.pass(2 * 24 * 3600);
    }
    stage.issuer.rotate(true).unwrap();
    let unknown = verifier
        .verify(&stage.cx, stage.token().reveal())
        .await
        .unwrap_err();
    assert_eq!(unknown.rejection().code(), "unknown-key");
    assert_eq!(stage.fetches(), 0);
}
