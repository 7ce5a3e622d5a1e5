use super::*;
use crate::source::stage::{Stage, Variables, reason, request, word};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[test]
fn presence_is_a_variable_or_the_firmware_and_nothing_is_asked() {
    let rows: [(Variables<'_>, Option<&str>, &str, &str); 11] = [
        (&[], None, "absent", "GCE_METADATA_HOST"),
        (
            &[],
            Some("Google Compute Engine\n"),
            "ready",
            "says Google Compute Engine",
        ),
        (&[], Some("Google\n"), "ready", "says Google"),
        (
            &[],
            Some("Standard PC (Q35 + ICH9, 2009)\n"),
            "absent",
            "does not say Google",
        ),
        (&[], Some("Googleplex"), "absent", "does not say Google"),
        (&[("K_SERVICE", "web")], None, "ready", "K_SERVICE is set"),
        (&[("CLOUD_RUN_JOB", "job")], None, "ready", "CLOUD_RUN_JOB is set"),
        (
            &[("FUNCTION_TARGET", "f")],
            None,
            "ready",
            "FUNCTION_TARGET is set",
        ),
        (
            &[("GCE_METADATA_HOST", "127.0.0.1:1")],
            None,
            "ready",
            "GCE_METADATA_HOST is set",
        ),
        (
            &[("NO_GCE_CHECK", "true")],
            Some("Google"),
            "absent",
            "NO_GCE_CHECK",
        ),
        (
            &[("NO_GCE_CHECK", "true"), ("GCE_METADATA_HOST", "127.0.0.1:1")],
            None,
            "ready",
            "GCE_METADATA_HOST",
        ),
    ];
    for (variables, product, expected, why) in rows {
        let mut stage = Stage::new();
        if let Some(text) = product {
            stage.write(PRODUCT_FILE, text);
        }
        for (name, value) in variables {
            stage.set(name, *value);
        }
        let presence = stage.presence(&Gcp, &["x"]);
        assert_eq!(word(&presence), expected, "{variables:?} {product:?}");
        assert!(reason(&presence).contains(why), "{presence:?}");
    }
}

#[tokio::test]
async fn the_metadata_server_gives_a_token_for_the_audience() {
    let mut stage = Stage::new();
    let issuer = stage.issuer("gcp", |_| {}).await;
    let audience = "https://a.example/x?y=1&z=ä";
    let token = stage.fetch(&Gcp, &[audience]).await.unwrap();
    assert_eq!(token.audience, [audience]);
    assert_eq!(token.life.unwrap().left_at_receipt.as_secs(), 3600);
    let asked = issuer.requests_of("gcp-identity");
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].query_value("audience").as_deref(), Some(audience));
    assert_eq!(asked[0].query_value("format").as_deref(), Some("full"));
    assert_eq!(asked[0].header("metadata-flavor"), Some("Google"));
}

#[tokio::test]
async fn a_named_account_is_impersonated() {
    let mut stage = Stage::new();
    let issuer = stage.issuer("gcp-impersonation", |_| {}).await;
    let token = stage.fetch(&Gcp, &["https://a.example"]).await.unwrap();
    assert_eq!(token.audience, ["https://a.example"]);
    let (own, minted) = (
        issuer.requests_of("gcp-token"),
        issuer.requests_of("gcp-impersonation"),
    );
    assert_eq!((own.len(), minted.len()), (1, 1));
    assert!(
        minted[0]
            .path
            .ends_with("/serviceAccounts/build@octo-project.iam.gserviceaccount.com:generateIdToken")
    );
    assert!(minted[0].header("authorization").unwrap().starts_with("Bearer "));
    let body: serde_json::Value = serde_json::from_slice(&minted[0].body).unwrap();
    assert_eq!(
        body,
        serde_json::json!({"audience": "https://a.example", "includeEmail": true})
    );
    issuer.fault("gcp-impersonation", "s403-x1").unwrap();
    let error = stage.fetch(&Gcp, &["https://a.example"]).await.unwrap_err();
    assert_eq!(error.kind(), Class::Refused);
    assert!(
        error
            .hint()
            .unwrap()
            .contains("roles/iam.serviceAccountOpenIdTokenCreator")
    );
}

#[tokio::test]
async fn what_cannot_be_asked_is_a_usage_error_and_sends_nothing() {
    let mut stage = Stage::new();
    let issuer = stage.issuer("gcp", |_| {}).await;
    let rows: [(Variables<'_>, &[&str]); 7] = [
        (&[], &[]),
        (&[], &["a", "b"]),
        (&[("GCE_METADATA_HOST", "metadata.evil.example")], &["a"]),
        (&[("GCE_METADATA_HOST", "127.0.0.1:1/elsewhere?")], &["a"]),
        (&[("GCE_METADATA_HOST", "user@127.0.0.1")], &["a"]),
        (&[(IMPERSONATE, "a/../b@x")], &["a"]),
        (
            &[(IMPERSONATE, "a@x"), (IAM_OVERRIDE, "http://iam.example")],
            &["a"],
        ),
    ];
    for (variables, audience) in rows {
        let mut one = Stage::new();
        for (name, value) in issuer.environment("gcp").unwrap() {
            one.set(&name, value);
        }
        for (name, value) in variables {
            one.set(name, *value);
        }
        let error = one.fetch(&Gcp, audience).await.unwrap_err();
        assert_eq!(error.kind(), Class::Config, "{variables:?} {audience:?}: {error}");
    }
    assert_eq!(issuer.requests().len(), 0);
}

#[tokio::test]
async fn an_answer_of_something_else_is_no_metadata_servers() {
    let address = canned("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\na.b.c").await;
    let mut stage = Stage::new();
    stage.set("GCE_METADATA_HOST", address.to_string());
    let error = stage.fetch(&Gcp, &["x"]).await.unwrap_err();
    assert_eq!(error.kind(), Class::Protocol, "{error}");
    assert!(error.to_string().contains("Metadata-Flavor"), "{error}");
}

#[tokio::test]
async fn a_server_that_starts_is_asked_again() {
    let mut stage = Stage::new();
    let issuer = stage.issuer("gcp", |_| {}).await;
    issuer.fault("gcp-identity", "s503-x2").unwrap();
    stage.fetch(&Gcp, &["x"]).await.unwrap();
    assert_eq!(issuer.requests_of("gcp-identity").len(), 3);
}

#[tokio::test]
async fn a_token_that_is_about_to_be_replaced_is_asked_for_once_more() {
    // (exp in seconds, needed, requests)
    let rows = [(100, 200, 2), (230, 30, 1), (100, 3000, 1), (250, 240, 1)];
    for (exp, needed, requests) in rows {
        let mut stage = Stage::new();
        let issuer = stage.issuer("gcp", |_| {}).await;
        issuer.fault("gcp-identity", &format!("exp-n{exp}-x1")).unwrap();
        let wanted = request(&["x"]).min_validity(Duration::from_secs(needed));
        let token = Gcp.fetch(&stage.cx, &wanted).await.unwrap();
        let left = token.life.unwrap().left_at_receipt.as_secs();
        assert_eq!(
            issuer.requests_of("gcp-identity").len(),
            requests,
            "{exp} {needed}"
        );
        assert_eq!(left, if requests == 2 { 3600 } else { exp }, "{exp} {needed}");
        assert_eq!(stage.notes.waits().len(), requests - 1);
    }
}

/// A server that gives every connection this answer.
async fn canned(answer: &'static str) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    address
}
