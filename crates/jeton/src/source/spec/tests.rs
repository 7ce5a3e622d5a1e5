//! Rows A5, A6, C19 and D1: what can be written after `--source`.
use super::*;
use crate::source::fixture::{
    NOW, asking, context, env, fetched, issuer, jwt, jwt_until, options, overheard, presence,
};
use jeton_issuer::Issuer;
use std::time::Duration;

fn source(spec: &str) -> Arc<dyn Source> {
    parse(spec).unwrap_or_else(|error| panic!("{spec}: {error}"))
}

#[test]
fn a_spec_is_a_name_or_a_kind_and_a_place() {
    for (spec, name) in [
        ("github", "github"),
        ("env:MY_TOKEN", "env:MY_TOKEN"),
        ("file:/a/b:c", "file:/a/b:c"),
        ("stdin:", "stdin:"),
        ("command:helper --flag 'two words'", "command:helper"),
        ("issuer:http://127.0.0.1:1/jwt/", "issuer:http://127.0.0.1:1/jwt"),
    ] {
        assert_eq!(source(spec).name(), name);
    }
    let rows = [
        ("githbu", "did you mean `github`?"),
        ("zzz", "buildkite"),
        ("env:", "env:VAR"),
        ("env:A=B", "env:VAR"),
        ("file:", "file:PATH"),
        ("stdin:x", "stdin:"),
        ("stdin", "stdin:"),
        ("command:", "command:"),
        ("command:'open", "command:"),
        ("issuer:http://a.example.com", "issuer:"),
        ("issuer:nonsense", "issuer:"),
        ("vault:x", "env:VAR"),
        ("", "github"),
    ];
    for (spec, words) in rows {
        let Err(error) = parse(spec) else {
            panic!("{spec} was taken")
        };
        let said = format!("{error} {}", error.hint().unwrap_or_default());
        assert_eq!(error.kind(), Class::Config, "{spec}");
        assert!(said.contains(words), "{spec}: {said}");
    }
}

#[test]
fn every_built_in_name_is_a_source_of_that_name_once() {
    let mut names: Vec<String> = crate::source::ambient_order()
        .iter()
        .map(|s| s.name().to_owned())
        .collect();
    assert_eq!(names[..3], ["jeton-token", "agent", "github"]);
    for name in &names {
        assert_eq!(named(name).unwrap().name(), name);
    }
    for name in [
        "gitlab",
        "circleci",
        "azure-pipelines",
        "spiffe",
        "kubernetes",
        "gcp",
        "aws",
        "azure",
        "wlcg",
    ] {
        assert!(names.iter().any(|known| known == name), "{name}");
    }
    let count = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), count);
}

#[tokio::test]
async fn a5_d1_variables_and_files_are_read_when_a_token_is_asked_for() {
    let variable = source("env:MY_TOKEN");
    assert_eq!(
        fetched(&*variable, &env(&[("MY_TOKEN", "one")]), &asking(&[])).await,
        Ok("one".to_owned())
    );
    assert_eq!(
        fetched(&*variable, &env(&[("MY_TOKEN", "two\n")]), &asking(&["a"])).await,
        Ok("two".to_owned())
    );
    let (class, said) = fetched(&*variable, &env(&[]), &asking(&[])).await.unwrap_err();
    assert_eq!(class, Class::NotFound);
    assert!(said.contains("MY_TOKEN"), "{said}");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    let file = source(&format!("file:{}", path.display()));
    assert_eq!(presence(&*file, &env(&[]), &asking(&[])).0, "absent");
    assert_eq!(
        fetched(&*file, &env(&[]), &asking(&[])).await.unwrap_err().0,
        Class::NotFound
    );
    for text in ["one", "two"] {
        std::fs::write(&path, format!("{text}\n")).unwrap();
        assert_eq!(
            fetched(&*file, &env(&[]), &asking(&[])).await,
            Ok(text.to_owned())
        );
    }
    assert_eq!(
        (file.caching(), variable.caching()),
        (Caching::Reread, Caching::Reread)
    );
}

