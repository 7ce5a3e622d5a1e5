//! `jeton agent` from outside: its socket, its files, its proxies, its end.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]
use jeton_test::{IssuerProcess, Run, Running, Sandbox};
use serde_json::Value;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// Nothing here takes longer, on a machine that does much else.
const LONGEST: Duration = Duration::from_secs(30);

fn sandbox() -> Sandbox {
    Sandbox::new(env!("CARGO_BIN_EXE_jeton"))
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < LONGEST, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A profile whose token comes from the issuer with the client's own credentials.
fn profile(issuer: &IssuerProcess) -> String {
    format!(
        "[profiles.p]\ngrant = \"client-credentials\"\nissuer = \"{}\"\nclient_id = \"jeton\"\n\
         client_secret = \"env:SECRET\"\naudience = \"api\"\n",
        issuer.url()
    )
}

fn start(sandbox: &Sandbox, arguments: &[&str]) -> Running {
    let all = std::iter::once("agent").chain(arguments.iter().copied());
    let agent = sandbox.command(all).env("SECRET", "secret").start();
    let socket = sandbox.path("run/jeton/agent.sock");
    until("the socket is there", || UnixStream::connect(&socket).is_ok());
    agent
}

fn ask(socket: &Path, request: &str) -> (u16, Value) {
    let mut stream = UnixStream::connect(socket).unwrap();
    write!(
        stream,
        "{request} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap_or(Value::Null))
}

fn ended(agent: Running, signal: &str) -> Run {
    agent.signal(signal);
    agent.wait().ended(0)
}

#[test]
fn the_agent_hands_out_what_it_keeps_and_ends_without_a_trace() {
    let sandbox = sandbox();
    let issuer = sandbox.issuer(["--token-life", "10m"]);
    sandbox.config(&profile(&issuer));
    let agent = start(&sandbox, &[]);
    let socket = sandbox.path("run/jeton/agent.sock");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&socket), mode(socket.parent().unwrap())), (0o600, 0o700));
    // Nobody has asked yet.
    until("the profile is kept fresh", || {
        ask(&socket, "GET /v1/status").1["kept"][0]["profile"] == "p"
    });
    let (status, first) = ask(&socket, "GET /v1/token?profile=p");
    assert_eq!(status, 200, "{first}");
    assert_eq!(ask(&socket, "GET /v1/token?profile=p").1["token"], first["token"]);
    let rows = [
        ("GET /v1/token?profile=nobody", 404, "not-found"),
        ("GET /v1/token?profile=p&min_validity=soon", 400, "request"),
        ("GET /v1/token?nonsense=1", 400, "request"),
        ("POST /v1/token", 405, "method"),
        ("GET /nothing", 404, "path"),
    ];
    for (request, status, code) in rows {
        let (answered, body) = ask(&socket, request);
        assert_eq!(
            (answered, body["code"].as_str()),
            (status, Some(code)),
            "{request} {body}"
        );
        assert!(body["error"].is_string() && body.get("hint").is_some(), "{body}");
    }
    // No platform is here: the ambient chain fails behind the agent.
    assert_eq!(ask(&socket, "GET /v1/token?audience=x").0, 502);
    let status = sandbox.run(["agent", "status", "--json"]).ended(0).json();
    assert_eq!(status["kept"][0]["audience"][0], "api");
    let page = sandbox.run(["agent", "status"]).ended(0).stdout;
    assert!(page.contains("PROFILE") && page.contains("api"), "{page}");
    sandbox.run(["agent", "stop"]).ended(0);
    let run = agent.wait().ended(0);
    assert!(!run.stdout.contains(first["token"].as_str().unwrap()), "{run:?}");
    assert!(!socket.exists());
    for verb in ["status", "stop"] {
        sandbox.run(["agent", verb]).ended(3);
    }
}

