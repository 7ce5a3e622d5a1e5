//! The Workload API, by a client whose messages are written by hand.
use crate::client::*;
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use jeton_issuer::{Issuer, RunningIssuer};
use serde_json::json;
use std::path::Path;

/// What a call gave: HTTP status, gRPC status, message without its frame.
struct Called {
    status: u16,
    grpc: String,
    message: Vec<u8>,
}

fn texts(fields: &[(u8, &str)]) -> Vec<u8> {
    let mut message = Vec::new();
    for (number, text) in fields {
        message.extend([number << 3 | 2, u8::try_from(text.len()).unwrap()]);
        message.extend(text.bytes());
    }
    message
}

fn call(socket: &Path, method: &str, message: &[u8], marked: bool) -> Result<Called, hyper::Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let stream = TokioIo::new(tokio::net::UnixStream::connect(socket).await.unwrap());
        let (mut client, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await?;
        tokio::spawn(connection);
        let mut frame = vec![0];
        frame.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
        frame.extend(message);
        let mut request = Request::post(format!("http://localhost/SpiffeWorkloadAPI/{method}"));
        request = request
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        if marked {
            request = request.header("workload.spiffe.io", "true");
        }
        let response = client
            .send_request(request.body(Full::new(Bytes::from(frame))).unwrap())
            .await?;
        let (status, head) = (response.status().as_u16(), response.headers().clone());
        let body = response.into_body().collect().await?;
        let trailers = body.trailers().cloned().unwrap_or_default();
        let grpc = trailers.get("grpc-status").or(head.get("grpc-status"));
        let grpc = grpc
            .map(|status| status.to_str().unwrap().to_owned())
            .unwrap_or_default();
        let message = body.to_bytes().get(5..).unwrap_or_default().to_vec();
        Ok(Called {
            status,
            grpc,
            message,
        })
    })
}

fn started() -> (RunningIssuer, tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("api.sock");
    let mut all = options();
    all.spiffe_socket = Some(socket.clone());
    all.spiffe_ids
        .push(("spiffe://example.org/other".into(), "hinted".into()));
    (Issuer::in_thread(all).unwrap(), folder, socket)
}

#[test]
fn svids_are_for_who_asks_as_the_specification_says() {
    let (issuer, _folder, socket) = started();
    let environment = issuer.environment("spiffe").unwrap();
    assert_eq!(environment[0].1, format!("unix://{}", socket.display()));
    let other = texts(&[(1, "a"), (1, "b"), (2, "spiffe://example.org/other")]);
    let given = call(&socket, "FetchJWTSVID", &other, true).unwrap();
    assert_eq!((given.status, given.grpc.as_str()), (200, "0"));
    let text = String::from_utf8_lossy(&given.message).into_owned();
    assert!(text.contains("spiffe://example.org/other") && text.ends_with("hinted"));
    let start = text.find("eyJ").unwrap();
    let token: String = text[start..]
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c))
        .collect();
    let inside = claims(&token);
    assert_eq!(
        (inside["aud"].clone(), inside["sub"].clone()),
        (json!(["a", "b"]), json!("spiffe://example.org/other"))
    );
    // (method, message, marked, code)
    let rows = [
        ("FetchJWTSVID", texts(&[(1, "a")]), true, "0"),
        ("FetchJWTBundles", vec![], true, "0"),
        ("FetchJWTSVID", texts(&[(1, "a")]), false, "3"),
        ("FetchJWTSVID", vec![], true, "3"),
        ("FetchJWTSVID", vec![0xff], true, "3"),
        (
            "FetchJWTSVID",
            texts(&[(1, "a"), (2, "spiffe://example.org/nobody")]),
            true,
            "7",
        ),
        ("FetchX509SVID", vec![], true, "12"),
    ];
    for (method, message, marked, code) in rows {
        assert_eq!(
            call(&socket, method, &message, marked).unwrap().grpc,
            code,
            "{method} {message:?}"
        );
    }
    assert_eq!(issuer.requests_of("spiffe").len(), 8);
}

#[test]
fn its_faults_are_grpcs_https_or_the_streams() {
    let (issuer, _folder, socket) = started();
    let ask = || call(&socket, "FetchJWTSVID", &texts(&[(1, "a")]), true);
    issuer.fault("spiffe", "grpc-n7-x1").unwrap();
    assert_eq!(ask().unwrap().grpc, "7");
    issuer.fault("spiffe", "s503-x1").unwrap();
    assert_eq!(ask().unwrap().status, 503);
    issuer.fault("spiffe", "rst-x1").unwrap();
    assert!(ask().is_err());
    issuer.fault("spiffe", "noexp-x1").unwrap();
    let before = ask().unwrap().message.len();
    assert!(before < ask().unwrap().message.len(), "without exp it is shorter");
}
