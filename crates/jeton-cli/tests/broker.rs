//! `jeton broker` from outside: when it does not start, what people do with it, what it survives (D6, D11, D14, D26).
#![cfg(feature = "broker")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on ends"
)]
use jeton_test::{IssuerProcess, Running, Sandbox};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

const AUDIENCE: &str = "https://broker.example.com";
const CANARY: &str = "s3cr3t-canary-0123456789";

/// A configured broker, not started.
struct Scene {
    sandbox: Sandbox,
    issuer: IssuerProcess,
}

impl Scene {
    fn new() -> Self {
        let sandbox = Sandbox::new(env!("CARGO_BIN_EXE_jeton"));
        let issuer = sandbox.issuer::<[&str; 0], &str>([]);
        let init = [
            "broker",
            "init",
            "--issuer",
            issuer.url(),
            "--audience",
            AUDIENCE,
            "--admin",
            "root",
        ];
        let made = sandbox.run(init).ended(0);
        assert_eq!(made.stdout.lines().count(), 3, "{made:?}");
        let scene = Self { sandbox, issuer };
        scene.change("listen = \"127.0.0.1:8420\"", "listen = \"127.0.0.1:0\"");
        scene
    }

    fn change(&self, from: &str, to: &str) {
        let path = self.sandbox.path("broker.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{text}");
        std::fs::write(&path, text.replace(from, to)).unwrap();
    }

    fn serve(&self) -> (Running, String) {
        self.sandbox.command(["broker", "serve"]).serve()
    }

    fn token(&self, subject: &str) -> String {
        let claims = json!({"sub": subject, "aud": AUDIENCE});
        self.issuer.mint(&claims).trim().to_owned()
    }

    /// A person's command, as `subject`.
    fn person(&self, url: &str, subject: &str, arguments: &[&str]) -> jeton_test::Command {
        let mut all = vec!["broker"];
        all.extend_from_slice(arguments);
        all.extend(["--broker", url, "--token", "env:TOKEN"]);
        self.sandbox.command(all).env("TOKEN", &self.token(subject))
    }
}

/// A request; its status and body. `None` when the connection broke.
fn ask(url: &str, method: &str, path: &str, token: &str, body: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(url.trim_start_matches("http://")).ok()?;
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let status = answer.split(' ').nth(1)?.parse().ok()?;
    let body = answer.split_once("\r\n\r\n")?.1.to_owned();
    Some((status, body))
}

/// Waits until it holds; a test that waits longer than a reload may take fails.
fn within(longest: Duration, what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + longest;
    while !holds() {
        assert!(Instant::now() < end, "{what}");
        std::thread::yield_now();
    }
}

#[test]
fn d11_d14_it_does_not_start_without_what_it_needs() {
    let scene = Scene::new();
    let refused = |code: i32, arguments: &[&str], wanted: &str| {
        let mut all = vec!["broker", "serve"];
        all.extend_from_slice(arguments);
        let run = scene.sandbox.run(all).ended(code);
        assert!(
            run.stderr.contains(wanted) && run.stdout.is_empty(),
            "{wanted}: {run:?}"
        );
        assert_eq!(run.stderr.to_lowercase().matches("panicked").count(), 0);
    };
    let ring = scene.sandbox.path("keyring.json");
    let mode = |mode: u32| std::fs::set_permissions(&ring, std::fs::Permissions::from_mode(mode)).unwrap();
    mode(0o644);
    refused(2, &[], "can be read by others");
    mode(0o600);
    let text = std::fs::read(&ring).unwrap();
    std::fs::write(&ring, "nonsense").unwrap();
    refused(2, &[], "keyring");
    std::fs::remove_file(&ring).unwrap();
    refused(2, &[], "keyring");
    std::fs::write(&ring, text).unwrap();
    mode(0o600);
    scene.change("listen = \"127.0.0.1:0\"", "listen = \"0.0.0.0:0\"");
    refused(2, &[], "listen");
    refused(2, &["--insecure-no-authorization"], "listen");
    scene.change(
        "listen = \"0.0.0.0:0\"",
        "behind_proxy = true\nlisten = \"0.0.0.0:0\"",
    );
    refused(2, &["--insecure-no-authorization"], "--insecure-no-authorization");
    scene.change(
        "behind_proxy = true\nlisten = \"0.0.0.0:0\"",
        "lisen = \"127.0.0.1:0\"",
    );
    refused(2, &[], "lisen");
    scene.change("lisen", "listen");
    scene.change("[[issuers]]", "[[admins]]");
    refused(2, &[], "audiences");
    std::fs::write(scene.sandbox.path("broker.toml"), "listen = \"127.0.0.1:0\"\n").unwrap();
    refused(2, &[], "[[issuers]]");
    refused(3, &["--config", "nowhere.toml"], "nowhere.toml");
}

