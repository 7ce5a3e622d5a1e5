//! The configuration as it was written, before it is checked.
use super::{
    Accepted, Admin, BASE_PATH, Config, KeyService, LISTEN, Limits, Tls, algorithms, shutdown_delay, span,
};
use crate::store::Database;
use jeton::core::{Audience, Issuer};
use jeton::{Class, Env, Error};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// What every variable begins with.
const PREFIX: &str = "JETON_BROKER_";

/// The file.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Written {
    listen: Option<String>,
    behind_proxy: bool,
    public_url: Option<String>,
    base_path: Option<String>,
    database: Option<String>,
    keyring: Option<PathBuf>,
    key_service: Option<KeyService>,
    signing_key: Option<PathBuf>,
    tls: Option<Tls>,
    shutdown_delay: Option<String>,
    issuers: Vec<WrittenIssuer>,
    admins: Vec<Admin>,
    limits: Limits,
    policies: Option<PathBuf>,
    /// Where a relative file of SQLite is looked for.
    #[serde(skip)]
    database_folder: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenIssuer {
    issuer: String,
    audiences: Vec<String>,
    #[serde(default)]
    algorithms: Vec<String>,
    jwks_file: Option<PathBuf>,
    max_token_age: Option<String>,
    #[serde(default)]
    require_jti: bool,
}

impl Written {
    pub(super) fn parse(text: &str, name: &str) -> Result<Self, Error> {
        toml::from_str(text).map_err(|error| {
            // The parser's own picture would show the line, and a line may hold a password.
            let before = &text.as_bytes()[..error.span().map_or(0, |span| span.start.min(text.len()))];
            let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
            let message = error.message().replace('\n', ", ");
            Error::new(Class::Config, format!("{name}:{line}: {message}"))
        })
    }

    /// Takes the file's own relative paths from its folder.
    pub(super) fn resolve(&mut self, folder: &Path) {
        self.database_folder = folder.to_owned();
        for path in [&mut self.keyring, &mut self.signing_key, &mut self.policies]
            .into_iter()
            .flatten()
        {
            *path = folder.join(&*path);
        }
        for issuer in &mut self.issuers {
            issuer.jwks_file = issuer.jwks_file.take().map(|path| folder.join(path));
        }
        // One that is missing stays so, and is told of.
        if let Some(service) = &mut self.key_service
            && !service.token_file.as_os_str().is_empty()
        {
            service.token_file = folder.join(&service.token_file);
        }
        if let Some(tls) = &mut self.tls {
            tls.cert = folder.join(&tls.cert);
            tls.key = folder.join(&tls.key);
        }
    }

    /// Puts what variables say in place of what the file says.
    pub(super) fn overlay(&mut self, env: &Env, folder: &Path) -> Result<(), Error> {
        let path = |name: &str| env.get(&format!("{PREFIX}{name}")).map(|path| folder.join(path));
        let text = |name: &str| env.get(&format!("{PREFIX}{name}")).map(str::to_owned);
        self.listen = text("LISTEN").or(self.listen.take());
        self.public_url = text("PUBLIC_URL").or(self.public_url.take());
        self.base_path = text("BASE_PATH").or(self.base_path.take());
        self.shutdown_delay = text("SHUTDOWN_DELAY").or(self.shutdown_delay.take());
        self.keyring = path("KEYRING").or(self.keyring.take());
        self.signing_key = path("SIGNING_KEY").or(self.signing_key.take());
        self.policies = path("POLICIES").or(self.policies.take());
        if let Some(database) = text("DATABASE") {
            self.database = Some(database);
            self.database_folder = folder.to_owned();
        }
        if let Some(cert) = path("TLS_CERT") {
            let key = self.tls.take().map(|tls| tls.key).unwrap_or_default();
            self.tls = Some(Tls { cert, key });
        }
        if let Some(key) = path("TLS_KEY") {
            let cert = self.tls.take().map(|tls| tls.cert).unwrap_or_default();
            self.tls = Some(Tls { cert, key });
        }
        for (name, place) in [
            (
                "URL",
                (|service| &mut service.url) as fn(&mut KeyService) -> &mut String,
            ),
            ("MOUNT", |service| &mut service.mount),
            ("KEY", |service| &mut service.key),
        ] {
            if let Some(text) = text(&format!("KEY_SERVICE_{name}")) {
                *place(self.key_service.get_or_insert_default()) = text;
            }
        }
        if let Some(file) = path("KEY_SERVICE_TOKEN_FILE") {
            self.key_service.get_or_insert_default().token_file = file;
        }
        if let Some(behind) = value(env, "BEHIND_PROXY")? {
            self.behind_proxy = behind;
        }
        if let Some(issuers) = value(env, "ISSUERS")? {
            self.issuers = issuers;
            for issuer in &mut self.issuers {
                issuer.jwks_file = issuer.jwks_file.take().map(|path| folder.join(path));
            }
        }
        if let Some(admins) = value(env, "ADMINS")? {
            self.admins = admins;
        }
        for (name, place) in [
            ("LIMITS_PER_ISSUER", &mut self.limits.per_issuer),
            ("LIMITS_PER_POLICY", &mut self.limits.per_policy),
            ("LIMITS_CONCURRENCY", &mut self.limits.concurrency),
            ("LIMITS_FAILURES", &mut self.limits.failures),
        ] {
            *place = value(env, name)?.or(*place);
        }
        Ok(())
    }

