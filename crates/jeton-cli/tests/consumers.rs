//! Credential helpers from outside, asked as their consumers ask: by hand, and by git itself.
use jeton_test::{Run, Sandbox};
use serde_json::json;
use std::process::{Command, Stdio};

const CONFIG: &str = "[profiles.p]\ngrant = \"env:TOKEN\"\n\n[hosts.\"github.com\"]\nprofile = \"p\"\n\n\
                      [hosts.\"index.example:8443\"]\nprofile = \"p\"\nusername = \"robot\"\n";

const TOKEN: &str = "opaque-token-of-the-test";

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new(env!("CARGO_BIN_EXE_jeton"));
    sandbox.config(CONFIG);
    sandbox
}

fn helper(sandbox: &Sandbox, words: &[&str], input: &str) -> Run {
    let all = std::iter::once("credential-helper").chain(words.iter().copied());
    sandbox.command(all).env("TOKEN", TOKEN).input(input).run()
}

#[test]
fn d15_git_is_answered_for_the_exact_host_only() {
    let sandbox = sandbox();
    let offered = format!("username=x-access-token\npassword={TOKEN}\n\n");
    let rows = [
        ("protocol=https\nhost=github.com\n\n", offered.as_str()),
        ("protocol=https\nhost=evil-github.com\n\n", ""),
        ("protocol=https\nhost=github.com.evil.org\n\n", ""),
        ("protocol=http\nhost=github.com\n\n", ""),
    ];
    for (question, expected) in rows {
        let run = helper(&sandbox, &["git", "get"], question).ended(0);
        assert_eq!(
            (run.stdout.as_str(), run.stderr.as_str()),
            (expected, ""),
            "{question}"
        );
    }
    for verb in ["store", "erase"] {
        let run = helper(&sandbox, &["git", verb], "protocol=https\nhost=github.com\n\n").ended(0);
        assert_eq!(run.stdout, "");
    }
    helper(&sandbox, &["git", "get"], "protocol=https\nhost=github.com\r\n\n").ended(2);
    helper(&sandbox, &["svn", "get"], "").ended(2);
}

#[test]
fn d15_git_itself_takes_the_credential() {
    let sandbox = sandbox();
    let git = |host: &str| {
        let mut command = Command::new("git");
        command
            .args(["-c", "credential.helper="])
            .args([
                "-c",
                &format!(
                    "credential.helper=!{} credential-helper git",
                    env!("CARGO_BIN_EXE_jeton")
                ),
            ])
            .args(["credential", "fill"])
            .env("HOME", sandbox.path("home"))
            .env("XDG_CONFIG_HOME", sandbox.path("config"))
            .env("XDG_CACHE_HOME", sandbox.path("cache"))
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_ASKPASS", "false")
            .env("TOKEN", TOKEN)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = command.spawn().ok()?;
        let question = format!("capability[]=authtype\nprotocol=https\nhost={host}\n\n");
        std::io::Write::write_all(child.stdin.as_mut()?, question.as_bytes()).unwrap();
        Some(String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap())
    };
    // A machine without git has nothing to show here.
    let Some(filled) = git("github.com") else { return };
    let bearer = format!("authtype=Bearer\ncredential={TOKEN}\n");
    let basic = format!("username=x-access-token\npassword={TOKEN}\n");
    assert!(filled.contains(&bearer) || filled.contains(&basic), "{filled}");
    for host in ["evil-github.com", "github.com.evil.org"] {
        assert!(!git(host).unwrap().contains(TOKEN), "{host}");
    }
}

#[test]
fn the_other_consumers_are_answered_in_their_own_words() {
    let sandbox = sandbox();
    let run = helper(&sandbox, &["docker", "get"], "https://index.example:8443").ended(0);
    assert_eq!(
        run.json(),
        json!({ "ServerURL": "https://index.example:8443", "Username": "robot", "Secret": TOKEN })
    );
    let run = helper(&sandbox, &["docker", "get"], "other.example").ended(1);
    assert_eq!(run.stdout, "credentials not found in native keychain\n");
    let run = helper(&sandbox, &["terraform", "get", "github.com"], "").ended(0);
    assert_eq!(run.json(), json!({ "token": TOKEN }));
    let run = helper(&sandbox, &["bazel", "get"], "{\"uri\":\"https://github.com/x\"}").ended(0);
    assert_eq!(
        run.json()["headers"]["Authorization"][0],
        format!("Bearer {TOKEN}")
    );
    let run = helper(&sandbox, &["netrc", "github.com"], "").ended(0);
    assert_eq!(
        run.stdout,
        format!("machine github.com login oauth2 password {TOKEN}\n")
    );
    let run = helper(&sandbox, &["goauth"], "").ended(0);
    assert!(run.stdout.contains(&format!(
        "https://github.com\n\nAuthorization: Bearer {TOKEN}\n\n"
    )));
    let run = helper(&sandbox, &["kubectl", "p"], "").ended(0);
    assert_eq!(run.json()["apiVersion"], "client.authentication.k8s.io/v1");
    assert_eq!(run.json()["status"]["token"], TOKEN);
    // Without a word about whose token: nothing, and why.
    helper(&sandbox, &["kubectl"], "").ended(3);
}

