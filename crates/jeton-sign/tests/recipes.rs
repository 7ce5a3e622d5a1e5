//! B14, B15: a folder of recipes is published by a CI job, and is refused when it was tampered with in any of seven
//! ways: the example, from outside.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test that cannot go on ends; it starts programs, which takes the process' own environment and time"
)]
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jeton_core::UnixTime;
use jeton_issuer::{Algorithm, Issuer, Options, RunningIssuer};
use jeton_test::sigstore::Sigstore;
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Output};

const IDENTITY: &str = r"repo:octo-org/octo-repo:ref:refs/heads/.*";

fn issuer() -> RunningIssuer {
    let present = || {
        let millis = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis();
        UnixTime::from_millis(i64::try_from(millis).unwrap())
    };
    Issuer::in_thread(Options::new(present).with_algorithm(Algorithm::Es256)).unwrap()
}

struct Scene {
    folder: tempfile::TempDir,
    issuer: RunningIssuer,
    sigstore: Sigstore,
}

impl Scene {
    fn new() -> Self {
        let scene = Self {
            folder: tempfile::tempdir().unwrap(),
            issuer: issuer(),
            sigstore: Sigstore::start(),
        };
        std::fs::create_dir(scene.recipes()).unwrap();
        for name in ["bread", "soup", "cake"] {
            std::fs::write(scene.recipes().join(name), name).unwrap();
        }
        std::fs::write(
            scene.folder.path().join("root.json"),
            scene.sigstore.trusted_root().to_string(),
        )
        .unwrap();
        scene
    }

    fn recipes(&self) -> std::path::PathBuf {
        self.folder.path().join("recipes")
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let tests = std::env::current_exe().unwrap();
        let example = tests.parent().unwrap().parent().unwrap().join("examples/recipes");
        let root = self.folder.path().join("root.json");
        let command = &mut Command::new(example);
        let command = command.args(arguments).arg(root).env_clear();
        command
            .envs(self.issuer.environment("github").unwrap())
            .output()
            .unwrap()
    }

    fn publish(&self) {
        let (folder, url) = (self.recipes(), self.sigstore.url());
        let done = self.run(&["publish", folder.to_str().unwrap(), url, url]);
        assert!(done.status.success(), "{done:?}");
    }

    /// What the verifier says: empty when it is content.
    fn verify(&self, identity: &str, issuer: &str) -> String {
        let folder = self.recipes();
        let done = self.run(&["verify", folder.to_str().unwrap(), identity, issuer]);
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert_eq!(done.status.success(), said.is_empty(), "{done:?}");
        said
    }
}

fn change(path: &Path, change: impl Fn(&mut Value)) {
    let mut json: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    change(&mut json);
    std::fs::write(path, json.to_string()).unwrap();
}

#[test]
fn b14_b15_seven_ways_to_tamper_are_seven_refusals() {
    type Tamper = fn(&Scene);
    let rows: [(&str, Tamper, &str); 7] = [
        (
            "a recipe changed",
            |s| std::fs::write(s.recipes().join("soup"), "salt").unwrap(),
            "soup was changed",
        ),
        (
            "a recipe added",
            |s| std::fs::write(s.recipes().join("pie"), "pie").unwrap(),
            "pie was added",
        ),
        (
            "a recipe removed",
            |s| std::fs::remove_file(s.recipes().join("cake")).unwrap(),
            "cake is missing",
        ),
        (
            "a recipe and the list changed",
            |s| {
                let list = s.recipes().join("checksums.txt");
                let text = std::fs::read_to_string(&list).unwrap();
                let lines: String = text
                    .lines()
                    .filter(|line| !line.ends_with("soup"))
                    .map(|l| format!("{l}\n"))
                    .collect();
                std::fs::remove_file(s.recipes().join("soup")).unwrap();
                std::fs::write(list, lines).unwrap();
            },
            "subject",
        ),
        (
            "the statement changed",
            |s| {
                change(&s.recipes().join("checksums.txt.sigstore.json"), |bundle| {
                    let payload = &mut bundle["dsseEnvelope"]["payload"];
                    let text = STANDARD.decode(payload.as_str().unwrap()).unwrap();
                    let text = String::from_utf8(text)
                        .unwrap()
                        .replace("release.yml", "another.yml");
                    *payload = json!(STANDARD.encode(text));
                });
            },
            "signature",
        ),
        (
            "the log's entry taken away",
            |s| {
                change(&s.recipes().join("checksums.txt.sigstore.json"), |bundle| {
                    bundle["verificationMaterial"]["tlogEntries"] = json!([]);
                });
            },
            "log-inclusion",
        ),
        (
            "signed anew by an instance that nobody trusts",
            |s| {
                let other = Scene::new();
                std::fs::remove_dir_all(other.recipes()).unwrap();
                std::fs::rename(s.recipes(), other.recipes()).unwrap();
                std::fs::write(other.recipes().join("soup"), "salt").unwrap();
                other.publish();
                std::fs::rename(other.recipes(), s.recipes()).unwrap();
            },
            "log-inclusion",
        ),
    ];
    for (what, tamper, word) in rows {
        let scene = Scene::new();
        scene.publish();
        let issuer = scene.issuer.url().to_string();
        assert_eq!(scene.verify(IDENTITY, &issuer), "", "{what}");
        tamper(&scene);
        let said = scene.verify(IDENTITY, &issuer);
        assert!(said.contains(word), "{what}: {said}");
    }
}

#[test]
fn b15_another_job_and_another_issuer_are_refused() {
    let scene = Scene::new();
    scene.publish();
    let issuer = scene.issuer.url().to_string();
    assert!(
        scene
            .verify("repo:octo-org/other:.*", &issuer)
            .contains("identity")
    );
    assert!(
        scene.verify("octo-org/octo-repo", &issuer).contains("identity"),
        "a part is not the whole"
    );
    assert!(
        scene
            .verify(IDENTITY, "https://other.example.com")
            .contains("issuer")
    );
}