#[test]
fn d6_people_store_read_list_and_bind_and_no_secret_is_seen() {
    let scene = Scene::new();
    let (broker, url) = scene.serve();
    let put = scene
        .person(&url, "ann", &["put", "ci", "--provider", "github"])
        .input(CANARY)
        .run()
        .ended(0);
    let id = put.line().to_owned();
    for name in ["ci", &id] {
        assert_eq!(
            scene.person(&url, "ann", &["get", name]).run().ended(0).line(),
            CANARY
        );
    }
    scene.person(&url, "bob", &["get", &id]).run().ended(3);
    let again = scene
        .person(&url, "ann", &["put", "ci", "--url", "https://github.com"])
        .run()
        .ended(0);
    assert_eq!(again.line(), id);
    let json = scene
        .person(&url, "ann", &["get", "ci", "-o", "json"])
        .run()
        .ended(0)
        .json();
    assert_eq!(
        (&json["url"], &json["token"]),
        (&json!("https://github.com"), &json!(CANARY))
    );
    let list = scene.person(&url, "ann", &["list", "--json"]).run().ended(0);
    assert_eq!(list.json()[0]["name"], "ci");
    assert!(!list.stdout.contains(CANARY));
    let issuer = scene.issuer.url().to_owned();
    let give = [
        "bind",
        "--role",
        "credential:token-reader",
        "--credential",
        "ci",
        "--subject",
        "bob",
        "--issuer",
        &issuer,
    ];
    scene.person(&url, "ann", &give).run().ended(0);
    assert_eq!(
        scene.person(&url, "bob", &["get", &id]).run().ended(0).line(),
        CANARY
    );
    scene.person(&url, "bob", &give).run().ended(4);
    scene
        .person(
            &url,
            "ann",
            &["put", "x", "--provider", "ftp", "--secret", "env:TOKEN"],
        )
        .run()
        .ended(2);
    let refused = scene
        .sandbox
        .command(["broker", "list", "--broker", &url, "--token", "env:TOKEN"]);
    refused.env("TOKEN", "nonsense").run().ended(4);
    broker.signal("TERM");
    let run = broker.wait().ended(0);
    assert!(!run.stderr.contains(CANARY), "{run:?}");
    for name in ["jeton-broker.db", "jeton-broker.db-wal"] {
        let bytes = std::fs::read(scene.sandbox.path(name)).unwrap_or_default();
        assert!(
            !bytes.windows(CANARY.len()).any(|part| part == CANARY.as_bytes()),
            "{name}"
        );
    }
    let whole = scene
        .sandbox
        .run(["broker", "audit", "verify", "--json"])
        .ended(0)
        .json();
    assert!(whole["records"].as_u64().unwrap() >= 7, "{whole}");
    let export = scene.sandbox.run(["broker", "audit", "export"]).ended(0);
    assert_eq!(
        export.stdout.lines().count() as u64,
        whole["records"].as_u64().unwrap()
    );
    assert!(!export.stdout.contains(CANARY));
}

#[test]
fn authorization_goes_away_on_loopback_only_and_not_silently() {
    let scene = Scene::new();
    let (broker, url) = scene
        .sandbox
        .command(["broker", "serve", "--insecure-no-authorization"])
        .serve();
    let put = scene
        .person(&url, "ann", &["put", "ci", "--provider", "generic"])
        .input(CANARY)
        .run()
        .ended(0);
    assert_eq!(
        scene
            .person(&url, "bob", &["get", put.line()])
            .run()
            .ended(0)
            .line(),
        CANARY
    );
    // Who he is has to be proved even then.
    assert_eq!(ask(&url, "GET", "/v1/projects", "nothing", "").unwrap().0, 401);
    broker.signal("TERM");
    assert!(broker.wait().ended(0).stderr.contains("AUTHORIZATION IS OFF"));
}