#[test]
fn gcp_hears_nothing_on_standard_error() {
    let sandbox = sandbox();
    let document = serde_json::from_str::<serde_json::Value>;
    let output = sandbox.path("out.json");
    let run = sandbox
        .command(["credential-helper", "gcp", "p", "-v"])
        .env("TOKEN", TOKEN)
        .env("GITHUB_ACTIONS", "true")
        .env(
            "GOOGLE_EXTERNAL_ACCOUNT_OUTPUT_FILE",
            &output.display().to_string(),
        )
        .run()
        .ended(0);
    assert_eq!(run.stderr, "");
    assert_eq!(
        (&run.json()["success"], &run.json()["id_token"]),
        (&json!(true), &json!(TOKEN))
    );
    assert_eq!(
        document(&std::fs::read_to_string(&output).unwrap()).unwrap(),
        run.json()
    );
    let run = helper(&sandbox, &["gcp", "nobody"], "").ended(0);
    assert_eq!((run.stderr.as_str(), &run.json()["success"]), ("", &json!(false)));
}

#[test]
fn cargo_talks_in_lines() {
    let sandbox = sandbox();
    let question = json!({ "v": 1, "kind": "get", "operation": "read",
                           "registry": { "index-url": "sparse+https://index.example:8443/" } });
    let run = sandbox
        .command(["--cargo-plugin"])
        .env("TOKEN", TOKEN)
        .input(&format!("{question}\n"))
        .run()
        .ended(0);
    let lines: Vec<serde_json::Value> = run
        .stdout
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert_eq!(lines[0], json!({ "v": [1] }));
    assert_eq!(lines[1]["Ok"]["token"], format!("Bearer {TOKEN}"));
}

#[test]
fn install_writes_the_consumers_own_lines_once() {
    let sandbox = sandbox();
    let run = |words: &[&str]| {
        let all = ["credential-helper", "install"]
            .into_iter()
            .chain(words.iter().copied());
        sandbox.run(all)
    };
    let gitconfig = sandbox.write("home/.gitconfig", "[user]\n\tname = A");
    run(&["git", "github.com", "--dry-run"]).ended(0);
    assert_eq!(std::fs::read_to_string(&gitconfig).unwrap(), "[user]\n\tname = A");
    for _ in 0..2 {
        run(&["git", "github.com"]).ended(0);
    }
    let text = std::fs::read_to_string(&gitconfig).unwrap();
    assert_eq!(
        text,
        "[user]\n\tname = A\n[credential \"https://github.com\"]\n\thelper =\n\thelper = !jeton credential-helper git\n"
    );
    sandbox.write("home/.docker/config.json", "{\"auths\":{\"a\":{}}}");
    run(&["docker", "ghcr.io"]).ended(0);
    let docker = std::fs::read_to_string(sandbox.path("home/.docker/config.json")).unwrap();
    let docker: serde_json::Value = serde_json::from_str(&docker).unwrap();
    assert_eq!(
        docker,
        json!({ "auths": { "a": {} }, "credHelpers": { "ghcr.io": "jeton" } })
    );
    run(&["aws", "work", "--profile", "p"]).ended(0);
    let aws = std::fs::read_to_string(sandbox.path("home/.aws/config")).unwrap();
    assert_eq!(
        aws,
        "[profile work]\ncredential_process = jeton credential-helper aws p\n"
    );
    run(&["cargo", "mine"]).ended(0);
    let cargo = std::fs::read_to_string(sandbox.path("home/.cargo/config.toml")).unwrap();
    assert_eq!(cargo, "[registries.mine]\ncredential-provider = [\"jeton\"]\n");
    for words in [
        &["git"][..],
        &["git", "a b"],
        &["svn", "x"],
        &["cargo", "a]\nb"],
        &[],
    ] {
        run(words).ended(2);
    }
    // A section that a person wrote is left alone.
    sandbox.write("home/.cargo/config.toml", "[registries.mine]\nindex = \"x\"\n");
    run(&["cargo", "mine"]).ended(2);
}

/// `credential-helper install WORDS`, and what is in `file` of the home folder afterwards.
fn installed(sandbox: &Sandbox, words: &[&str], code: i32, file: &str) -> String {
    let all = ["credential-helper", "install"]
        .into_iter()
        .chain(words.iter().copied());
    let run = sandbox.command(all).env("TOKEN", TOKEN).run().ended(code);
    assert!(
        !run.stdout.contains(TOKEN) && !run.stderr.contains(TOKEN),
        "{run:?}"
    );
    std::fs::read_to_string(sandbox.path("home").join(file)).unwrap_or_default()
}

