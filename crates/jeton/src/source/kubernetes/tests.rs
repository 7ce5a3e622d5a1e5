use super::*;
use crate::source::stage::{Stage, fingerprint, jwt, project, reason, request, word};
use jeton_issuer::{RunningIssuer, TlsMode};
use serde_json::{Value, json};

const TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// A pod: its files, and an API server whose authority is in them.
async fn pod(stage: &mut Stage) -> RunningIssuer {
    let folder = stage.path("/var/run/secrets/kubernetes.io");
    stage
        .issuer("kubernetes", |options| {
            options.tls = Some(TlsMode::Ok);
            options.folder = Some(folder);
        })
        .await
}

fn body(issuer: &RunningIssuer) -> Value {
    serde_json::from_slice(&issuer.requests_of("kubernetes").last().unwrap().body).unwrap()
}

#[test]
fn presence_is_the_projected_file_and_what_its_token_says() {
    let own = jwt("\"aud\":[\"https://api\"],\"sub\":\"system:serviceaccount:ci:build\"");
    type Row<'a> = (Option<&'a str>, bool, &'a [&'a str], &'a str, &'a str);
    let rows: [Row<'_>; 8] = [
        (None, false, &["x"], "absent", "does not exist"),
        (None, true, &["x"], "absent", "automountServiceAccountToken"),
        (Some(&own), false, &[], "ready", "its token fits"),
        (Some(&own), false, &["https://api"], "ready", "its token fits"),
        (
            Some(&own),
            true,
            &["x"],
            "ready",
            "KUBERNETES_SERVICE_HOST is set",
        ),
        (Some(&own), false, &["x"], "broken", "another audience"),
        (
            Some("opaque"),
            true,
            &["x"],
            "ready",
            "KUBERNETES_SERVICE_HOST is set",
        ),
        // Left for the fetch, which names it with its own class.
        (Some(""), true, &["x"], "ready", "exists"),
    ];
    for (file, host, audience, expected, why) in rows {
        let mut stage = Stage::new();
        if let Some(text) = file {
            stage.write(TOKEN, text);
        }
        if host {
            stage.set("KUBERNETES_SERVICE_HOST", "10.0.0.1");
        }
        let presence = stage.presence(&Kubernetes, audience);
        assert_eq!(
            word(&presence),
            expected,
            "{file:?} {host} {audience:?}: {presence:?}"
        );
        assert!(reason(&presence).contains(why), "{presence:?}");
    }
}

#[test]
fn the_fingerprint_is_the_pods_and_outlives_a_rotated_file() {
    let prints: Vec<Vec<u8>> = [("a", "1", "1"), ("a", "1", "2"), ("a", "2", "1"), ("b", "1", "1")]
        .into_iter()
        .map(|(account, pod, serial)| {
            let mut stage = Stage::new();
            stage.set("KUBERNETES_SERVICE_HOST", "10.0.0.1");
            let claims = format!(
                "\"aud\":\"k\",\"sub\":\"system:serviceaccount:ci:{account}\",\"jti\":\"{serial}\",\
                 \"kubernetes.io\":{{\"pod\":{{\"uid\":\"{pod}\"}}}}"
            );
            stage.write(TOKEN, &jwt(&claims));
            fingerprint(&stage.presence(&Kubernetes, &["x"])).to_vec()
        })
        .collect();
    assert_eq!(prints[0], prints[1]);
    assert_ne!(prints[0], prints[2]);
    assert_ne!(prints[0], prints[3]);
}

#[tokio::test]
async fn the_file_is_the_answer_when_its_audience_fits_and_is_read_each_time() {
    let mut stage = Stage::new();
    let issuer = pod(&mut stage).await;
    let folder = stage.path(TOKEN).parent().unwrap().to_owned();
    std::fs::remove_file(stage.path(TOKEN)).unwrap();
    for version in ["..1", "..2"] {
        let text = jwt(&format!(
            "\"aud\":[\"https://api\",\"other\"],\"sub\":\"s\",\"jti\":\"{version}\""
        ));
        project(&folder, version, "token", &format!("{text}\n"));
        let token = stage.fetch(&Kubernetes, &["https://api"]).await.unwrap();
        assert_eq!(token.value.reveal(), text);
        assert_eq!(token.source, "kubernetes");
    }
    assert_eq!(issuer.requests().len(), 0);
}

#[tokio::test]
async fn another_audience_is_minted_by_the_api_server_over_its_own_authority() {
    let mut stage = Stage::new();
    let issuer = pod(&mut stage).await;
    let token = stage.fetch(&Kubernetes, &["https://vault", "b"]).await.unwrap();
    assert_eq!(token.audience, ["https://vault", "b"]);
    assert_eq!(
        token.subject.as_deref(),
        Some("system:serviceaccount:default:web")
    );
    let asked = issuer.requests_of("kubernetes").pop().unwrap();
    assert_eq!(asked.path, "/api/v1/namespaces/default/serviceaccounts/web/token");
    let pod_token = std::fs::read_to_string(stage.path(TOKEN)).unwrap();
    assert_eq!(
        asked.header("authorization"),
        Some(format!("Bearer {pod_token}").as_str())
    );
    let spec = json!({
        "audiences": ["https://vault", "b"],
        "expirationSeconds": 600,
        "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": "web-0", "uid": "2f0c7a11"},
    });
    assert_eq!(body(&issuer)["spec"], spec);
}

