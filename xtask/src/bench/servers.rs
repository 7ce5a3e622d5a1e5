//! What runs on: an injecting proxy beside nginx and haproxy, all in front of the same server, and an agent at rest.

use super::Figures;
use crate::strangers::{Issuer, end};
use crate::workspace::Workspace;
use crate::{Outcome, report, run};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How often the proxies take turns; the median of the rounds counts.
const ROUNDS: usize = 9;

/// Requests of one round, one after the other on one connection: for the time that one takes.
const SINGLE: usize = 2000;

/// Connections of one round that ask at the same time, and how often each: for the work that one takes.
const CROWD: usize = 16;
const EACH: usize = 1500;

/// How long a server may take to listen, and how often is looked.
const START: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(20);

/// How many profiles the agent at rest has.
const PROFILES: usize = 100;

/// How long the agent is left alone before it is looked at, and how long it is watched then.
const SETTLE: Duration = Duration::from_secs(12);
const WATCH: Duration = Duration::from_secs(10);

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 6\r\n\r\nhello\n";

/// Measures both.
pub(super) fn measure(workspace: &Workspace, program: &Path) -> Outcome<Figures> {
    let folder = workspace.target.join("bench/servers");
    std::fs::create_dir_all(&folder).map_err(|fault| format!("{}: {fault}", folder.display()))?;
    let issuer = Issuer::start(program, &folder, "ES256")?;
    let mut figures = proxies(&folder, program, &issuer)?;
    figures.extend(agent(&folder, program, &issuer)?);
    Ok(figures)
}

fn proxies(folder: &Path, program: &Path, issuer: &Issuer) -> Outcome<Figures> {
    let upstream = upstream()?;
    let mut all = vec![("jeton", jeton(program, issuer, &upstream)?)];
    for (name, start) in [("nginx", nginx as Starter), ("haproxy", haproxy)] {
        match start(folder, &upstream)? {
            Some(server) => all.push((name, server)),
            None => report::note(&format!(
                "{name} is not installed: the proxy is not measured beside it"
            )),
        }
    }
    let mut direct = Vec::new();
    let mut turns: Vec<(Vec<f64>, Vec<f64>)> = vec![Default::default(); all.len()];
    for _ in 0..ROUNDS {
        direct.push(latency(&upstream)?);
        for ((_, server), (times, work)) in all.iter().zip(&mut turns) {
            times.push(latency(&server.address)?);
            work.push(server.work()?);
        }
    }
    let direct = middle(direct);
    let mut figures = Figures::new();
    let mut keep = |name: String, value: f64| figures.insert(name, (value, "us".into()));
    keep("proxy latency: none".into(), direct);
    for ((name, _), (times, work)) in all.iter().zip(turns) {
        keep(format!("proxy CPU a request: {name}"), middle(work));
        keep(format!("proxy latency added: {name}"), middle(times) - direct);
    }
    Ok(figures)
}

fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// A server that reads a head and answers, as little as that can be: a thread a connection.
fn upstream() -> Outcome<String> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|fault| fault.to_string())?;
    let address = listener.local_addr().map_err(|fault| fault.to_string())?;
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let _ = stream.set_nodelay(true);
                let mut head = [0u8; 8192];
                // Every request here fits one segment.
                while stream.read(&mut head).is_ok_and(|read| read > 0) && stream.write_all(ANSWER).is_ok() {}
            });
        }
    });
    Ok(address.to_string())
}

/// The median time of one request on a connection of its own, in microseconds.
fn latency(address: &str) -> Outcome<f64> {
    let mut client = Client::new(address)?;
    let mut times = Vec::with_capacity(SINGLE);
    for _ in 0..SINGLE {
        let watch = report::Stopwatch::start();
        client.ask()?;
        times.push(watch.elapsed().as_secs_f64() * 1e6);
    }
    Ok(middle(times))
}

/// One connection that is used again and again.
struct Client {
    stream: TcpStream,
    request: Vec<u8>,
}

impl Client {
    fn new(address: &str) -> Outcome<Self> {
        let wrong = |fault: std::io::Error| format!("{address}: {fault}");
        let stream = TcpStream::connect(address).map_err(wrong)?;
        stream.set_nodelay(true).map_err(wrong)?;
        stream.set_read_timeout(Some(START)).map_err(wrong)?;
        let request = format!(
            "GET /v1/things?page=2 HTTP/1.1\r\nHost: {address}\r\nUser-Agent: bench\r\nAccept: */*\r\n\
             Accept-Encoding: identity\r\n\r\n"
        );
        Ok(Self {
            stream,
            request: request.into_bytes(),
        })
    }

