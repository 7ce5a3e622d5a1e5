//! `jeton run` and `jeton broker serve`, two processes of this project: a session is opened, a child runs, its credential
//! is rotated, its next call uses the new one, the session ends, and everything is dead (D13, D17, D18, D23, D25).
#![cfg(feature = "broker")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on ends"
)]
use jeton_test::{Command, IssuerProcess, Running, Sandbox};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Nothing here takes longer, on a machine that does much else.
const LONGEST: Duration = Duration::from_secs(30);

/// A broker with one project, one agent, and who may open sessions there.
struct World {
    sandbox: Sandbox,
    issuer: IssuerProcess,
    broker: Option<Running>,
    url: String,
    admin: String,
    project: String,
    agent: String,
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(broker) = self.broker.take() {
            broker.signal("KILL");
            drop(broker.wait());
        }
    }
}

impl World {
    fn new() -> Self {
        let sandbox = Sandbox::new(env!("CARGO_BIN_EXE_jeton"));
        let issuer = sandbox.issuer(["--token-life", "30m"]);
        // The broker's origin is what `run` asks a token for; its port is known before it starts.
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let url = format!("http://127.0.0.1:{port}");
        let folder = sandbox.path("broker").display().to_string();
        let init = [
            "broker",
            "init",
            "--dir",
            &folder,
            "--issuer",
            issuer.url(),
            "--audience",
            &url,
        ];
        let _ = sandbox.command(init).arg("--admin").arg("root").run().ended(0);
        let config = format!("{folder}/broker.toml");
        let serve = sandbox.command(["broker", "serve", "--config", &config]);
        let serve = serve.env("JETON_BROKER_LISTEN", &format!("127.0.0.1:{port}"));
        let (broker, line) = serve.env("JETON_BROKER_PUBLIC_URL", &url).serve();
        assert_eq!(line, url);
        let mut world = Self {
            sandbox,
            issuer,
            broker: Some(broker),
            url,
            admin: String::new(),
            project: String::new(),
            agent: String::new(),
        };
        world.admin = world.token("root");
        world.project = world.made("/projects", &json!({"name": "p"}));
        let agents = format!("/projects/{}/agents", world.project);
        world.agent = world.made(&agents, &json!({"name": "a"}));
        world
    }

    /// A token of the issuer for somebody, for the broker.
    fn token(&self, subject: &str) -> String {
        let body = json!({"sub": subject, "aud": self.url}).to_string();
        self.curl(&format!("{}/token", self.issuer.url()), "POST", &body, None)
            .1
    }

    fn curl(&self, url: &str, method: &str, body: &str, token: Option<&str>) -> (u16, String) {
        let mut curl = std::process::Command::new("curl");
        curl.args([
            "-s",
            "-X",
            method,
            "-w",
            "\n%{http_code}",
            "-H",
            "content-type: application/json",
        ]);
        if let Some(token) = token {
            curl.args(["-H", &format!("authorization: Bearer {token}")]);
        }
        if !body.is_empty() {
            curl.args(["--data-binary", body]);
        }
        let output = curl.arg(url).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let (body, status) = text.rsplit_once('\n').unwrap();
        (status.parse().unwrap(), body.trim().to_owned())
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let text = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let (status, body) = self.curl(
            &format!("{}/v1{path}", self.url),
            method,
            &text,
            Some(&self.admin),
        );
        (status, serde_json::from_str(&body).unwrap_or(Value::Null))
    }

    fn made(&self, path: &str, body: &Value) -> String {
        let (status, answer) = self.ask("POST", path, body);
        assert_eq!(status, 201, "{path}: {answer}");
        answer["id"].as_str().unwrap().to_owned()
    }

    /// A credential that is bound to the project.
    fn credential(&self, body: &Value) -> String {
        let id = self.made("/credentials", body);
        let binding = json!({"role": "credential:viewer", "scope": "credential", "credential_id": id, "project_id": self.project});
        self.made("/role_bindings", &binding);
        id
    }

    fn run(&self, flags: &[&str], script: &str) -> Command {
        let source = format!("file:{}", self.sandbox.write("identity", &self.admin).display());
        let command = self
            .sandbox
            .command(["run", "--broker", &self.url, "--source", &source]);
        let command = command.env("PATH", "/usr/bin:/bin");
        let words = flags.iter().chain(&["--", "sh", "-c"]).chain([&script]);
        words.fold(command, |c, word| c.arg(word))
    }