#[tokio::test]
async fn faults_42_50_55_a_text_is_refused_when_it_is_no_token_dead_or_for_somebody_else() {
    let big = "x".repeat(2 * 1024 * 1024);
    let rows = [
        (jwt(r#""aud":"a""#), "a", None),
        (jwt(r#""aud":["b","a"]"#), "a", None),
        (format!("{}x", "y".repeat(20 * 1024)), "a", None),
        (
            jwt(&format!(r#""aud":"a","groups":"{}""#, "g".repeat(15 * 1024))),
            "a",
            None,
        ),
        (jwt(r#""aud":"b""#), "a", Some(Class::Token)),
        (jwt_until(r#""aud":"a""#, NOW), "a", Some(Class::Token)),
        ("Bearer x".to_owned(), "a", Some(Class::Token)),
        ("x\ny".to_owned(), "a", Some(Class::Token)),
        (big, "a", Some(Class::Token)),
    ];
    for (text, audience, class) in rows {
        let here = env(&[("T", &text)]);
        let result = fetched(&*source("env:T"), &here, &asking(&[audience])).await;
        assert_eq!(
            result.err().map(|e| e.0),
            class,
            "{}",
            &text[..40.min(text.len())]
        );
    }
}

#[tokio::test]
async fn standard_input_is_read_once_and_kept() {
    let input = Input::of(std::io::Cursor::new("from-stdin\n"));
    for _ in 0..2 {
        assert_eq!(
            fetched(&input, &env(&[]), &asking(&[])).await,
            Ok("from-stdin".to_owned())
        );
    }
    let class = async |bytes: Vec<u8>| {
        fetched(&Input::of(std::io::Cursor::new(bytes)), &env(&[]), &asking(&[])).await
    };
    assert_eq!(class(vec![]).await.unwrap_err().0, Class::Token);
    assert_eq!(class(vec![0xff]).await.unwrap_err().0, Class::Token);
    assert_eq!(
        class(vec![b'a'; 1024 * 1024 + 1]).await.unwrap_err().0,
        Class::Token
    );
    let (reader, _writer) = std::io::pipe().unwrap();
    let cx = context(env(&[])).within(Duration::from_millis(50));
    let never = Input::of(reader);
    let error = never.fetch(&cx, &asking(&[])).await.unwrap_err();
    assert_eq!(
        error.kind(),
        Class::Timeout,
        "input that never ends ends with the deadline"
    );
}

#[tokio::test]
async fn c19_a_command_gives_a_token_bare_or_in_json() {
    let path = env(&[("PATH", "/usr/bin:/bin")]);
    let printing = |text: &str| source(&format!("command:printf %s '{text}'"));
    let rows = [
        ("opaque", Ok("opaque")),
        (r#"{"token":"a"}"#, Ok("a")),
        (r#"{"access_token":"b","id_token":"c"}"#, Ok("b")),
        (r#"{"version":1,"success":true,"id_token":"c"}"#, Ok("c")),
        (r#"{"kind":"ExecCredential","status":{"token":"d"}}"#, Ok("d")),
        (
            r#"{"success":false,"code":"401","message":"no"}"#,
            Err(Class::Protocol),
        ),
        (r#"{"token":""}"#, Err(Class::Protocol)),
        (r#"{"token":1}"#, Err(Class::Protocol)),
        (r#"{"other":"x"}"#, Err(Class::Protocol)),
        (r#"{"token":"a","token":"b"}"#, Err(Class::Protocol)),
        ("", Err(Class::Token)),
        ("two words", Err(Class::Token)),
    ];
    for (text, expected) in rows {
        let found = fetched(&*printing(text), &path, &asking(&[]))
            .await
            .map_err(|e| e.0);
        assert_eq!(found, expected.map(str::to_owned), "{text}");
    }
    let dead = fetched(
        &*printing(r#"{"token":"a","expires_at":"2001-01-01T00:00:00Z"}"#),
        &path,
        &asking(&[]),
    )
    .await;
    assert_eq!(dead.unwrap_err().0, Class::Token);
}

#[tokio::test]
async fn a_command_says_how_long_an_opaque_token_lives_and_what_it_prints_is_masked() {
    let rows = [
        (r#""expires_in":600"#, Some(600)),
        (r#""expires_in":"600""#, Some(600)),
        (r#""expires_at":"2027-01-15T08:10:00Z""#, Some(600)),
        (r#""expiration_time":1800000600"#, Some(600)),
        (r#""other":1"#, None),
    ];
    for (member, left) in rows {
        let source = source(&format!(
            r#"command:printf %s '{{"token":"my-minted-token",{member}}}'"#
        ));
        let mut cx = context(env(&[("PATH", "/usr/bin:/bin")]));
        let ear = overheard(&mut cx);
        let token = source.fetch(&cx, &asking(&[])).await.unwrap();
        assert_eq!(
            token.life.map(|life| life.left_at_receipt.as_secs()),
            left,
            "{member}"
        );
        assert_eq!(
            token.expires_at.map(|at| at.seconds() - NOW),
            left.map(|s| s as i64),
            "{member}"
        );
        assert_eq!(ear.minted.lock().unwrap().len(), 1);
    }
}

#[test]
fn a_commands_fingerprint_follows_its_words_and_its_environment() {
    let of =
        |spec: &str, rows: &[(&str, &str)]| match source(spec).presence(&context(env(rows)), &asking(&[])) {
            Presence::Ready { fingerprint, .. } => fingerprint,
            other => panic!("{other:?}"),
        };
    let path = ("PATH", "/bin");
    assert_eq!(
        of("command:sh a", &[path]),
        of("command:sh  'a'", &[("SHLVL", "2"), path])
    );
    assert_ne!(of("command:sh a", &[path]), of("command:sh b", &[path]));
    assert_ne!(
        of("command:sh a", &[path]),
        of("command:sh a", &[path, ("ACCOUNT", "other")])
    );
    let (status, said) = presence(
        &*source("command:no-such-helper secret-argument"),
        &env(&[path]),
        &asking(&[]),
    );
    assert_eq!(status, "broken");
    assert!(
        said.contains("no-such-helper") && !said.contains("secret-argument"),
        "{said}"
    );
}

#[tokio::test]
async fn a6_a_development_issuer_keeps_its_path_and_signs_what_is_asked() {
    for path in ["", "/jwt"] {
        let issuer = Issuer::in_thread(options().with_path(path)).unwrap();
        let source = source(&format!("issuer:{}", issuer.url()));
        let token = fetched(&*source, &env(&[]), &asking(&["a", "b"])).await.unwrap();
        let claims = crate::source::candidate::claims_of(&token).unwrap();
        assert_eq!(claims.audience().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(claims.issuer(), Some(issuer.url()));
        assert!(
            claims.get("job_workflow_ref").is_some(),
            "the claims of a workflow's token"
        );
        let requests = issuer.requests();
        assert_eq!(
            (requests.len(), requests[0].path.clone()),
            (1, format!("{path}/token"))
        );
        assert_eq!(requests[0].header("content-type"), Some("application/json"));
        issuer.fault("token", "s500").unwrap();
        assert_eq!(
            fetched(&*source, &env(&[]), &asking(&["a"])).await.unwrap_err().0,
            Class::Unavailable
        );
    }
    let issuer = issuer();
    issuer.fault("token", "s400").unwrap();
    let refused = fetched(
        &*source(&format!("issuer:{}", issuer.url())),
        &env(&[]),
        &asking(&["a"]),
    )
    .await;
    assert_eq!(refused.unwrap_err().0, Class::Refused);
}
