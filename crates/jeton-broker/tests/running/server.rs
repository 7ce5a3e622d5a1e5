//! A broker of a test's own, its identity provider, and what callers need.
use jeton::{Clock, Context, Env, RetryPolicy};
use jeton_broker::broker::{Live, Log};
use jeton_broker::service::{self, Listener};
use jeton_broker::store::{Database, Store};
use jeton_broker::{Broker, Config, own_issuer};
use jeton_issuer::{Algorithm, Issuer, Options, RunningIssuer};
use serde_json::{Map, Value, json};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Keeps what the broker says to whoever runs it.
#[derive(Default)]
pub(crate) struct Said(Mutex<Vec<String>>);

impl Log for Said {
    fn warning(&self, message: &str) {
        self.0.lock().unwrap().push(message.to_owned());
    }

    fn note(&self, message: &str) {
        self.0.lock().unwrap().push(message.to_owned());
    }
}

/// A broker that runs until the test is over.
pub(crate) struct Server {
    pub(crate) broker: Broker,
    pub(crate) issuer: Arc<RunningIssuer>,
    pub(crate) clock: Clock,
    pub(crate) root: String,
    pub(crate) admin: String,
    pub(crate) folder: Arc<tempfile::TempDir>,
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) fields: String,
    pub(crate) text: String,
}

impl Answered {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let lines = self.fields.lines().filter_map(|line| line.split_once(": "));
        lines
            .filter(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
            .next()
    }

