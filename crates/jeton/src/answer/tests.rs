//! The checks of [`token`](super::token), on texts that came from nowhere (FAULTS rows 42, 50 to 57).
use super::*;
use crate::{Clock, Env, UnixTime};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jeton_core::Class;

const NOW: i64 = 1_800_000_000;

fn context() -> Context {
    Context::new(Env::default(), Clock::manual(UnixTime::from_seconds(NOW)))
}

/// A token with this payload, signed by nobody.
fn jwt(payload: &str) -> String {
    let segment = |text: &str| URL_SAFE_NO_PAD.encode(text);
    format!(
        "{}.{}.{}",
        segment(r#"{"alg":"ES256"}"#),
        segment(payload),
        segment("signature")
    )
}

fn check(raw: &str, audience: &[&str], change: impl FnOnce(Received) -> Received) -> Result<Token, Fault> {
    let cx = context();
    let request = TokenRequest {
        audience: audience.iter().map(|&a| a.to_owned()).collect(),
        ..TokenRequest::default()
    };
    let received = change(Received::at(cx.clock.now()));
    token(&cx, "test", &request, &Secret::new(raw), received)
}

#[test]
fn what_is_no_identity_token_is_refused_and_what_may_be_opaque_is_taken() {
    let good = jwt(r#"{"aud":"a","exp":1800000300}"#);
    let two = good.rsplit_once('.').unwrap().0.to_owned();
    // (text, as a JWT, as anything)
    let rows = [
        (good.clone(), true, true),
        (two, false, true),
        ("opaque-1".to_owned(), false, true),
        (String::new(), false, false),
        (format!("Bearer {good}"), false, false),
        (format!("{good}\n"), false, false),
        (format!(" {good}"), false, false),
        (format!("{good}\0"), false, false),
        (format!("{good}\u{e9}"), false, false),
        ("a".repeat(300 * 1024), false, false),
    ];
    let wide = |bytes: usize| jwt(&format!(r#"{{"groups":"{}"}}"#, "g".repeat(bytes)));
    let rows = rows.into_iter().chain([
        (wide(20 * 1024), true, true), // B8: a directory's groups as claims
        (wide(40 * 1024), true, true),
        (wide(200 * 1024), false, false),
    ]);
    for (text, as_jwt, as_any) in rows {
        let shown = &text[..text.len().min(40)];
        for (shape, fine) in [
            (Shape::Jwt, as_jwt),
            (Shape::Any, as_any),
            (Shape::Opaque, as_any),
        ] {
            let found = check(&text, &[], |received| received.shape(shape));
            assert_eq!(found.is_ok(), fine, "{shape:?} {shown:?}");
            if let Err(fault) = found {
                assert_eq!(fault.failure.verdict().class, Class::Token);
            }
        }
    }
}

#[test]
fn a_token_is_for_everybody_it_was_asked_for() {
    let rows: [(&str, &[&str], bool); 9] = [
        (r#""a""#, &["a"], true),
        (r#""a""#, &[], true),
        (r#"["a","b"]"#, &["a"], true),
        (r#"["a","b"]"#, &["b", "a"], true),
        (r#"["a"]"#, &["a", "b"], false),
        (r#""ab""#, &["a"], false),
        (r#""A""#, &["a"], false),
        (r#""a/""#, &["a"], false),
        (r#"{"a":1}"#, &["a"], false),
    ];
    for (aud, asked, fine) in rows {
        let raw = jwt(&format!(r#"{{"aud":{aud},"exp":1800000300}}"#));
        assert_eq!(check(&raw, asked, |r| r).is_ok(), fine, "{aud} {asked:?}");
        assert_eq!(
            check(&raw, asked, |r| r.shape(Shape::Any)).is_ok(),
            fine,
            "{aud} {asked:?}"
        );
        assert!(check(&raw, asked, |r| r.shape(Shape::Opaque)).is_ok());
    }
    let fault = check(&jwt(r#"{"aud":"theirs"}"#), &["ours"], |r| r).unwrap_err();
    assert!(
        fault.detail.contains("theirs") && fault.detail.contains("ours"),
        "{}",
        fault.detail
    );
    assert_eq!(
        check("opaque-1", &["a"], |r| r.shape(Shape::Any))
            .unwrap()
            .audience,
        ["a"]
    );
}

#[test]
fn a_life_is_the_shorter_of_what_token_and_endpoint_say() {
    let seconds = Duration::from_secs;
    let claims = r#"{"iat":1800000000,"exp":1800000300}"#;
    let rows = [
        (claims, None, None, Some(300)),
        (claims, None, Some(NOW + 100), Some(200)),
        (claims, None, Some(NOW - 100), Some(300)), // never more than exp - iat
        (claims, Some(100), None, Some(100)),
        (claims, Some(3600), None, Some(300)),
        ("{}", None, None, None),
        ("{}", Some(100), None, Some(100)),
        ("{}", Some(100 * 3600), None, Some(24 * 3600)),
        (r#"{"exp":"1800000300"}"#, None, None, None), // a wrong type says nothing: not kept
    ];
    for (claims, expires_in, date, left) in rows {
        let found = check(&jwt(claims), &[], |received| {
            let date = date.map(UnixTime::from_seconds);
            Received { date, ..received }.expires_in(expires_in.map(seconds))
        });
        let found = found.unwrap_or_else(|fault| panic!("{claims} {}", fault.detail));
        let life = found.life.map(|life| life.left_at_receipt.as_secs());
        assert_eq!(life, left, "{claims} {expires_in:?} {date:?}");
    }
}

#[test]
fn a_dead_token_is_refused_with_the_clock_in_the_hint_when_it_may_be_the_clock() {
    let dead = jwt(r#"{"iat":1799999000,"exp":1799999300}"#);
    // (seconds the server's clock is off, wants a hint); a clock that is wrong enough makes the token live.
    for (date, outcome) in [
        (None, Err(false)),
        (Some(0), Err(false)),
        (Some(600), Err(true)),
        (Some(-900), Ok(())),
    ] {
        let date = date.map(|off: i64| UnixTime::from_seconds(NOW + off));
        let found = check(&dead, &[], |received| Received { date, ..received });
        match (found, outcome) {
            (Ok(_), Ok(())) => {}
            (Err(fault), Err(hinted)) => {
                assert_eq!(fault.failure, Failure::DyingToken);
                assert_eq!(fault.hint.is_some(), hinted, "{date:?}");
            }
            (found, _) => panic!("{date:?} {:?}", found.map(|t| t.life)),
        }
    }
}

#[test]
fn lives_of_platforms_endpoints_are_numbers_in_several_forms() {
    let rows = [
        (r#"{"n":3600}"#, Some(3600.0)),
        (r#"{"n":"3599"}"#, Some(3599.0)),
        (r#"{"n":1.5}"#, Some(1.5)),
        (r#"{"n":1e300}"#, Some(86_400.0)),
        (r#"{"n":0}"#, None),
        (r#"{"n":-5}"#, None),
        (r#"{"n":null}"#, None),
        (r#"{"n":"soon"}"#, None),
        (r#"{"n":"NaN"}"#, None),
        (r#"{"n":[1]}"#, None),
        (r"{}", None),
    ];
    for (text, seconds) in rows {
        let json = json::parse(text.as_bytes()).unwrap();
        assert_eq!(
            expires_in(json.get("n")).map(|d| d.as_secs_f64()),
            seconds,
            "{text}"
        );
    }
}
