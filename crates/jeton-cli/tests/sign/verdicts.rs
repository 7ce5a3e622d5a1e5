//! What is said of bundles that were tampered with, are somebody else's, or came of services that went wrong.
use super::*;

#[test]
fn b15_each_flaw_of_a_bundle_has_its_code_and_its_level() {
    let rows = [
        (Flaw::NoSct, "sct", "unverified"),
        (Flaw::ForeignAuthority, "certificate-chain", "unverified"),
        (Flaw::Expired, "certificate-expired", "unverified"),
        (Flaw::BadCheckpoint, "checkpoint", "attested"),
        (Flaw::BadPromise, "log-inclusion", "attested"),
    ];
    for (flaw, code, level) in rows {
        let scene = Scene::new(&[]);
        scene.sigstore.flaw(flaw);
        // Without a trust root nothing of it is noticed: that is what the warning is for.
        let run = scene
            .command(&SIGN)
            .envs(&scene.issuer.environment("github"))
            .run()
            .ended(0);
        assert!(run.stderr.contains("--trusted-root"), "{}", run.stderr);
        let run = scene.verify("b.json", &scene.subject(), &[]).ended(4);
        assert_eq!(codes(&run), [code], "{flaw:?}");
        assert_eq!(run.json()["level"], level, "{flaw:?}");
        let least = scene.verify("b.json", &scene.subject(), &["--min-trust-level", "attested"]);
        assert_eq!(
            least.code,
            Some(if level == "attested" { 0 } else { 4 }),
            "{flaw:?}"
        );
    }
}

#[test]
fn b15_a_bundle_that_was_tampered_with_or_is_somebody_elses_is_refused_by_name() {
    let scene = Scene::new(&[]);
    scene.in_ci(&SIGN).run().ended(0);
    let subject = scene.subject();
    let issuer = scene.issuer.url().to_owned();
    let original: Value =
        serde_json::from_slice(&std::fs::read(scene.sandbox.path("b.json")).unwrap()).unwrap();
    let check = |name: &str, bundle: &Value, identity: &str, issuer: &str, expected: &[&str], level: &str| {
        scene.sandbox.write("t.json", &bundle.to_string());
        let verify = [
            "verify-bundle",
            "f",
            "--bundle",
            "t.json",
            "--trusted-root",
            "root.json",
            "--json",
        ];
        let who = [
            "--certificate-identity",
            identity,
            "--certificate-oidc-issuer",
            issuer,
        ];
        let run = scene.sandbox.run([&verify[..], &who[..]].concat()).ended(4);
        assert_eq!(codes(&run), expected, "{name}");
        assert_eq!(run.json()["level"], level, "{name}");
        // No level forgives the wrong signer.
        if level == "attested" && expected != ["log-inclusion"] {
            scene
                .sandbox
                .run([&verify[..], &who[..], &["--min-trust-level", "attested"]].concat())
                .ended(4);
        }
    };
    check(
        "identity",
        &original,
        "somebody else",
        &issuer,
        &["identity"],
        "attested",
    );
    check(
        "issuer",
        &original,
        &subject,
        "https://other.example.com",
        &["issuer"],
        "attested",
    );
    check("both", &original, "x", "y", &["identity", "issuer"], "attested");
    let mut unlogged = original.clone();
    unlogged["verificationMaterial"]["tlogEntries"] = json!([]);
    check(
        "no entry",
        &unlogged,
        &subject,
        &issuer,
        &["log-inclusion"],
        "attested",
    );
    let mut resigned = original.clone();
    let signature = &mut resigned["messageSignature"]["signature"];
    let mut bytes = STANDARD.decode(signature.as_str().unwrap()).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    *signature = json!(STANDARD.encode(bytes));
    check(
        "signature",
        &resigned,
        &subject,
        &issuer,
        &["signature"],
        "unverified",
    );
    let mut later = original.clone();
    let time = &mut later["verificationMaterial"]["tlogEntries"][0]["integratedTime"];
    *time = json!((time.as_str().unwrap().parse::<u64>().unwrap() - 60).to_string());
    check("time", &later, &subject, &issuer, &["log-inclusion"], "attested");
    scene.sandbox.write("f", "hallo\n");
    check("file", &original, &subject, &issuer, &["subject"], "unverified");
}

