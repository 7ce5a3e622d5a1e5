//! The agent's socket: what is asked, and what its answers mean.
use super::*;
use crate::source::fixture::{Variables, asking, context, env, fetched, presence};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;

/// Answers one request after the other with `status` and `body` and gives the request lines.
fn agent(answers: Vec<(u16, String)>) -> (tempfile::TempDir, Env, tokio::task::JoinHandle<Vec<String>>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("agent.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let serving = tokio::spawn(async move {
        let mut lines = Vec::new();
        for (status, body) in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = vec![0; 4096];
            let read = stream.read(&mut head).await.unwrap();
            let head = String::from_utf8_lossy(&head[..read]).into_owned();
            lines.push(head.lines().next().unwrap_or_default().to_owned());
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
        lines
    });
    let env = env(&[(SOCKET, &format!("unix:{}", path.display()))]);
    (folder, env, serving)
}

#[tokio::test]
async fn the_agent_is_asked_for_profile_audience_and_life_and_answers_with_a_token() {
    let body = r#"{"token":"opaque-token","token_type":"Bearer","expires_at":"2027-01-15T08:10:00Z","expires_in":600,
        "issuer":null,"subject":null,"audience":["a"],"scopes":["read"],"source":"github","cached":true}"#;
    let (_folder, env, serving) = agent(vec![(200, body.to_owned()), (200, body.to_owned())]);
    let cx = context(env.clone());
    let request = asking(&["a b", "c"]).min_validity(Duration::from_secs(90));
    let token = Agent::for_profile("p&q").fetch(&cx, &request).await.unwrap();
    assert_eq!(
        (token.value.reveal(), token.source.as_str()),
        ("opaque-token", "agent")
    );
    assert_eq!(token.scopes, ["read"]);
    assert_eq!(token.life.map(|life| life.left_at_receipt.as_secs()), Some(600));
    assert!(fetched(&Agent::ambient(), &env, &asking(&[])).await.is_ok());
    assert_eq!(
        serving.await.unwrap(),
        [
            "GET /v1/token?profile=p%26q&audience=a+b&audience=c&min_validity=90s HTTP/1.1",
            "GET /v1/token?min_validity=30s HTTP/1.1"
        ]
    );
}

#[tokio::test]
async fn what_the_agent_refuses_is_final_and_keeps_its_class() {
    let rows = [
        (
            404,
            r#"{"code":3,"error":"no such profile","hint":"jeton status"}"#,
            Class::NotFound,
        ),
        (400, r#"{"error":"bad audience"}"#, Class::Config),
        (
            502,
            r#"{"code":4,"error":"github: status 403","hint":"id-token: write"}"#,
            Class::Refused,
        ),
        (502, r#"{"code":7,"error":"slow down"}"#, Class::Throttled),
        (
            502,
            r#"{"error":"eyJhbGciOiJub25lIn0.e30.x"}"#,
            Class::Unavailable,
        ),
    ];
    for (status, body, class) in rows {
        let (_folder, env, serving) = agent(vec![(status, body.to_owned())]);
        let (found, said) = fetched(&Agent::ambient(), &env, &asking(&[])).await.unwrap_err();
        assert_eq!(found, class, "{said}");
        assert!(!said.contains("eyJ"), "{said}");
        assert_eq!(serving.await.unwrap().len(), 1, "asked once");
    }
}

#[tokio::test]
async fn presence_follows_the_variable_and_the_socket() {
    let (_folder, here, _serving) = agent(vec![]);
    assert_eq!(presence(&Agent::ambient(), &here, &asking(&[])).0, "ready");
    let rows: &[(Variables<'_>, &str, &str)] = &[
        (&[], "absent", SOCKET),
        (
            &[(SOCKET, "/nowhere/agent.sock")],
            "broken",
            "/nowhere/agent.sock",
        ),
        (&[(SOCKET, "relative.sock")], "broken", "absolute"),
    ];
    for (rows, status, word) in rows {
        let (found, said) = presence(&Agent::ambient(), &env(rows), &asking(&[]));
        assert_eq!(found, *status);
        assert!(said.contains(word), "{said}");
    }
    assert_eq!(
        fetched(&Agent::ambient(), &env(&[]), &asking(&[]))
            .await
            .unwrap_err()
            .0,
        Class::NotFound
    );
}
