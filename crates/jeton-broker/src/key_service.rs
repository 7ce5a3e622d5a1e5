//! Who keeps the key that the keyring's own keys are sealed with: nobody, or a key service.
//!
//! With `[key_service]` the keyring is an envelope: its keys are sealed by the transit engine of Vault or OpenBao, which
//! never gives its own key away, and are opened once when the broker starts or the file changes. A copy of the machine's
//! disk opens nothing then, and a service that is away stops no broker that runs.
use crate::config::{self, Config};
use crate::keyring::{self, Keyring, KeyringError};
use futures_util::future::BoxFuture;
use jeton::http::{Fault, Request, Response, checked_url};
use jeton::{Class, Context, Error, answer, fetch};
use jeton_core::{Failure, Json, Secret, json};
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

/// How a key that Vault or OpenBao sealed begins.
const SEALED: &str = "vault:";
/// How long the service may take for one key.
const PATIENCE: Duration = Duration::from_secs(15);

/// Seals and opens the keys of a keyring; both are texts.
pub trait KeyService: Send + Sync {
    /// Seals a key.
    ///
    /// # Errors
    /// `Class::Refused` and every class of the wire.
    fn seal<'a>(&'a self, cx: &'a Context, key: &'a Secret) -> BoxFuture<'a, Result<Secret, Error>>;

    /// Opens a key.
    ///
    /// # Errors
    /// As [`KeyService::seal`], and `Class::Config` for what this service has not sealed.
    fn open<'a>(&'a self, cx: &'a Context, sealed: &'a Secret) -> BoxFuture<'a, Result<Secret, Error>>;
}

/// Nobody: keys stand in the keyring as they are.
struct Plain;

impl KeyService for Plain {
    fn seal<'a>(&'a self, _: &'a Context, key: &'a Secret) -> BoxFuture<'a, Result<Secret, Error>> {
        Box::pin(std::future::ready(Ok(key.clone())))
    }

    fn open<'a>(&'a self, _: &'a Context, sealed: &'a Secret) -> BoxFuture<'a, Result<Secret, Error>> {
        let opened = if is_sealed(sealed) {
            Err(Error::new(Class::Config, "keyring: its keys are sealed")
                .with_hint("[key_service] in broker.toml says by whom"))
        } else {
            Ok(sealed.clone())
        };
        Box::pin(std::future::ready(opened))
    }
}

/// The transit engine of Vault or OpenBao.
struct Transit(config::KeyService);

impl Transit {
    /// Asks for `verb` on our key, and takes one member of the answer's `data`.
    async fn ask(&self, cx: &Context, verb: &str, body: Json, member: &str) -> Result<Secret, Error> {
        let service = &self.0;
        let token = std::fs::read_to_string(&service.token_file).map_err(|why| {
            let message = format!("key_service: token_file {}: {why}", service.token_file.display());
            Error::new(Class::Config, message)
        })?;
        let url = format!(
            "{}/v1/{}/{verb}/{}",
            service.url.trim_end_matches('/'),
            service.mount,
            service.key
        );
        let request = Request::json(checked_url(&url, "key_service: url")?, body.to_text());
        let request = request.secret_header("x-vault-token", &Secret::new(token.trim()));
        let read = |response: &Response| {
            fetch::success(response)?;
            let whole: Json = answer::json(response)?;
            let found = whole.get("data").and_then(|data| data.get(member));
            let text = found.and_then(Json::as_str).map(Secret::new);
            text.ok_or_else(|| Fault::new(Failure::Unexpected, format!("the answer has no {member}")))
        };
        cx.within(PATIENCE)
            .fetch(&format!("key service: {verb}"), &request, read)
            .await
    }
}

impl KeyService for Transit {
    fn seal<'a>(&'a self, cx: &'a Context, key: &'a Secret) -> BoxFuture<'a, Result<Secret, Error>> {
        let body = Json::object([("plaintext", Json::from(key.reveal()))]);
        Box::pin(self.ask(cx, "encrypt", body, "ciphertext"))
    }

    fn open<'a>(&'a self, cx: &'a Context, sealed: &'a Secret) -> BoxFuture<'a, Result<Secret, Error>> {
        if !is_sealed(sealed) {
            // Not sealed yet: `jeton broker keyring add` seals all of them.
            return Plain.open(cx, sealed);
        }
        let body = Json::object([("ciphertext", Json::from(sealed.reveal()))]);
        Box::pin(self.ask(cx, "decrypt", body, "plaintext"))
    }
}

fn is_sealed(key: &Secret) -> bool {
    key.reveal().starts_with(SEALED)
}

/// The service that a configuration names.
#[must_use]
pub fn of(config: &Config) -> Box<dyn KeyService> {
    match &config.key_service {
        Some(service) => Box::new(Transit(service.clone())),
        None => Box::new(Plain),
    }
}

/// The text of a keyring with every key opened.
///
/// # Errors
/// Those of [`KeyService::open`]; `Class::Config` for what is no keyring.
pub async fn opened(service: &dyn KeyService, cx: &Context, text: &str) -> Result<Zeroizing<String>, Error> {
    let mut keys = Vec::new();
    for (version, key) in members(text)? {
        keys.push((version, service.open(cx, &key).await?));
    }
    Ok(whole(keys))
}

/// The text of a keyring with every key sealed.
///
/// # Errors
/// Those of [`KeyService::seal`]; `Class::Config` for what is no keyring.
pub async fn sealed(service: &dyn KeyService, cx: &Context, text: &str) -> Result<Zeroizing<String>, Error> {
    let mut keys = Vec::new();
    for (version, key) in members(text)? {
        keys.push((version, service.seal(cx, &key).await?));
    }
    Ok(whole(keys))
}

fn members(text: &str) -> Result<Vec<(String, Secret)>, Error> {
    let wrong = |why: &str| Error::new(Class::Config, format!("keyring: {why}"));
    let parsed = json::parse(text.as_bytes()).map_err(|_| wrong("is not JSON"))?;
    let members = parsed.as_object().ok_or_else(|| wrong("is no JSON object"))?;
    let mut keys = Vec::new();
    for (version, key) in members {
        let key = key.as_str().ok_or_else(|| wrong("has a key that is no text"))?;
        keys.push((version.as_str().to_owned(), Secret::new(key)));
    }
    Ok(keys)
}

fn whole(keys: Vec<(String, Secret)>) -> Zeroizing<String> {
    let members = keys
        .iter()
        .map(|(version, key)| (version.as_str(), Json::from(key.reveal())));
    Zeroizing::new(format!("{}\n", Json::object(members).to_text()))
}

/// The keyring of a configuration; the one that was there `before` when its file is the same, and then nobody is asked.
///
/// # Errors
/// `Class::Config`: the file; and those of [`KeyService::open`].
pub async fn keyring(
    cx: &Context,
    config: &Config,
    before: Option<&Arc<Keyring>>,
) -> Result<Arc<Keyring>, Error> {
    let wrong = |wrong: KeyringError| {
        let message = format!("keyring {}: {wrong}", config.keyring.display());
        Error::new(Class::Config, message)
            .with_hint("`jeton broker init` makes one; without it nothing can be read")
    };
    let text = keyring::read(&config.keyring).map_err(wrong)?;
    if let Some(before) = before.filter(|before| before.is_of(&text)) {
        return Ok(Arc::clone(before));
    }
    let open = opened(&*of(config), cx, &text).await?;
    Ok(Arc::new(Keyring::parse(&open).map_err(wrong)?.from_file(&text)))
}