    fn sessions(&self) -> Vec<String> {
        let (_, audit) = self.ask("GET", "/audit?size=500", &Value::Null);
        let items = audit["items"].as_array().unwrap().clone();
        let opened = items
            .iter()
            .filter(|item| item["operation"] == "session.open" || item["action"] == "session.open");
        opened
            .map(|item| item["session"].as_str().unwrap_or_default().to_owned())
            .collect()
    }
}

const FILL: &str = "fill() { printf 'protocol=https\\nhost=github.com\\n\\n' | GIT_TERMINAL_PROMPT=0 GIT_ASKPASS=false \
                    git credential fill 2>/dev/null | grep ^password= || echo nothing; }; ";

#[test]
fn d17_d23_a_session_opens_a_rotation_reaches_the_running_child_and_the_end_leaves_nothing() {
    let world = World::new();
    let github = world.credential(&json!({
        "name": "gh", "provider": "github", "secret": "first-github-token", "email": "octo@example.com",
        "annotations": {"user_name": "Octo Cat"}
    }));
    world.credential(
        &json!({"name": "search", "provider": "mcp", "secret": {"fields": {"api_key": "mcp-key-of-search"}}}),
    );
    world.credential(
        &json!({"name": "g", "provider": "gerrit", "secret": {"instances": [
        {"url": "https://gerrit.example.com", "username": "octo", "httpToken": "gerrit-password"}]}}),
    );
    let flag = world.sandbox.path("rotated");
    let script = format!(
        "{FILL} fill; echo \"$MCP_SEARCH_API_KEY $(git config user.name)\"; stat -c %a $GITHUB_TOKEN_FILE; \
         echo $JETON_RUN; while [ ! -e {} ]; do sleep 0.02; done; fill; exit 7",
        flag.display()
    );
    let flags = [
        "--project",
        &world.project,
        "--agent",
        &world.agent,
        "--no-redact",
    ];
    let (running, first) = world.run(&flags, &script).serve();
    assert_eq!(first, "password=first-github-token");
    let (status, _) = world.ask(
        "PATCH",
        &format!("/credentials/{github}"),
        &json!({"secret": "second-github-token"}),
    );
    assert_eq!(status, 200);
    std::fs::write(&flag, "").unwrap();
    let run = running.wait().ended(7);
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert_eq!(lines[0], "mcp-key-of-search Octo Cat", "{run:#?}");
    assert_eq!(
        (lines[1], lines[3]),
        ("600", "password=second-github-token"),
        "{run:#?}"
    );
    let folder = std::path::Path::new(lines[2]).parent().unwrap();
    assert!(!folder.exists(), "{folder:?}");
    assert!(!Sandbox::holds(&world.sandbox.path("run"), "github-token"));
}

#[test]
fn d13_d18_a_session_that_ends_takes_its_credentials_from_the_running_child() {
    let world = World::new();
    world.credential(&json!({"name": "gh", "provider": "github", "secret": "github-token-of-mine"}));
    let opening = json!({"project": world.project, "agent": world.agent, "user": "ann"});
    let (status, session) = world.ask("POST", "/sessions", &opening);
    assert_eq!(status, 201, "{session}");
    let id = session["id"].as_str().unwrap();
    let flag = world.sandbox.path("ended");
    let script = format!(
        "{FILL} fill; while [ ! -e {} ]; do sleep 0.02; done; fill; [ -e $GITHUB_TOKEN_FILE ] || echo no file",
        flag.display()
    );
    // The session's own token alone: nobody else vouches for this child.
    let command = world.sandbox.command([
        "run",
        "--broker",
        &world.url,
        "--session",
        id,
        "--source",
        "env:NOBODY",
    ]);
    let command = command
        .env("PATH", "/usr/bin:/bin")
        .env("JETON_SESSION_TOKEN", session["token"].as_str().unwrap());
    let words = ["--no-redact", "--", "sh", "-c", &script];
    let (running, first) = words.iter().fold(command, |c, word| c.arg(word)).serve();
    assert_eq!(first, "password=github-token-of-mine");
    let (status, _) = world.ask("DELETE", &format!("/sessions/{id}"), &Value::Null);
    assert_eq!(status, 204);
    std::fs::write(&flag, "").unwrap();
    let run = running.wait().ended(0);
    assert_eq!(run.stdout, "nothing\nno file\n", "{run:#?}");
    assert!(run.stderr.contains("github: authentication failed"), "{run:#?}");
}