    /// What it means, or what is wrong with it.
    pub(super) fn check(self, path: &Path, folder: &Path) -> Result<Config, String> {
        let listen = address(self.listen.as_deref().unwrap_or(LISTEN))?;
        let database = self.database.as_deref().unwrap_or("sqlite:jeton-broker.db");
        let database = Database::parse(database, &self.database_folder);
        let issuers: Result<_, String> = self.issuers.into_iter().map(WrittenIssuer::check).collect();
        if let Some(tls) = &self.tls
            && (tls.cert.as_os_str().is_empty() || tls.key.as_os_str().is_empty())
        {
            return Err("tls: takes both cert and key".into());
        }
        let config = Config {
            path: path.to_owned(),
            listen,
            behind_proxy: self.behind_proxy,
            public_url: self.public_url.map(public_url).transpose()?,
            base_path: base_path(self.base_path.as_deref().unwrap_or(BASE_PATH))?,
            database: database.map_err(|wrong| format!("database: {wrong}"))?,
            keyring: self.keyring.unwrap_or_else(|| folder.join("keyring.json")),
            key_service: self.key_service.map(key_service).transpose()?,
            signing_key: self.signing_key.unwrap_or_else(|| folder.join("signing-key.pem")),
            tls: self.tls,
            shutdown_delay: shutdown_delay(self.shutdown_delay.as_deref(), listen)?,
            issuers: issuers?,
            admins: self.admins,
            limits: self.limits,
            policies: self.policies,
        };
        config.check_listener()?;
        config.check_issuers()?;
        if config.public_url.is_none() && config.listen.ip().is_unspecified() {
            return Err(
                "public_url: is needed, for nobody else can reach the broker at the address it listens on"
                    .into(),
            );
        }
        Ok(config)
    }
}

impl WrittenIssuer {
    fn check(self) -> Result<Accepted, String> {
        let issuer =
            Issuer::parse(&self.issuer).map_err(|wrong| format!("issuers: {}: {wrong}", self.issuer))?;
        if self.audiences.is_empty() {
            return Err(format!(
                "issuers: {issuer}: audiences is empty; then any service's tokens would do"
            ));
        }
        let audiences = self.audiences.iter().map(|text| {
            Audience::parse(text).map_err(|wrong| format!("issuers: {issuer}: audiences: {wrong}"))
        });
        let audiences = audiences.collect::<Result<_, String>>()?;
        let max_token_age = self
            .max_token_age
            .map(|text| span("issuers: max_token_age", &text))
            .transpose()?;
        Ok(Accepted {
            algorithms: algorithms(&self.algorithms)
                .map_err(|wrong| format!("issuers: {issuer}: {wrong}"))?,
            issuer,
            audiences,
            jwks_file: self.jwks_file,
            max_token_age,
            require_jti: self.require_jti,
        })
    }
}

/// A variable that holds a number, a truth value or JSON.
fn value<T: DeserializeOwned>(env: &Env, name: &str) -> Result<Option<T>, Error> {
    let name = format!("{PREFIX}{name}");
    let Some(text) = env.get(&name) else {
        return Ok(None);
    };
    serde_json::from_str(text).map(Some).map_err(|error| {
        // Where it is wrong, not what it says.
        let place = format!("line {}, column {}", error.line(), error.column());
        Error::new(
            Class::Config,
            format!("{name}: not what the key takes, as JSON ({place})"),
        )
    })
}

/// Where Vault mounts the engine when nobody says otherwise.
const TRANSIT: &str = "transit";

fn key_service(mut service: KeyService) -> Result<KeyService, String> {
    if service.mount.is_empty() {
        TRANSIT.clone_into(&mut service.mount);
    }
    let fits = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    };
    if !service.mount.split('/').all(fits) {
        return Err("key_service: mount: must be a path like transit".into());
    }
    if !fits(&service.key) {
        return Err("key_service: key: is missing, or not a name".into());
    }
    if service.token_file.as_os_str().is_empty() {
        return Err("key_service: token_file: is missing".into());
    }
    jeton::http::checked_url(&service.url, "key_service: url").map_err(|wrong| wrong.to_string())?;
    Ok(service)
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let numeric = text
        .strip_prefix("localhost:")
        .map(|port| format!("127.0.0.1:{port}"));
    let parsed = numeric.as_deref().unwrap_or(text).parse();
    parsed.map_err(|_| "listen: no address and port; write it like 127.0.0.1:8420".to_owned())
}

fn public_url(text: String) -> Result<String, String> {
    let text = text.strip_suffix('/').map_or(text.clone(), str::to_owned);
    match Issuer::parse(&text) {
        Ok(_) => Ok(text),
        Err(wrong) => Err(format!("public_url: {wrong}")),
    }
}

fn base_path(text: &str) -> Result<String, String> {
    let trimmed = text.trim_end_matches('/');
    let fits = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_.~".contains(&b))
    };
    match trimmed.strip_prefix('/') {
        None if trimmed.is_empty() => Ok(String::new()),
        Some(rest) if rest.split('/').all(fits) => Ok(trimmed.to_owned()),
        _ => Err("base_path: must be a path like /v1".into()),
    }
}
