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
