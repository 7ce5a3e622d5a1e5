//! The token endpoint and the endpoints around it.
use crate::client::*;
use jeton_core::{Algorithm, Json, SigningKey};
use jeton_issuer::{Client, Issuer, RunningIssuer};
use serde_json::{Value, json};
use std::time::Duration;

const DEVICE: &str = "grant_type=urn:ietf:params:oauth:grant-type:device_code&client_id=c&device_code=";
const BEARER: &str = "grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer&client_id=c&assertion=";
const EXCHANGE: &str = "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&client_id=c";
const JWT_TYPE: &str = "urn:ietf:params:oauth:token-type:jwt";

fn token(issuer: &RunningIssuer, body: &str) -> Value {
    form(issuer, "/token", body).json()
}

fn text(value: &Value, name: &str) -> String {
    value[name]
        .as_str()
        .unwrap_or_else(|| panic!("no {name} in {value}"))
        .to_owned()
}

fn error(value: &Value) -> &str {
    value["error"].as_str().unwrap_or("none")
}

#[test]
fn c19_client_credentials_by_header_by_form_and_by_nobody() {
    let mut all = options();
    all.clients = vec![
        Client {
            id: "a b".into(),
            secret: Some("s+:%".into()),
        },
        Client {
            id: "public".into(),
            secret: None,
        },
    ];
    let issuer = Issuer::in_thread(all).unwrap();
    let ask = |fields: &[(&str, &str)], body: &str| {
        let mut all = vec![("content-type", "application/x-www-form-urlencoded")];
        all.extend_from_slice(fields);
        post(&issuer, "/token", &all, body)
    };
    // "a+b:s%2B%3A%25" in base64
    let basic = "Basic YStiOnMlMkIlM0ElMjU=";
    let grant = "grant_type=client_credentials&scope=x+y&audience=api";
    let good = ask(&[("authorization", basic)], grant).json();
    let access = parts(&text(&good, "access_token"));
    assert_eq!(access.0["typ"], "at+jwt");
    assert_eq!(access.1["sub"], "a b");
    assert_eq!(
        (access.1["aud"].clone(), access.1["scope"].clone()),
        (json!("api"), json!("x y"))
    );
    assert_eq!(
        (good["expires_in"].clone(), good["token_type"].clone()),
        (json!(3600), json!("Bearer"))
    );
    // (fields, body, status, error, challenge)
    let post_secret = format!("{grant}&client_id=a+b&client_secret=s%2B%3A%25");
    let rows: [(&[(&str, &str)], &str, u16, &str, bool); 8] = [
        (&[], &post_secret, 200, "none", false),
        (&[], &format!("{grant}&client_id=public"), 200, "none", false),
        (
            &[],
            &format!("{grant}&client_id=a+b&client_secret=no"),
            401,
            "invalid_client",
            false,
        ),
        (
            &[],
            &format!("{grant}&client_id=nobody"),
            401,
            "invalid_client",
            false,
        ),
        (
            &[("authorization", "Basic YStiOng=")],
            grant,
            401,
            "invalid_client",
            true,
        ),
        (
            &[("authorization", basic)],
            &post_secret,
            400,
            "invalid_request",
            false,
        ),
        (
            &[("authorization", basic)],
            "grant_type=other",
            400,
            "unsupported_grant_type",
            false,
        ),
        (&[("authorization", basic)], "", 400, "invalid_request", false),
    ];
    for (fields, body, status, expected, challenge) in rows {
        let heard = ask(fields, body);
        assert_eq!(
            (heard.status(), error(&heard.json())),
            (status, expected),
            "{body}"
        );
        assert_eq!(heard.header("www-authenticate").is_some(), challenge, "{body}");
        assert_eq!(
            heard.header("cache-control").as_deref(),
            Some("no-store"),
            "{body}"
        );
    }
}

