//! Instances of several kinds: with a timestamp authority, with a log of the second version, with and without somebody
//! who says what is to be trusted.
use super::*;
use jeton_test::sigstore::{REKOR_V2, STAMP};
use jeton_test::tuf::{FAR, Release, Tuf};

const UNROOTED: &str = "without --trusted-root";

impl Scene {
    /// `jeton sign` by a signing config, in a job, with what is to be trusted.
    fn configured(&self, config: &Value) -> Run {
        self.sandbox.write("config.json", &config.to_string());
        let configured = ["--signing-config", "config.json", "--trusted-root", "root.json"];
        let command = self.sandbox.command([&SIGN[..], &configured[..]].concat());
        command.envs(&self.issuer.environment("github")).run()
    }

    fn bundle(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.sandbox.path("b.json")).unwrap()).unwrap()
    }

    fn asked_for(&self, paths: &[&'static str]) -> Vec<usize> {
        paths.iter().map(|path| self.sigstore.count(path)).collect()
    }
}

#[test]
fn b17_without_a_trust_root_the_services_are_held_to_their_own_word() {
    // (published?, flaw, exit, what standard error says)
    let rows: [(bool, Option<Flaw>, i32, &str); 9] = [
        (
            true,
            None,
            0,
            "not verified: that the certificate is in a certificate log",
        ),
        (
            true,
            Some(Flaw::NoSct),
            0,
            "not verified: that the certificate is in a certificate log",
        ),
        (true, Some(Flaw::ForeignAuthority), 8, "certificate-chain"),
        (true, Some(Flaw::BadCheckpoint), 8, "checkpoint"),
        (true, Some(Flaw::BadPromise), 8, "log-inclusion"),
        (true, Some(Flaw::ForeignStamp), 8, "timestamp"),
        (false, None, 0, "not verified: certificate, SCT, log and time"),
        (false, Some(Flaw::BadProof), 8, "proof"),
        (false, Some(Flaw::OtherEntry), 8, "another signature"),
    ];
    for (publishes, flaw, code, words) in rows {
        let scene = Scene::new(&[]);
        if publishes {
            scene.sigstore.publish();
        }
        if let Some(flaw) = flaw {
            scene.sigstore.flaw(flaw);
        }
        let command = scene
            .command(&SIGN)
            .arg("--timestamp-server-url")
            .arg(&scene.sigstore.stamp_url());
        let run = command
            .envs(&scene.issuer.environment("github"))
            .run()
            .ended(code);
        assert!(run.stderr.contains(UNROOTED), "{flaw:?}: {}", run.stderr);
        assert!(run.stderr.contains(words), "{flaw:?}: {}", run.stderr);
        assert_eq!(scene.sandbox.path("b.json").exists(), code == 0, "{flaw:?}");
        // Of what an instance says of itself nothing is kept: a verifier needs to be told.
        if code == 0 {
            let verify = [
                "verify-bundle",
                "f",
                "--bundle",
                "b.json",
                "--certificate-identity-regexp",
                ".*",
            ];
            let proxy = Upstream::saying("HTTP/1.1 502 X\r\ncontent-length: 0\r\n\r\n");
            let command = scene.sandbox.command(verify).arg("--max-attempts").arg("1");
            let command = command.arg("--certificate-oidc-issuer").arg(scene.issuer.url());
            let run = command.env("HTTPS_PROXY", proxy.url()).run();
            assert_ne!(run.code, Some(0), "{}", run.stderr);
        }
    }
}

