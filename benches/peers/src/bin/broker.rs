//! The broker from outside: what its process spends on a request, beside a server that does nothing and the signature
//! alone; beside oidc-provider; on PostgreSQL beside SQLite; and what a good caller notices of bad ones.
//!
//! `broker JETON FOLDER [REQUESTS]`; `JETON_BENCH_POSTGRES` is a database's URL, `JETON_BENCH_NODE` the folder of
//! oidc-provider. `broker hello` is the server that does nothing.

use jeton_core::{Algorithm, Json, KeySet, SigningKey};
use jeton_peers::load::{drive, get, p99, resident, send, spent, Client, Request, CONNECTIONS};
use jeton_peers::report;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

const ISSUER: &str = "https://issuer.example.com";
const PUBLIC: &str = "https://broker.example.com";
/// Requests of each kind, in front of those that are measured and measured.
const WARM: usize = 2_000;
const MEASURED: usize = 20_000;
/// Callers that were not seen before: each needs a token of its own.
const CALLERS: usize = 6_000;
/// Requests after which memory is looked at, when nobody says how many.
const MANY: usize = 100_000;
/// Clients that send their requests a byte at a time.
const SLOW: usize = 1_000;
/// How often somebody asks whose tokens name keys that nobody knows.
const FLOOD: Duration = Duration::from_millis(1);
/// Requests of the good caller.
const GOOD: usize = 2_000;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.get(1).map(String::as_str) {
        Some("hello") => hello().await,
        Some(jeton) => {
            let folder = PathBuf::from(arguments.get(2).expect("a folder"));
            let many = arguments.get(3).and_then(|count| count.parse().ok()).unwrap_or(MANY);
            measure(Path::new(jeton), &folder, many).await;
        }
        None => panic!("broker JETON FOLDER [REQUESTS]"),
    }
}

/// A server that says hello.
async fn hello() {
    let router = axum::Router::new().route("/", axum::routing::get(async || "hello"));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    println!("http://{}", listener.local_addr().expect("an address"));
    axum::serve(listener, router).await.expect("it serves");
}

/// A server process; it ends with this.
struct Server {
    process: Child,
    address: String,
}

impl Server {
    /// Starts a program that says its URL in a line.
    fn start(command: &mut Command) -> Self {
        let mut process = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("it starts");
        let mut line = String::new();
        BufReader::new(process.stdout.take().expect("its output")).read_line(&mut line).expect("a line");
        let address = line.trim().strip_prefix("http://").expect("a URL").to_owned();
        Self { process, address }
    }

    /// Microseconds of processor time for one of `count` requests.
    async fn cost(&self, requests: &[Request], count: usize) -> f64 {
        let before = spent(self.process.id());
        drive(&self.address, requests, count, CONNECTIONS, 200).await;
        (spent(self.process.id()) - before).as_secs_f64() * 1e6 / count as f64
    }

    /// The same when it is warm.
    async fn warm_cost(&self, request: &Request) -> f64 {
        let one = std::slice::from_ref(request);
        drive(&self.address, one, WARM, CONNECTIONS, 200).await;
        self.cost(one, MEASURED).await
    }