#[test]
fn d14_keys_change_while_it_serves_and_a_wrong_configuration_changes_nothing() {
    let scene = Scene::new();
    let (broker, url) = scene.serve();
    let put = scene
        .person(&url, "ann", &["put", "ci", "--provider", "generic"])
        .input(CANARY)
        .run()
        .ended(0);
    let id = put.line().to_owned();
    let path = format!("/v1/credentials/{id}/token");
    let token = scene.token("ann");
    let works = || ask(&url, "GET", &path, &token, "").is_some_and(|(status, _)| status == 200);
    assert_eq!(
        scene.sandbox.run(["broker", "keyring", "add"]).ended(0).line(),
        "2"
    );
    let dry = scene
        .sandbox
        .run(["broker", "rotate-keys", "--dry-run"])
        .ended(0)
        .json();
    assert_eq!((&dry["found"]["1"], &dry["rotated"]), (&json!(2), &json!(2)));
    assert!(works());
    let done = scene.sandbox.run(["broker", "rotate-keys"]).ended(0).json();
    assert_eq!((&done["rotated"], &done["broken"]), (&json!(2), &json!(0)));
    assert!(works());
    assert_eq!(
        scene.sandbox.run(["broker", "keyring", "list"]).ended(0).stdout,
        "1\n2\tencrypts\n"
    );
    // A wrong configuration is refused and said; what was right goes on.
    let file = scene.sandbox.path("broker.toml");
    let good = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("nonsense = 1\n{good}")).unwrap();
    broker.signal("HUP");
    assert!(works());
    // Another admin, who is one soon, without a signal.
    let issuer = scene.issuer.url();
    std::fs::write(
        &file,
        format!("{good}\n[[admins]]\nissuer = \"{issuer}\"\nsubject = \"second\"\n"),
    )
    .unwrap();
    let second = scene.token("second");
    within(Duration::from_secs(10), "the new admin is one", || {
        ask(&url, "GET", "/v1/audit", &second, "").is_some_and(|(status, _)| status == 200)
    });
    // And one who was taken out is none any more.
    std::fs::write(&file, &good).unwrap();
    within(Duration::from_secs(10), "the old admin is none", || {
        ask(&url, "GET", "/v1/audit", &second, "").is_some_and(|(status, _)| status == 404)
    });
    broker.signal("TERM");
    let run = broker.wait().ended(0);
    assert!(
        run.stderr.contains("the settings stay as they were") && run.stderr.contains("nonsense"),
        "{run:?}"
    );
    // Another keyring is not this database's.
    let (other, _) = (scene.sandbox.path("other"), ());
    scene
        .sandbox
        .run(["broker", "init", "--dir", other.to_str().unwrap()])
        .ended(0);
    std::fs::copy(other.join("keyring.json"), scene.sandbox.path("keyring.json")).unwrap();
    let run = scene.sandbox.run(["broker", "serve"]).ended(2);
    assert!(
        run.stderr
            .contains("not the one that this database was made with"),
        "{run:?}"
    );
    scene.sandbox.run(["broker", "check"]).ended(2);
}

/// The variable that says how often the broker is killed; the nightly run takes a hundred rounds on each database.
const ROUNDS: &str = "JETON_TEST_KILLS";
/// How often when nobody says.
const FEW_ROUNDS: usize = 8;
/// The variable that names a PostgreSQL server on which a test makes a database of its own.
const POSTGRES: &str = "JETON_TEST_POSTGRES";
/// How many callers write meanwhile.
const CALLERS: usize = 4;

/// What one caller was told is done.
#[derive(Default)]
struct Done {
    /// Credentials that were made.
    made: Vec<String>,
    /// How many secrets came.
    released: usize,
}

/// Makes credentials and reads each, until the connection breaks.
fn write(url: &str, token: &str, name: &str) -> Done {
    let mut done = Done::default();
    for n in 0.. {
        let id = format!("{name}-{n}");
        let body = json!({"id": id, "name": "x", "provider": "generic", "secret": CANARY}).to_string();
        match ask(url, "POST", "/v1/credentials", token, &body) {
            Some((201, _)) => done.made.push(id.clone()),
            Some((status, body)) => panic!("{status} {body}"),
            None => break,
        }
        match ask(url, "GET", &format!("/v1/credentials/{id}/token"), token, "") {
            Some((200, _)) => done.released += 1,
            Some((status, body)) => panic!("{status} {body}"),
            None => break,
        }
    }
    done
}

