//! What is read and what is written: files of every kind, and bundles that can be written where they shall go.
use super::*;

impl Scene {
    /// A command of a shell, in which `$JETON` is the command under test, in a job.
    fn shell(&self, script: &str) -> std::process::Output {
        std::process::Command::new("/bin/bash")
            .args(["-c", script])
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.sandbox.path("home"))
            .env("JETON", env!("CARGO_BIN_EXE_jeton"))
            .env("JETON_FULCIO_URL", self.sigstore.url())
            .env("JETON_REKOR_URL", self.sigstore.url())
            .env("JETON_TRUSTED_ROOT", "root.json")
            .envs(self.issuer.environment("github"))
            .current_dir(self.sandbox.path(""))
            .output()
            .unwrap()
    }
}

#[test]
fn b14_what_is_there_but_once_is_read_once() {
    let scene = Scene::new(&[]);
    let key = |name: &str, curve: &str| {
        let made = format!(
            "openssl ecparam -name {curve} -genkey -noout -out {name}.pem && \
            openssl ec -in {name}.pem -pubout -out {name}.pub"
        );
        assert!(scene.shell(&made).status.success(), "{name}");
    };
    key("p256", "prime256v1");
    key("p384", "secp384r1");
    let rows = [
        ("printf 'hello\\n' | $JETON sign - --bundle b.json", 0),
        ("$JETON sign <(printf 'hello\\n') --bundle c.json", 0),
        (
            "printf 'hello\\n' | $JETON sign - --key p384.pem --bundle k.json",
            0,
        ),
        (
            "printf 'hello\\n' | $JETON verify-bundle - --bundle k.json --key p384.pub",
            0,
        ),
        (
            "printf 'hallo\\n' | $JETON verify-bundle - --bundle k.json --key p384.pub",
            4,
        ),
        ("$JETON verify-bundle <(cat f) --bundle k.json --key p384.pub", 0),
        (
            "echo '{}' > p.json; $JETON attest - --type custom --predicate p.json --bundle a.json < f",
            0,
        ),
        ("printf x | $JETON sign - f --bundle-dir .", 2),
        (
            "printf x | $JETON sign - --identity-token stdin: --bundle x.json",
            2,
        ),
    ];
    for (script, code) in rows {
        let ended = scene.shell(script);
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(code), "{script}: {said}");
        assert!(code == 0 || said.contains("hint"), "{script}: {said}");
    }
    let subject = scene.subject();
    for bundle in ["b.json", "c.json", "a.json"] {
        scene.verify(bundle, &subject, &[]).ended(0);
        let who = format!(
            "--certificate-identity '{subject}' --certificate-oidc-issuer {}",
            scene.issuer.url()
        );
        for (file, code) in [("<(cat f)", 0), ("- < f", 0), ("<(printf x)", 4)] {
            let ended = scene.shell(&format!("$JETON verify-bundle {file} --bundle {bundle} {who}"));
            let said = String::from_utf8_lossy(&ended.stderr);
            assert_eq!(ended.status.code(), Some(code), "{bundle} {file}: {said}");
        }
    }
}

#[test]
fn b14_a_bundle_is_0600_whatever_the_umask_and_replaces_what_was_there() {
    let scene = Scene::new(&[]);
    let path = scene.sandbox.path("b.json");
    for umask in ["000", "077", "777"] {
        let ended = scene.shell(&format!("umask {umask}; $JETON sign f --bundle b.json"));
        assert!(
            ended.status.success(),
            "{}",
            String::from_utf8_lossy(&ended.stderr)
        );
        let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{umask}");
    }
    // A link is replaced; what it leads to is left alone.
    scene.sandbox.write("victim", "v");
    std::os::unix::fs::symlink(scene.sandbox.path("victim"), scene.sandbox.path("link.json")).unwrap();
    scene
        .in_ci(&["sign", "f", "--bundle", "link.json"])
        .run()
        .ended(0);
    assert_eq!(
        std::fs::read_to_string(scene.sandbox.path("victim")).unwrap(),
        "v"
    );
    assert!(!scene.sandbox.path("link.json").is_symlink());
}

#[test]
fn b14_nothing_is_made_public_whose_bundle_cannot_be_written() {
    let scene = Scene::new(&[]);
    scene.sandbox.write("folder/x", "");
    for (bundle, code) in [("folder", 2), ("nowhere/b.json", 3), ("/proc/b.json", 3)] {
        let run = scene.in_ci(&["sign", "f", "--bundle", bundle]).run().ended(code);
        assert!(run.stderr.contains("hint"), "{}", run.stderr);
    }
    // Of several files one that is missing stops all of them.
    let run = scene
        .in_ci(&["sign", "f", "nothing", "--bundle-dir", "folder"])
        .run()
        .ended(3);
    assert!(run.stderr.contains("nothing"), "{}", run.stderr);
    assert_eq!(
        (scene.sigstore.asked().len(), scene.issuer.count("github")),
        (0, 0)
    );
    let left: Vec<_> = std::fs::read_dir(scene.sandbox.path("folder")).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}
