use super::*;
use jeton_core::Rejection;
use std::os::unix::fs::PermissionsExt;

const NAME: &str = "https://broker.example.com";
const NOW: UnixTime = UnixTime::from_seconds(1_800_000_000);

fn opened(folder: &Path) -> OwnIssuer {
    let file = folder.join("signing-key.pem");
    generate(&file).expect("key");
    OwnIssuer::open(Issuer::parse(NAME).expect("issuer"), "/v1", &file).expect("issuer")
}

fn claims(subject: &str) -> Json {
    Json::object([("sub", subject), ("aud", "https://api.example.com")].map(|(n, v)| (n, Json::from(v))))
}

#[test]
fn the_documents_name_the_issuer_exactly_and_everything_under_it() {
    let folder = tempfile::tempdir().expect("folder");
    let issuer = opened(folder.path());
    let discovery = issuer.discovery();
    let text = |name: &str| discovery.get(name).and_then(Json::as_str).map(str::to_owned);
    assert_eq!(text("issuer").as_deref(), Some(NAME));
    assert_eq!(text("jwks_uri"), Some(format!("{NAME}/jwks")));
    assert_eq!(text("token_endpoint"), Some(format!("{NAME}/v1/token")));
    let jwks = issuer.jwks().to_text();
    assert!(jwks.contains("\"ES256\"") && !jwks.contains("\"d\""), "{jwks}");
}

#[test]
fn a_token_ends_when_it_says_and_is_nobody_elses() {
    let folder = tempfile::tempdir().expect("folder");
    let issuer = opened(folder.path());
    let life = Duration::from_secs(300);
    let token = issuer.sign(claims("a"), NOW, life).expect("token");
    let verified = issuer.verify(token.reveal(), NOW).expect("fresh");
    assert_eq!((verified.subject(), verified.issuer()), (Some("a"), Some(NAME)));
    assert!(verified.token_id().is_some_and(|id| id.len() == 32));
    assert!(issuer.verify(token.reveal(), NOW.plus(life)).is_ok());
    let late = issuer.verify(token.reveal(), NOW.plus(life + OWN_LEEWAY));
    assert!(matches!(late, Err(Rejection::Expired { .. })), "{late:?}");
    let elsewhere = tempfile::tempdir().expect("folder");
    let foreign = opened(elsewhere.path())
        .sign(claims("a"), NOW, life)
        .expect("token");
    assert!(issuer.verify(foreign.reveal(), NOW).is_err());
}

#[test]
fn rotation_keeps_what_older_keys_signed_and_drops_the_third() {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("signing-key.pem");
    let issuer = opened(folder.path());
    let old = issuer
        .sign(claims("old"), NOW, Duration::from_secs(60))
        .expect("token");
    for round in 1..=3 {
        let key = rotate(&file).expect("rotated");
        issuer.reload(&file).expect("reloaded");
        let jwks = issuer.jwks();
        let keys = jwks.get("keys").and_then(Json::as_array).expect("keys");
        assert_eq!(keys.len(), (round + 1).min(MOST_KEYS_IN_TEST), "round {round}");
        assert_eq!(keys[0].get("kid").and_then(Json::as_str), Some(key.as_str()));
        let mode = std::fs::metadata(&file).expect("file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(
            issuer.verify(old.reveal(), NOW).is_ok(),
            round < 3,
            "round {round}"
        );
    }
}

/// The new key and two before it.
const MOST_KEYS_IN_TEST: usize = 3;

#[test]
fn a_key_that_others_can_read_or_that_is_none_is_refused_and_the_old_one_stays() {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("signing-key.pem");
    let issuer = opened(folder.path());
    assert!(matches!(generate(&file), Err(KeyFileError::File(..))));
    let set_mode =
        |mode| std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).expect("mode");
    for mode in [0o640, 0o604, 0o620] {
        set_mode(mode);
        assert!(
            matches!(issuer.reload(&file), Err(KeyFileError::Open(_))),
            "{mode:o}"
        );
    }
    set_mode(0o600);
    for text in [
        "",
        "no key",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    ] {
        std::fs::write(&file, text).expect("written");
        assert!(
            matches!(issuer.reload(&file), Err(KeyFileError::Unusable(_))),
            "{text}"
        );
    }
    let token = issuer
        .sign(claims("a"), NOW, Duration::from_secs(60))
        .expect("the old key signs");
    assert!(issuer.verify(token.reveal(), NOW).is_ok());
}
