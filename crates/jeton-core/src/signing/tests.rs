use super::*;
use crate::decode::decode;
use crate::jwk::KeySet;
use alloc::format;

#[test]
fn a_key_that_was_written_is_the_same_key_when_read() {
    for algorithm in [
        Algorithm::Es256,
        Algorithm::Es384,
        Algorithm::Es512,
        Algorithm::EdDsa,
        Algorithm::Rs256,
    ] {
        let key = SigningKey::generate(algorithm).unwrap();
        let again = SigningKey::from_pem(key.to_pem().unwrap().reveal(), None).unwrap();
        assert_eq!((again.key_id(), again.algorithm()), (key.key_id(), algorithm));
        assert!(again.public_jwk() == key.public_jwk());
        let set = KeySet::parse(KeySet::document([key.public_jwk()]).to_text().as_bytes()).unwrap();
        let signature = again.signature(b"message").unwrap();
        assert!(
            set.keys()[0].checks(algorithm, b"message", &signature),
            "{algorithm:?}"
        );
        assert!(
            !set.keys()[0].checks(algorithm, b"massage", &signature),
            "{algorithm:?}"
        );
        assert_eq!(set.keys()[0].thumbprint(), key.key_id());
    }
}

#[test]
fn a_key_signs_only_with_algorithms_of_its_type() {
    let pem = SigningKey::generate(Algorithm::Es256).unwrap().to_pem().unwrap();
    let load = |a| SigningKey::from_pem(pem.reveal(), Some(a)).err();
    assert_eq!(load(Algorithm::Es256), None);
    for other in [Algorithm::Es384, Algorithm::Rs256, Algorithm::EdDsa] {
        assert_eq!(load(other), Some(SigningError::Algorithm), "{other:?}");
    }
}

#[test]
fn a_header_of_ones_own_comes_in_place_of_the_usual_one() {
    let key = SigningKey::generate(Algorithm::EdDsa).unwrap();
    let claims = Json::object([("sub", "someone")].map(|(n, v)| (n, Json::from(v))));
    let header = Json::object([
        ("typ", Json::from("at+jwt")),
        ("kid", Json::Null),
        ("x", Json::from(1)),
    ]);
    let token = key.sign_with(&header, &claims).unwrap();
    let seen = crate::decode::inspect(&token).unwrap();
    assert_eq!(seen.header.to_text(), r#"{"alg":"EdDSA","typ":"at+jwt","x":1}"#);
    assert_eq!(
        decode(&key.sign(&claims).unwrap()).unwrap().peek().subject(),
        Some("someone")
    );
}

#[test]
fn b18_a_private_key_never_shows() {
    let key = SigningKey::generate(Algorithm::Es256).unwrap();
    let pem = key.to_pem().unwrap();
    assert_eq!(format!("{key:?}"), format!("SigningKey(ES256 {})", key.key_id()));
    assert_eq!(format!("{pem:?}"), "[secret]");
    assert_eq!(key.public_jwk().get("d"), None);
}

#[test]
fn pem_is_read_with_blocks_before_it_and_refused_when_it_is_no_private_key() {
    let key = SigningKey::generate(Algorithm::Es256).unwrap();
    let pem = key.to_pem().unwrap();
    let before = format!(
        "x\n-----BEGIN EC PARAMETERS-----\nBggq\n-----END EC PARAMETERS-----\n{}",
        pem.reveal()
    );
    let windows = pem.reveal().replace('\n', "\r\n");
    for text in [before, windows] {
        assert_eq!(SigningKey::from_pem(&text, None).unwrap().key_id(), key.key_id());
    }
    let public = pem.reveal().replace("PRIVATE", "PUBLIC");
    let encrypted = pem.reveal().replace("PRIVATE", "ENCRYPTED PRIVATE");
    let cut = &pem.reveal()[..80];
    let garbage = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----";
    for (text, why) in [
        ("", SigningError::Pem),
        (public.as_str(), SigningError::Pem),
        (encrypted.as_str(), SigningError::Pem),
        (cut, SigningError::Pem),
        (garbage, SigningError::Unknown),
    ] {
        assert_eq!(SigningKey::from_pem(text, None).err(), Some(why));
    }
}