    /// The member of a JSON answer, as text.
    pub(crate) fn text_of(&self, name: &str) -> String {
        let json = self.json();
        json[name]
            .as_str()
            .unwrap_or_else(|| panic!("no {name}: {self:?}"))
            .to_owned()
    }
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::with("").await
    }

    /// With more lines of configuration, which stand before every table.
    pub(crate) async fn with(more: &str) -> Self {
        Self::at_time(Clock::system(), more).await
    }

    /// With a clock that a test moves.
    pub(crate) async fn at_time(clock: Clock, more: &str) -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let wall = clock.clone();
        let options = Options::new(move || wall.now().wall).with_algorithm(Algorithm::Es256);
        let issuer = Arc::new(Issuer::in_thread(options).unwrap());
        own_issuer::generate(&folder.path().join("signing-key.pem")).unwrap();
        let (ring, _) = jeton_broker::keyring::extended(None).unwrap();
        private(&folder.path().join("keyring.json"), &ring);
        let listener = Listener::open("127.0.0.1:0".parse().unwrap(), false)
            .await
            .unwrap();
        let root = listener.url();
        let database = database().await;
        let config = format!(
            "listen = \"{}\"\ndatabase = \"{database}\"\npublic_url = \"{root}\"\n{more}\n[[issuers]]\nissuer = \"{}\"\naudiences = [\"{root}\"]\n\
             [[admins]]\nissuer = \"{}\"\nsubject = \"admin\"\n",
            listener.address(),
            issuer.url(),
            issuer.url()
        );
        private(&folder.path().join("broker.toml"), &config);
        std::fs::create_dir(folder.path().join("policies")).unwrap();
        Self::serve(folder, clock, issuer, listener, root, Env::default()).await
    }

    /// Another replica: the same database and keys, another process' state.
    pub(crate) async fn replica(&self) -> Self {
        let listener = Listener::open("127.0.0.1:0".parse().unwrap(), false)
            .await
            .unwrap();
        let other = Self::serve(
            Arc::clone(&self.folder),
            self.clock.clone(),
            Arc::clone(&self.issuer),
            listener,
            self.root.clone(),
            Env::default(),
        );
        other.await
    }

    /// The same with these variables.
    #[cfg(feature = "otel")]
    pub(crate) async fn again_with(self, env: Env) -> Self {
        let listener = Listener::open("127.0.0.1:0".parse().unwrap(), false)
            .await
            .unwrap();
        let (folder, issuer) = (Arc::clone(&self.folder), Arc::clone(&self.issuer));
        Self::serve(
            folder,
            self.clock.clone(),
            issuer,
            listener,
            self.root.clone(),
            env,
        )
        .await
    }

    async fn serve(
        folder: Arc<tempfile::TempDir>,
        clock: Clock,
        issuer: Arc<RunningIssuer>,
        listener: Listener,
        public: String,
        env: Env,
    ) -> Self {
        let path = folder.path().join("broker.toml");
        let config = Config::load(&Env::default(), &path, folder.path()).unwrap();
        let mut cx = Context::new(env, clock.clone());
        cx.policy = RetryPolicy {
            max_attempts: 1,
            ..RetryPolicy::default()
        };
        let live = Live::load(&cx, config, None).await.unwrap();
        let log = Arc::new(Said::default());
        let root = listener.url();
        let broker = Broker::open(live, cx, log, public.clone(), false).await.unwrap();
        let serving = broker.clone();
        tokio::spawn(async move {
            let never = std::future::pending::<()>;
            service::serve(listener, &serving, never(), never()).await;
        });
        let mut server = Self {
            broker,
            issuer,
            clock,
            root,
            admin: String::new(),
            folder,
        };
        server.admin = server.token_for(&public, "admin", json!({}));
        server
    }

    /// Lets each token of the identity provider be good for one request only.
    pub(crate) async fn set_require_jti(&self) {
        let path = self.folder.path().join("broker.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        let once = text.replace("[[admins]]", "require_jti = true\n[[admins]]");
        let config = Config::read(&Env::default(), &once, &path, self.folder.path()).unwrap();
        let before = self.broker.live_full();
        self.broker
            .replace(Live::load(&self.broker.cx, config, Some(&before)).await.unwrap())
            .await
            .unwrap();
    }

    /// Writes a file into the folder of policies.
    pub(crate) fn policy_file(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join("policies").join(name), text).unwrap();
    }

    /// Adds a key, seals everything again with it, and takes the old one away.
    pub(crate) async fn new_key_only(&self) {
        let path = self.folder.path().join("keyring.json");
        let old = std::fs::read_to_string(&path).unwrap();
        let (both, _) = jeton_broker::keyring::extended(Some(&old)).unwrap();
        private(&path, &both);
        self.reload().await.unwrap();
        let keyring = Arc::clone(&self.broker.live_full().keyring);
        let now = self.clock.now().wall;
        let tally = jeton_broker::rotation::run(&self.broker.store, &keyring, now, false);
        assert!(tally.await.unwrap().broken.is_empty());
        let mut versions: Map<String, Value> = serde_json::from_str(&both).unwrap();
        versions.remove("1");
        private(&path, &Value::Object(versions).to_string());
        self.reload().await.unwrap();
    }

    /// Reads the settings again.
    pub(crate) async fn reload(&self) -> Result<(), jeton::Error> {
        let path = self.folder.path().join("broker.toml");
        let config = Config::load(&Env::default(), &path, self.folder.path())?;
        let before = self.broker.live_full();
        let live = Live::load(&self.broker.cx, config, Some(&before)).await?;
        self.broker.replace(live).await
    }

    /// A token of the identity provider for this broker.
    pub(crate) fn token(&self, subject: &str) -> String {
        self.token_with(subject, json!({}))
    }

    /// The same, with more claims.
    pub(crate) fn token_with(&self, subject: &str, more: Value) -> String {
        self.token_for(self.broker.own.name(), subject, more)
    }

    fn token_for(&self, audience: &str, subject: &str, more: Value) -> String {
        let mut claims: Map<String, Value> = more.as_object().cloned().unwrap_or_default();
        claims.entry("sub").or_insert_with(|| subject.into());
        claims.entry("aud").or_insert_with(|| audience.into());
        self.issuer.mint(claims)
    }

    /// A request below the base path.
    pub(crate) async fn call(&self, method: &str, path: &str, token: &str, body: Option<Value>) -> Answered {
        let path = format!("{}{path}", self.broker.live().config.base_path);
        self.at(method, &path, token, &[], body).await
    }

    /// The same, of the admin, which has to succeed.
    pub(crate) async fn made(&self, method: &str, path: &str, body: Value) -> Value {
        let body = Some(body).filter(|body| !body.is_null());
        let answered = self.call(method, path, &self.admin, body).await;
        assert!(
            (200..300).contains(&answered.status),
            "{method} {path}: {answered:?}"
        );
        if answered.text.is_empty() {
            Value::Null
        } else {
            answered.json()
        }
    }

    /// A request from the root of the server.
    pub(crate) async fn at(
        &self,
        method: &str,
        path: &str,
        token: &str,
        fields: &[(&str, &str)],
        body: Option<Value>,
    ) -> Answered {
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let mut all = vec![("content-type", "application/json")];
        let bearer = format!("Bearer {token}");
        if !token.is_empty() {
            all.push(("authorization", bearer.as_str()));
        }
        all.extend_from_slice(fields);
        send(&self.root, method, path, &all, &body).await
    }

    /// A request to the token endpoint.
    pub(crate) async fn token_endpoint(&self, fields: &[(&str, &str)]) -> Answered {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        let form = form.extend_pairs(fields).finish();
        let kind = [("content-type", "application/x-www-form-urlencoded")];
        send(&self.root, "POST", "/v1/token", &kind, &form).await
    }

    /// A token exchange with these further fields.
    pub(crate) async fn exchange(&self, subject: &str, fields: &[(&str, &str)]) -> Answered {
        let mut all = vec![
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("subject_token", subject),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"),
        ];
        all.extend_from_slice(fields);
        self.token_endpoint(&all).await
    }

    /// A project with an agent in it; their ids.
    pub(crate) async fn place(&self) -> (String, String) {
        let project = self.made("POST", "/projects", json!({"name": "p"})).await;
        let project = project["id"].as_str().unwrap().to_owned();
        let path = format!("/projects/{project}/agents");
        let agent = self.made("POST", &path, json!({"name": "a"})).await;
        (project, agent["id"].as_str().unwrap().to_owned())
    }

    /// A credential of this provider, attached to a project; its id.
    pub(crate) async fn credential(
        &self,
        token: &str,
        project: &str,
        provider: &str,
        secret: Value,
    ) -> String {
        let body = json!({"name": provider, "provider": provider, "secret": secret});
        let made = self.call("POST", "/credentials", token, Some(body)).await;
        assert_eq!(made.status, 201, "{made:?}");
        let id = made.text_of("id");
        let attachment = json!({
            "role": "credential:viewer", "scope": "credential", "credential_id": id, "project_id": project,
        });
        self.made("POST", "/role_bindings", attachment).await;
        id
    }

    /// The actions in the record, newest first.
    pub(crate) async fn actions(&self) -> Vec<(String, String)> {
        let audit = self.made("GET", "/audit?size=500", Value::Null).await;
        let text = |item: &Value, name: &str| item[name].as_str().unwrap_or_default().to_owned();
        let items = audit["items"].as_array().unwrap().iter();
        items
            .map(|item| (text(item, "action"), text(item, "decision")))
            .collect()
    }
}

