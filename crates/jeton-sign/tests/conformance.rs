//! B15: the bundles of the Sigstore conformance suite, each with the verdict it has to have.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on ends"
)]
use jeton_sign::verification::{self, Expectations, Level, Name, Signer};
use jeton_sign::{Artifact, PublicKey, TrustedRoot};
use serde_json::Value;
use sigstore_trust_root::SIGSTORE_PRODUCTION_TRUSTED_ROOT;
use sigstore_types::Sha256Hash;
use std::path::Path;

const CASES: &str = include_str!("conformance/cases.json");
const IDENTITY: &str = "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/\
                        workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main";
const ISSUER: &str = "https://token.actions.githubusercontent.com";

/// What each case that must be refused is refused with.
const REFUSALS: &[(&str, &str)] = &[
    ("bundle-empty-certificate-chain_fail", "bundle-format"),
    ("bundle-from-wrong-instance_fail", "log-inclusion"),
    ("bundle-invalid-base64-signature_fail", "bundle-format"),
    ("bundle-negative-log-index_fail", "bundle-format"),
    ("bundle-unknown-version_fail", "bundle-format"),
    ("checkpoint-bad-keyhint_fail", "checkpoint"),
    ("checkpoint-wrong-roothash_fail", "checkpoint"),
    ("dsse-invalid-sig_fail", "signature"),
    ("dsse-mismatch-envelope_fail", "log-inclusion"),
    ("inclusion-proof-corrupted-hash_fail", "log-inclusion"),
    ("integrated-time-in-future_fail", "certificate-expired"),
    ("intoto-expired-certificate_fail", "certificate-expired"),
    ("intoto-missing-inclusion-proof_fail", "log-inclusion"),
    (
        "intoto-tsa-timestamp-outside-cert-validity_fail",
        "certificate-expired",
    ),
    ("invalid-checkpoint-signature_fail", "checkpoint"),
    ("invalid-ct-key_fail", "sct"),
    ("managed-key-no-key_fail", "bundle-format"),
    ("message-digest-mismatch_fail", "subject"),
    ("rekor2-checkpoint-no-matching-signature_fail", "checkpoint"),
    ("rekor2-no-timestamp_fail", "timestamp"),
    (
        "rekor2-timestamp-outside-trust-root-tsa-validity_fail",
        "timestamp",
    ),
    ("rekor2-timestamp-payload-mismatch_fail", "timestamp"),
    ("set-invalid-signature_fail", "log-inclusion"),
    ("signature-mismatch_fail", "signature"),
    ("wrong-hashedrekord-cert-and-sig_fail", "log-inclusion"),
    ("wrong-material_fail", "subject"),
];

/// The code of the first failure; `None` when it holds.
fn verdict(all: &Value, case: &Value, folder: &Path) -> Option<&'static str> {
    let path = folder.join("bundle.json");
    std::fs::write(&path, case["bundle"].to_string()).unwrap();
    let Ok(bundle) = verification::bundle(&path) else {
        return Some("bundle-format");
    };
    let trust = match case["root"].as_str() {
        Some(name) => TrustedRoot::from_json(&all["roots"][name].to_string()),
        None => TrustedRoot::from_json(SIGSTORE_PRODUCTION_TRUSTED_ROOT),
    };
    let name = |member: &str, usual: &str| Name::Exact(case[member].as_str().unwrap_or(usual).to_owned());
    let signer = match case["key"].as_str() {
        Some(pem) => {
            let path = folder.join("key.pub");
            std::fs::write(&path, pem).unwrap();
            Signer::Key(PublicKey::read(&path).unwrap())
        }
        None => Signer::Identity {
            identity: name("identity", IDENTITY),
            issuer: name("issuer", ISSUER),
        },
    };
    let expectations = Expectations {
        signer,
        predicate_type: None,
    };
    let artifact = Sha256Hash::from_hex(case["artifact"].as_str().unwrap()).unwrap();
    let artifact = Artifact::of_digest(artifact);
    let found = verification::verify(&artifact, &bundle, &expectations, Some(&trust.unwrap())).unwrap();
    assert_eq!(
        found.reaches(Level::Verified),
        found.failures.is_empty(),
        "{found:?}"
    );
    found.failures.first().map(|failure| failure.code.name())
}

#[test]
fn b15_every_conformance_bundle_has_its_verdict() {
    let all: Value = serde_json::from_str(CASES).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let cases = all["cases"].as_array().unwrap();
    for case in cases {
        let name = case["name"].as_str().unwrap();
        let expected = REFUSALS
            .iter()
            .find(|(case, _)| *case == name)
            .map(|(_, code)| *code);
        assert_eq!(expected.is_some(), name.ends_with("_fail"), "{name}");
        assert_eq!(verdict(&all, case, folder.path()), expected, "{name}");
    }
    assert_eq!(
        cases
            .iter()
            .filter(|case| case["name"].as_str().unwrap().ends_with("_fail"))
            .count(),
        REFUSALS.len()
    );
}
