//! What everybody may read: the issuer's documents, the API's, what was counted.
use super::server::Server;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn the_documents_say_what_is_there() {
    let server = Server::start().await;
    let get = async |path: &str| server.at("GET", path, "", &[], None).await;
    let discovery = get("/.well-known/openid-configuration").await.json();
    assert_eq!(discovery["issuer"], server.root);
    assert_eq!(discovery["token_endpoint"], format!("{}/v1/token", server.root));
    let keys = get("/jwks").await;
    assert!(
        keys.field("cache-control")
            .is_some_and(|field| field.contains("max-age"))
    );
    assert_eq!(keys.json()["keys"][0]["alg"], "ES256");
    let document = get("/openapi.json").await.json();
    assert_eq!(document["openapi"], "3.1.0");
    let token = &document["paths"]["/v1/credentials/{credential}/token"]["get"];
    assert_eq!(token["operationId"], "fetchToken");
    assert!(document["paths"]["/healthz"].is_object());
    get("/v1/projects").await;
    let metrics = get("/metrics").await;
    assert!(
        metrics
            .field("content-type")
            .is_some_and(|kind| kind.starts_with("text/plain"))
    );
    for wanted in [
        "jeton_broker_request_seconds_count{route=\"/projects\",method=\"GET\",status=\"401\"} 1",
        "jeton_broker_rejections_total{code=\"missing-token\"} 1",
    ] {
        assert!(metrics.text.contains(wanted), "{wanted}: {}", metrics.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_document_is_the_same_on_every_replica_and_no_secret_is_in_any() {
    let server = Server::start().await;
    server
        .made(
            "POST",
            "/credentials",
            json!({"name": "c", "provider": "github", "secret": "canary-secret"}),
        )
        .await;
    let other = server.replica().await;
    for path in ["/jwks", "/.well-known/openid-configuration", "/openapi.json"] {
        let here: Value = server.at("GET", path, "", &[], None).await.json();
        let there: Value = other.at("GET", path, "", &[], None).await.json();
        assert_eq!(here, there, "{path}");
    }
    for path in ["/metrics", "/openapi.json", "/jwks"] {
        assert!(
            !server
                .at("GET", path, "", &[], None)
                .await
                .text
                .contains("canary-secret"),
            "{path}"
        );
    }
}
