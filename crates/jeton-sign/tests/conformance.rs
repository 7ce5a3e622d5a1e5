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

/// What is said where it is the trust root that cannot be used.
const UNUSABLE_ROOT: &str = "the trust root";
/// The same of a key that is none.
const UNUSABLE_KEY: &str = "the key";

/// What each case that must be refused is refused with.
const REFUSALS: &[(&str, &str)] = &[
    ("bundle-empty-certificate-chain_fail", "bundle-format"),
    ("bundle-from-wrong-instance_fail", "log-inclusion"),
    ("bundle-invalid-base64-signature_fail", "bundle-format"),
    ("bundle-malformed-json_fail", "bundle-format"),
    ("bundle-negative-log-index_fail", "bundle-format"),
    ("bundle-unknown-version_fail", "bundle-format"),
    ("bundle-with-root-cert_fail", "bundle-format"),
    ("checkpoint-bad-keyhint_fail", "checkpoint"),
    ("checkpoint-wrong-roothash_fail", "checkpoint"),
    ("dsse-invalid-sig_fail", "signature"),
    ("dsse-mismatch-envelope_fail", "log-inclusion"),
    ("dsse-mismatch-sig_fail", "log-inclusion"),
    ("inclusion-proof-corrupted-hash_fail", "log-inclusion"),
    ("incorrect-public-key_fail", "log-inclusion"),
    ("integrated-time-in-future_fail", "certificate-expired"),
    ("intoto-expired-certificate_fail", "certificate-expired"),
    ("intoto-log-entry-mismatch_fail", "log-inclusion"),
    ("intoto-missing-inclusion-proof_fail", "log-inclusion"),
    (
        "intoto-set-outside-signing-cert-validity_fail",
        "certificate-expired",
    ),
    (
        "intoto-tsa-timestamp-outside-cert-validity_fail",
        "certificate-expired",
    ),
    ("invalid-checkpoint-signature_fail", "checkpoint"),
    ("invalid-ct-key_fail", "sct"),
    ("invalid-inclusion-proof_fail", "checkpoint"),
    ("managed-key-no-key_fail", "bundle-format"),
    ("managed-key-wrong-key_fail", UNUSABLE_KEY),
    ("message-digest-mismatch_fail", "subject"),
    ("rekor2-checkpoint-missing-log-signature_fail", "bundle-format"),
    ("rekor2-checkpoint-missing-origin_fail", "bundle-format"),
    ("rekor2-checkpoint-missing-root-hash_fail", "bundle-format"),
    ("rekor2-checkpoint-missing-size_fail", "bundle-format"),
    ("rekor2-checkpoint-no-matching-signature_fail", "checkpoint"),
    ("rekor2-dsse-invalid-sig_fail", "signature"),
    ("rekor2-dsse-mismatch-envelope_fail", "log-inclusion"),
    ("rekor2-dsse-mismatch-sig_fail", "log-inclusion"),
    ("rekor2-no-inclusion-proof_fail", "log-inclusion"),
    ("rekor2-no-timestamp_fail", "timestamp"),
    (
        "rekor2-timestamp-outside-trust-root-tsa-validity_fail",
        "timestamp",
    ),
    ("rekor2-timestamp-outside-tsa-cert-validity_fail", "timestamp"),
    ("rekor2-timestamp-payload-mismatch_fail", "timestamp"),
    (
        "rekor2-timestamp-untrusted-tsa-with-embedded-cert_fail",
        "timestamp",
    ),
    (
        "rekor2-timestamp-untrusted-tsa-without-embedded-cert_fail",
        "timestamp",
    ),
    ("rekor2-timestamp-with-incorrect-time_fail", "bundle-format"),
    ("set-invalid-signature_fail", "log-inclusion"),
    ("signature-mismatch_fail", "signature"),
    ("trust-root-tlog-missing-validity-start_fail", UNUSABLE_ROOT),
    ("wrong-hashedrekord-artifact_fail", "log-inclusion"),
    ("wrong-hashedrekord-cert-and-sig_fail", "log-inclusion"),
    ("wrong-hashedrekord-entry_fail", "log-inclusion"),
    ("wrong-material_fail", "subject"),
];

/// The code of the first failure; `None` when it holds.
fn verdict(all: &Value, case: &Value, folder: &Path) -> Option<&'static str> {
    let path = folder.join("bundle.json");
    // What is no JSON stands there as a text.
    let bundle = case["text"]
        .as_str()
        .map_or_else(|| case["bundle"].to_string(), str::to_owned);
    std::fs::write(&path, bundle).unwrap();
    let Ok(bundle) = verification::bundle(&path) else {
        return Some("bundle-format");
    };
    let trust = match case["root"].as_str() {
        Some(name) => TrustedRoot::from_json(&all["roots"][name].to_string()),
        None => TrustedRoot::from_json(SIGSTORE_PRODUCTION_TRUSTED_ROOT),
    };
    let Ok(trust) = trust else {
        return Some(UNUSABLE_ROOT);
    };
    let name = |member: &str, usual: &str| Name::Exact(case[member].as_str().unwrap_or(usual).to_owned());
    let signer = match case["key"].as_str() {
        Some(pem) => {
            let path = folder.join("key.pub");
            std::fs::write(&path, pem).unwrap();
            let Ok(key) = PublicKey::read(&path) else {
                return Some(UNUSABLE_KEY);
            };
            Signer::Key(key)
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
    let found = verification::verify(&artifact, &bundle, &expectations, Some(&trust)).unwrap();
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