#[test]
fn c10_refresh_rotates_and_an_old_token_ends_the_login() {
    let issuer = issuer();
    let refresh = |token: &str, more: &str| {
        super::grants::token(
            &issuer,
            &format!("grant_type=refresh_token&client_id=c&refresh_token={token}{more}"),
        )
    };
    let first = issuer.refresh_token("c", "u", "openid offline_access a b");
    let narrow = refresh(&first, "&scope=a&resource=stack%3A%2F%2Fx");
    assert_eq!(narrow["scope"], "a");
    assert_eq!(claims(&text(&narrow, "access_token"))["aud"], "stack://x");
    let second = text(&narrow, "refresh_token");
    let wide = refresh(&second, "");
    assert_eq!(
        wide["scope"], "openid offline_access a b",
        "the scope of the login is not narrowed for good"
    );
    assert_eq!(claims(&text(&wide, "id_token"))["azp"], "c");
    assert_eq!(
        error(&refresh(&text(&wide, "refresh_token"), "&scope=c")),
        "invalid_scope"
    );
    assert_eq!(error(&refresh(&first, "")), "invalid_grant", "reuse");
    assert_eq!(
        error(&refresh(&text(&wide, "refresh_token"), "")),
        "invalid_grant",
        "and the login is over"
    );
    let other = issuer.refresh_token("someone", "u", "a");
    assert_eq!(error(&refresh(&other, "")), "invalid_grant");
    let mut all = options();
    all.rotate_refresh = false;
    let still = Issuer::in_thread(all).unwrap();
    let kept = form(&still, "/_refresh_token", "client_id=c&scope=a").json();
    let body = format!(
        "grant_type=refresh_token&client_id=c&refresh_token={}",
        text(&kept, "refresh_token")
    );
    for _ in 0..2 {
        assert_eq!(token(&still, &body).get("refresh_token"), None);
    }
}

#[test]
fn a_lost_answer_uses_the_token_up_and_a_gateways_error_does_not() {
    for (fault, expected) in [
        ("s503-x1", "none"),
        ("rst-x1", "none"),
        ("lostrst-x1", "invalid_grant"),
    ] {
        let issuer = issuer();
        let held = issuer.refresh_token("c", "u", "a");
        let body = format!("grant_type=refresh_token&client_id=c&refresh_token={held}");
        issuer.fault("token", fault).unwrap();
        form(&issuer, "/token", &body);
        assert_eq!(error(&token(&issuer, &body)), expected, "{fault}");
    }
}

