//! CircleCI's variables and its program.
use super::*;
use crate::source::fixture::{Variables, asking, env, fetched, jwt, presence};
use std::os::unix::fs::PermissionsExt;

fn organisation() -> String {
    jwt(r#""aud":"org-1""#)
}

/// A folder with a program `circleci` that writes down how it was called and prints `token`.
fn job(token: &str) -> (tempfile::TempDir, Env) {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join(PROGRAM);
    let called = folder.path().join("called");
    let script = format!(
        "#!/bin/sh\nprintf '%s\\n' \"$@\" >'{}'\necho '{token}'\n",
        called.display()
    );
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", folder.path().display());
    (
        folder,
        env(&[
            ("CIRCLECI", "true"),
            ("PATH", &path),
            (VARIABLES[1], &organisation()),
        ]),
    )
}

#[tokio::test]
async fn the_jobs_own_token_is_used_while_nobody_asks_for_another_audience() {
    let (folder, env) = job("unused");
    assert_eq!(fetched(&CircleCi, &env, &asking(&[])).await, Ok(organisation()));
    assert_eq!(
        fetched(&CircleCi, &env, &asking(&["org-1"])).await,
        Ok(organisation())
    );
    let newer = jwt(r#""aud":"org-1","v":2"#);
    let env = env.with(VARIABLES[0], newer.as_str());
    assert_eq!(fetched(&CircleCi, &env, &asking(&[])).await, Ok(newer));
    assert!(!folder.path().join("called").exists());
}

#[tokio::test]
async fn another_audience_is_asked_of_the_program() {
    let token = jwt(r#""aud":"https://a \"b\"""#);
    let (folder, env) = job(&token);
    let request = asking(&[r#"https://a "b""#]);
    assert_eq!(presence(&CircleCi, &env, &request).0, "ready");
    assert!(!folder.path().join("called").exists(), "presence runs nothing");
    assert_eq!(fetched(&CircleCi, &env, &request).await, Ok(token));
    let called = std::fs::read_to_string(folder.path().join("called")).unwrap();
    assert_eq!(
        called,
        "run\noidc\nget\n--claims\n{\"aud\":\"https://a \\\"b\\\"\"}\n--root-issuer\n"
    );
    let wrong = fetched(&CircleCi, &env, &asking(&["other"])).await;
    assert_eq!(
        wrong.unwrap_err().0,
        Class::Token,
        "what the program prints is checked too"
    );
}

#[test]
fn what_cannot_work_is_broken_and_says_why() {
    let only = organisation();
    let rows: &[(Variables<'_>, &[&str], &str, &str)] = &[
        (&[], &[], "absent", "CIRCLECI"),
        (&[("CIRCLECI", "true")], &[], "broken", "CIRCLE_OIDC_TOKEN_V2"),
        (
            &[("CIRCLECI", "true"), (VARIABLES[0], &only)],
            &["other"],
            "broken",
            "circleci run oidc get",
        ),
        (
            &[("CIRCLECI", "true"), (VARIABLES[0], &only)],
            &["a", "b"],
            "broken",
            "one audience",
        ),
    ];
    for (rows, audience, status, word) in rows {
        let (found, said) = presence(&CircleCi, &env(rows), &asking(audience));
        assert_eq!(found, *status, "{said}");
        assert!(said.contains(word) && !said.contains("eyJ"), "{said}");
    }
}
