//! One `[profiles.NAME]` table.
use super::reader::Section;
use super::reference::{Reference, SPELLINGS};
use crate::Error;
use crate::config::nearest::nearest;
use crate::grant::preset;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use url::Url;

/// The keys of a profile.
pub(super) const KEYS: &[&str] = &[
    "actor_token",
    "actor_token_type",
    "audience",
    "cache_ttl",
    "client_auth",
    "client_id",
    "client_key",
    "client_key_id",
    "client_secret",
    "endpoint",
    "federation_rule",
    "from",
    "grant",
    "identity",
    "input_audience",
    "interactive",
    "issuer",
    "min_validity",
    "mount",
    "organization",
    "package",
    "preset",
    "provider",
    "refresh_token",
    "requested_token_type",
    "resource",
    "role",
    "scopes",
    "service_account",
    "store",
    "subject_token_type",
    "tenant",
    "workspace",
];

/// Keys that only one preset or grant has a use for: texts, kept by name.
const OPTIONS: &[&str] = &[
    "actor_token_type",
    "federation_rule",
    "identity",
    "mount",
    "organization",
    "package",
    "provider",
    "requested_token_type",
    "service_account",
    "subject_token_type",
    "tenant",
    "workspace",
];

/// A named source.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// Its name.
    pub name: String,
    /// How its token is got.
    pub grant: Grant,
    /// Where the grant's input token comes from, for grants that take one.
    pub from: Option<Input>,
    /// The issuer, exactly as written: it is compared byte by byte.
    pub issuer: Option<String>,
    /// The token endpoint, where it is not discovered or the preset's own.
    pub endpoint: Option<Url>,
    /// The client (RFC 6749 section 2.2).
    pub client_id: Option<String>,
    /// Where the client's secret is.
    pub client_secret: Option<Reference>,
    /// How the client proves who it is; `None`: as its credentials suggest.
    pub client_auth: Option<ClientAuth>,
    /// Where the client's private key is (RFC 7523 section 2.2).
    pub client_key: Option<Reference>,
    /// The `kid` of that key.
    pub client_key_id: Option<String>,
    /// Where the first refresh token is.
    pub refresh_token: Option<Reference>,
    /// Where the token is of whoever acts for the subject of an exchange (RFC 8693 section 1.1).
    pub actor_token: Option<Reference>,
    /// The audience of its tokens.
    pub audience: Vec<String>,
    /// The scopes that are asked for.
    pub scopes: Vec<String>,
    /// Resource indicators (RFC 8707).
    pub resource: Vec<String>,
    /// The exchange target, one of [`preset::names`].
    pub preset: Option<String>,
    /// The role to take at the exchange target.
    pub role: Option<String>,
    /// The audience of the input token, where its own profile does not say.
    pub input_audience: Vec<String>,
    /// What only one preset or grant has a use for, by key.
    pub options: BTreeMap<String, String>,
    /// Where its login is kept.
    pub store: Store,
    /// Whether a person may be asked, when one is there.
    pub interactive: bool,
    /// The longest time a cached token is re-used; zero: neither read nor written.
    pub cache_ttl: Option<Duration>,
    /// How long a token must live at least.
    pub min_validity: Option<Duration>,
    /// The line of the file at which it starts.
    pub line: usize,
}

/// How a profile's token is got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grant {
    /// RFC 8628.
    Device,
    /// Authorization code with PKCE (RFC 7636) by way of a browser.
    Browser,
    /// RFC 6749 section 4.4.
    ClientCredentials,
    /// RFC 6749 section 6.
    Refresh,
    /// RFC 7523 section 2.1.
    JwtBearer,
    /// RFC 8693.
    TokenExchange,
    /// The ambient chain.
    Ambient,
    /// `env:VAR`, `file:PATH` or `command:CMD ARG…`.
    Place(String),
}

/// Where a grant takes its input token from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// The ambient chain.
    Ambient,
    /// Another profile.
    Profile(String),
    /// `env:VAR`, `file:PATH` or `command:CMD ARG…`.
    Place(String),
}

/// How a client proves who it is (OpenID Connect Core section 9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    /// `client_secret_basic`.
    Basic,
    /// `client_secret_post`.
    Post,
    /// `private_key_jwt`.
    PrivateKeyJwt,
    /// A public client.
    None,
}

/// Where a login is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Store {
    /// In a file that only this user can read.
    #[default]
    File,
    /// Its refresh token in the system's keyring, the rest in such a file.
    Keyring,
}

const STORES: [(&str, Store); 2] = [("file", Store::File), ("keyring", Store::Keyring)];

const GRANTS: [(&str, Grant); 7] = [
    ("device", Grant::Device),
    ("browser", Grant::Browser),
    ("client-credentials", Grant::ClientCredentials),
    ("refresh", Grant::Refresh),
    ("jwt-bearer", Grant::JwtBearer),
    ("token-exchange", Grant::TokenExchange),
    ("ambient", Grant::Ambient),
];