/// Kills the broker under load again and again; then looks whether what was acknowledged is there, and what is there is
/// whole.
#[expect(clippy::print_stderr, reason = "the figures of a long run")]
fn what_was_acknowledged_is_there(scene: &Scene) {
    let rounds = std::env::var(ROUNDS).map_or(FEW_ROUNDS, |rounds| rounds.parse().unwrap());
    let token = scene.token("ann");
    let mut all = Done::default();
    for round in 0..rounds {
        let (broker, url) = scene.serve();
        let writers: Vec<_> = (0..CALLERS)
            .map(|caller| {
                let (url, token) = (url.clone(), token.clone());
                std::thread::spawn(move || write(&url, &token, &format!("r{round}-{caller}")))
            })
            .collect();
        // Not always at the same moment.
        let id = format!("/v1/credentials/r{round}-0-{}", 1 + round % 5);
        within(Duration::from_secs(60), "something is written", || {
            ask(&url, "GET", &id, &token, "").is_some_and(|(status, _)| status == 200)
        });
        broker.signal("KILL");
        let _ = broker.wait();
        for writer in writers {
            let done = writer.join().unwrap();
            all.made.extend(done.made);
            all.released += done.released;
        }
    }
    let (broker, url) = scene.serve();
    assert!(all.made.len() > rounds, "{}", all.made.len());
    for id in &all.made {
        let got = ask(&url, "GET", &format!("/v1/credentials/{id}/token"), &token, "").unwrap();
        assert_eq!(got.0, 200, "{id}");
    }
    // Nothing half written either: whatever is there has its owner (or it would not be listed), its record, and opens.
    let total = |path: &str, token: &str| {
        let list: Value = serde_json::from_str(&ask(&url, "GET", path, token, "").unwrap().1).unwrap();
        list["total"].as_u64().unwrap()
    };
    let owned = total("/v1/credentials", &token);
    assert!(owned >= all.made.len() as u64);
    assert_eq!(owned, total("/v1/credentials", &scene.token("root")));
    broker.signal("TERM");
    broker.wait().ended(0);
    let records = scene.sandbox.run(["broker", "audit", "export"]).ended(0).stdout;
    let records: Vec<Value> = records
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let count = |action: &str| {
        let is_it = |record: &&Value| record["action"] == action || record["record"]["action"] == action;
        records.iter().filter(is_it).count()
    };
    assert_eq!(
        count("credential.create") as u64,
        owned,
        "a record for each, and no more"
    );
    let released = all.released + all.made.len();
    assert!(count("credential.token") >= released, "no record, no release");
    let dry = scene
        .sandbox
        .run(["broker", "rotate-keys", "--dry-run"])
        .ended(0)
        .json();
    assert_eq!(dry["broken"], 0);
    scene.sandbox.run(["broker", "audit", "verify"]).ended(0);
    eprintln!(
        "{rounds} kills: {} made and {released} releases acknowledged, {owned} there, {} records, all whole",
        all.made.len(),
        records.len()
    );
}

#[test]
fn what_was_acknowledged_is_there_after_every_kill() {
    what_was_acknowledged_is_there(&Scene::new());
}

#[test]
fn what_was_acknowledged_is_there_after_every_kill_on_postgresql() {
    let Ok(server) = std::env::var(POSTGRES) else {
        // `cargo xtask postgres` starts one and runs this.
        return;
    };
    let name = format!("kills_{}", std::process::id());
    let sql = |statement: String| {
        let mut psql = std::process::Command::new("psql");
        psql.args(["--quiet", "--no-psqlrc", "--command", &statement]);
        assert!(psql.arg(format!("{server}/postgres")).status().unwrap().success());
    };
    sql(format!("CREATE DATABASE {name}"));
    let scene = Scene::new();
    scene.change("sqlite:jeton-broker.db", &format!("{server}/{name}"));
    what_was_acknowledged_is_there(&scene);
    sql(format!("DROP DATABASE {name}"));
}

#[test]
fn a_kill_while_everything_is_sealed_again_leaves_every_row_readable_with_one_key_or_the_other() {
    let scene = Scene::new();
    let (broker, url) = scene.serve();
    let token = scene.token("ann");
    let count = 500;
    for n in 0..count {
        let body = json!({"id": format!("c{n}"), "name": "x", "provider": "generic", "secret": CANARY});
        let made = ask(&url, "POST", "/v1/credentials", &token, &body.to_string());
        assert_eq!(made.unwrap().0, 201);
    }
    scene.sandbox.run(["broker", "keyring", "add"]).ended(0);
    let versions = || {
        let dry = scene
            .sandbox
            .run(["broker", "rotate-keys", "--dry-run"])
            .ended(0)
            .json();
        assert_eq!(dry["broken"], 0, "{dry}");
        let of = |version: &str| dry["found"][version].as_u64().unwrap_or(0);
        (of("1"), of("2"))
    };
    let (mut halves, mut wait) = (0, Duration::from_millis(1));
    // As often as it takes to meet it in the middle; each time it goes on where it was.
    while versions().0 > 0 {
        let rotating = scene.sandbox.command(["broker", "rotate-keys"]).start();
        let end = Instant::now() + wait;
        while Instant::now() < end {
            std::thread::yield_now();
        }
        rotating.signal("KILL");
        let _ = rotating.wait();
        let (old, new) = versions();
        halves += usize::from(old > 0 && new > 0);
        let last = format!("/v1/credentials/c{}/token", count - 1);
        for path in ["/v1/credentials/c0/token", &last] {
            assert_eq!(ask(&url, "GET", path, &token, "").unwrap().0, 200, "{old} {new}");
        }
        wait += Duration::from_millis(8);
    }
    assert_eq!(
        versions(),
        (0, count + 1),
        "the credentials, and the keyring's own mark"
    );
    assert!(halves > 0, "it was met in the middle");
    scene.sandbox.run(["broker", "rotate-keys"]).ended(0);
    scene.sandbox.run(["broker", "audit", "verify"]).ended(0);
    broker.signal("TERM");
    broker.wait().ended(0);
}

