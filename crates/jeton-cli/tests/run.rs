//! `jeton run` from outside, against a server written from the contract: what the child gets, what follows a rotation,
//! what is said of a failure, and what is left (D2, D3, D4, D16, D17, D18, D19, D22, D23, D25).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on ends"
)]
use jeton_test::{Command, Received, Sandbox, Upstream};
use serde_json::{Value, json};
use std::io::Write;
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const GITHUB: &str = "gh-credential-0123456789";

fn reply(stream: &mut TcpStream, status: u16, body: &Value) {
    let body = body.to_string();
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    let _ = stream.write_all(format!("{head}{body}").as_bytes());
}

/// A backend of the Ambient platform that answers by a function of path and bearer.
fn backend(answer: impl Fn(&str, &Received) -> (u16, Value) + Send + Sync + 'static) -> Upstream {
    Upstream::new(move |_, request, stream| {
        let path = request.line().split(' ').nth(1).unwrap().to_owned();
        let (status, body) = answer(&path, request);
        reply(stream, status, &body);
    })
}

/// Every provider in its documented shape.
fn shapes(path: &str) -> (u16, Value) {
    let provider = path.split("/credentials/").nth(1).unwrap_or_default();
    let body = match provider {
        "github" => {
            json!({"token": GITHUB, "userName": "Octo Cat", "email": "octo@example.com", "provider": "github"})
        }
        "gitlab" => {
            json!({"token": "glpat-0123456789", "instanceUrl": "https://gitlab.example.com", "userName": "O", "email": "o@x"})
        }
        "jira" => {
            json!({"url": "https://jira.example.com", "email": "o@example.com", "apiToken": "jira-0123456789"})
        }
        "google" => {
            json!({"accessToken": "ya29-0123456789", "email": "o@example.com", "scopes": ["s"], "expiresAt": "2199-01-01T00:00:00Z"})
        }
        "coderabbit" => json!({"apiKey": "cr-0123456789"}),
        "gerrit" => {
            json!([{"url": "https://gerrit.example.com", "username": "octo", "httpToken": "ger-0123456789"}])
        }
        "kubeconfig" => json!({"token": "apiVersion: v1\nusers:\n- user:\n    token: kube-0123456789\n"}),
        "vertex" => json!({"token": "{\"private_key\":\"pk-0123456789\"}"}),
        "mcp/web-search" => json!({"fields": {"api_key": "mcp-0123456789"}}),
        _ => return (404, json!({})),
    };
    (200, body)
}

fn sandbox() -> Sandbox {
    Sandbox::new(env!("CARGO_BIN_EXE_jeton"))
}

/// `jeton run --api ambient … FLAGS -- sh -c SCRIPT`.
fn ambient(sandbox: &Sandbox, url: &str, flags: &[&str], script: &str) -> Command {
    let command = sandbox.command([
        "run",
        "--api",
        "ambient",
        "--broker",
        url,
        "--project",
        "p",
        "--session",
        "s",
    ]);
    let command = command.env("PATH", "/usr/bin:/bin").env("BOT_TOKEN", "bot-token");
    let words = flags.iter().chain(&["--", "sh", "-c"]).chain([&script]);
    words.fold(command, |c, word| c.arg(word))
}

/// What is left of runs.
fn left(sandbox: &Sandbox) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(sandbox.path("run")).unwrap();
    entries.map(|e| e.unwrap().path()).collect()
}

const ALL: &str = "github,gitlab,jira,google,coderabbit,gerrit,kubeconfig,vertex,mcp/web-search";