#[test]
fn b15_a_pattern_covers_the_whole_name() {
    let scene = Scene::new(&[]);
    let token = scene.token(json!({"sub": "https://github.com/acme/app/x.yml@refs/tags/v1"}));
    scene
        .trusting(&SIGN)
        .env("COSIGN_IDENTITY_TOKEN", &token)
        .run()
        .ended(0);
    let rows = [
        (r"https://github\.com/acme/.*", 0),
        (r"^https://github\.com/acme/app/.*@refs/tags/.*", 0),
        (r"github\.com/acme/.*", 4),
        (r"https://github\.com/acme", 4),
        (r"x|https://github\.com/.*", 0),
        (r"[", 2),
        (r"a)|(?:.*", 2),
    ];
    for (pattern, code) in rows {
        let verify = [
            "verify-bundle",
            "f",
            "--bundle",
            "b.json",
            "--trusted-root",
            "root.json",
        ];
        let who = [
            "--certificate-identity-regexp",
            pattern,
            "--certificate-oidc-issuer-regexp",
            "http://127.*",
        ];
        scene.sandbox.run([&verify[..], &who[..]].concat()).ended(code);
    }
}

#[test]
fn b15_a_bundle_does_not_get_better_by_what_is_taken_out_of_it() {
    // (flaw, level of the whole bundle, level without its log entry)
    let rows = [
        (None, "verified", "attested"),
        (Some(Flaw::NoSct), "unverified", "unverified"),
        (Some(Flaw::ForeignAuthority), "unverified", "unverified"),
    ];
    for (flaw, whole, rest) in rows {
        let scene = Scene::new(&[]);
        if let Some(flaw) = flaw {
            scene.sigstore.flaw(flaw);
        }
        let command = scene.command(&SIGN).envs(&scene.issuer.environment("github"));
        command.run().ended(0);
        let level = |name: &str| {
            let run = scene.verify(name, &scene.subject(), &[]);
            run.json()["level"].as_str().unwrap().to_owned()
        };
        assert_eq!(level("b.json"), whole, "{flaw:?}");
        let mut bundle: Value =
            serde_json::from_slice(&std::fs::read(scene.sandbox.path("b.json")).unwrap()).unwrap();
        bundle["verificationMaterial"]["tlogEntries"] = json!([]);
        scene.sandbox.write("t.json", &bundle.to_string());
        assert_eq!(level("t.json"), rest, "{flaw:?}");
    }
}

#[test]
fn b15_a_text_that_can_be_read_in_two_ways_is_no_bundle() {
    let scene = Scene::new(&[]);
    scene.in_ci(&SIGN).run().ended(0);
    let text = std::fs::read_to_string(scene.sandbox.path("b.json")).unwrap();
    let bundle: Value = serde_json::from_str(&text).unwrap();
    let with = |name: &str, value: &Value| {
        let mut bundle = bundle.clone();
        bundle[name] = value.clone();
        bundle.to_string()
    };
    let without = |name: &str| {
        let mut bundle = bundle.clone();
        bundle.as_object_mut().unwrap().remove(name);
        bundle.to_string()
    };
    let material = |edit: &dyn Fn(&mut Value)| {
        let mut bundle = bundle.clone();
        edit(&mut bundle["verificationMaterial"]);
        bundle.to_string()
    };
    let envelope = json!({"payload": "e30=", "payloadType": "x", "signatures": [{"sig": "AAAA"}]});
    let body = text.trim_end().strip_suffix('}').unwrap();
    let signature = &bundle["messageSignature"];
    // (what, text, exit)
    let rows = [
        ("as it was", text.clone(), 0),
        ("a signature and an envelope", with("dsseEnvelope", &envelope), 4),
        (
            "the same in the other spelling",
            with("dsse_envelope", &envelope),
            4,
        ),
        (
            "an envelope that is nothing",
            with("dsseEnvelope", &Value::Null),
            4,
        ),
        (
            "a member twice",
            format!("{body},\"messageSignature\":{signature}}}"),
            4,
        ),
        (
            "a member twice, far below",
            text.replacen("\"signature\":", "\"signature\":\"AAAA\",\"signature\":", 1),
            4,
        ),
        ("no media type", without("mediaType"), 4),
        ("no material", without("verificationMaterial"), 4),
        ("neither", json!({}).to_string(), 8),
        (
            "a certificate and a key",
            material(&|m| m["publicKey"] = json!({"hint": "x"})),
            4,
        ),
        (
            "an entry twice",
            material(&|m| {
                let entry = m["tlogEntries"][0].clone();
                m["tlogEntries"].as_array_mut().unwrap().push(entry);
            }),
            4,
        ),
        ("something behind it", format!("{text}x"), 8),
        ("cut short", text[..text.len() - 9].to_owned(), 8),
        ("another kind of thing", "[]".to_owned(), 8),
        ("without an end", "[".repeat(100_000), 8),
    ];
    for (name, text, code) in rows {
        scene.sandbox.write("t.json", &text);
        let run = scene.verify("t.json", &scene.subject(), &[]);
        assert_eq!(run.code, Some(code), "{name}: {}", run.stderr);
        if code != 0 {
            assert_eq!(codes(&run), ["bundle-format"], "{name}");
            assert!(run.stderr.contains("hint"), "{name}: {}", run.stderr);
        }
    }
}