#[test]
fn d25_what_a_session_is_not_granted_is_said_and_a_stranger_opens_none() {
    let world = World::new();
    world.credential(&json!({"name": "gh", "provider": "github", "secret": "github-token-of-mine"}));
    let flags = ["--project", &world.project, "--agent", &world.agent];
    let wanting: Vec<&str> = flags
        .iter()
        .copied()
        .chain(["--provider", "github,jira"])
        .collect();
    let run = world.run(&wanting, "echo ran").run().ended(3);
    assert!(run.stdout.is_empty() && run.stderr.contains("jira: "), "{run:#?}");
    let optional: Vec<&str> = wanting.iter().copied().chain(["--optional", "jira"]).collect();
    let run = world.run(&optional, "echo ran").run().ended(0);
    assert!(run.stdout == "ran\n" && run.stderr.contains("jira: "), "{run:#?}");

    let stranger = world.sandbox.write("stranger", &world.token("somebody-else"));
    let stranger = format!("file:{}", stranger.display());
    let command = world
        .sandbox
        .command(["run", "--broker", &world.url, "--source", &stranger]);
    let words = flags.iter().chain(&["--", "echo", "ran"]);
    let run = words.fold(command, |c, word| c.arg(word)).run().ended(4);
    assert!(run.stdout.is_empty(), "{run:#?}");
}

#[test]
fn d23_a_run_that_is_terminated_early_ends_its_session_too() {
    let world = World::new();
    world.credential(&json!({"name": "gh", "provider": "github", "secret": "github-token-of-mine"}));
    let flags = [
        "--project",
        &world.project,
        "--agent",
        &world.agent,
        "--no-redact",
    ];
    let (running, up) = world.run(&flags, "echo up; exec sleep 60").serve();
    assert_eq!(up, "up");
    running.signal("TERM");
    let _ = running.wait().ended(143);
    let started = Instant::now();
    let opened = world.sessions();
    assert_eq!(opened.len(), 1);
    while world
        .ask("GET", &format!("/sessions/{}", opened[0]), &Value::Null)
        .0
        != 404
    {
        assert!(started.elapsed() < LONGEST);
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn d3_d18_the_older_schemes_are_served_too_and_each_user_has_his_own() {
    let world = World::new();
    for user in ["ann", "bob"] {
        let token = world.token(user);
        let body = json!({"name": format!("{user}s"), "provider": "github", "secret": format!("github-token-of-{user}")});
        let (status, answer) = world.curl(
            &format!("{}/v1/credentials", world.url),
            "POST",
            &body.to_string(),
            Some(&token),
        );
        assert_eq!(status, 201, "{answer}");
        let answer: Value = serde_json::from_str(&answer).unwrap();
        let id = answer["id"].as_str().unwrap().to_owned();
        let binding = json!({"role": "credential:viewer", "scope": "credential", "credential_id": id, "project_id": world.project});
        world.made("/role_bindings", &binding);
    }
    let opening = json!({"project": world.project, "agent": world.agent, "users": ["ann", "bob"]});
    let (status, session) = world.ask("POST", "/sessions", &opening);
    assert_eq!(status, 201, "{session}");
    let (id, token) = (
        session["id"].as_str().unwrap(),
        session["token"].as_str().unwrap(),
    );
    let show = "echo $GITHUB_TOKEN";
    let run = |flags: &[&str]| {
        let command = world
            .sandbox
            .command(["run", "--broker", &world.url, "--session", id, "--no-redact"]);
        let command = command
            .env("PATH", "/usr/bin:/bin")
            .env("JETON_SESSION_TOKEN", token)
            .env("BOT_TOKEN", token);
        let rest = ["--", "sh", "-c", show];
        let words = flags.iter().chain(&rest);
        words.fold(command, |c, word| c.arg(word)).run()
    };
    let (ann, bob) = ("github-token-of-ann\n", "github-token-of-bob\n");
    let project = world.project.as_str();
    for (user, own) in [("ann", ann), ("bob", bob)] {
        assert_eq!(run(&["--user", user]).ended(0).stdout, own);
        assert_eq!(run(&["--user", user, "--project", project]).ended(0).stdout, own);
        let older = ["--api", "ambient", "--project", project, "--user", user];
        assert_eq!(run(&older).ended(0).stdout, own);
    }
    let nobody = run(&[
        "--api",
        "ambient",
        "--project",
        project,
        "--user",
        "eve",
        "--provider",
        "github",
    ]);
    assert!(nobody.code == Some(4) && nobody.stdout.is_empty(), "{nobody:#?}");
    let unsaid = run(&[]).ended(0);
    assert!(
        unsaid.stdout == "\n" && unsaid.stderr.contains("--user"),
        "{unsaid:#?}"
    );
}
