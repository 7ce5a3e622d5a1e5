//! Start, documents, keys, minting, the record, GitHub.
use crate::client::*;
use jeton_issuer::{Algorithm, Issuer};
use serde_json::json;

/// Checks a signature with the library that every verifier would use, not with the issuer's own code.
fn verifies(token: &str, jwks: &serde_json::Value) -> bool {
    use aws_lc_rs::rsa::PublicKeyComponents;
    use aws_lc_rs::signature::*;
    use base64::Engine;
    let decode = |text: &str| base64::prelude::BASE64_URL_SAFE_NO_PAD.decode(text).unwrap();
    let (input, signature) = token.rsplit_once('.').unwrap();
    let kid = parts(token).0["kid"].clone();
    let Some(key) = jwks["keys"]
        .as_array()
        .unwrap()
        .iter()
        .find(|key| key["kid"] == kid)
    else {
        return false;
    };
    let member = |name: &str| decode(key[name].as_str().unwrap());
    let (input, signature) = (input.as_bytes(), decode(signature));
    match key["kty"].as_str().unwrap() {
        "RSA" => PublicKeyComponents {
            n: member("n"),
            e: member("e"),
        }
        .verify(&RSA_PKCS1_2048_8192_SHA256, input, &signature)
        .is_ok(),
        "EC" => {
            let point = [vec![4], member("x"), member("y")].concat();
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
                .verify(input, &signature)
                .is_ok()
        }
        _ => UnparsedPublicKey::new(&ED25519, member("x"))
            .verify(input, &signature)
            .is_ok(),
    }
}

#[test]
fn a6_claims_become_a_token_that_its_keys_verify() {
    for algorithm in [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa] {
        let issuer = Issuer::in_thread(options().with_algorithm(algorithm)).unwrap();
        let heard = post(
            &issuer,
            "/token",
            &[("content-type", "application/json")],
            r#"{"aud":"x","n":1}"#,
        );
        assert_eq!(heard.status(), 200);
        let token = heard.body_text();
        let jwks = get(&issuer, "/jwks", &[]).json();
        assert!(verifies(&token, &jwks), "{algorithm:?}");
        issuer.rotate(false).unwrap();
        assert!(verifies(&token, &get(&issuer, "/jwks", &[]).json()), "overlap");
        issuer.rotate(true).unwrap();
        assert!(!verifies(&token, &get(&issuer, "/jwks", &[]).json()), "dropped");
    }
}