#[test]
fn c1_a_device_is_approved_denied_late_or_too_quick() {
    let mut all = options();
    all.device_interval = Duration::ZERO;
    let issuer = Issuer::in_thread(all.clone()).unwrap();
    let begin = |more: &str| {
        form(
            &issuer,
            "/device_authorization",
            &format!("client_id=c&scope=openid+offline_access+email{more}"),
        )
        .json()
    };
    let begun = begin("");
    let poll = format!("{DEVICE}{}", text(&begun, "device_code"));
    assert_eq!(error(&token(&issuer, &poll)), "authorization_pending");
    let approve = format!("user_code={}&subject=ada", text(&begun, "user_code"));
    assert_eq!(form(&issuer, "/device/approve", &approve).status(), 200);
    let granted = token(&issuer, &poll);
    assert!(granted["refresh_token"].is_string());
    assert_eq!(claims(&text(&granted, "id_token"))["email"], "ada@example.com");
    assert_eq!(error(&token(&issuer, &poll)), "invalid_grant", "once");
    let denied = begin("");
    form(
        &issuer,
        "/device/approve",
        &format!("user_code={}&deny=true", text(&denied, "user_code")),
    );
    assert_eq!(
        error(&token(
            &issuer,
            &format!("{DEVICE}{}", text(&denied, "device_code"))
        )),
        "access_denied"
    );
    assert_eq!(
        form(&issuer, "/device/approve", "user_code=XXXX-XXXX").status(),
        404
    );
    // PKCE: the challenge of RFC 7636 appendix B.
    let bound =
        begin("&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256");
    form(
        &issuer,
        "/device/approve",
        &format!("user_code={}", text(&bound, "user_code")),
    );
    let poll = format!("{DEVICE}{}", text(&bound, "device_code"));
    assert_eq!(error(&token(&issuer, &poll)), "invalid_grant");
    let right = format!("{poll}&code_verifier=dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
    assert_eq!(error(&token(&issuer, &right)), "none");
    all.device_interval = Duration::from_secs(60);
    all.approve_devices = true;
    let strict = Issuer::in_thread(all.clone()).unwrap();
    let begun = form(&strict, "/device_authorization", "client_id=c").json();
    assert_eq!(
        (begun["interval"].clone(), begun["expires_in"].clone()),
        (json!(60), json!(600))
    );
    assert_eq!(
        error(&token(
            &strict,
            &format!("{DEVICE}{}", text(&begun, "device_code"))
        )),
        "none",
        "by option"
    );
    all.approve_devices = false;
    all.device_life = Duration::ZERO;
    let late = Issuer::in_thread(all).unwrap();
    let begun = form(&late, "/device_authorization", "client_id=c").json();
    let poll = format!("{DEVICE}{}", text(&begun, "device_code"));
    std::thread::sleep(Duration::from_millis(2));
    assert_eq!(error(&token(&late, &poll)), "expired_token");
}

#[test]
fn a_device_that_polls_too_soon_is_told_to_slow_down() {
    let issuer = issuer();
    let begun = form(&issuer, "/device_authorization", "client_id=c").json();
    let poll = format!("{DEVICE}{}", text(&begun, "device_code"));
    assert_eq!(error(&token(&issuer, &poll)), "authorization_pending");
    assert_eq!(error(&token(&issuer, &poll)), "slow_down");
}

#[test]
fn b13_a_code_is_bound_to_its_request() {
    let issuer = issuer();
    let authorize = |more: &str| {
        let base = "/authorize?response_type=code&client_id=c&redirect_uri=http%3A%2F%2F127.0.0.1%3A9%2Fback%3Fa%3Db\
            &scope=openid&state=st%26&nonce=n";
        let heard = get(&issuer, &format!("{base}{more}"), &[]);
        assert_eq!(heard.status(), 302);
        url::Url::parse(&heard.header("location").unwrap()).unwrap()
    };
    let value = |url: &url::Url, name: &str| {
        url.query_pairs()
            .find(|(key, _)| key == name)
            .map(|(_, v)| v.into_owned())
    };
    let pkce = "&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256";
    let verifier = "code_verifier=dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    let redirect = "redirect_uri=http%3A%2F%2F127.0.0.1%3A9%2Fback%3Fa%3Db";
    let back = authorize(pkce);
    assert_eq!(value(&back, "a").as_deref(), Some("b"));
    assert_eq!(value(&back, "state").as_deref(), Some("st&"));
    assert_eq!(value(&back, "iss").as_deref(), Some(issuer.url()));
    let exchange = |back: &url::Url, rest: &str| {
        let code = value(back, "code").unwrap();
        token(
            &issuer,
            &format!("grant_type=authorization_code&client_id=c&code={code}&{rest}"),
        )
    };
    let good = exchange(&back, &format!("{redirect}&{verifier}"));
    let id = claims(&text(&good, "id_token"));
    assert_eq!((id["nonce"].clone(), id["aud"].clone()), (json!("n"), json!("c")));
    assert!(id["at_hash"].is_string());
    assert_eq!(
        error(&exchange(&back, &format!("{redirect}&{verifier}"))),
        "invalid_grant",
        "once"
    );
    for bad in [
        format!("{redirect}&code_verifier=x"),
        redirect.to_owned(),
        verifier.to_owned(),
    ] {
        assert_eq!(error(&exchange(&authorize(pkce), &bad)), "invalid_grant", "{bad}");
    }
    assert_eq!(
        value(&authorize(""), "error").as_deref(),
        Some("invalid_request"),
        "PKCE is required"
    );
    assert_eq!(
        value(&authorize(&pkce.replace("S256", "plain")), "error").as_deref(),
        Some("invalid_request")
    );
    assert_eq!(get(&issuer, "/authorize?client_id=c", &[]).status(), 400);
    for (fault, name, expected) in [
        ("wrongstate-x1", "state", Some("another")),
        ("nostate-x1", "state", None),
        ("nocode-x1", "code", None),
        ("noredirectiss-x1", "iss", None),
        (
            "wrongredirectiss-x1",
            "iss",
            Some("https://somebody-else.example.com"),
        ),
    ] {
        issuer.fault("authorize", fault).unwrap();
        assert_eq!(value(&authorize(pkce), name).as_deref(), expected, "{fault}");
    }
}

/// Somebody else who signs.
fn stranger() -> (SigningKey, Value) {
    let key = SigningKey::generate(Algorithm::Es256).unwrap();
    let jwk: Value = serde_json::from_str(&key.public_jwk().to_text()).unwrap();
    (key, json!({ "keys": [jwk] }))
}

fn signed(key: &SigningKey, claims: &Value) -> String {
    key.sign(&jeton_core::json::parse(claims.to_string().as_bytes()).unwrap_or(Json::Null))
        .unwrap()
}

#[test]
fn c3_assertions_are_taken_from_whom_they_are_trusted() {
    let (key, jwks) = stranger();
    let mut all = options();
    all.trusted = vec![
        ("https://them.example.com".into(), jwks.clone()),
        ("robot".into(), jwks),
    ];
    let issuer = Issuer::in_thread(all).unwrap();
    let own = issuer.mint(
        json!({"sub": "ada", "aud": "anything"})
            .as_object()
            .unwrap()
            .clone(),
    );
    let granted = token(&issuer, &format!("{BEARER}{own}&scope=openid+email"));
    assert_eq!(claims(&text(&granted, "access_token"))["sub"], "ada");
    assert!(granted["id_token"].is_string() && granted.get("refresh_token").is_none());
    let theirs =
        json!({"iss": "https://them.example.com", "sub": "bob", "aud": issuer.url(), "exp": NOW + 60});
    let with = |name: &str, value: Value| {
        let mut all = theirs.clone();
        all[name] = value;
        signed(&key, &all)
    };
    let rows = [
        (signed(&key, &theirs), "none"),
        (with("aud", json!([format!("{}/token", issuer.url())])), "none"),
        (with("aud", json!("https://x")), "invalid_grant"),
        (with("exp", json!(NOW - 61)), "invalid_grant"),
        (with("nbf", json!(NOW + 61)), "invalid_grant"),
        (with("iss", json!("https://unknown")), "invalid_grant"),
        (with("sub", Value::Null), "invalid_grant"),
        (
            signed(&SigningKey::generate(Algorithm::Es256).unwrap(), &theirs),
            "invalid_grant",
        ),
        ("x.y.z".into(), "invalid_grant"),
    ];
    for (assertion, expected) in rows {
        assert_eq!(
            error(&token(&issuer, &format!("{BEARER}{assertion}"))),
            expected,
            "{:?}",
            claims_or_none(&assertion)
        );
    }
    // private_key_jwt, once per jti
    let client = json!({"iss": "robot", "sub": "robot", "aud": issuer.url(), "exp": NOW + 60, "jti": "1"});
    let body = format!(
        "grant_type=client_credentials&client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer\
         &client_assertion={}",
        signed(&key, &client)
    );
    assert_eq!(
        claims(&text(&token(&issuer, &body), "access_token"))["client_id"],
        "robot"
    );
    assert_eq!(
        error(&token(&issuer, &body)),
        "invalid_client",
        "the same jti again"
    );
}

fn claims_or_none(token: &str) -> Option<Value> {
    (token != "x.y.z").then(|| claims(token))
}

#[test]
fn exchange_narrows_and_says_who_acts() {
    let issuer = issuer();
    let subject = issuer.mint(
        json!({"sub": "ada", "scope": "a b", "act": {"sub": "before"}})
            .as_object()
            .unwrap()
            .clone(),
    );
    let actor = issuer.mint(json!({"sub": "robot"}).as_object().unwrap().clone());
    let base = format!("{EXCHANGE}&subject_token={subject}&subject_token_type={JWT_TYPE}");
    let plain = token(&issuer, &format!("{base}&audience=x&audience=y&scope=a"));
    assert_eq!(
        plain["issued_token_type"],
        "urn:ietf:params:oauth:token-type:access_token"
    );
    assert_eq!(
        (plain["scope"].clone(), plain["token_type"].clone()),
        (json!("a"), json!("Bearer"))
    );
    assert_eq!(claims(&text(&plain, "access_token"))["aud"], json!(["x", "y"]));
    let acted = token(
        &issuer,
        &format!("{base}&actor_token={actor}&actor_token_type={JWT_TYPE}"),
    );
    let act = claims(&text(&acted, "access_token"))["act"].clone();
    assert_eq!(
        (act["sub"].clone(), act["act"]["sub"].clone()),
        (json!("robot"), json!("before"))
    );
    let id = token(
        &issuer,
        &format!("{base}&requested_token_type=urn:ietf:params:oauth:token-type:id_token"),
    );
    assert_eq!(
        (
            id["token_type"].clone(),
            claims(&text(&id, "access_token"))["aud"].clone()
        ),
        (json!("N_A"), json!("c"))
    );
    let rows = [
        (format!("{base}&scope=c"), "invalid_scope"),
        (format!("{base}&actor_token_type={JWT_TYPE}"), "invalid_request"),
        (format!("{EXCHANGE}&subject_token={subject}"), "invalid_request"),
        (
            format!("{EXCHANGE}&subject_token=x&subject_token_type={JWT_TYPE}"),
            "invalid_request",
        ),
        (format!("{base}&requested_token_type=x"), "invalid_request"),
    ];
    for (body, expected) in rows {
        assert_eq!(error(&token(&issuer, &body)), expected, "{body}");
    }
    issuer.fault("token", "issuedmissing-x1").unwrap();
    assert_eq!(token(&issuer, &base).get("issued_token_type"), None);
}

#[test]
fn revoked_tokens_are_dead_everywhere() {
    let issuer = issuer();
    let access = text(
        &token(&issuer, "grant_type=client_credentials&client_id=c"),
        "access_token",
    );
    let held = issuer.refresh_token("c", "u", "a");
    let active = |token: &str| {
        form(&issuer, "/introspect", &format!("client_id=c&token={token}")).json()["active"].clone()
    };
    let bearer = format!("Bearer {access}");
    assert_eq!(
        (active(&access), active(&held), active("x")),
        (json!(true), json!(true), json!(false))
    );
    assert_eq!(
        get(&issuer, "/userinfo", &[("authorization", &bearer)]).json()["sub"],
        "c"
    );
    for token in [&access, &held, "unknown"] {
        assert_eq!(
            form(&issuer, "/revoke", &format!("client_id=c&token={token}")).status(),
            200
        );
    }
    assert_eq!((active(&access), active(&held)), (json!(false), json!(false)));
    let refused = get(&issuer, "/userinfo", &[("authorization", &bearer)]);
    assert!(
        refused
            .header("www-authenticate")
            .unwrap()
            .contains("invalid_token")
    );
    assert_eq!(
        get(&issuer, "/userinfo", &[])
            .header("www-authenticate")
            .as_deref(),
        Some("Bearer")
    );
}
