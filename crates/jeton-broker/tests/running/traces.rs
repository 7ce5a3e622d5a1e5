//! Spans at a collector that plays the part (feature `otel`).
use super::minting::played;
use super::server::Server;
use jeton::Env;
use serde_json::{Value, json};

const CANARY: &str = "glpat-canary-9876543210";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

#[tokio::test(flavor = "multi_thread")]
async fn a_span_says_route_status_and_trace_and_never_a_secret() {
    let (collector, asked) = played(vec![(200, "{}".to_owned())]).await;
    let env = Env::default().with("OTEL_EXPORTER_OTLP_ENDPOINT", &collector);
    let server = Server::start().await.again_with(env).await;
    let body = json!({"id": "the-credential", "name": "c", "provider": "gitlab", "secret": CANARY});
    server.made("POST", "/credentials", body).await;
    let path = "/v1/credentials/the-credential/token?user=";
    let at = async |parent: &str, token: &str| {
        let fields = [("traceparent", parent)];
        server.at("GET", path, token, &fields, None).await.status
    };
    assert_eq!(
        at(&format!("00-{TRACE}-b7ad6b7169203331-01"), &server.admin).await,
        200
    );
    assert_eq!(
        at(&format!("00-{TRACE}-b7ad6b7169203331-00"), &server.admin).await,
        200
    );
    assert_eq!(at("nonsense", "nonsense").await, 401);
    server.broker.tracer.flush().await;
    let sent = asked.lock().unwrap().concat();
    assert!(sent.starts_with("POST /v1/traces HTTP/1.1\r\n"), "{sent}");
    for secret in [CANARY, server.admin.as_str(), "the-credential", "nonsense"] {
        assert!(!sent.contains(secret), "{secret} in {sent}");
    }
    let spans: Vec<Value> = sent
        .split("POST /v1/traces")
        .filter_map(|request| serde_json::from_str(request.split_once("\r\n\r\n")?.1).ok())
        .flat_map(|body: Value| {
            body["resourceSpans"][0]["scopeSpans"][0]["spans"]
                .as_array()
                .cloned()
        })
        .flatten()
        .collect();
    let names: Vec<&str> = spans.iter().filter_map(|span| span["name"].as_str()).collect();
    let fetch = "GET /credentials/{credential}/token";
    // The one that its caller does not record is not there.
    assert_eq!(names, ["POST /credentials", fetch, fetch]);
    assert_eq!(
        (&spans[1]["traceId"], &spans[1]["parentSpanId"]),
        (&json!(TRACE), &json!("b7ad6b7169203331"))
    );
    assert!(spans[2]["parentSpanId"].is_null() && spans[2]["traceId"] != TRACE);
    let status = |span: &Value| span["attributes"][2]["value"]["intValue"].clone();
    assert_eq!(
        (status(&spans[1]), status(&spans[2])),
        (json!("200"), json!("401"))
    );
}