const CLIENT_AUTH: [(&str, ClientAuth); 4] = [
    ("basic", ClientAuth::Basic),
    ("post", ClientAuth::Post),
    ("private-key-jwt", ClientAuth::PrivateKeyJwt),
    ("none", ClientAuth::None),
];

impl Grant {
    /// Its name in the file.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Place(spec) => spec,
            grant => GRANTS
                .iter()
                .find(|(_, known)| known == grant)
                .map_or("", |(name, _)| name),
        }
    }

    /// Whether it needs a person once.
    #[must_use]
    pub const fn is_login(&self) -> bool {
        matches!(self, Self::Device | Self::Browser)
    }
}

impl Store {
    /// Its name in the file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::File => STORES[0].0,
            Self::Keyring => STORES[1].0,
        }
    }

    /// The one of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        STORES
            .iter()
            .find_map(|(known, store)| (*known == name).then_some(*store))
    }
}

/// The place that `text` names, if a token can be read from it; blanks around its name are not part of it.
fn place(text: &str) -> Option<String> {
    let (kind, rest) = text.split_once(':')?;
    let is_one = matches!(kind, "env" | "file" | "command") && !rest.trim().is_empty();
    is_one.then(|| format!("{kind}:{}", rest.trim()))
}

/// The same place, with a path that says no folder taken from `folder`.
pub(super) fn settled(spec: &str, folder: &Path) -> String {
    match spec.strip_prefix("file:") {
        Some(path) => format!("file:{}", folder.join(path).display()),
        None => spec.to_owned(),
    }
}

impl Profile {
    /// Takes paths that say no folder from `folder`, the configuration's own.
    pub(super) fn settle(&mut self, folder: &Path) {
        if let Grant::Place(spec) = &mut self.grant {
            *spec = settled(spec, folder);
        }
        if let Some(Input::Place(spec)) = &mut self.from {
            *spec = settled(spec, folder);
        }
        let references = [
            &mut self.client_secret,
            &mut self.client_key,
            &mut self.refresh_token,
            &mut self.actor_token,
        ];
        for reference in references.into_iter().flatten() {
            reference.settle(folder);
        }
    }
}

pub(super) fn read(name: &str, section: &Section<'_>) -> Result<Profile, Error> {
    let profile = Profile {
        name: name.to_owned(),
        grant: grant(section)?,
        from: section.text("from")?.map(input),
        issuer: issuer(section)?,
        endpoint: endpoint(section)?,
        client_id: section.text("client_id")?,
        client_secret: secret(section, "client_secret")?,
        client_auth: client_auth(section)?,
        client_key: secret(section, "client_key")?,
        client_key_id: section.text("client_key_id")?,
        refresh_token: secret(section, "refresh_token")?,
        actor_token: secret(section, "actor_token")?,
        audience: section.texts("audience")?.unwrap_or_default(),
        scopes: section.texts("scopes")?.unwrap_or_default(),
        resource: section.texts("resource")?.unwrap_or_default(),
        preset: preset(section)?,
        role: section.text("role")?,
        input_audience: section.texts("input_audience")?.unwrap_or_default(),
        options: options(section)?,
        store: store(section)?,
        interactive: section.flag("interactive")?,
        cache_ttl: section.duration("cache_ttl")?,
        min_validity: section.duration("min_validity")?,
        line: section.line,
    };
    complete(&profile, section)?;
    Ok(profile)
}

fn options(section: &Section<'_>) -> Result<BTreeMap<String, String>, Error> {
    let mut options = BTreeMap::new();
    for key in OPTIONS {
        if let Some(text) = section.text(key)? {
            options.insert((*key).to_owned(), text);
        }
    }
    Ok(options)
}

fn grant(section: &Section<'_>) -> Result<Grant, Error> {
    let text = section.needed("grant", "how its token is got")?;
    if let Some((_, grant)) = GRANTS.iter().find(|(name, _)| *name == text) {
        return Ok(grant.clone());
    }
    if let Some(place) = place(&text) {
        return Ok(Grant::Place(place));
    }
    Err(unknown(section, "grant", &text, GRANTS.map(|(name, _)| name))
        .with_hint("a grant is one of those, or `env:VAR`, `file:PATH`, `command:CMD ARG…`"))
}

fn client_auth(section: &Section<'_>) -> Result<Option<ClientAuth>, Error> {
    let Some(text) = section.text("client_auth")? else {
        return Ok(None);
    };
    match CLIENT_AUTH.iter().find(|(name, _)| *name == text) {
        Some((_, found)) => Ok(Some(*found)),
        None => Err(unknown(
            section,
            "client_auth",
            &text,
            CLIENT_AUTH.map(|(name, _)| name),
        )),
    }
}

fn store(section: &Section<'_>) -> Result<Store, Error> {
    let Some(text) = section.text("store")? else {
        return Ok(Store::default());
    };
    Store::named(&text).ok_or_else(|| unknown(section, "store", &text, STORES.map(|(name, _)| name)))
}