#[test]
fn d15_terraform_is_told_its_hosts_and_the_helper_keeps_to_them() {
    let sandbox = sandbox();
    let file = ".terraformrc";
    let one = "credentials_helper \"jeton\" {\n  args = [\"github.com\"]\n}\n";
    assert_eq!(installed(&sandbox, &["terraform", "github.com"], 0, file), one);
    assert_eq!(installed(&sandbox, &["terraform", "github.com"], 0, file), one);
    let two = one.replace("]", ", \"index.example:8443\"]");
    assert_eq!(
        installed(&sandbox, &["terraform", "index.example:8443"], 0, file),
        two
    );
    installed(&sandbox, &["terraform"], 2, file);
    let get = |words: &[&str]| helper(&sandbox, words, "").ended(0).json();
    assert_eq!(
        get(&["terraform", "github.com", "get", "github.com"])["token"],
        TOKEN
    );
    assert_eq!(
        get(&["terraform", "other.example", "get", "github.com"]),
        json!({})
    );
    assert_eq!(get(&["terraform", "get", "github.com"])["token"], TOKEN);
}

#[test]
fn install_writes_for_kubectl_gcp_bazel_go_and_netrc_too() {
    let sandbox = sandbox();
    // A kubeconfig that kubectl wrote keeps every line of its own.
    let before = "apiVersion: v1\nclusters: []\nkind: Config\nusers:\n- name: me\n  user:\n    token: t\npreferences: {}\n";
    sandbox.write("home/.kube/config", before);
    let after = installed(&sandbox, &["kubectl", "ci", "--profile", "p"], 0, ".kube/config");
    for line in before.lines() {
        assert!(after.lines().any(|l| l == line), "{line}\n{after}");
    }
    assert!(
        after.contains("users:\n- name: ci\n  user: {\"exec\": {"),
        "{after}"
    );
    assert!(
        after.contains("\"args\":[\"credential-helper\",\"kubectl\",\"p\"]"),
        "{after}"
    );
    assert_eq!(
        installed(&sandbox, &["kubectl", "ci", "--profile", "p"], 0, ".kube/config"),
        after
    );
    installed(&sandbox, &["kubectl", "me"], 2, ".kube/config");
    let kubectl = Command::new("kubectl")
        .args([
            "config",
            "view",
            "-o",
            "jsonpath={.users[?(@.name=='ci')].user.exec.command}",
        ])
        .env("KUBECONFIG", sandbox.path("home/.kube/config"))
        .output();
    // A machine without kubectl has nothing more to show here.
    if let Ok(shown) = kubectl {
        assert_eq!(String::from_utf8_lossy(&shown.stdout), "jeton", "{shown:?}");
    }

    let account = ".config/gcloud/application_default_credentials.json";
    let provider = "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/r";
    installed(&sandbox, &["gcp", "p"], 2, account);
    let text = installed(&sandbox, &["gcp", "p", "--audience", provider], 0, account);
    let written: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (
            &written["type"],
            &written["audience"],
            &written["credential_source"]["executable"]["command"]
        ),
        (
            &json!("external_account"),
            &json!(provider),
            &json!("jeton credential-helper gcp p")
        )
    );
    sandbox.write(
        "home/.config/gcloud/application_default_credentials.json",
        "{\"type\":\"authorized_user\"}",
    );
    installed(&sandbox, &["gcp", "p", "--audience", provider], 2, account);

    let bazelrc = installed(&sandbox, &["bazel", "github.com"], 0, ".bazelrc");
    let program = bazelrc
        .trim()
        .strip_prefix("common --credential_helper=github.com=")
        .unwrap()
        .to_owned();
    let script = std::fs::read_to_string(&program).unwrap();
    assert_eq!(script, "#!/bin/sh\nexec jeton credential-helper bazel \"$@\"\n");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&program).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o700);

    let go = || std::fs::read_to_string(sandbox.path("config/go/env")).unwrap();
    installed(&sandbox, &["goauth"], 0, "");
    assert_eq!(go(), "GOAUTH=jeton credential-helper goauth; netrc\n");
    sandbox.write("config/go/env", "GOFLAGS=-x\nGOAUTH=netrc\n");
    installed(&sandbox, &["goauth"], 0, "");
    installed(&sandbox, &["goauth"], 0, "");
    assert_eq!(go(), "GOFLAGS=-x\nGOAUTH=netrc; jeton credential-helper goauth\n");

    sandbox.write(
        "home/.netrc",
        "machine a.example login a password b\nmachine github.com login x password old\n",
    );
    let netrc = installed(&sandbox, &["netrc", "github.com"], 0, ".netrc");
    let ours = format!("machine github.com login oauth2 password {TOKEN}\n");
    assert_eq!(netrc, format!("machine a.example login a password b\n{ours}"));
    installed(&sandbox, &["netrc", "other.example"], 3, ".netrc");
    installed(&sandbox, &["netrc", "github.com", "--dry-run"], 0, ".netrc");
}

#[test]
fn install_says_when_a_host_is_offered_nothing_yet() {
    let sandbox = sandbox();
    let run = |host: &str| {
        sandbox
            .run(["credential-helper", "install", "git", host])
            .ended(0)
    };
    assert!(
        run("elsewhere.example")
            .stderr
            .contains("[hosts.\"elsewhere.example\"]")
    );
    assert_eq!(run("github.com").stderr, "");
}
