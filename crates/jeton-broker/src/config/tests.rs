use super::*;

const ISSUER: &str =
    "[[issuers]]\nissuer = \"https://issuer.example\"\naudiences = [\"https://broker.example\"]\n";

fn read(env: &Env, text: &str) -> Result<Config, String> {
    let path = Path::new("/etc/jeton/broker.toml");
    Config::read(env, text, path, Path::new("/srv")).map_err(|error| error.to_string())
}

#[test]
fn the_defaults_are_those_of_the_contract() {
    let config = read(&Env::default(), ISSUER).expect("config");
    assert_eq!(config.listen.to_string(), "127.0.0.1:8420");
    assert_eq!(config.base_path, "/v1");
    assert_eq!(
        config.database,
        Database::Sqlite("/etc/jeton/jeton-broker.db".into())
    );
    assert_eq!(config.keyring, Path::new("/etc/jeton/keyring.json"));
    assert_eq!(config.signing_key, Path::new("/etc/jeton/signing-key.pem"));
    assert_eq!(config.issuers[0].algorithms, AlgorithmSet::ALL);
    assert_eq!(config.public_url(config.listen), "http://127.0.0.1:8420");
    assert_eq!(config.shutdown_delay, Duration::ZERO);
}

#[test]
fn what_is_wrong_is_named() {
    let service = |rest: &str| format!("{ISSUER}[key_service]\n{rest}");
    let issuer = |rest: &str| format!("[[issuers]]\nissuer = \"https://i.example\"\n{rest}");
    let rows = [
        ("".to_owned(), "no [[issuers]]"),
        ("lisen = \"x\"\n".to_owned() + ISSUER, ":1: unknown field `lisen`"),
        ("listen = 1\n".to_owned() + ISSUER, ":1: "),
        ("listen = \"0.0.0.0:1\"\n".to_owned() + ISSUER, "listen: "),
        ("listen = \"nowhere\"\n".to_owned() + ISSUER, "listen: "),
        (
            service("url = \"https://v.example\"\ntoken_file = \"t\"\n"),
            "key_service: key",
        ),
        (
            service("url = \"https://v.example\"\nkey = \"k\"\n"),
            "key_service: token_file",
        ),
        (
            service("url = \"http://v.example\"\nkey = \"k\"\ntoken_file = \"t\"\n"),
            "key_service: url",
        ),
        (
            "shutdown_delay = \"1h\"\n".to_owned() + ISSUER,
            "shutdown_delay: ",
        ),
        (
            "shutdown_delay = \"soon\"\n".to_owned() + ISSUER,
            "shutdown_delay: ",
        ),
        ("base_path = \"v1\"\n".to_owned() + ISSUER, "base_path: "),
        (
            "base_path = \"/a/../b\"
"
            .to_owned()
                + ISSUER,
            "base_path: ",
        ),
        ("database = \"mysql://x\"\n".to_owned() + ISSUER, "database: "),
        ("database = \"sqlite:\"\n".to_owned() + ISSUER, "database: "),
        (
            "public_url = \"http://broker.example\"\n".to_owned() + ISSUER,
            "public_url: ",
        ),
        (issuer("audiences = []\n"), "audiences is empty"),
        (issuer(""), "audiences"),
        (
            issuer("audiences = [\"a\"]\nalgorithms = [\"HS256\"]\n"),
            "algorithms: HS256",
        ),
        (
            issuer("audiences = [\"a\"]\nalgorithms = [\"none\"]\n"),
            "algorithms: none",
        ),
        (
            issuer("audiences = [\"a\"]\nmax_token_age = \"soon\"\n"),
            "max_token_age: ",
        ),
        (ISSUER.replace("https", "ftp"), "issuers: "),
        (ISSUER.to_owned() + ISSUER, "twice"),
        ("[tls]\ncert = \"c\"\n".to_owned() + ISSUER, "key"),
    ];
    for (text, wanted) in rows {
        let got = read(&Env::default(), &text).expect_err(&text);
        assert!(got.contains(wanted), "{text}: {got}");
    }
}