fn preset(section: &Section<'_>) -> Result<Option<String>, Error> {
    let Some(text) = section.text("preset")? else {
        return Ok(None);
    };
    if preset::names().contains(&text.as_str()) {
        return Ok(Some(text));
    }
    Err(unknown(section, "preset", &text, preset::names()))
}

fn unknown<'k>(
    section: &Section<'_>,
    key: &str,
    text: &str,
    known: impl IntoIterator<Item = &'k str> + Clone,
) -> Error {
    let meant = nearest(text, known.clone()).map_or_else(String::new, |m| format!("did you mean `{m}`? "));
    let all: Vec<&str> = known.into_iter().collect();
    let message = format!("`{text}` is unknown; {meant}known: {}", all.join(", "));
    section.fault(key, &message)
}

fn input(text: String) -> Input {
    match place(&text) {
        Some(place) => Input::Place(place),
        None if text == "ambient" => Input::Ambient,
        None => Input::Profile(text),
    }
}

fn secret(section: &Section<'_>, key: &str) -> Result<Option<Reference>, Error> {
    let Some(text) = section.text(key)? else {
        return Ok(None);
    };
    // The text itself is not shown: it may be the secret.
    let reference = Reference::parse(&text);
    reference.map(Some).ok_or_else(|| {
        section
            .fault(key, "no secret is written in this file; name where it is")
            .with_hint(format!("write {SPELLINGS}"))
    })
}

fn issuer(section: &Section<'_>) -> Result<Option<String>, Error> {
    let Some(text) = section.text("issuer")? else {
        return Ok(None);
    };
    address(section, "issuer", &text)?;
    Ok(Some(text))
}

fn endpoint(section: &Section<'_>) -> Result<Option<Url>, Error> {
    let text = section.text("endpoint")?;
    text.map(|text| address(section, "endpoint", &text)).transpose()
}

/// An address that a credential may be sent to: `https`, or `http` to this machine.
pub(super) fn address(section: &Section<'_>, key: &str, text: &str) -> Result<Url, Error> {
    let url = Url::parse(text).map_err(|e| section.fault(key, &format!("no URL: {e}")))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(section.fault(key, "a URL with a user name or a password in it"));
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback(&url) => Ok(url),
        "http" => Err(section
            .fault(
                key,
                "`http://` beyond this machine: anybody on the way could read the token",
            )
            .with_hint("use `https://`")),
        other => Err(section.fault(key, &format!("`{other}:` is no scheme for this; use `https://`"))),
    }
}

/// Whether the host is this machine by its address or by the name `localhost`.
#[must_use]
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

/// Every grant has what it needs.
fn complete(profile: &Profile, section: &Section<'_>) -> Result<(), Error> {
    let stands_on_another = profile.from.is_some();
    let has_server = profile.issuer.is_some() || profile.endpoint.is_some();
    match &profile.grant {
        Grant::Device | Grant::Browser => {
            section.needed("issuer", "where the login is")?;
            section.needed("client_id", "who asks for the login")?;
        }
        Grant::ClientCredentials => {
            if !has_server {
                section.needed("issuer", "who gives the token")?;
            }
            section.needed("client_id", "who asks")?;
            proof(profile, section)?;
        }
        Grant::Refresh if !stands_on_another => {
            if !has_server {
                section.needed("issuer", "a refresh without `from` needs one")?;
            }
            section.needed("client_id", "a refresh without `from` needs one")?;
            section.needed("refresh_token", "a refresh without `from` needs its first one")?;
        }
        Grant::JwtBearer | Grant::TokenExchange => {
            section.needed("from", "whose token is the input")?;
            if !has_server && profile.preset.is_none() {
                section.needed("issuer", "who takes the input")?;
            }
        }
        Grant::Refresh | Grant::Ambient | Grant::Place(_) => {}
    }
    if let Some(name) = &profile.preset {
        target(name, profile, section)?;
    }
    if profile.client_auth == Some(ClientAuth::PrivateKeyJwt) {
        section.needed("client_key", "`client_auth = \"private-key-jwt\"` signs with it")?;
    }
    Ok(())
}

/// An exchange target needs what neither it nor the call can say.
fn target(name: &str, profile: &Profile, section: &Section<'_>) -> Result<(), Error> {
    if profile.grant != Grant::TokenExchange {
        return Err(section.fault("preset", "only `grant = \"token-exchange\"` has a target"));
    }
    for key in preset::needed(name) {
        let why = format!("the preset `{name}` needs it");
        section
            .needed(key, &why)
            .map_err(|e| e.with_hint("`jeton help presets` shows what each preset needs"))?;
    }
    Ok(())
}

/// A client that proves itself needs something to do it with.
fn proof(profile: &Profile, section: &Section<'_>) -> Result<(), Error> {
    let proved = profile.client_secret.is_some() || profile.client_key.is_some();
    if !proved && profile.client_auth != Some(ClientAuth::None) {
        section.needed(
            "client_secret",
            "a client proves itself with it, or with `client_key`",
        )?;
    }
    Ok(())
}
