//! Fly's machine API, on a socket.
use super::*;
use crate::Env;
use crate::source::candidate::claims_of;
use crate::source::fixture::{asking, env, fetched, options, presence};
use jeton_issuer::{Issuer, RunningIssuer};

fn machine() -> (tempfile::TempDir, RunningIssuer, Env) {
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir(root.path().join(".fly")).unwrap();
    let mut options = options();
    options.unix_socket = Some(root.path().join(".fly/api"));
    let issuer = Issuer::in_thread(options).unwrap();
    let env = env(&[("FLY_MACHINE_ID", "1")]).with_root(root.path());
    (root, issuer, env)
}

#[tokio::test]
async fn the_socket_shows_the_machine_and_gives_its_tokens() {
    let (_root, issuer, env) = machine();
    assert_eq!(
        presence(&Fly, &env, &asking(&["a"])),
        ("ready", "/.fly/api exists".to_owned())
    );
    assert_eq!(presence(&Fly, &env, &asking(&["a", "b"])).0, "broken");
    let token = fetched(&Fly, &env, &asking(&["a"])).await.unwrap();
    assert_eq!(claims_of(&token).unwrap().audience().collect::<Vec<_>>(), ["a"]);
    fetched(&Fly, &env, &asking(&[])).await.unwrap();
    let requests = issuer.requests();
    let bodies: Vec<&str> = requests
        .iter()
        .map(|r| std::str::from_utf8(&r.body).unwrap())
        .collect();
    assert_eq!(bodies, [r#"{"aud":"a"}"#, "{}"]);
    issuer.fault("fly", "html200").unwrap();
    assert_eq!(
        fetched(&Fly, &env, &asking(&["a"])).await.unwrap_err().0,
        Class::Protocol
    );
}

#[tokio::test]
async fn without_the_socket_this_is_no_machine() {
    let root = tempfile::tempdir().unwrap();
    let env = env(&[("FLY_APP_NAME", "web")]).with_root(root.path());
    assert_eq!(
        presence(&Fly, &env, &asking(&[])),
        ("absent", "/.fly/api does not exist".to_owned())
    );
    assert_eq!(
        fetched(&Fly, &env, &asking(&[])).await.unwrap_err().0,
        Class::NotFound
    );
}