#[test]
fn d19_every_provider_becomes_variables_and_files_of_mode_0600() {
    let server = backend(|path, _| shapes(path));
    let sandbox = sandbox();
    let script = "umask 000; env; \
        for f in $GITHUB_TOKEN_FILE $GITLAB_TOKEN_FILE $JIRA_API_TOKEN_FILE $GOOGLE_ACCESS_TOKEN_FILE $KUBECONFIG \
        $GOOGLE_MCP_CREDENTIALS_DIR/o@example.com.json $GOOGLE_APPLICATION_CREDENTIALS $GERRIT_INSTANCES_FILE \
        $CODERABBIT_API_KEY_FILE $MCP_WEB_SEARCH_FILE; do stat -c '%a %n' $f; cat $f; echo; done; \
        git config user.name; git config user.email";
    let run = ambient(
        &sandbox,
        server.url(),
        &["--provider", ALL, "--no-redact"],
        script,
    )
    .run()
    .ended(0);
    for line in [
        "GITHUB_TOKEN=gh-credential-0123456789",
        "GITLAB_TOKEN=glpat-0123456789",
        "GITLAB_HOST=gitlab.example.com",
        "JIRA_URL=https://jira.example.com",
        "JIRA_EMAIL=o@example.com",
        "JIRA_API_TOKEN=jira-0123456789",
        "USER_GOOGLE_EMAIL=o@example.com",
        "GOOGLE_ACCESS_TOKEN=ya29-0123456789",
        "CODERABBIT_API_KEY=cr-0123456789",
        "MCP_WEB_SEARCH_API_KEY=mcp-0123456789",
        "GIT_AUTHOR_NAME=Octo Cat",
        "GIT_COMMITTER_EMAIL=octo@example.com",
        "Octo Cat",
        "octo@example.com",
        "{\"private_key\":\"pk-0123456789\"}",
        "    token: kube-0123456789",
        "{\"api_key\":\"mcp-0123456789\"}",
    ] {
        assert!(run.stdout.lines().any(|l| l == line), "{line}\n{run:#?}");
    }
    assert_eq!(run.stdout.matches("\n600 /").count(), 10, "{run:#?}");
    assert!(
        run.stdout.contains("\"expiry\":\"2199-01-01T00:00:00Z\""),
        "{run:#?}"
    );
    let gerrit = run.stdout.lines().find(|l| l.starts_with("[{")).unwrap();
    let gerrit: Value = serde_json::from_str(gerrit).unwrap();
    assert_eq!(gerrit[0]["httpToken"], "ger-0123456789");
    assert!(
        !run.stdout.contains("bot-token"),
        "the runner's own token is not the child's"
    );
    assert_eq!(left(&sandbox), Vec::<std::path::PathBuf>::new());
}