    fn ask(&mut self) -> Outcome {
        let wrong = |fault: std::io::Error| fault.to_string();
        self.stream.write_all(&self.request).map_err(wrong)?;
        let (mut answer, mut length) = ([0u8; 4096], 0);
        loop {
            let read = self.stream.read(&mut answer[length..]).map_err(wrong)?;
            length += read;
            if answer[..length].ends_with(b"hello\n") {
                break;
            }
            if read == 0 {
                return Err("the connection was closed".into());
            }
        }
        if answer.starts_with(b"HTTP/1.1 200") {
            return Ok(());
        }
        Err(String::from_utf8_lossy(&answer[..length]).into_owned())
    }
}

type Starter = fn(&Path, &str) -> Outcome<Option<Server>>;

/// A running server; it ends with this value.
struct Server {
    child: Child,
    address: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

impl Server {
    /// Processor time for each request of a crowd, in microseconds.
    fn work(&self) -> Outcome<f64> {
        let mut clients = Vec::new();
        for _ in 0..CROWD {
            let mut client = Client::new(&self.address)?;
            client.ask()?;
            clients.push(client);
        }
        let before = processor_time(self.child.id());
        std::thread::scope(|scope| {
            let all: Vec<_> = clients
                .iter_mut()
                .map(|client| scope.spawn(|| (0..EACH).try_for_each(|_| client.ask())))
                .collect();
            all.into_iter()
                .try_for_each(|one| one.join().unwrap_or_else(|_| Err("a client broke".into())))
        })?;
        let used = processor_time(self.child.id()).saturating_sub(before);
        Ok(used.as_secs_f64() * 1e6 / (CROWD * EACH) as f64)
    }
}

/// What every thread of a process has used so far.
fn processor_time(process: u32) -> Duration {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{process}/task")) else {
        return Duration::ZERO;
    };
    let nanos = threads.flatten().filter_map(|thread| {
        let text = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanos.sum())
}

fn jeton(program: &Path, issuer: &Issuer, upstream: &str) -> Outcome<Server> {
    let mut command = Command::new(program);
    command.args(["proxy", "--audience", "api", "--upstream"]);
    command.arg(format!("http://{upstream}"));
    command.arg("--source").arg(format!("issuer:{}", issuer.url()));
    command.stdout(Stdio::piped());
    let mut child = started(&mut command)?;
    let mut line = String::new();
    if let Some(stdout) = child.stdout.take() {
        BufReader::new(stdout)
            .read_line(&mut line)
            .map_err(|fault| fault.to_string())?;
    }
    let address = line.trim().trim_start_matches("http://").to_owned();
    Ok(Server { child, address })
}

/// As Debian sets it up, in one process, with connections to the server kept and a token put in.
fn nginx(folder: &Path, upstream: &str) -> Outcome<Option<Server>> {
    let Some(program) = installed("nginx", "-v") else {
        return Ok(None);
    };
    let address = free_address()?;
    let dir = folder.display();
    let token = "a".repeat(TOKEN_LENGTH);
    let text = format!(
        "daemon off; master_process off; pid {dir}/nginx.pid; error_log {dir}/nginx.log;\n\
         events {{ worker_connections 768; }}\n\
         http {{\n access_log off; sendfile on; tcp_nodelay on; keepalive_requests 10000000;\n \
         client_body_temp_path {dir}; proxy_temp_path {dir}; fastcgi_temp_path {dir}; uwsgi_temp_path {dir}; \
         scgi_temp_path {dir};\n \
         upstream server {{ server {upstream}; keepalive 64; keepalive_requests 10000000; }}\n \
         server {{ listen {address}; location / {{ proxy_pass http://server; proxy_http_version 1.1; \
         proxy_set_header Connection \"\"; proxy_set_header Authorization \"Bearer {token}\"; }} }}\n}}\n"
    );
    let file = written(folder, "nginx.conf", &text)?;
    let mut command = Command::new(program);
    listening(
        command
            .arg("-e")
            .arg(folder.join("nginx.log"))
            .arg("-c")
            .arg(file),
        address,
    )
}

fn haproxy(folder: &Path, upstream: &str) -> Outcome<Option<Server>> {
    let Some(program) = installed("haproxy", "-v") else {
        return Ok(None);
    };
    let address = free_address()?;
    let token = "a".repeat(TOKEN_LENGTH);
    let text = format!(
        "global\n nbthread 1\ndefaults\n mode http\n timeout connect 5s\n timeout client 60s\n timeout server 60s\n \
         http-reuse always\nfrontend in\n bind {address}\n \
         http-request set-header Authorization \"Bearer {token}\"\n default_backend out\n\
         backend out\n server one {upstream}\n"
    );
    let file = written(folder, "haproxy.cfg", &text)?;
    let mut command = Command::new(program);
    listening(command.args(["-q", "-db", "-f"]).arg(file), address)
}

/// How long our issuer's token for this is: the other proxies send as much.
const TOKEN_LENGTH: usize = 1150;

/// The program on the path, or where Debian puts what administrators start.
fn installed(name: &str, argument: &str) -> Option<String> {
    let places = [name.to_owned(), format!("/usr/sbin/{name}")];
    places.into_iter().find(|program| run::is_here(program, argument))
}

fn free_address() -> Outcome<String> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|fault| fault.to_string())?;
    let address = listener.local_addr().map_err(|fault| fault.to_string())?;
    Ok(address.to_string())
}