#[test]
fn a_port_beyond_this_machine_takes_tls_or_a_proxy_in_front() {
    let text = "listen = \"0.0.0.0:443\"\npublic_url = \"https://b.example\"\n".to_owned();
    assert!(read(&Env::default(), &(text.clone() + ISSUER)).is_err());
    assert!(
        read(
            &Env::default(),
            &(text.clone() + "behind_proxy = true\n" + ISSUER)
        )
        .is_ok()
    );
    let tls = "[tls]\ncert = \"c.pem\"\nkey = \"/k.pem\"\n";
    let config = read(&Env::default(), &(text + tls + ISSUER)).expect("config");
    assert_eq!(config.shutdown_delay, SHUTDOWN_DELAY);
    let tls = config.tls.expect("tls");
    assert_eq!(tls.cert, Path::new("/etc/jeton/c.pem"));
    assert_eq!(tls.key, Path::new("/k.pem"));
}

#[test]
fn a_variable_beats_the_file() {
    let env: Env = [
        ("JETON_BROKER_LISTEN", "127.0.0.1:1"),
        ("JETON_BROKER_BASE_PATH", "/api/ambient/v1/"),
        ("JETON_BROKER_DATABASE", "sqlite:other.db"),
        ("JETON_BROKER_KEYRING", "ring.json"),
        ("JETON_BROKER_SHUTDOWN_DELAY", "7s"),
        ("JETON_BROKER_KEY_SERVICE_URL", "https://vault.example"),
        ("JETON_BROKER_KEY_SERVICE_KEY", "k"),
        ("JETON_BROKER_KEY_SERVICE_TOKEN_FILE", "token"),
        ("JETON_BROKER_LIMITS_PER_ISSUER", "7"),
        (
            "JETON_BROKER_ISSUERS",
            r#"[{"issuer":"https://other.example","audiences":["a"],"max_token_age":"1h"}]"#,
        ),
        (
            "JETON_BROKER_ADMINS",
            r#"[{"issuer":"https://other.example","subject":"root"}]"#,
        ),
    ]
    .into_iter()
    .collect();
    let config = read(&env, &format!("listen = \"127.0.0.1:2\"\n{ISSUER}")).expect("config");
    assert_eq!(config.listen.to_string(), "127.0.0.1:1");
    assert_eq!(config.base_path, "/api/ambient/v1");
    assert_eq!(config.database, Database::Sqlite("/srv/other.db".into()));
    assert_eq!(config.keyring, Path::new("/srv/ring.json"));
    assert_eq!(config.limits.per_issuer, Some(7));
    assert_eq!(config.shutdown_delay, Duration::from_secs(7));
    let service = config.key_service.expect("key service");
    assert_eq!((service.mount.as_str(), service.key.as_str()), ("transit", "k"));
    assert_eq!(service.token_file, Path::new("/srv/token"));
    assert_eq!(config.issuers[0].max_token_age, Some(Duration::from_secs(3600)));
    assert_eq!(config.admins[0].subject, "root");
    let env = Env::default().with("JETON_BROKER_ISSUERS", "nonsense");
    assert!(
        read(&env, ISSUER)
            .expect_err("nonsense")
            .contains("JETON_BROKER_ISSUERS")
    );
}

#[test]
fn no_message_shows_a_password() {
    let text = format!("database = [\"postgres://u:hunter2hunter2@h/d\"]\n{ISSUER}");
    assert!(
        !read(&Env::default(), &text)
            .expect_err("a list")
            .contains("hunter2")
    );
    let text = format!("database = \"postgres://u:hunter2hunter2@h/d\"\n{ISSUER}");
    let config = read(&Env::default(), &text).expect("config");
    assert!(!format!("{config:?}").contains("hunter2"));
}