    async fn ask(&self, request: &Request) -> String {
        let (status, body) = Client::connect(&self.address).await.ask(request).await;
        assert!(status < 300, "{status}: {body}");
        body
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Whose tokens the broker accepts.
struct Callers {
    key: SigningKey,
}

impl Callers {
    fn token(&self, subject: &str, number: usize) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time").as_secs() as i64;
        let claims = Json::object([
            ("iss", Json::from(ISSUER)),
            ("sub", Json::from(subject)),
            ("aud", Json::from(PUBLIC)),
            ("iat", Json::from(now)),
            ("exp", Json::from(now + 3600)),
            ("jti", Json::from(number.to_string())),
        ]);
        self.key.sign(&claims).expect("a token")
    }
}

async fn measure(jeton: &Path, folder: &Path, many: usize) {
    let callers = Arc::new(Callers { key: SigningKey::generate(Algorithm::Rs256).expect("a key") });
    let itself = std::env::current_exe().expect("this program");
    let server = Server::start(Command::new(itself).arg("hello"));
    report("broker: axum says hello, CPU", server.warm_cost(&get("/", None)).await, "us");
    drop(server);

    let broker = Broker::start(jeton, &folder.join("sqlite"), &callers, None).await;
    let sqlite = broker.release_costs(&callers).await;
    report("broker release, caller not seen before, CPU", sqlite.0, "us");
    report("broker release, caller seen before, CPU", sqlite.1, "us");
    report("broker exchange ES256, CPU", broker.exchange_cost().await, "us");
    report("broker release, seen, after the other", broker.one_after_the_other().await, "us");
    broker.good_among_bad().await;
    drive(&broker.server.address, std::slice::from_ref(&broker.release), many, CONNECTIONS, 200).await;
    report("broker memory after many requests", resident(broker.server.process.id()), "MiB");
    drop(broker);

    if let Ok(database) = std::env::var("JETON_BENCH_POSTGRES") {
        let broker = Broker::start(jeton, &folder.join("postgres"), &callers, Some(&database)).await;
        let costs = broker.release_costs(&callers).await;
        report("broker release, caller seen before, PostgreSQL, CPU", costs.1, "us");
    }
    if let Ok(node) = std::env::var("JETON_BENCH_NODE") {
        let server = Server::start(Command::new("node").arg("oidc_provider_serves.mjs").current_dir(node));
        let basic = "authorization: Basic YS1jbGllbnQ6YS1zZWNyZXQ=\r\n";
        let body = "grant_type=client_credentials&scope=read&resource=https%3A%2F%2Fregistry.example.com";
        let request = send("POST", "/token", "application/x-www-form-urlencoded", basic, body);
        report("oidc-provider token ES256, CPU", server.warm_cost(&request).await, "us");
    }
}

/// A broker with a credential and a policy.
struct Broker {
    server: Server,
    release: Request,
    exchange: Request,
}

impl Broker {
    async fn start(jeton: &Path, folder: &Path, callers: &Callers, database: Option<&str>) -> Self {
        let _ = std::fs::remove_dir_all(folder);
        std::fs::create_dir_all(folder).expect("a folder");
        let run = |arguments: &[&str]| {
            let mut command = Command::new(jeton);
            command.arg("broker").args(arguments).current_dir(folder).stderr(Stdio::null());
            command
        };
        let init = run(&["init", "--issuer", ISSUER, "--audience", PUBLIC, "--admin", "admin"]).output();
        assert!(init.is_ok_and(|done| done.status.success()), "jeton broker init");
        std::fs::write(folder.join("jwks.json"), KeySet::document([callers.key.public_jwk()]).to_text()).expect("keys");
        let database = database.unwrap_or("sqlite:broker.db");
        let config = format!(
            "listen = \"127.0.0.1:0\"\npublic_url = \"{PUBLIC}\"\ndatabase = \"{database}\"\n\
             [[issuers]]\nissuer = \"{ISSUER}\"\naudiences = [\"{PUBLIC}\"]\njwks_file = \"jwks.json\"\n\
             [[admins]]\nissuer = \"{ISSUER}\"\nsubject = \"admin\"\n"
        );
        std::fs::write(folder.join("broker.toml"), config).expect("a configuration");
        let server = Server::start(&mut run(&["serve"]));
        let token = callers.token("admin", 0);
        let who = format!("authorization: Bearer {token}\r\n");
        let json = "application/json";
        let credential = r#"{"id":"c","name":"c","provider":"generic","secret":"s3cr3t-of-some-length-0123456789"}"#;
        server.ask(&send("POST", "/v1/credentials", json, &who, credential)).await;
        let policy = format!(r#"{{"issuer":"{ISSUER}","subject":"admin","audience":"https://registry.example.com","ttl":"5m"}}"#);
        server.ask(&send("PUT", "/v1/trust_policies/p", json, &who, &policy)).await;
        let form = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&subject_token_type=urn%3Aietf\
                    %3Aparams%3Aoauth%3Atoken-type%3Ajwt&audience=https%3A%2F%2Fregistry.example.com&subject_token=";
        let kind = "application/x-www-form-urlencoded";
        Self {
            server,
            release: get("/v1/credentials/c/token", Some(&token)),
            exchange: send("POST", "/v1/token", kind, "", &format!("{form}{token}")),
        }
    }

    /// A release to callers that were not seen before, and to one that was.
    async fn release_costs(&self, callers: &Arc<Callers>) -> (f64, f64) {
        let seen = self.server.warm_cost(&self.release).await;
        let half = |first: usize| {
            let callers = Arc::clone(callers);
            let made = move || (first..first + CALLERS / 2).map(|number| callers.token("admin", number)).collect::<Vec<_>>();
            tokio::task::spawn_blocking(made)
        };
        let (one, other) = (half(1), half(1 + CALLERS / 2));
        let tokens = [one.await.expect("tokens"), other.await.expect("tokens")].concat();
        let requests: Vec<Request> =
            tokens.iter().map(|token| get("/v1/credentials/c/token", Some(token))).collect();
        (self.server.cost(&requests, requests.len()).await, seen)
    }

    async fn exchange_cost(&self) -> f64 {
        self.server.warm_cost(&self.exchange).await
    }

    /// The time of one release, when nobody else asks: a commit to the disk each.
    async fn one_after_the_other(&self) -> f64 {
        let took = drive(&self.server.address, std::slice::from_ref(&self.release), GOOD, 1, 200).await;
        took.as_secs_f64() * 1e6 / GOOD as f64
    }

    /// What a good caller waits at most in 99 of 100 cases: by himself, among clients that are slow, and in a flood of
    /// tokens with keys that nobody knows.
    async fn good_among_bad(&self) {
        let address = &self.server.address;
        let alone = p99(address, &self.release, GOOD).await;
        report("broker p99 of a good caller", alone.as_secs_f64() * 1e6, "us");
        let slow: Vec<_> = (0..SLOW).map(|_| tokio::spawn(slowly(address.clone()))).collect();
        tokio::time::sleep(Duration::from_secs(1)).await;
        let among = p99(address, &self.release, GOOD).await;
        slow.iter().for_each(tokio::task::JoinHandle::abort);
        report("broker p99 of a good caller among 1,000 slow clients", among.as_secs_f64() * 1e6, "us");
        let stranger = Callers { key: SigningKey::generate(Algorithm::Rs256).expect("a key") };
        let requests: Vec<Request> = (0..100)
            .map(|number| get("/v1/credentials/c/token", Some(&stranger.token("admin", number))))
            .collect();
        let flood = tokio::spawn(flood(address.clone(), requests));
        let among = p99(address, &self.release, GOOD).await;
        flood.abort();
        report("broker p99 of a good caller in a flood of unknown keys", among.as_secs_f64() * 1e6, "us");
    }
}

/// A client that sends its request a byte at a time, and begins again when it is hung up on.
async fn slowly(address: String) {
    loop {
        let Ok(mut stream) = TcpStream::connect(&address).await else { return };
        for byte in get("/v1/credentials/c/token", None).iter() {
            if stream.write_all(&[*byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}

/// Asks a thousand times a second, whatever the answer: as fast as it can, it would take the good caller's processor.
async fn flood(address: String, requests: Vec<Request>) {
    let mut client = Client::connect(&address).await;
    let mut pace = tokio::time::interval(FLOOD);
    for request in requests.iter().cycle() {
        pace.tick().await;
        client.ask(request).await;
    }
}
