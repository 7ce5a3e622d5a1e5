//! Vercel's variable, and the replacement of a dead one on a developer's machine.
use super::*;
use crate::source::fixture::{NOW, asking, env, fetched, issuer, jwt, jwt_until, looks_like, presence};

#[tokio::test]
async fn the_variable_is_the_token_and_a_function_is_told_where_it_is() {
    let issuer = issuer();
    let env_of_build = looks_like(&issuer, "vercel");
    assert_eq!(presence(&Vercel::new(), &env_of_build, &asking(&[])).0, "ready");
    assert!(
        fetched(
            &Vercel::new(),
            &env_of_build,
            &asking(&["https://vercel.com/octo-team"])
        )
        .await
        .is_ok()
    );
    let other = fetched(&Vercel::new(), &env_of_build, &asking(&["other"])).await;
    assert_eq!(other.unwrap_err().0, Class::Token);
    let (status, said) = presence(&Vercel::new(), &env(&[("VERCEL", "1")]), &asking(&[]));
    assert_eq!(status, "broken");
    assert!(said.contains("x-vercel-oidc-token"), "{said}");
    assert_eq!(presence(&Vercel::new(), &env(&[]), &asking(&[])).0, "absent");
    assert!(issuer.requests().is_empty());
}

fn developer(issuer: &jeton_issuer::RunningIssuer) -> (tempfile::TempDir, Env) {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("com.vercel.cli");
    std::fs::create_dir(&data).unwrap();
    let auth = format!(r#"{{"token":"{}"}}"#, issuer.request_token());
    std::fs::write(data.join("auth.json"), auth).unwrap();
    std::fs::create_dir(home.path().join(".vercel")).unwrap();
    let link = r#"{"projectId":"prj_1","orgId":"team_1"}"#;
    std::fs::write(home.path().join(".vercel/project.json"), link).unwrap();
    let path = home.path().to_str().unwrap().to_owned();
    (home, env(&[("XDG_DATA_HOME", &path), ("PWD", &path)]))
}

#[tokio::test]
async fn a_dead_token_is_replaced_only_where_the_cli_is_logged_in() {
    let issuer = issuer();
    let source = Vercel::with_api(Url::parse(issuer.url()).unwrap());
    let (_home, developer) = developer(&issuer);
    let dead = jwt_until(r#""aud":"https://vercel.com/octo-team""#, NOW - 1);
    let token = fetched(
        &source,
        &developer.clone().with(VARIABLE, dead.as_str()),
        &asking(&[]),
    )
    .await
    .unwrap();
    assert_ne!(token, dead);
    let requests = issuer.requests();
    assert_eq!(
        (requests[0].method.as_str(), requests[0].path.as_str()),
        ("POST", "/v1/projects/prj_1/token")
    );
    assert_eq!(requests[0].query, "source=vercel-oidc-refresh&teamId=team_1");
    let alive = jwt("");
    assert_eq!(
        fetched(&source, &developer.with(VARIABLE, alive.as_str()), &asking(&[])).await,
        Ok(alive)
    );
    let (class, said) = fetched(&source, &env(&[(VARIABLE, &dead)]), &asking(&[]))
        .await
        .unwrap_err();
    assert_eq!((class, issuer.requests().len()), (Class::Token, 1));
    assert!(said.contains("vercel env pull"), "{said}");
}