#[test]
fn a6_an_empty_body_of_claims_gives_githubs_29() {
    let issuer = Issuer::in_thread(options().with_path("/some/path")).unwrap();
    assert_eq!(issuer.url(), format!("http://{}/some/path", issuer.address()));
    let token = post(&issuer, "/some/path/token", &[], "{}").body_text();
    let all = claims(&token);
    let mut names: Vec<_> = all.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    let expected = "actor actor_id aud base_ref environment event_name exp head_ref iat iss job_workflow_ref \
        job_workflow_sha jti nbf ref ref_type repository repository_id repository_owner repository_owner_id \
        repository_visibility run_attempt run_id run_number runner_environment sub workflow workflow_ref workflow_sha";
    assert_eq!(names, expected.split_whitespace().collect::<Vec<_>>());
    assert_eq!(all["iss"], issuer.url());
    assert_eq!(
        (all["iat"].clone(), all["exp"].clone()),
        (json!(NOW), json!(NOW + 300))
    );
    assert_eq!(all["environment"], json!(null));
    assert_eq!(all["run_attempt"], "1");
    let again = claims(
        &post(
            &issuer,
            "/some/path/token",
            &[],
            r#"{"iss":"https://x","repository":"a/b"}"#,
        )
        .body_text(),
    );
    assert_eq!(again["iss"], "https://x");
    let curl = form(&issuer, "/some/path/token", r#" {"sub":"me"}"#).body_text();
    assert_eq!(claims(&curl)["sub"], "me", "JSON that `curl -d` calls a form");
    assert_eq!(again["sub"], "repo:a/b:ref:refs/heads/main");
    assert_ne!(again["jti"], all["jti"]);
    assert_eq!(
        post(&issuer, "/token", &[], "{}").status(),
        404,
        "the path of the URL is not optional"
    );
    for bad in ["", "[]", "{", "7", "\"x\""] {
        assert_eq!(post(&issuer, "/some/path/token", &[], bad).status(), 400, "{bad}");
    }
}

#[test]
fn c9_documents_name_the_issuer_with_its_path() {
    let issuer = Issuer::in_thread(options().with_path("/a/b/")).unwrap();
    for path in [
        "/a/b/.well-known/openid-configuration",
        "/a/b/.well-known/oauth-authorization-server",
        "/.well-known/oauth-authorization-server/a/b",
    ] {
        let document = get(&issuer, path, &[]).json();
        assert_eq!(document["issuer"], issuer.url(), "{path}");
        for (name, value) in document.as_object().unwrap() {
            if name.ends_with("_endpoint") || name == "jwks_uri" {
                assert!(
                    value.as_str().unwrap().starts_with(&format!("{}/", issuer.url())),
                    "{name}"
                );
            }
        }
    }
}

#[test]
fn a3_github_gives_a_token_for_the_audience_to_who_has_the_request_token() {
    let issuer = issuer();
    let body = github(&issuer, "api%3A%2F%2Fx%26y").json();
    assert_eq!(claims(body["value"].as_str().unwrap())["aud"], "api://x&y");
    assert!(body["count"].is_number());
    let default = github(&issuer, "").json();
    assert_eq!(
        claims(default["value"].as_str().unwrap())["aud"],
        "https://github.com/octo-org"
    );
    for field in ["bearer wrong", "Basic x", ""] {
        assert_eq!(
            get(&issuer, "/github/idtoken?audience=x", &[("authorization", field)]).status(),
            401,
            "{field}"
        );
    }
}

#[test]
fn the_record_keeps_what_came_as_it_came() {
    let issuer = issuer();
    post(
        &issuer,
        "/token?a=%20b",
        &[("X-Odd", "1"), ("content-type", "application/json")],
        r#"{"sub":"s"}"#,
    );
    get(&issuer, "/no/where", &[]);
    let all = issuer.requests();
    assert_eq!(all.len(), 2);
    let first = &all[0];
    assert_eq!(
        (first.method.as_str(), first.path.as_str(), first.query.as_str()),
        ("POST", "/token", "a=%20b")
    );
    assert_eq!(first.header("x-odd"), Some("1"));
    assert_eq!(first.query_value("a").as_deref(), Some(" b"));
    assert_eq!(first.body, br#"{"sub":"s"}"#);
    assert_eq!((first.route.as_str(), all[1].route.as_str()), ("token", ""));
    let shown = get(&issuer, "/_requests", &[]).json();
    assert_eq!(
        (shown["count"].clone(), shown["connections"].clone()),
        (json!(2), json!(3))
    );
    assert_eq!(shown["requests"][0]["body"], r#"{"sub":"s"}"#);
    assert_eq!(get(&issuer, "/_requests?route=token", &[]).json()["count"], 1);
    assert_eq!(
        hear(issuer.address(), &request("DELETE", "/_requests", &[], "")).status(),
        204
    );
    assert!(issuer.requests().is_empty());
}

#[test]
fn the_clock_can_be_put_ahead() {
    let issuer = issuer();
    issuer.set_clock_offset(3600);
    let heard = github(&issuer, "x");
    assert_eq!(claims(heard.json()["value"].as_str().unwrap())["iat"], NOW + 3600);
    assert_eq!(
        heard.header("date").as_deref(),
        Some("Fri, 15 Jan 2027 09:00:00 GMT")
    );
    let put = request("PUT", "/_clock", &[], r#"{"offset_seconds":-60}"#);
    assert_eq!(hear(issuer.address(), &put).status(), 204);
    assert_eq!(
        get(&issuer, "/jwks", &[]).header("date").as_deref(),
        Some("Fri, 15 Jan 2027 07:59:00 GMT")
    );
}

#[test]
fn it_stays_on_loopback_unless_it_is_forced() {
    let mut open = options();
    open.listen = "0.0.0.0:0".parse().unwrap();
    let refused = Issuer::in_thread(open.clone()).unwrap_err().to_string();
    assert!(refused.contains("not a loopback address"), "{refused}");
    open.force = true;
    let issuer = Issuer::in_thread(open).unwrap();
    assert!(issuer.url().starts_with("http://localhost:"));
    let bad = Issuer::in_thread(options().with_path("no-slash")).unwrap_err();
    assert!(bad.to_string().contains("begins with one slash"));
}

#[test]
fn a_stopped_issuer_is_gone_and_cuts_off_what_stalls() {
    let issuer = issuer();
    issuer.fault("jwks", "stall").unwrap();
    let address = issuer.address();
    let mut held = std::net::TcpStream::connect(address).unwrap();
    assert_eq!(
        hear_on(
            &mut held,
            request("GET", "/jwks", &[], "").as_bytes(),
            Wait::Nothing
        )
        .end,
        End::Silent
    );
    drop(issuer);
    assert!(std::net::TcpStream::connect(address).is_err());
    assert_ne!(hear_on(&mut held, b"", Wait::End).end, End::Silent);
}
