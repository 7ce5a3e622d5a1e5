use super::device::Next;
use super::*;
use alloc::vec;

fn json(text: &str) -> Json {
    crate::json::parse(text.as_bytes()).expect("test JSON")
}

#[test]
fn rows_57_and_58_expires_in_and_token_type_as_servers_send_them() {
    let rows: &[(&str, Result<Option<u64>, ()>)] = &[
        (r#""expires_in":300"#, Ok(Some(300))),
        (r#""expires_in":"300""#, Ok(Some(300))),
        (r#""expires_in":299.9"#, Ok(Some(299))),
        (r#""expires_in":0"#, Ok(Some(0))),
        (r#""expires_in":-5"#, Ok(Some(0))),
        (r#""expires_in":null"#, Ok(None)),
        (r#""x":1"#, Ok(None)),
        (r#""expires_in":99999999999999"#, Ok(Some(86_400))),
        (r#""expires_in":"soon""#, Err(())),
        (r#""expires_in":[]"#, Err(())),
        (r#""token_type":"bearer""#, Ok(None)),
        (r#""token_type":"BEARER""#, Ok(None)),
        (r#""token_type":"MAC""#, Err(())),
        (r#""token_type":7"#, Err(())),
    ];
    for (members, wanted) in rows {
        let got = TokenAnswer::read(&json(&format!(r#"{{"access_token":"x",{members}}}"#)));
        let got = got.map(|a| a.expires_in.map(|d| d.as_secs())).map_err(|_| ());
        assert_eq!(&got, wanted, "{members}");
    }
}

#[test]
fn c10_an_empty_refresh_token_is_none() {
    let answer = TokenAnswer::read(&json(r#"{"access_token":"x","refresh_token":""}"#)).expect("answer");
    assert!(answer.refresh_token.is_none());
    assert!(TokenAnswer::read(&json(r#"{"access_token":""}"#)).is_err());
    assert!(TokenAnswer::read(&json(r#"{"access_token":7}"#)).is_err());
}

#[test]
fn row_59_an_exchange_says_what_it_issued() {
    let rows = [
        (
            r#""issued_token_type":"urn:ietf:params:oauth:token-type:access_token""#,
            true,
        ),
        (
            r#""issued_token_type":"urn:ietf:params:oauth:token-type:jwt""#,
            true,
        ),
        (
            r#""issued_token_type":"urn:ietf:params:oauth:token-type:saml2""#,
            false,
        ),
        (r#""issued_token_type":null"#, false),
    ];
    for (member, good) in rows {
        let answer =
            TokenAnswer::read(&json(&format!(r#"{{"access_token":"x",{member}}}"#))).expect("answer");
        assert_eq!(answer.issued(token_type::ACCESS_TOKEN).is_ok(), good, "{member}");
    }
}

#[test]
fn row_60_withheld_scopes_are_named() {
    let asked = vec!["a".to_owned(), "b".to_owned()];
    let answer = TokenAnswer::read(&json(r#"{"access_token":"x","scope":"a c"}"#)).expect("answer");
    assert_eq!(answer.withheld(&asked), ["b"]);
    let silent = TokenAnswer::read(&json(r#"{"access_token":"x"}"#)).expect("answer");
    assert!(silent.withheld(&asked).is_empty());
}

#[test]
fn row_36_an_error_is_fit_to_show() {
    let error = OAuthError::read(
        &json(r#"{"error":"invalid_grant","error_description":"a\u001b[31m hunter2hunter2"}"#),
        &["hunter2hunter2"],
    );
    assert_eq!(
        error.expect("error").to_string(),
        "invalid_grant (a\\u{1b}[31m [redacted])"
    );
    let odd = OAuthError::read(&json(r#"{"error":"a b"}"#), &[]).expect("error");
    assert_eq!(odd.code, "unreadable_error");
    assert!(OAuthError::read(&json(r#"{"error":7}"#), &[]).is_none());
}

#[test]
fn b12_c1_row_35_the_poll_slows_down_for_good() {
    let answer = DeviceAnswer::read(&json(
        r#"{"device_code":"d","user_code":"U","verification_uri":"https://x.example/","expires_in":60,"interval":2}"#,
    ))
    .expect("answer");
    let mut poll = Poll::new(&answer);
    let error = |code: &str| {
        PollAnswer::Error(OAuthError {
            code: code.to_owned(),
            description: None,
        })
    };
    let seconds = |next| match next {
        Next::Wait(wait) => wait.as_secs(),
        other => panic!("{other:?}"),
    };
    assert_eq!(seconds(poll.next(error("authorization_pending"))), 2);
    assert_eq!(seconds(poll.next(error("slow_down"))), 7);
    assert_eq!(seconds(poll.next(error("authorization_pending"))), 7);
    assert_eq!(seconds(poll.next(error("slow_down"))), 12);
    assert_eq!(seconds(poll.next(PollAnswer::Lost)), 24);
    assert_eq!(poll.next(error("expired_token")), Next::Expired);
    assert!(matches!(poll.next(error("access_denied")), Next::Denied(_)));
    assert_eq!(poll.next(PollAnswer::Granted), Next::Done);
}

#[test]
fn a_device_answer_without_an_interval_polls_every_five_seconds() {
    let body =
        r#"{"device_code":"d","user_code":"U","verification_uri":"https://x.example/","expires_in":60}"#;
    assert_eq!(
        DeviceAnswer::read(&json(body))
            .expect("answer")
            .interval
            .as_secs(),
        5
    );
    for broken in [
        r#"{}"#,
        r#"{"device_code":"d","user_code":"U","verification_uri":"u"}"#,
        r#"{"device_code":"","user_code":"U","verification_uri":"u","expires_in":1}"#,
    ] {
        assert!(DeviceAnswer::read(&json(broken)).is_err(), "{broken}");
    }
}

#[test]
fn pkce_is_the_rfcs_example() {
    assert_eq!(
        s256("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
        "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    );
}
