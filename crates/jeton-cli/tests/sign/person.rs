//! A person signs: he is asked before his name becomes public, and logs in by device or browser.
use super::*;
use std::io::{BufRead, Read, Write};

/// A person's command on a terminal: its code, what the terminal showed, and what is typed.
fn on_a_terminal(scene: &Scene, arguments: &[&str], ci: bool, typed: &str) -> (Option<i32>, String) {
    let services = [
        "--fulcio-url",
        scene.sigstore.url(),
        "--rekor-url",
        scene.sigstore.url(),
        "--trusted-root",
        "root.json",
    ];
    let words = [
        &[env!("CARGO_BIN_EXE_jeton")],
        &SIGN[..],
        &services[..],
        arguments,
    ]
    .concat();
    let mut child = std::process::Command::new("/usr/bin/script")
        .args(["-qec", &words.join(" "), "/dev/null"])
        .env_clear()
        .env("PATH", "/nowhere")
        .env("HOME", scene.sandbox.path("home"))
        .envs(scene.issuer.environment("github").into_iter().filter(|_| ci))
        .current_dir(scene.sandbox.path(""))
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(typed.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stdout).into_owned(),
    )
}

#[test]
fn b16_a_person_is_asked_before_his_name_becomes_public_and_no_answer_is_no() {
    let scene = Scene::new(&["--approve-devices", "--device-interval", "1s"]);
    let issuer = scene.issuer.url().to_owned();
    let device = ["--device", "--oidc-issuer", issuer.as_str()];
    for (typed, code, certificates) in [("n\n", 4, 0), ("\n", 4, 0), ("y\n", 0, 1), ("YES\n", 0, 1)] {
        let before = scene.sigstore.count(FULCIO);
        let (end, shown) = on_a_terminal(&scene, &device, false, typed);
        assert_eq!(end, Some(code), "{typed:?}: {shown}");
        assert!(
            shown.contains("[y/N]") && shown.contains("@example.com"),
            "{shown}"
        );
        assert!(shown.contains(scene.sigstore.url()), "which log: {shown}");
        assert_eq!(scene.sigstore.count(FULCIO) - before, certificates, "{typed:?}");
        assert_eq!(scene.sandbox.path("b.json").exists(), code == 0);
    }
    // Asked beforehand, or nobody there to be asked, or no person at all.
    let (end, shown) = on_a_terminal(&scene, &[&device[..], &["--yes"]].concat(), false, "");
    assert_eq!((end, shown.contains("[y/N]")), (Some(0), false), "{shown}");
    let (end, shown) = on_a_terminal(&scene, &[], true, "");
    assert_eq!((end, shown.contains("[y/N]")), (Some(0), false), "{shown}");
    let run = scene.trusting(&[&SIGN[..], &device[..]].concat()).run().ended(0);
    assert!(!run.stderr.contains("[y/N]"), "{}", run.stderr);
    let run = scene.sandbox.run([
        "verify-bundle",
        "f",
        "--bundle",
        "b.json",
        "--trusted-root",
        "root.json",
        "--json",
        "--certificate-oidc-issuer",
        &issuer,
        "--certificate-identity-regexp",
        ".*@example\\.com",
    ]);
    assert_eq!(run.ended(0).json()["level"], "verified");
}

/// Follows a page as a browser does: the place it sends to.
fn sent_to(url: &str) -> String {
    let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = std::net::TcpStream::connect(host).unwrap();
    let request = format!("GET /{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let mut lines = answer.lines();
    let place = lines.find_map(|line| {
        line.split_once(": ")
            .filter(|(name, _)| name.eq_ignore_ascii_case("location"))
    });
    place.map_or_else(String::new, |(_, place)| place.to_owned())
}

#[test]
fn b13_a_person_signs_in_the_browser_with_the_id_token() {
    let scene = Scene::new(&[]);
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_jeton"))
        .args(SIGN)
        .args([
            "--browser",
            "--oidc-issuer",
            scene.issuer.url(),
            "--fulcio-url",
            scene.sigstore.url(),
        ])
        .args(["--rekor-url", scene.sigstore.url(), "--trusted-root", "root.json"])
        .env_clear()
        .env("HOME", scene.sandbox.path("home"))
        .current_dir(scene.sandbox.path(""))
        .stdin(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let stderr = std::io::BufReader::new(child.stderr.take().unwrap());
    let mut lines = stderr.lines().map(Result::unwrap);
    let page = lines.find(|line| line.trim().starts_with("http://")).unwrap();
    sent_to(&sent_to(page.trim()));
    let rest: Vec<String> = lines.collect();
    assert!(child.wait().unwrap().success(), "{rest:?}");
    let asked = scene.sigstore.asked();
    let said = claims(asked[0].request.token());
    assert_eq!(
        (said["aud"].as_str(), said["email_verified"].as_bool()),
        (Some("sigstore"), Some(true))
    );
    scene
        .verify("b.json", said["email"].as_str().unwrap(), &[])
        .ended(0);
}