#[test]
fn d3_with_an_id_the_new_route_is_asked_and_without_one_the_sessions() {
    let server = backend(|_, _| {
        (
            200,
            json!({"credential_id": "c1", "provider": "github", "token": GITHUB}),
        )
    });
    let sandbox = sandbox();
    let paths = |run: Command| {
        let before = server.seen().len();
        let _ = run.run().ended(0);
        let seen = server.seen().split_off(before);
        seen.iter()
            .map(|r| r.line().split(' ').nth(1).unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let by_id = "/api/ambient/v1/projects/p/credentials/c1/token";
    let cases = [
        (vec!["--credential", "github=c1"], by_id),
        (
            vec!["--provider", "github"],
            "/projects/p/agentic-sessions/s/credentials/github",
        ),
    ];
    for (flags, path) in cases {
        assert_eq!(paths(ambient(&sandbox, server.url(), &flags, "true")), [path]);
    }
    let by_platform = sandbox
        .command(["run", "--api", "ambient", "--", "true"])
        .env("PATH", "/usr/bin:/bin")
        .env("BACKEND_API_URL", server.url())
        .env("CREDENTIAL_IDS", r#"{"github":"c1"}"#)
        .env("PROJECT_NAME", "p")
        .env("BOT_TOKEN", "bot-token");
    assert_eq!(paths(by_platform), [by_id]);
}

#[test]
fn every_setting_has_its_variable() {
    let server = backend(|_, _| (200, json!({ "token": GITHUB })));
    let sandbox = sandbox();
    let command = |every: &str| {
        let command = sandbox.command(["run", "--provider", "github", "--", "true"]);
        let command = command.env("PATH", "/usr/bin:/bin").env("BOT_TOKEN", "bot-token");
        let command = command
            .env("JETON_API", "ambient")
            .env("JETON_BROKER", server.url());
        let command = command.env("JETON_PROJECT", "p1").env("JETON_SESSION", "s1");
        command.env("JETON_USER", "ann").env("JETON_EVERY", every)
    };
    let _ = command("1h").run().ended(0);
    let seen = server.seen();
    assert!(
        seen[0].line().contains("/projects/p1/agentic-sessions/s1/"),
        "{}",
        seen[0].line()
    );
    assert_eq!(seen[0].fields("x-runner-current-user"), ["ann"]);
    let _ = command("soon").run().ended(2);
}

#[test]
fn d2_a_refused_token_gives_its_turn_to_the_next_once() {
    // The caller's token, which statuses answer which bearer, the exit code, and who asked in order.
    let rows: [(Option<&str>, &[(&str, u16)], i32, &[&str]); 6] = [
        (Some("caller"), &[("caller", 200)], 0, &["caller"]),
        (
            Some("caller"),
            &[("caller", 401), ("bot-token", 200)],
            0,
            &["caller", "bot-token"],
        ),
        (
            Some("caller"),
            &[("caller", 403), ("bot-token", 401)],
            4,
            &["caller", "bot-token"],
        ),
        (None, &[("bot-token", 401)], 4, &["bot-token"]),
        (None, &[("bot-token", 404)], 4, &["bot-token"]),
        (Some("caller"), &[("caller", 404)], 4, &["caller"]),
    ];
    for (caller, statuses, code, asked) in rows {
        let table: Vec<(String, u16)> = statuses.iter().map(|(b, s)| ((*b).to_owned(), *s)).collect();
        let server = backend(move |_, request| {
            let status = table
                .iter()
                .find(|(bearer, _)| bearer == request.token())
                .unwrap()
                .1;
            (status, json!({ "token": GITHUB }))
        });
        let sandbox = sandbox();
        let flags = ["--provider", "github", "--caller", "env:CALLER", "--user", "ann"];
        let flags = if caller.is_some() { &flags[..] } else { &flags[..2] };
        let run = ambient(&sandbox, server.url(), flags, "echo ran")
            .env("CALLER", caller.unwrap_or_default())
            .run()
            .ended(code);
        let seen = server.seen();
        let tokens: Vec<&str> = seen.iter().map(Received::token).collect();
        assert_eq!(tokens, asked, "{run:#?}");
        assert_eq!(run.stdout, if code == 0 { "ran\n" } else { "" });
        if caller.is_some() {
            assert!(
                seen.iter().all(|r| r.fields("x-runner-current-user") == ["ann"]),
                "{seen:#?}"
            );
        }
        if statuses.iter().all(|(_, s)| matches!(s, 401 | 403)) {
            let last = statuses.last().unwrap().1;
            let said = format!("github: authentication failed with HTTP {last}");
            assert!(run.stderr.contains(&said), "{run:#?}");
        }
    }
}

#[test]
fn d2_a_server_that_fails_is_an_error_and_no_empty_credential() {
    let rows = [(500, 6), (503, 6), (429, 7)];
    for (status, code) in rows {
        let server = backend(move |_, _| (status, json!({})));
        let sandbox = sandbox();
        let flags = ["--provider", "github", "--max-attempts", "2", "--backoff", "10ms"];
        let run = ambient(&sandbox, server.url(), &flags, "echo ran")
            .run()
            .ended(code);
        assert_eq!((run.stdout.as_str(), server.seen().len()), ("", 2), "{run:#?}");
        assert!(run.stderr.contains("github:"), "{run:#?}");
    }
    let server = backend(|_, _| (200, json!({ "token": "" })));
    let sandbox = sandbox();
    let run = ambient(&sandbox, server.url(), &["--provider", "github"], "echo ran").run();
    assert_eq!(run.ended(8).stdout, "");
}

#[test]
fn d1_d2_without_a_caller_one_fresh_token_of_the_control_plane_is_tried() {
    let server = backend(|path, request| match (path, request.token()) {
        ("/cp/token", _) => (200, json!({ "token": "minted-token" })),
        (_, "minted-token") => (200, json!({ "token": GITHUB })),
        _ => (401, json!({})),
    });
    let sandbox = sandbox();
    let key = std::process::Command::new("openssl")
        .args([
            "genpkey",
            "-quiet",
            "-algorithm",
            "RSA",
            "-pkeyopt",
            "rsa_keygen_bits:2048",
        ])
        .output()
        .unwrap();
    let private = sandbox.write("key.pem", &String::from_utf8(key.stdout).unwrap());
    let public = std::process::Command::new("openssl")
        .args(["pkey", "-pubout", "-in"])
        .arg(&private)
        .output()
        .unwrap();
    let run = ambient(
        &sandbox,
        server.url(),
        &["--provider", "github"],
        "env | grep -c AMBIENT",
    )
    .env("AMBIENT_CP_TOKEN_URL", &format!("{}/cp/token", server.url()))
    .env(
        "AMBIENT_CP_TOKEN_PUBLIC_KEY",
        &String::from_utf8(public.stdout).unwrap(),
    )
    .env("SESSION_ID", "session-of-mine")
    .run()
    .ended(1);
    assert_eq!(
        run.stdout, "0\n",
        "the way to the control plane is not the child's"
    );
    let seen = server.seen();
    assert_eq!(seen.len(), 2, "{seen:#?}");
    // What it was shown is the session's id under its own public key.
    sandbox.write("proof", seen[0].token());
    let opened = std::process::Command::new("sh")
        .arg("-c")
        .arg(
            "base64 -d proof | openssl pkeyutl -decrypt -inkey key.pem -pkeyopt rsa_padding_mode:oaep \
             -pkeyopt rsa_oaep_md:sha256 -pkeyopt rsa_mgf1_md:sha256",
        )
        .current_dir(sandbox.path(""))
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8_lossy(&opened.stdout),
        "session-of-mine",
        "{opened:?}"
    );
}

#[test]
fn d4_other_hosts_and_redirects_are_sent_nothing() {
    let other = Upstream::saying("HTTP/1.1 200 X\r\ncontent-length: 2\r\n\r\n{}");
    let elsewhere = other.url().to_owned();
    let redirecting = Upstream::new(move |_, _, stream| {
        let head = format!(
            "HTTP/1.1 302 X\r\nlocation: {elsewhere}/t\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        );
        let _ = stream.write_all(head.as_bytes());
    });
    let sandbox = sandbox();
    let run = ambient(&sandbox, redirecting.url(), &["--provider", "github"], "echo ran").run();
    assert_eq!(run.ended(8).stdout, "");
    assert_eq!((redirecting.seen().len(), other.seen().len()), (1, 0));
    let port = other.url().rsplit(':').next().unwrap();
    let urls = [
        format!("http://127.0.0.2:{port}"),
        "https://evil.example".to_owned(),
        "http://backend.svc.evil.example".to_owned(),
    ];
    for url in urls {
        let run = ambient(&sandbox, &url, &["--provider", "github"], "echo ran").run();
        let run = run.ended(2);
        assert!(
            run.stdout.is_empty() && run.stderr.contains("--allow-host"),
            "{run:#?}"
        );
    }
    assert_eq!(other.seen().len(), 0);
}

/// A backend whose GitHub credential changes when `/rotate` is asked.
fn rotating() -> Upstream {
    let turn = Arc::new(Mutex::new(1));
    backend(move |path, _| {
        let mut turn = turn.lock().unwrap();
        if path == "/rotate" {
            *turn += 1;
            return (200, json!({}));
        }
        match path.ends_with("/github") {
            true => (
                200,
                json!({ "token": format!("rotating-credential-{turn}"), "userName": "O", "email": "o@x" }),
            ),
            false => (404, json!({})),
        }
    })
}

#[test]
fn d16_d17_a_rotation_reaches_git_gh_files_and_the_proxy_of_a_running_child() {
    let server = rotating();
    let echo = Upstream::new(|_, request, stream| {
        let body = json!(request.token());
        reply(stream, 200, &body);
    });
    let sandbox = sandbox();
    let gh = sandbox.write("tools/gh", "#!/bin/sh\necho gh $GH_TOKEN \"$@\"\n");
    std::fs::set_permissions(&gh, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let script = "ask() { printf 'protocol=https\\nhost=github.com\\n\\n' | git credential fill | grep ^password; \
                  gh 'api x' y; curl -s $JETON_PROXY_GITHUB/z; echo; }; \
                  ask; curl -s $SERVER/rotate >/dev/null; ask; cat $GITHUB_TOKEN_FILE; \
                  printf 'protocol=https\\nhost=evil-github.com\\n\\n' | GIT_TERMINAL_PROMPT=0 git credential fill 2>&1 | head -1";
    let path = format!("{}:/usr/bin:/bin", sandbox.path("tools").display());
    let proxy = format!("github={}", echo.url());
    let flags = ["--provider", "github", "--no-redact", "--proxy", &proxy];
    let run = ambient(&sandbox, server.url(), &flags, script)
        .env("PATH", &path)
        .env("SERVER", server.url())
        .run()
        .ended(0);
    let lines: Vec<&str> = run.stdout.lines().collect();
    for (turn, lines) in [(1, &lines[..3]), (2, &lines[3..6])] {
        let token = format!("rotating-credential-{turn}");
        let wanted = [
            format!("password={token}"),
            format!("gh {token} api x y"),
            format!("\"{token}\""),
        ];
        assert_eq!(lines, wanted, "{run:#?}");
    }
    assert!(
        lines[6].starts_with("rotating-credential-2"),
        "the file: {run:#?}"
    );
    assert!(
        lines[6].contains("fatal:"),
        "another host is offered nothing: {run:#?}"
    );
}

#[test]
fn d17_a_file_follows_though_nobody_asks() {
    let server = rotating();
    let sandbox = sandbox();
    let script = "curl -s $SERVER/rotate >/dev/null; for i in $(seq 100); do \
                  grep -q credential-2 $GITHUB_TOKEN_FILE && exit 9; sleep 0.05; done";
    let _ = ambient(&sandbox, server.url(), &["--every", "100ms"], script)
        .env("SERVER", server.url())
        .run()
        .ended(9);
}

#[test]
fn d17_d25_a_credential_that_is_taken_back_is_gone_and_an_outage_is_sat_out() {
    let state = Mutex::new(200);
    let server = backend(move |path, _| {
        let mut state = state.lock().unwrap();
        if let Some(status) = path.strip_prefix("/say/") {
            *state = status.parse().unwrap();
            return (200, json!({}));
        }
        (*state, json!({ "token": GITHUB }))
    });
    let sandbox = sandbox();
    let script = "fill() { printf 'protocol=https\\nhost=github.com\\n\\n' | GIT_TERMINAL_PROMPT=0 git credential fill 2>/dev/null \
                  | grep ^password || echo nothing; }; \
                  curl -s $SERVER/say/503 >/dev/null; fill; curl -s $SERVER/say/403 >/dev/null; fill; \
                  [ -e $GITHUB_TOKEN_FILE ] || echo no file";
    let flags = ["--provider", "github", "--no-redact", "--max-attempts", "1"];
    let run = ambient(&sandbox, server.url(), &flags, script)
        .env("SERVER", server.url())
        .run()
        .ended(0);
    assert_eq!(
        run.stdout,
        format!("password={GITHUB}\nnothing\nno file\n"),
        "{run:#?}"
    );
    assert!(
        run.stderr.contains("github: authentication failed with HTTP 403"),
        "{run:#?}"
    );
}

#[test]
fn d18_another_user_of_the_same_session_gets_another_credential_and_files_stay_where_they_shall() {
    let server = backend(|_, request| {
        let user = request.fields("x-runner-current-user");
        match user.first() {
            Some(&user) => (200, json!({ "token": format!("credential-of-{user}") })),
            None => (200, json!({ "token": "credential-of-the-owner" })),
        }
    });
    let sandbox = sandbox();
    for user in ["ann", "bob"] {
        let flags = ["--provider", "github", "--no-redact", "--user", user];
        let run = ambient(
            &sandbox,
            server.url(),
            &flags,
            "echo $GITHUB_TOKEN; cat $GITHUB_TOKEN_FILE",
        )
        .run();
        assert_eq!(
            run.ended(0).stdout,
            format!("credential-of-{user}\ncredential-of-{user}")
        );
    }
    let kept = sandbox.path("kept").display().to_string();
    let flags = ["--provider", "github", "--persist", &kept, "--user", "ann"];
    let _ = ambient(&sandbox, server.url(), &flags, "true").run().ended(0);
    let file = sandbox.path("kept/github-token");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "credential-of-ann");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(left(&sandbox), Vec::<std::path::PathBuf>::new());
}

#[test]
fn d22_credentials_are_hidden_in_the_output_in_every_spelling() {
    let server = backend(|path, _| shapes(path));
    let sandbox = sandbox();
    let script = "echo $GITHUB_TOKEN; echo $JIRA_API_TOKEN >&2; cat $KUBECONFIG; echo $MCP_WEB_SEARCH_API_KEY; \
                  printf %s $GITLAB_TOKEN | base64; printf %.9s $CODERABBIT_API_KEY; sleep 0.2; \
                  printf %s $CODERABBIT_API_KEY | cut -c10-";
    let run = ambient(&sandbox, server.url(), &["--provider", ALL], script)
        .run()
        .ended(0);
    let shown = format!("{}{}", run.stdout, run.stderr);
    assert_eq!(shown.matches("[redacted]").count(), 6, "{run:#?}");
    assert!(
        !shown.contains("0123456789") && !shown.contains("Z2xwYXQ"),
        "{run:#?}"
    );
}

#[test]
fn d23_exit_codes_and_signals_are_the_childs_and_nothing_is_left_of_a_killed_run() {
    let server = backend(|path, _| shapes(path));
    let sandbox = sandbox();
    for (script, code) in [
        ("exit 0", 0),
        ("exit 7", 7),
        ("kill -TERM $$", 143),
        ("kill -KILL $$", 137),
    ] {
        let _ = ambient(&sandbox, server.url(), &[], script).run().ended(code);
    }
    let script = "trap 'echo got; exit 9' TERM; echo up; while :; do sleep 0.05; done";
    let (running, line) = ambient(&sandbox, server.url(), &["--no-redact"], script).serve();
    assert_eq!(line, "up");
    running.signal("TERM");
    assert_eq!(running.wait().ended(9).stdout, "got\n");
    assert_eq!(left(&sandbox), Vec::<std::path::PathBuf>::new());

    let script = "echo $$; exec >&- 2>&-; exec sleep 60";
    let (running, child) = ambient(&sandbox, server.url(), &["--no-redact"], script).serve();
    assert_eq!(left(&sandbox).len(), 1);
    running.signal("KILL");
    drop(running.wait());
    let started = Instant::now();
    let is_alive = || {
        let stat = std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
        !stat.is_empty() && !stat.contains(") Z ")
    };
    while !left(&sandbox).is_empty() || is_alive() {
        assert!(
            started.elapsed() < Duration::from_secs(20),
            "{:?} {child}",
            left(&sandbox)
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn d25_what_is_missing_is_named_and_what_is_required_ends_the_run() {
    let server = backend(|path, _| match path.ends_with("/jira") {
        true => (401, json!({"message": "no"})),
        false => shapes(path),
    });
    let sandbox = sandbox();
    let run = |flags: &[&str]| ambient(&sandbox, server.url(), flags, "echo ran $GITHUB_TOKEN_FILE").run();
    let said = "jira: authentication failed with HTTP 401";
    let refused = run(&["--provider", "github,jira"]).ended(4);
    assert!(
        refused.stdout.is_empty() && refused.stderr.contains(said),
        "{refused:#?}"
    );
    let without = run(&["--provider", "github,jira", "--optional", "jira"]).ended(0);
    assert!(
        without.stdout.starts_with("ran /") && without.stderr.contains(said),
        "{without:#?}"
    );
    let all = run(&["--optional", "all"]).ended(0);
    assert!(
        all.stdout.starts_with("ran /") && all.stderr.contains(said),
        "{all:#?}"
    );
    assert_eq!(left(&sandbox), Vec::<std::path::PathBuf>::new());
}

/// A broker of the contract with one session.
fn broker() -> Upstream {
    backend(|path, request| {
        let method = request.line().split(' ').next().unwrap();
        let session = json!({
            "id": "s1",
            "token": "session-token-1",
            "expires_at": "2199-01-01T00:00:00Z",
            "credentials": [{"provider": "github", "id": "c1"}, {"provider": "gerrit", "id": "c2"}],
            "unavailable": [{"provider": "jira", "reason": "not bound to this project"}],
        });
        match (method, path, request.token()) {
            ("POST", "/v1/sessions", "identity-token") => (201, session),
            ("GET", "/v1/sessions/s1", "session-token-1") => (200, session),
            ("POST", "/v1/sessions/s1/token", "identity-token") => (
                200,
                json!({"token": "session-token-1", "expires_at": "2199-01-01T00:00:00Z"}),
            ),
            ("GET", "/v1/credentials/c1/token", "session-token-1") => (
                200,
                json!({"credential_id": "c1", "provider": "github", "token": GITHUB, "user_name": "O", "email": "o@x"}),
            ),
            ("GET", "/v1/credentials/c2/token", "session-token-1") => (
                200,
                json!({"credential_id": "c2", "provider": "gerrit", "token": "",
                       "instances": [{"url": "https://gerrit.example.com", "username": "octo", "httpToken": "ger-0123456789"}]}),
            ),
            ("DELETE", "/v1/sessions/s1", "identity-token") => (204, json!({})),
            _ => (401, json!({})),
        }
    })
}

fn lines(server: &Upstream) -> Vec<String> {
    let seen = server.seen();
    let first = |r: &Received| r.line().trim_end_matches(" HTTP/1.1").to_owned();
    seen.iter().map(first).collect()
}

#[test]
fn d23_a_session_is_opened_its_credentials_are_given_and_it_ends_with_the_child() {
    let server = broker();
    let sandbox = sandbox();
    let run = |flags: &[&str], script: &str| {
        let command = sandbox.command(["run", "--broker", server.url(), "--source", "env:IDENTITY"]);
        let command = command
            .env("PATH", "/usr/bin:/bin")
            .env("IDENTITY", "identity-token");
        let words = flags.iter().chain(&["--", "sh", "-c"]).chain([&script]);
        words.fold(command, |c, word| c.arg(word)).run()
    };
    let fill =
        "printf 'protocol=https\\nhost=gerrit.example.com\\n\\n' | git credential fill | grep word; exit 5";
    let opened = run(
        &["--project", "p1", "--agent", "a1", "--user", "ann", "--no-redact"],
        fill,
    )
    .ended(5);
    assert_eq!(opened.stdout, "password=ger-0123456789\n", "{opened:#?}");
    assert!(
        opened.stderr.contains("jira: not bound to this project"),
        "{opened:#?}"
    );
    let seen = lines(&server);
    assert_eq!(seen.first().unwrap(), "POST /v1/sessions");
    assert_eq!(seen.last().unwrap(), "DELETE /v1/sessions/s1");
    let body: Value = serde_json::from_slice(&server.seen()[0].body).unwrap();
    assert_eq!(body, json!({"project": "p1", "agent": "a1", "user": "ann"}));

    let before = server.seen().len();
    let known = run(
        &["--session", "s1"],
        "[ -n \"$GITHUB_TOKEN\" ] && env | grep -c -e identity-token -e session-token",
    );
    assert_eq!(
        known.ended(0).stdout,
        "1\n",
        "only what the test itself put there"
    );
    let seen = lines(&server).split_off(before);
    assert_eq!(seen[..2], ["POST /v1/sessions/s1/token", "GET /v1/sessions/s1"]);
    assert!(
        !seen.iter().any(|line| line.starts_with("DELETE")),
        "whoever opened it ends it: {seen:?}"
    );

    let wants = run(&["--session", "s1", "--provider", "jira"], "echo ran").ended(3);
    assert!(
        wants.stderr.contains("jira: not bound to this project"),
        "{wants:#?}"
    );
}