/// The variable that names a PostgreSQL server on which each test makes a database of its own: `postgres://user@host:port`.
const POSTGRES: &str = "JETON_TEST_POSTGRES";

/// A database of a test's own.
async fn database() -> String {
    let Ok(server) = std::env::var(POSTGRES) else {
        return "sqlite:jeton-broker.db".to_owned();
    };
    let mut random = [0u8; 8];
    aws_lc_rs::rand::fill(&mut random).unwrap();
    let name = format!("test_{}", random.map(|byte| format!("{byte:02x}")).concat());
    let admin = Database::parse(&format!("{server}/postgres"), Path::new("/")).unwrap();
    let store = Store::open(&admin).await.unwrap();
    let sql = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
    store.execute(sql, vec![]).await.unwrap();
    store.close().await;
    format!("{server}/{name}")
}

fn private(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Sends one request and reads its answer whole.
pub(crate) async fn send(
    root: &str,
    method: &str,
    path: &str,
    fields: &[(&str, &str)],
    body: &str,
) -> Answered {
    let place = root.trim_start_matches("http://");
    let mut request = format!("{method} {path} HTTP/1.1\r\nhost: {place}\r\nconnection: close\r\n");
    for (name, value) in fields {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len()));
    let exchange = async {
        let mut stream = TcpStream::connect(place).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        String::from_utf8(answer).unwrap()
    };
    let answer = tokio::time::timeout(PATIENCE, exchange).await.unwrap();
    let (head, text) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Answered {
        status: status.unwrap_or_else(|| panic!("no status: {head}")),
        fields: head.to_owned(),
        text: text.to_owned(),
    }
}