#[test]
fn the_source_agent_takes_its_tokens_from_there() {
    let sandbox = sandbox();
    let issuer = sandbox.issuer(["--token-life", "10m"]);
    let github = issuer.environment("github");
    let agent = sandbox.command(["agent"]).envs(&github).start();
    let socket = sandbox.path("run/jeton/agent.sock");
    until("the socket is there", || UnixStream::connect(&socket).is_ok());
    let token = || {
        sandbox
            .command(["token", "-a", "x", "-o", "json"])
            .env("JETON_AGENT", &format!("unix:{}", socket.display()))
            .run()
            .ended(0)
            .json()
    };
    let (first, second) = (token(), token());
    assert_eq!(first["source"], "agent");
    assert_eq!(first["token"], second["token"]);
    assert_eq!(issuer.count("github"), 1);
    assert!(!sandbox.path("cache/jeton").join("agent").exists());
    ended(agent, "INT");
}

#[test]
fn d17_files_proxies_and_facades_follow_the_configuration() {
    let sandbox = sandbox();
    let issuer = sandbox.issuer(["--token-life", "10m"]);
    let volume = sandbox.path("volume");
    std::fs::create_dir(&volume).unwrap();
    let (plain, projected) = (sandbox.path("plain.jwt"), volume.join("token"));
    let with = |files: &str| {
        let text = format!("{}[files]\n{files}", profile(&issuer));
        sandbox.config(&text)
    };
    with(&format!(
        "\"{}\" = {{ profile = \"p\", mode = \"0640\" }}\n\
         \"{}\" = {{ profile = \"p\", layout = \"kubernetes\" }}\n\
         [proxy.one]\nupstream = \"{}\"\nprofile = \"p\"\n",
        plain.display(),
        projected.display(),
        issuer.url()
    ));
    let agent = start(&sandbox, &["--listen", "127.0.0.1:0"]);
    until("both files are there", || plain.exists() && projected.exists());
    let text = std::fs::read_to_string(&plain).unwrap();
    assert_eq!(std::fs::read_to_string(&projected).unwrap(), text);
    assert_eq!(
        std::fs::metadata(&plain).unwrap().permissions().mode() & 0o777,
        0o640
    );
    assert!(std::fs::read_link(&projected).unwrap().starts_with("..data"));
    let status = sandbox.run(["agent", "status", "--json"]).ended(0).json();
    assert!(
        status["proxies"][0]["url"]
            .as_str()
            .unwrap()
            .starts_with("http://127.0.0.1:")
    );
    let environment = sandbox.path("run/jeton/agent.env");
    assert_eq!(
        std::fs::metadata(&environment).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let address = status["facades"]["listen"].as_str().unwrap();
    assert!(!status.to_string().contains("secret"));
    for (host, code) in [(address, "200"), ("evil.example", "403")] {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        write!(
            stream,
            "GET /healthz HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert_eq!(answer.split(' ').nth(1), Some(code), "{host}");
    }

    // A configuration that is wrong changes nothing; a right one does.
    let second = sandbox.path("second.jwt");
    with("\"relative\" = { profile = \"p\" }\n");
    agent.signal("HUP");
    std::thread::sleep(Duration::from_millis(200));
    let status = sandbox.run(["agent", "status", "--json"]).ended(0).json();
    assert_eq!(status["files"].as_array().unwrap().len(), 2);
    with(&format!("\"{}\" = {{ profile = \"p\" }}\n", second.display()));
    agent.signal("HUP");
    until("the new file is there", || second.exists());
    let run = ended(agent, "TERM");
    assert!(run.stderr.contains("stays as it was"), "{run:?}");
    assert!(!environment.exists());
    let left: Vec<_> = std::fs::read_dir(sandbox.path("."))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with('.'))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn what_cannot_be_served_is_said_before_anything_is() {
    let sandbox = sandbox();
    sandbox.config("[files]\n\"/x\" = { profile = \"nobody\" }\n");
    let run = sandbox.run(["agent"]).ended(2);
    assert!(run.stderr.contains("nobody"), "{run:?}");
    sandbox.config("");
    for address in ["0.0.0.0:0", "192.0.2.1:80", "nonsense"] {
        sandbox.run(["agent", "--listen", address]).ended(2);
    }
    sandbox
        .command(["agent"])
        .without("XDG_RUNTIME_DIR")
        .run()
        .ended(2);
    let first = start(&sandbox, &[]);
    let run = sandbox.run(["agent"]).ended(2);
    assert!(run.stderr.contains("another agent"), "{run:?}");
    ended(first, "TERM");
}

#[test]
fn c5_the_defaults_of_the_configuration_reach_the_agent_and_the_helpers() {
    let sandbox = sandbox();
    let issuer = sandbox.issuer(["--token-life", "1m"]);
    // How often the issuer is asked when two tokens are wanted one after the other.
    let rows = [
        ("", 1),
        ("[defaults]\ncache_ttl = \"0\"\n", 2),
        ("[defaults]\nmin_validity = \"20h\"\n", 2),
    ];
    let socket = sandbox.path("run/jeton/agent.sock");
    for (defaults, asked) in rows {
        let text = profile(&issuer).replace("[profiles.p]", &format!("{defaults}[profiles.p]"));
        sandbox.config(&format!("{text}[hosts.\"git.example\"]\nprofile = \"p\"\n"));
        let _ = sandbox.run(["cache", "clear"]).ended(0);
        issuer.forget();
        for _ in 0..2 {
            let helper = sandbox
                .command(["credential-helper", "git", "get"])
                .env("SECRET", "secret");
            let run = helper
                .input("protocol=https\nhost=git.example\n\n")
                .run()
                .ended(0);
            assert!(run.stdout.contains("password="), "{run:?}");
        }
        assert_eq!(issuer.count("token"), asked, "helper: {defaults}");

        let _ = sandbox.run(["cache", "clear"]).ended(0);
        let agent = start(&sandbox, &[]);
        until("the profile is kept fresh", || issuer.count("token") > asked);
        std::thread::sleep(Duration::from_millis(300));
        let before = issuer.count("token");
        let answer = || ask(&socket, "GET /v1/token?profile=p");
        assert_eq!((answer().0, answer().0), (200, 200));
        let more = if asked == 1 { 0 } else { 2 };
        assert_eq!(issuer.count("token"), before + more, "agent: {defaults}");
        ended(agent, "TERM");
    }
}

#[test]
fn the_service_manager_hears_when_the_agent_is_ready_alive_and_stopping() {
    let sandbox = sandbox();
    let path = sandbox.path("notify.sock");
    let manager = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(LONGEST)).unwrap();
    let hear = || {
        let mut bytes = [0u8; 256];
        let read = manager.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..read]).trim().to_owned()
    };
    let command = sandbox
        .command(["agent"])
        .env("NOTIFY_SOCKET", &path.display().to_string());
    let agent = command.env("WATCHDOG_USEC", "200000").start();
    let first = hear();
    assert!(first.contains("READY=1"), "{first}");
    assert!(
        sandbox.path("run/jeton/agent.sock").exists(),
        "ready is when it answers"
    );
    assert_eq!(
        (hear(), hear()),
        ("WATCHDOG=1".to_owned(), "WATCHDOG=1".to_owned())
    );
    agent.signal("TERM");
    let mut last = hear();
    while last == "WATCHDOG=1" {
        last = hear();
    }
    assert!(last.contains("STOPPING=1"), "{last}");
    agent.wait().ended(0);
}

#[test]
fn a_socket_that_the_service_manager_has_opened_is_taken_over_and_left_there() {
    let sandbox = sandbox();
    let socket = sandbox.path("activated.sock");
    // A service manager in five lines: it opens the socket, connects nobody, and starts the agent with it.
    let manager = "import os, socket, sys\n\
        s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen()\n\
        os.dup2(s.fileno(), 3); os.set_inheritable(3, True)\n\
        os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid()))\n\
        os.execv(sys.argv[2], sys.argv[2:])";
    let mut agent = std::process::Command::new("python3")
        .args(["-c", manager])
        .arg(&socket)
        .args([env!("CARGO_BIN_EXE_jeton"), "agent", "--socket"])
        .arg(&socket)
        .env("HOME", sandbox.path("home"))
        .env("XDG_CONFIG_HOME", sandbox.path("config"))
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    until("the socket is there", || UnixStream::connect(&socket).is_ok());
    assert_eq!(ask(&socket, "GET /healthz").0, 200);
    assert_eq!(ask(&socket, "POST /v1/stop").0, 204);
    assert!(agent.wait().unwrap().success());
    assert!(socket.exists(), "whoever made it removes it");
}
