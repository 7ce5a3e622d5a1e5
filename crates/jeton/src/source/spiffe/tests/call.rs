//! The call itself, against a Workload API written from the specification.
use super::super::message::{framed, tests as wire, unframed};
use super::super::*;
use crate::source::stage::{Stage, jwt};
use ::http::{HeaderMap, Request, Response};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::UnixListener;

/// One answer of the agent.
#[derive(Clone)]
enum Turn {
    /// These identities.
    Svids(Vec<(String, String, String)>),
    /// A gRPC status and its message.
    Status(u32, &'static str),
    /// Nothing, for ever.
    Silence,
    /// A message that is none.
    Garbage,
}

type Asked = Arc<Mutex<Vec<(Vec<String>, Option<String>)>>>;

/// An agent that plays these turns, the last one for ever.
fn agent(stage: &mut Stage, turns: Vec<Turn>) -> Asked {
    let path = stage.write("/agent/placeholder", "").with_file_name("api.sock");
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).unwrap();
    stage.set(SOCKET, format!("unix://{}", path.display()));
    let asked = Asked::default();
    let record = asked.clone();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (record, turns) = (record.clone(), turns.clone());
            let service = service_fn(move |request| answer(request, record.clone(), turns.clone()));
            tokio::spawn(async move {
                let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                let _ = connection.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    asked
}

async fn answer(
    request: Request<Incoming>,
    record: Asked,
    turns: Vec<Turn>,
) -> Result<Response<http_body_util::combinators::BoxBody<Bytes, Infallible>>, Infallible> {
    assert_eq!(request.uri().path(), "/SpiffeWorkloadAPI/FetchJWTSVID");
    assert_eq!(request.headers()["content-type"], "application/grpc");
    assert_eq!(request.headers()["te"], "trailers");
    let trusted = request
        .headers()
        .get("workload.spiffe.io")
        .is_some_and(|value| value == "true");
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let turn = {
        let mut record = record.lock().unwrap();
        record.push(wire::asked(unframed(&body).unwrap()));
        turns[(record.len() - 1).min(turns.len() - 1)].clone()
    };
    let turn = if trusted {
        turn
    } else {
        Turn::Status(3, "security header missing from request")
    };
    let (message, status, said) = match turn {
        Turn::Silence => std::future::pending().await,
        Turn::Svids(svids) => {
            let svids: Vec<_> = svids
                .iter()
                .map(|(a, b, c)| (a.as_str(), b.as_str(), c.as_str()))
                .collect();
            (framed(&wire::answer(&svids)), 0, "")
        }
        Turn::Garbage => (b"\0\0\0\0\x02\x0a\xff".to_vec(), 0, ""),
        Turn::Status(code, said) => (Vec::new(), code, said),
    };
    let head = Response::builder().header("content-type", "application/grpc");
    if status != 0 {
        // As servers do it when there is no message: trailers only, in the head.
        let head = head
            .header("grpc-status", status.to_string())
            .header("grpc-message", said);
        return Ok(head.body(Full::default().boxed()).unwrap());
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", "0".parse().unwrap());
    let body = Full::new(Bytes::from(message)).with_trailers(async { Some(Ok(trailers)) });
    Ok(head.body(body.boxed()).unwrap())
}

fn svid(id: &str, audience: &str, hint: &str) -> (String, String, String) {
    (
        id.to_owned(),
        jwt(&format!("\"sub\":\"{id}\",\"aud\":[\"{audience}\"]")),
        hint.to_owned(),
    )
}

#[tokio::test]
async fn a_workload_gets_its_token() {
    let mut stage = Stage::new();
    let asked = agent(
        &mut stage,
        vec![Turn::Svids(vec![svid("spiffe://t/web", "x", "")])],
    );
    let token = stage.fetch(&Spiffe, &["x"]).await.unwrap();
    assert_eq!(
        (token.subject.as_deref(), token.source.as_str()),
        (Some("spiffe://t/web"), "spiffe")
    );
    assert_eq!(token.life.unwrap().left_at_receipt.as_secs(), 3600);
    assert_eq!(*asked.lock().unwrap(), [(vec!["x".to_owned()], None)]);
}

#[tokio::test]
async fn one_of_several_identities_is_chosen_by_id_or_hint_or_is_the_first() {
    let both = || {
        Turn::Svids(vec![
            svid("spiffe://t/a", "x", "internal"),
            svid("spiffe://t/b", "x", "external"),
        ])
    };
    let rows = [
        (None, None, Some("spiffe://t/a"), 1),
        (Some("spiffe://t/b"), None, Some("spiffe://t/b"), 0),
        (None, Some("external"), Some("spiffe://t/b"), 0),
        (Some("spiffe://t/c"), None, None, 0),
        (None, Some("other"), None, 0),
    ];
    for (id, hint, expected, warnings) in rows {
        let mut stage = Stage::new();
        let asked = agent(&mut stage, vec![both()]);
        stage.set(ID, id.unwrap_or_default());
        stage.set(HINT, hint.unwrap_or_default());
        let got = stage.fetch(&Spiffe, &["x"]).await;
        assert_eq!(
            got.as_ref().ok().and_then(|token| token.subject.as_deref()),
            expected
        );
        assert_eq!(
            stage.notes.warnings().len(),
            warnings,
            "{:?}",
            stage.notes.warnings()
        );
        assert_eq!(asked.lock().unwrap()[0].1.as_deref(), id);
        if let Err(error) = got {
            assert_eq!(error.kind(), Class::NotFound);
            assert!(
                error.hint().unwrap().contains("spiffe://t/a, spiffe://t/b"),
                "{:?}",
                error.hint()
            );
        }
    }
}

#[tokio::test]
async fn each_status_is_asked_again_or_is_final_as_the_specification_says() {
    let fine = || Turn::Svids(vec![svid("spiffe://t/a", "x", "")]);
    // (code, class when it goes on, calls then, calls when it is over after two)
    let rows = [
        (3, Class::Refused, 1, None),
        (12, Class::Refused, 1, None),
        (5, Class::Refused, 1, None),
        (14, Class::Unavailable, 5, Some(3)),
        (7, Class::Refused, 4, Some(3)),
        (13, Class::Unavailable, 5, Some(3)),
        (8, Class::Throttled, 5, Some(3)),
    ];
    for (code, class, calls, recovered) in rows {
        let mut stage = Stage::new();
        let asked = agent(&mut stage, vec![Turn::Status(code, "no identity%20issued")]);
        let error = stage.fetch(&Spiffe, &["x"]).await.unwrap_err();
        assert_eq!(
            (error.kind(), asked.lock().unwrap().len()),
            (class, calls),
            "{code}: {error}"
        );
        assert!(error.to_string().contains("no identity issued"), "{error}");
        assert_eq!(error.hint().is_some(), matches!(code, 7 | 12));
        if let Some(calls) = recovered {
            let asked = agent(
                &mut stage,
                vec![Turn::Status(code, ""), Turn::Status(code, ""), fine()],
            );
            stage.fetch(&Spiffe, &["x"]).await.unwrap();
            assert_eq!(asked.lock().unwrap().len(), calls, "{code}");
        }
    }
}

#[tokio::test]
async fn an_agent_that_never_answers_is_given_up() {
    let mut stage = Stage::new();
    stage.cx.policy.attempt_timeout = Duration::from_millis(30);
    let asked = agent(&mut stage, vec![Turn::Silence]);
    let error = stage.fetch(&Spiffe, &["x"]).await.unwrap_err();
    assert_eq!(
        (error.kind(), asked.lock().unwrap().len()),
        (Class::Unavailable, 3),
        "{error}"
    );
    let mut stage = stage.within(Duration::from_millis(50));
    stage.cx.policy.attempt_timeout = Duration::from_secs(10);
    let _asked = agent(&mut stage, vec![Turn::Silence]);
    let error = stage.fetch(&Spiffe, &["x"]).await.unwrap_err();
    assert_eq!(error.kind(), Class::Timeout, "{error}");
}

#[tokio::test]
async fn what_cannot_be_right_is_refused() {
    let other_subject = (
        "spiffe://t/a".to_owned(),
        jwt("\"sub\":\"spiffe://t/b\",\"aud\":\"x\""),
        String::new(),
    );
    let no_token = ("spiffe://t/a".to_owned(), String::new(), String::new());
    let rows = [
        (Turn::Garbage, Class::Protocol),
        (Turn::Svids(vec![]), Class::NotFound),
        (Turn::Svids(vec![no_token]), Class::Protocol),
        (Turn::Svids(vec![other_subject]), Class::Token),
        (Turn::Svids(vec![svid("spiffe://t/a", "y", "")]), Class::Token),
    ];
    for (turn, class) in rows {
        let mut stage = Stage::new();
        let asked = agent(&mut stage, vec![turn]);
        let error = stage.fetch(&Spiffe, &["x"]).await.unwrap_err();
        assert_eq!((error.kind(), asked.lock().unwrap().len()), (class, 1), "{error}");
    }
}

#[tokio::test]
async fn without_an_agent_or_an_audience_there_is_no_token() {
    let mut stage = Stage::new();
    let asked = agent(&mut stage, vec![Turn::Silence]);
    assert_eq!(stage.fetch(&Spiffe, &[]).await.unwrap_err().kind(), Class::Config);
    assert_eq!(asked.lock().unwrap().len(), 0);
    stage.set(
        SOCKET,
        format!("unix://{}", stage.path("/agent/gone.sock").display()),
    );
    let error = stage.fetch(&Spiffe, &["x"]).await.unwrap_err();
    assert_eq!(error.kind(), Class::Unavailable, "{error}");
    assert!(error.hint().unwrap().contains("agent running"));
}
