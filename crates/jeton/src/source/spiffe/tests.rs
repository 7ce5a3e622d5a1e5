use super::*;
use crate::source::stage::{Stage, reason, word};

#[test]
fn the_socket_is_one_of_two_forms() {
    let rows = [
        (
            "unix:///run/spire/api.sock",
            Some(Socket::Unix("/run/spire/api.sock".into())),
        ),
        (
            "tcp://127.0.0.1:8081",
            Some(Socket::Tcp("127.0.0.1:8081".parse().unwrap())),
        ),
        (
            "tcp://[::1]:8081",
            Some(Socket::Tcp("[::1]:8081".parse().unwrap())),
        ),
        ("/run/spire/api.sock", None),
        ("unix://run/spire/api.sock", None),
        ("unix:///run/api.sock?x", None),
        ("unix://", None),
        ("tcp://localhost:8081", None),
        ("tcp://127.0.0.1", None),
        ("tcp://127.0.0.1:8081/x", None),
        ("http://127.0.0.1:8081", None),
        ("", None),
    ];
    for (text, expected) in rows {
        assert_eq!(Socket::parse(text), expected, "{text}");
    }
}

#[test]
fn presence_is_the_variable_and_the_socket_it_names() {
    let there = tempfile::NamedTempFile::new().unwrap();
    let there = format!("unix://{}", there.path().display());
    let rows = [
        (None, "absent", "is not set"),
        (Some("/tmp/api.sock"), "broken", "no URI"),
        (Some("unix:///nowhere/api.sock"), "broken", "does not exist"),
        (Some("tcp://127.0.0.1:1"), "ready", "is set"),
        (Some(there.as_str()), "ready", "is set"),
    ];
    for (value, expected, why) in rows {
        let mut stage = Stage::new();
        if let Some(value) = value {
            stage.set(SOCKET, value);
        }
        let presence = stage.presence(&Spiffe, &["x"]);
        let (expected, why) = match expected {
            "absent" => (expected, why),
            _ if cfg!(feature = "spiffe") || why == "no URI" => (expected, why),
            _ => ("broken", "this build has no SPIFFE"),
        };
        assert_eq!(word(&presence), expected, "{value:?}");
        assert!(reason(&presence).contains(why), "{presence:?}");
    }
}

#[cfg(not(feature = "spiffe"))]
#[tokio::test]
async fn a_build_without_spiffe_says_so() {
    let mut stage = Stage::new();
    stage.set(SOCKET, "tcp://127.0.0.1:1");
    let error = stage.fetch(&Spiffe, &["x"]).await.unwrap_err();
    assert_eq!(error.kind(), Class::Config);
    assert!(error.hint().unwrap().contains("feature"));
}

#[cfg(feature = "spiffe")]
mod call;
