//! B17: signing with a local key, and verifying what came of it, from outside. Nothing here is ever sent anywhere.
#![cfg(feature = "sign")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on ends"
)]
use jeton_test::{Run, Sandbox};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new(env!("CARGO_BIN_EXE_jeton"));
    sandbox.write("f", "hello\n");
    sandbox
}

/// A key pair as OpenSSL writes it.
fn key(sandbox: &Sandbox, name: &str, generate: &[&str]) {
    let openssl = |arguments: &[&str]| {
        let done = Command::new("openssl")
            .args(arguments)
            .current_dir(sandbox.path(""))
            .output();
        assert!(done.expect("openssl runs").status.success(), "{arguments:?}");
    };
    let (private, public) = (format!("{name}.pem"), format!("{name}.pub"));
    openssl(&[generate, &["-out", &private]].concat());
    openssl(&["pkey", "-in", &private, "-pubout", "-out", &public]);
}

const P256: [&str; 5] = ["ecparam", "-name", "prime256v1", "-genkey", "-noout"];

fn codes(run: &Run) -> Vec<String> {
    let report = run.json();
    let failures = report["failures"].as_array().unwrap();
    failures
        .iter()
        .map(|f| f["code"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn b17_a_local_key_signs_without_any_network_and_its_public_half_verifies() {
    let sandbox = sandbox();
    key(&sandbox, "p256", &P256);
    key(
        &sandbox,
        "p384",
        &["ecparam", "-name", "secp384r1", "-genkey", "-noout"],
    );
    key(&sandbox, "ed", &["genpkey", "-algorithm", "ed25519"]);
    for name in ["p256", "p384", "ed"] {
        let (bundle, private, public) = (
            format!("{name}.json"),
            format!("{name}.pem"),
            format!("{name}.pub"),
        );
        let sign = ["sign", "f", "--bundle", &bundle, "--key", &private];
        // A CI job's variables, other identities, other people's services: a key comes before all of them.
        let command = sandbox
            .command(sign)
            .env("SIGSTORE_ID_TOKEN", "x")
            .env("GITHUB_ACTIONS", "true");
        let run = command
            .env("JETON_FULCIO_URL", "http://127.0.0.1:1")
            .run()
            .ended(0);
        assert_eq!(run.stdout, "");
        let mode = std::fs::metadata(sandbox.path(&bundle))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        let written: Value = serde_json::from_slice(&std::fs::read(sandbox.path(&bundle)).unwrap()).unwrap();
        assert_eq!(
            written["mediaType"],
            "application/vnd.dev.sigstore.bundle.v0.3+json"
        );
        let run = sandbox
            .run([
                "verify-bundle",
                "f",
                "--bundle",
                &bundle,
                "--key",
                &public,
                "--json",
            ])
            .ended(0);
        let report = json!({"verified": true, "level": "attested", "identity": null, "issuer": null,
            "logged_at": null, "failures": []});
        assert_eq!(run.json(), report);
    }
}

#[test]
fn b15_a_bundle_of_another_file_key_or_shape_is_refused_by_name() {
    let sandbox = sandbox();
    key(&sandbox, "mine", &P256);
    key(&sandbox, "other", &P256);
    sandbox.write("g", "tampered\n");
    sandbox.write("text", "no bundle");
    sandbox.write("odd", r#"{"mediaType":"application/x"}"#);
    sandbox
        .run(["sign", "f", "--bundle", "b.json", "--key", "mine.pem"])
        .ended(0);
    let rows = [
        (["g", "b.json", "mine.pub"], 4, vec!["subject"]),
        (["f", "b.json", "other.pub"], 4, vec!["signature"]),
        (["f", "text", "mine.pub"], 8, vec!["bundle-format"]),
        (["f", "odd", "mine.pub"], 4, vec!["bundle-format"]),
    ];
    for ([file, bundle, key], code, failures) in rows {
        let run = sandbox
            .run(["verify-bundle", file, "--bundle", bundle, "--key", key, "--json"])
            .ended(code);
        assert_eq!(codes(&run), failures, "{file} {bundle} {key}");
        assert_eq!(run.json()["verified"], false);
        assert_eq!(run.json()["level"], "unverified");
    }
    // More than a key alone can give.
    let least = [
        "--min-trust-level",
        "verified",
        "--trusted-root",
        "root.json",
        "--json",
    ];
    sandbox.write(
        "root.json",
        r#"{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}"#,
    );
    let verify = ["verify-bundle", "f", "--bundle", "b.json", "--key", "mine.pub"];
    let run = sandbox.run([&verify[..], &least[..]].concat()).ended(4);
    assert_eq!(codes(&run), ["log-inclusion"]);
}

#[test]
fn what_cannot_be_done_is_said_before_anything_is_written() {
    let sandbox = sandbox();
    key(&sandbox, "k", &P256);
    sandbox.write("folder/f", "another f");
    sandbox.write(
        "no-key",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\n-----END ENCRYPTED PRIVATE KEY-----\n",
    );
    let rows: [(&[&str], i32); 11] = [
        (&["sign", "f", "--key", "k.pem"], 2),
        (&["sign", "f", "k.pem", "--key", "k.pem", "--bundle", "b"], 2),
        (
            &["sign", "f", "folder/f", "--key", "k.pem", "--bundle-dir", "."],
            2,
        ),
        (&["sign", "f", "--key", "k.pem", "--device", "--bundle", "b"], 2),
        (&["sign", "f", "--key", "k.pem", "--browser", "--bundle", "b"], 2),
        (&["sign", "absent", "--key", "k.pem", "--bundle", "b"], 3),
        (&["sign", "f", "--key", "absent", "--bundle", "b"], 3),
        (&["sign", "f", "--key", "k.pem", "--bundle", "absent/b"], 3),
        (&["sign", "f", "--key", "no-key", "--bundle", "b"], 8),
        (&["verify-bundle", "f", "--bundle", "b"], 2),
        (
            &[
                "verify-bundle",
                "f",
                "--bundle",
                "b",
                "--certificate-identity",
                "me",
            ],
            2,
        ),
    ];
    for (arguments, code) in rows {
        sandbox.run(arguments).ended(code);
    }
    sandbox
        .run(["sign", "f", "--key", "k.pem", "--bundle", "b", "--dry-run"])
        .ended(0);
    assert!(!sandbox.path("b").exists());
}

#[test]
fn several_files_have_a_bundle_each() {
    let sandbox = sandbox();
    key(&sandbox, "k", &P256);
    sandbox.write("g", "g");
    sandbox
        .run(["sign", "f", "g", "--key", "k.pem", "--bundle-dir", "out"])
        .ended(0);
    for name in ["f", "g"] {
        let bundle = format!("out/{name}.sigstore.json");
        sandbox
            .run(["verify-bundle", name, "--bundle", &bundle, "--key", "k.pub"])
            .ended(0);
    }
}

/// An envelope around any payload, signed with OpenSSL.
fn enveloped(sandbox: &Sandbox, payload_type: &str, payload: &str) -> String {
    use base64::Engine;
    let encode = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
    let (type_length, length) = (payload_type.len(), payload.len());
    let encoded = format!("DSSEv1 {type_length} {payload_type} {length} {payload}");
    sandbox.write("pae", &encoded);
    let done = Command::new("openssl")
        .args(["dgst", "-sha256", "-sign", "k.pem", "-out", "pae.sig", "pae"])
        .current_dir(sandbox.path(""))
        .output();
    assert!(done.expect("openssl runs").status.success());
    let signature = std::fs::read(sandbox.path("pae.sig")).unwrap();
    json!({
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {"publicKey": {"hint": "k"}, "tlogEntries": []},
        "dsseEnvelope": {
            "payload": encode(payload.as_bytes()), "payloadType": payload_type,
            "signatures": [{"sig": encode(&signature)}],
        },
    })
    .to_string()
}

#[test]
fn b15_a_signed_statement_must_be_one_and_be_about_the_file_by_its_digest() {
    const DIGEST: &str = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
    const IN_TOTO: &str = "application/vnd.in-toto+json";
    let sandbox = sandbox();
    key(&sandbox, "k", &P256);
    let statement = |member: &str, value: Value| {
        let mut statement = json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"name": "f", "digest": {"sha256": DIGEST}}],
            "predicateType": "https://example.com/v1",
            "predicate": {},
        });
        statement[member] = value;
        statement.to_string()
    };
    let subject = |name: &str, digest: Value| json!([{"name": name, "digest": digest}]);
    let good = statement("predicate", json!({}));
    let elsewhere = format!("{}f", "0".repeat(63));
    // (what, payload type, payload, code)
    let rows = [
        ("as it should be", IN_TOTO, good.clone(), None),
        (
            "the version before",
            IN_TOTO,
            statement("_type", json!("https://in-toto.io/Statement/v0.1")),
            None,
        ),
        (
            "a version to come",
            IN_TOTO,
            statement("_type", json!("https://in-toto.io/Statement/v2")),
            Some("bundle-format"),
        ),
        (
            "no type",
            IN_TOTO,
            statement("_type", Value::Null),
            Some("bundle-format"),
        ),
        (
            "another name",
            IN_TOTO,
            statement("subject", subject("g", json!({"sha256": DIGEST}))),
            None,
        ),
        (
            "the name alone",
            IN_TOTO,
            statement("subject", subject("f", json!({"sha256": elsewhere}))),
            Some("subject"),
        ),
        (
            "a weak digest",
            IN_TOTO,
            statement(
                "subject",
                subject("f", json!({"sha1": "f572d396fae9206628714fb2ce00f72e94f2258f"})),
            ),
            Some("subject"),
        ),
        (
            "nothing",
            IN_TOTO,
            statement("subject", json!([])),
            Some("subject"),
        ),
        (
            "another payload type",
            "text/plain",
            good.clone(),
            Some("bundle-format"),
        ),
        (
            "something behind it",
            IN_TOTO,
            format!("{good}x"),
            Some("bundle-format"),
        ),
        (
            "two lists of subjects",
            IN_TOTO,
            good.replacen("\"subject\"", "\"subject\":[],\"subject\"", 1),
            Some("bundle-format"),
        ),
        ("no statement", IN_TOTO, "hello".to_owned(), Some("bundle-format")),
    ];
    for (name, payload_type, payload, code) in rows {
        sandbox.write("b.json", &enveloped(&sandbox, payload_type, &payload));
        let run = sandbox.run([
            "verify-bundle",
            "f",
            "--bundle",
            "b.json",
            "--key",
            "k.pub",
            "--json",
        ]);
        let run = run.ended(if code.is_some() { 4 } else { 0 });
        assert_eq!(codes(&run), code.into_iter().collect::<Vec<_>>(), "{name}");
    }
}