#[tokio::test]
async fn the_life_covers_the_callers_need() {
    let mut stage = Stage::new();
    let issuer = pod(&mut stage).await;
    let wanted = request(&["x"]).min_validity(Duration::from_secs(1800));
    Kubernetes.fetch(&stage.cx, &wanted).await.unwrap();
    assert_eq!(body(&issuer)["spec"]["expirationSeconds"], 1860);
}

#[tokio::test]
async fn another_account_is_always_minted_and_not_bound_to_this_pod() {
    let mut stage = Stage::new();
    let issuer = pod(&mut stage).await;
    stage.set(ACCOUNT_VARIABLE, "ci/deployer");
    let own = issuer.url().to_owned();
    let token = stage.fetch(&Kubernetes, &[own.as_str()]).await.unwrap();
    assert_eq!(
        token.subject.as_deref(),
        Some("system:serviceaccount:ci:deployer")
    );
    assert_eq!(body(&issuer)["spec"].get("boundObjectRef"), None);
    for bad in ["deployer", "ci/", "/x", "ci/../admin", "CI/x", "a/b/c", "ci/x?y"] {
        stage.set(ACCOUNT_VARIABLE, bad);
        assert_eq!(word(&stage.presence(&Kubernetes, &["x"])), "broken", "{bad}");
        assert_eq!(
            stage.fetch(&Kubernetes, &["x"]).await.unwrap_err().kind(),
            Class::Config,
            "{bad}"
        );
    }
}

#[tokio::test]
async fn refusals_say_what_to_do_and_are_not_repeated() {
    let rows = [
        ("s403-x9", Class::Refused, "serviceaccounts/token", 1),
        ("s401-x9", Class::Refused, "pod's token", 1),
        ("s404-x9", Class::Refused, "no service account web", 1),
    ];
    for (fault, class, hint, requests) in rows {
        let mut stage = Stage::new();
        let issuer = pod(&mut stage).await;
        issuer.fault("kubernetes", fault).unwrap();
        let error = stage.fetch(&Kubernetes, &["x"]).await.unwrap_err();
        assert_eq!(error.kind(), class, "{fault}: {error}");
        assert!(
            error.hint().unwrap().contains(hint),
            "{fault}: {:?}",
            error.hint()
        );
        assert_eq!(issuer.requests_of("kubernetes").len(), requests);
    }
}

#[tokio::test]
async fn a_busy_api_server_is_asked_again_and_a_strange_one_is_not_trusted() {
    let mut stage = Stage::new();
    let issuer = pod(&mut stage).await;
    issuer.fault("kubernetes", "s503-x2").unwrap();
    stage.fetch(&Kubernetes, &["x"]).await.unwrap();
    assert_eq!(issuer.requests_of("kubernetes").len(), 3);
    issuer.reset_requests();
    let other = Stage::new();
    std::fs::copy(stage.path(TOKEN), other.write(TOKEN, "")).unwrap();
    other.write(
        "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt",
        another_authority().as_str(),
    );
    let mut strange = other;
    for (name, value) in issuer.environment("kubernetes").unwrap() {
        strange.set(&name, value);
    }
    std::fs::write(
        strange.path("/var/run/secrets/kubernetes.io/serviceaccount/ca.crt"),
        another_authority(),
    )
    .unwrap();
    let error = strange.fetch(&Kubernetes, &["x"]).await.unwrap_err();
    assert_eq!(error.kind(), Class::Trust, "{error}");
    assert_eq!(issuer.requests().len(), 0);
}

/// The authority of an issuer that is not the one that is asked.
fn another_authority() -> String {
    let mut options = jeton_issuer::Options::new(|| crate::source::stage::NOW);
    options.tls = Some(TlsMode::Ok);
    options.algorithm = jeton_issuer::Algorithm::Es256;
    let issuer = jeton_issuer::Issuer::in_thread(options).unwrap();
    issuer.ca_pem().unwrap().to_owned()
}

#[tokio::test]
async fn fault_77_a_file_that_is_no_token_has_its_own_class() {
    let mut stage = Stage::new();
    let issuer = pod(&mut stage).await;
    stage.write(TOKEN, "");
    let error = stage.fetch(&Kubernetes, &["x"]).await.unwrap_err();
    assert_eq!(error.kind(), Class::Token, "{error}");
    std::fs::remove_file(stage.path(TOKEN)).unwrap();
    let error = stage.fetch(&Kubernetes, &["x"]).await.unwrap_err();
    assert_eq!(error.kind(), Class::Config, "{error}");
    assert_eq!(issuer.requests().len(), 0);
}