fn written(folder: &Path, name: &str, text: &str) -> Outcome<std::path::PathBuf> {
    let file = folder.join(name);
    std::fs::write(&file, text).map_err(|fault| format!("{}: {fault}", file.display()))?;
    Ok(file)
}

fn started(command: &mut Command) -> Outcome<Child> {
    let program = command.get_program().to_string_lossy().into_owned();
    let child = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn();
    child.map_err(|fault| format!("{program} did not start: {fault}"))
}

fn listening(command: &mut Command, address: String) -> Outcome<Option<Server>> {
    let child = started(command.stdout(Stdio::null()))?;
    let server = Server { child, address };
    let watch = report::Stopwatch::start();
    while watch.elapsed() < START {
        if TcpStream::connect(&server.address).is_ok() {
            return Ok(Some(server));
        }
        std::thread::sleep(LOOK);
    }
    let program = command.get_program().to_string_lossy().into_owned();
    Err(format!("{program} does not listen at {}", server.address))
}

/// An agent that keeps a token of each profile fresh, while nobody asks for anything.
fn agent(folder: &Path, program: &Path, issuer: &Issuer) -> Outcome<Figures> {
    let home = folder.join("agent");
    let _ = std::fs::remove_dir_all(&home);
    std::fs::create_dir_all(&home).map_err(|fault| format!("{}: {fault}", home.display()))?;
    let socket = home.join("run/agent.sock");
    let profiles: String = (0..PROFILES)
        .map(|number| {
            format!(
                "[profiles.p{number}]\ngrant = \"client-credentials\"\nissuer = \"{}\"\nclient_id = \"jeton\"\n\
                 client_secret = \"env:SECRET\"\naudience = \"api-{number}\"\n",
                issuer.url()
            )
        })
        .collect();
    let file = written(&home, "config.toml", &profiles)?;
    let mut command = Command::new(program);
    command.env_clear().env("HOME", &home).env("SECRET", "secret");
    command
        .arg("--config")
        .arg(file)
        .args(["agent", "--socket"])
        .arg(&socket);
    let mut child = started(command.stdout(Stdio::null()))?;
    let found = watched(program, &socket, child.id());
    end(&mut child);
    let (memory, switches) = found?;
    Ok(Figures::from([
        ("agent at rest: resident".to_owned(), (memory, "MiB".to_owned())),
        (
            "agent at rest: wake-ups in 10 s".to_owned(),
            (switches, "wake-ups".to_owned()),
        ),
    ]))
}

/// Resident memory in MiB, and how often it ran within [`WATCH`].
fn watched(program: &Path, socket: &Path, process: u32) -> Outcome<(f64, f64)> {
    let kept = || {
        let mut status = Command::new(program);
        status.args(["agent", "status", "--json", "--socket"]).arg(socket);
        let text = status
            .stderr(Stdio::null())
            .output()
            .map(|done| done.stdout)
            .unwrap_or_default();
        let status: serde_json::Value = serde_json::from_slice(&text).unwrap_or_default();
        status["kept"].as_array().map_or(0, Vec::len)
    };
    let watch = report::Stopwatch::start();
    while kept() < PROFILES {
        if watch.elapsed() > START * 3 {
            return Err("the agent does not keep every profile fresh".into());
        }
        std::thread::sleep(LOOK * 10);
    }
    std::thread::sleep(SETTLE);
    let before = switches(process);
    std::thread::sleep(WATCH);
    let switched = switches(process) - before;
    Ok((
        field(&format!("/proc/{process}/status"), "VmRSS:") / 1024.0,
        switched,
    ))
}

/// How often the threads of a process went to sleep of their own will.
fn switches(process: u32) -> f64 {
    let threads = std::fs::read_dir(format!("/proc/{process}/task"));
    let threads = threads.into_iter().flatten().flatten();
    threads
        .map(|thread| {
            field(
                &thread.path().join("status").to_string_lossy(),
                "voluntary_ctxt_switches:",
            )
        })
        .sum()
}

/// The number behind a name in one of the kernel's files.
fn field(file: &str, name: &str) -> f64 {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let rest = text.lines().find_map(|line| line.strip_prefix(name));
    let number = rest.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    number.unwrap_or(f64::NAN)
}