#[test]
fn b14_a_log_of_the_second_version_and_a_timestamp_make_a_bundle_that_verifies() {
    let scene = Scene::new(&[]);
    scene.configured(&scene.sigstore.signing_config(&[1, 2])).ended(0);
    assert_eq!(scene.asked_for(&[FULCIO, STAMP, REKOR_V2, REKOR]), [1, 1, 1, 0]);
    let bundle = scene.bundle();
    let material = &bundle["verificationMaterial"];
    assert_eq!(material["tlogEntries"][0]["kindVersion"]["version"], "0.0.2");
    assert_eq!(
        material["timestampVerificationData"]["rfc3161Timestamps"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let report = scene.verify("b.json", &scene.subject(), &[]).ended(0).json();
    assert_eq!(report["level"], "verified");
    assert!(report["logged_at"].as_str().unwrap().ends_with('Z'), "{report}");
    // Statements are logged in the same form there.
    scene.sandbox.write("p.json", "{}");
    let attest = [
        "attest",
        "f",
        "--type",
        "custom",
        "--predicate",
        "p.json",
        "--bundle",
        "b.json",
    ];
    let services = ["--signing-config", "config.json", "--trusted-root", "root.json"];
    let command = scene.sandbox.command([&attest[..], &services[..]].concat());
    command.envs(&scene.issuer.environment("github")).run().ended(0);
    scene
        .verify("b.json", &scene.subject(), &["--type", "custom"])
        .ended(0);
}

#[test]
fn b15_each_flaw_of_time_and_log_has_its_code_and_its_level_in_both_versions() {
    // (logs, flaw, exit of signing with a trust root, code, level without one)
    let rows = [
        (&[1u32][..], Flaw::ForeignStamp, "timestamp", "attested"),
        (&[1], Flaw::EarlyStamp, "timestamp", "attested"),
        (&[1], Flaw::ForeignCheckpoint, "checkpoint", "attested"),
        (&[2], Flaw::ForeignStamp, "timestamp", "attested"),
        (&[2], Flaw::EarlyStamp, "timestamp", "attested"),
        (&[2], Flaw::ForeignCheckpoint, "checkpoint", "attested"),
        (&[2], Flaw::BadCheckpoint, "checkpoint", "attested"),
        (&[2], Flaw::Expired, "certificate-expired", "unverified"),
        (&[2], Flaw::ForeignAuthority, "certificate-chain", "unverified"),
        (&[2], Flaw::NoSct, "sct", "unverified"),
    ];
    for (logs, flaw, code, level) in rows {
        let scene = Scene::new(&[]);
        scene.sigstore.flaw(flaw);
        let config = scene.sigstore.signing_config(logs);
        let refused = scene.configured(&config).ended(8);
        assert!(
            refused.stderr.contains(code),
            "{logs:?} {flaw:?}: {}",
            refused.stderr
        );
        assert!(!scene.sandbox.path("b.json").exists(), "{flaw:?}");
        let command = scene
            .sandbox
            .command([&SIGN[..], &["--signing-config", "config.json"]].concat());
        command.envs(&scene.issuer.environment("github")).run().ended(0);
        let run = scene.verify("b.json", &scene.subject(), &[]).ended(4);
        assert_eq!(codes(&run), [code], "{logs:?} {flaw:?}");
        assert_eq!(run.json()["level"], level, "{logs:?} {flaw:?}");
        let least = scene.verify("b.json", &scene.subject(), &["--min-trust-level", "attested"]);
        assert_eq!(
            least.code,
            Some(if level == "attested" { 0 } else { 4 }),
            "{flaw:?}"
        );
    }
    // What is no answer at all is seen without any trust root.
    for (logs, flaw, words) in [
        (&[1u32][..], Flaw::OtherStamp, "for something else"),
        (&[2], Flaw::OtherStamp, "for something else"),
        (&[2], Flaw::NoStamp, "no granted timestamp"),
        (&[2], Flaw::OtherEntry, "another signature"),
        (&[2], Flaw::BadProof, "proof"),
    ] {
        let scene = Scene::new(&[]);
        scene.sigstore.flaw(flaw);
        scene
            .sandbox
            .write("config.json", &scene.sigstore.signing_config(logs).to_string());
        let command = scene
            .sandbox
            .command([&SIGN[..], &["--signing-config", "config.json"]].concat());
        let run = command.envs(&scene.issuer.environment("github")).run().ended(8);
        assert!(run.stderr.contains(words), "{flaw:?}: {}", run.stderr);
    }
}

#[test]
fn b15_a_bundle_of_the_second_version_that_was_tampered_with_is_refused() {
    let scene = Scene::new(&[]);
    scene.configured(&scene.sigstore.signing_config(&[2])).ended(0);
    let original = scene.bundle();
    scene.sandbox.write("g", "g");
    let services = ["--signing-config", "config.json", "--trusted-root", "root.json"];
    let other = scene
        .sandbox
        .command([&["sign", "g", "--bundle", "g.json"][..], &services[..]].concat());
    other.envs(&scene.issuer.environment("github")).run().ended(0);
    let other: Value = serde_json::from_slice(&std::fs::read(scene.sandbox.path("g.json")).unwrap()).unwrap();
    let material = |bundle: &mut Value, edit: &dyn Fn(&mut Value)| edit(&mut bundle["verificationMaterial"]);
    type Edit<'a> = &'a dyn Fn(&mut Value);
    let rows: [(&str, Edit<'_>, &str, &str); 6] = [
        (
            "no timestamp",
            &|m| m["timestampVerificationData"] = json!({"rfc3161Timestamps": []}),
            "timestamp",
            "attested",
        ),
        (
            "another signature's timestamp",
            &|m| {
                m["timestampVerificationData"] =
                    other["verificationMaterial"]["timestampVerificationData"].clone();
            },
            "timestamp",
            "attested",
        ),
        (
            "another signature's entry",
            &|m| m["tlogEntries"] = other["verificationMaterial"]["tlogEntries"].clone(),
            "log-inclusion",
            "attested",
        ),
        (
            "another's proof",
            &|m| m["tlogEntries"][0]["inclusionProof"]["hashes"] = json!([STANDARD.encode([1u8; 32])]),
            "log-inclusion",
            "attested",
        ),
        (
            "no checkpoint",
            &|m| {
                m["tlogEntries"][0]["inclusionProof"]
                    .as_object_mut()
                    .unwrap()
                    .remove("checkpoint");
            },
            "checkpoint",
            "attested",
        ),
        (
            "no entry",
            &|m| m["tlogEntries"] = json!([]),
            "log-inclusion",
            "attested",
        ),
    ];
    for (name, edit, code, level) in rows {
        let mut bundle = original.clone();
        material(&mut bundle, edit);
        scene.sandbox.write("t.json", &bundle.to_string());
        let run = scene.verify("t.json", &scene.subject(), &[]).ended(4);
        assert_eq!(
            (&codes(&run)[..], run.json()["level"].as_str()),
            (&[code.to_owned()][..], Some(level)),
            "{name}"
        );
    }
}

#[test]
fn b17_a_signing_config_says_which_services_are_asked() {
    let far = json!({"start": "2999-01-01T00:00:00Z"});
    let over = json!({"start": "2020-01-01T00:00:00Z", "end": "2021-01-01T00:00:00Z"});
    type Edit<'a> = &'a dyn Fn(&mut Value);
    // (what is changed, logs, exit, requests of v1 and v2)
    let rows: [(&str, Edit<'_>, &[u32], i32, [usize; 2]); 12] = [
        ("v2 before v1", &|_| (), &[1, 2], 0, [0, 1]),
        ("v1 alone", &|_| (), &[1], 0, [1, 0]),
        ("no known version", &|_| (), &[3], 2, [0, 0]),
        ("an unknown one is passed over", &|_| (), &[3, 1], 0, [1, 0]),
        (
            "v2 begins later",
            &|c| c["rekorTlogUrls"][1]["validFor"] = far.clone(),
            &[1, 2],
            0,
            [1, 0],
        ),
        (
            "v2 has ended",
            &|c| c["rekorTlogUrls"][1]["validFor"] = over.clone(),
            &[1, 2],
            0,
            [1, 0],
        ),
        (
            "the authority has ended",
            &|c| c["caUrls"][0]["validFor"] = over.clone(),
            &[1],
            2,
            [0, 0],
        ),
        (
            "the authority speaks v9",
            &|c| c["caUrls"][0]["majorApiVersion"] = json!(9),
            &[1],
            2,
            [0, 0],
        ),
        (
            "v2 without a time",
            &|c| c["tsaUrls"][0]["validFor"] = over.clone(),
            &[2],
            2,
            [0, 0],
        ),
        (
            "two are wanted",
            &|c| c["rekorTlogConfig"] = json!({"selector": "EXACT", "count": 2}),
            &[1, 2],
            2,
            [0, 0],
        ),
        (
            "one is wanted",
            &|c| c["rekorTlogConfig"] = json!({"selector": "EXACT", "count": 1}),
            &[2],
            0,
            [0, 1],
        ),
        (
            "nobody says how many",
            &|c| c["rekorTlogConfig"] = json!({"selector": "SERVICE_SELECTOR_UNDEFINED"}),
            &[1],
            2,
            [0, 0],
        ),
    ];
    for (name, edit, logs, code, requests) in rows {
        let scene = Scene::new(&[]);
        let mut config = scene.sigstore.signing_config(logs);
        edit(&mut config);
        let run = scene.configured(&config);
        assert_eq!(run.code, Some(code), "{name}: {}", run.stderr);
        assert_eq!(scene.asked_for(&[REKOR, REKOR_V2]), requests, "{name}");
        let sum: usize = requests.iter().sum();
        assert_eq!(scene.issuer.count("github"), sum, "{name}: no token for nothing");
        assert!(code == 0 || run.stderr.contains("hint"), "{name}: {}", run.stderr);
    }
}

#[test]
fn b17_a_repository_says_what_is_trusted_and_which_services_there_are() {
    let scene = Scene::new(&[]);
    let tuf = Tuf::start(1, 1);
    let release = Release {
        version: 1,
        stamped_until: FAR.into(),
        targets: vec![
            ("trusted_root.json", scene.sigstore.trusted_root()),
            ("signing_config.v0.2.json", scene.sigstore.signing_config(&[1])),
        ],
    };
    tuf.publish(&release, &tuf.all());
    scene
        .sandbox
        .write("tuf.json", std::str::from_utf8(&tuf.root).unwrap());
    let proxy = Upstream::saying("HTTP/1.1 502 X\r\ncontent-length: 0\r\n\r\n");
    let run = |arguments: &[&str]| {
        let command = scene
            .sandbox
            .command(arguments)
            .envs(&scene.issuer.environment("github"));
        command.env("HTTPS_PROXY", proxy.url()).run()
    };
    let by = ["--tuf-url", tuf.url(), "--tuf-root", "tuf.json"];
    let signed = run(&[&SIGN[..], &by[..]].concat()).ended(0);
    assert!(!signed.stderr.contains("warning"), "{}", signed.stderr);
    let cache = scene.sandbox.cache();
    for entry in std::fs::read_dir(&cache).unwrap() {
        let mode = entry.unwrap().metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
    }
    let subject = scene.subject();
    let verify = [
        "verify-bundle",
        "f",
        "--bundle",
        "b.json",
        "--certificate-identity",
        &subject,
    ];
    let verify = [&verify[..], &["--certificate-oidc-issuer", scene.issuer.url()]].concat();
    // Nothing has expired: nobody is asked again, and nobody need be there.
    let before = tuf.asked().len();
    tuf.fail(usize::MAX);
    run(&[&verify[..], &by[..]].concat()).ended(0);
    assert_eq!(tuf.asked().len(), before);
    std::fs::remove_dir_all(&cache).unwrap();
    let gone = run(&[&verify[..], &by[..], &["--json"]].concat()).ended(6);
    assert!(gone.stderr.contains("--trusted-root"), "{}", gone.stderr);
    tuf.fail(0);
    // A mirror of the public repository has the public root's signatures.
    let mirror = ["--tuf-url", tuf.url()];
    let forged = run(&[&verify[..], &mirror[..]].concat());
    assert_eq!(forged.code, Some(8), "{}", forged.stderr);
    scene
        .sandbox
        .write("other.json", std::str::from_utf8(&Tuf::start(1, 1).root).unwrap());
    let other = ["--tuf-url", tuf.url(), "--tuf-root", "other.json"];
    let other = run(&[&verify[..], &other[..]].concat()).ended(8);
    assert!(other.stderr.contains("threshold"), "{}", other.stderr);
    let rows: [(&[&str], i32); 6] = [
        (&["--tuf-root", "tuf.json"], 2),
        (&["--tuf-url", tuf.url(), "--tuf-root", "nowhere.json"], 3),
        (&["--tuf-url", tuf.url(), "--tuf-root", "f"], 8),
        (
            &["--tuf-url", "http://tuf.example.com", "--tuf-root", "tuf.json"],
            2,
        ),
        (&["--tuf-url", "nonsense"], 2),
        // A file comes first, and then nobody is asked.
        (
            &["--tuf-url", "http://127.0.0.1:1", "--trusted-root", "root.json"],
            0,
        ),
    ];
    for (arguments, code) in rows {
        let run = run(&[&verify[..], arguments].concat());
        assert_eq!(run.code, Some(code), "{arguments:?}: {}", run.stderr);
        assert!(
            code == 0 || run.stderr.contains("hint"),
            "{arguments:?}: {}",
            run.stderr
        );
    }
    let command = scene.sandbox.command(&verify).env("JETON_TUF_URL", tuf.url());
    command.env("JETON_TUF_ROOT", "tuf.json").run().ended(0);
    assert!(proxy.seen().is_empty(), "{:?}", proxy.seen());
}