/// Vault's transit engine, whose cipher is to put an `x` in front.
fn transit() -> jeton_test::Upstream {
    jeton_test::Upstream::new(|_, request, stream| {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let data = match body["plaintext"].as_str() {
            Some(key) => json!({"ciphertext": format!("vault:v1:x{key}")}),
            None => json!({"plaintext": body["ciphertext"].as_str().unwrap().replacen("vault:v1:x", "", 1)}),
        };
        let body = json!({ "data": data }).to_string();
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ";
        drop(stream.write_all(format!("{head}{}\r\nconnection: close\r\n\r\n{body}", body.len()).as_bytes()));
    })
}

#[test]
fn d14_keyring_add_seals_all_keys_with_the_key_service_and_everything_goes_on() {
    let scene = Scene::new();
    let (broker, url) = scene.serve();
    let put = scene
        .person(&url, "ann", &["put", "ci", "--provider", "generic"])
        .input(CANARY)
        .run()
        .ended(0);
    let vault = transit();
    scene.sandbox.write("vault-token", "t");
    let config = std::fs::read_to_string(scene.sandbox.path("broker.toml")).unwrap();
    let service = "[key_service]\nkey = \"broker\"\ntoken_file = \"vault-token\"\n";
    let config = format!("{config}\n{service}url = \"{}\"\n", vault.url());
    std::fs::write(scene.sandbox.path("broker.toml"), config).unwrap();
    scene.sandbox.run(["broker", "keyring", "add"]).ended(0);
    let ring: Value =
        serde_json::from_slice(&std::fs::read(scene.sandbox.path("keyring.json")).unwrap()).unwrap();
    for version in ["1", "2"] {
        assert!(ring[version].as_str().unwrap().starts_with("vault:v1:"), "{ring}");
    }
    let list = scene.sandbox.run(["broker", "keyring", "list"]).ended(0);
    assert_eq!(list.stdout, "1\n2\tencrypts\n");
    scene.sandbox.run(["broker", "rotate-keys"]).ended(0);
    scene.sandbox.run(["broker", "check"]).ended(0);
    scene.sandbox.run(["broker", "audit", "verify"]).ended(0);
    within(Duration::from_secs(10), "the running broker reads it", || {
        scene
            .person(&url, "ann", &["get", put.line()])
            .run()
            .stdout
            .trim()
            == CANARY
    });
    broker.signal("TERM");
    broker.wait().ended(0);
    let (broker, url) = scene.serve();
    let got = scene.person(&url, "ann", &["get", put.line()]).run().ended(0);
    assert_eq!(got.line(), CANARY);
    broker.signal("TERM");
    broker.wait().ended(0);
    assert!(
        vault
            .seen()
            .iter()
            .all(|asked| asked.fields("x-vault-token") == ["t"])
    );
}

#[test]
fn a_backup_starts_another_broker() {
    let scene = Scene::new();
    let (broker, url) = scene.serve();
    let put = scene
        .person(&url, "ann", &["put", "ci", "--provider", "generic"])
        .input(CANARY)
        .run()
        .ended(0);
    let id = put.line().to_owned();
    scene.sandbox.run(["broker", "backup", "b.jsonl"]).ended(0);
    scene.sandbox.run(["broker", "restore", "b.jsonl"]).ended(2);
    broker.signal("TERM");
    broker.wait().ended(0);
    let moved = |arguments: &[&str]| {
        scene
            .sandbox
            .command(arguments)
            .env("JETON_BROKER_DATABASE", "sqlite:new.db")
    };
    moved(&["broker", "restore", "b.jsonl"]).run().ended(0);
    let (broker, url) = moved(&["broker", "serve"]).serve();
    assert_eq!(
        scene.person(&url, "ann", &["get", &id]).run().ended(0).line(),
        CANARY
    );
    broker.signal("TERM");
    broker.wait().ended(0);
}
