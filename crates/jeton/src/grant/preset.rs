//! Exchange targets that are only shapes: one row each says where the identity token goes and where the answer's
//! token is. Targets that need more than a row (`aws` answers XML, `gcp` may impersonate) have a file beside this one.
//!
//! Values are templates: `{token}` is the identity token, `{audience}` the audience, `{scope}` the scopes, any other
//! `{key}` a key of the profile. A part whose key is not set is left out when it is optional, else it is an error.
use super::Granted;
use crate::http::{Fault, Request, Response, checked_url};
use crate::{Context, Error, answer};
use http::Method;
use jeton_core::oauth::TokenAnswer;
use jeton_core::{Class, Failure, Json, Secret};
use std::collections::BTreeMap;
use std::time::Duration;
use url::Url;

pub mod gcp;

/// How the request carries its members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// `application/x-www-form-urlencoded`.
    Form,
    /// A JSON object.
    Json,
    /// Query parameters of a GET; the token goes into `Authorization`.
    Query,
    /// An empty POST; the token goes into `Authorization`.
    Bearer,
}

/// One exchange target.
#[derive(Clone, Copy, Debug)]
pub struct Preset {
    /// Its name in the configuration.
    pub name: &'static str,
    /// Where it is when the profile names no `endpoint`; empty: the profile must.
    pub endpoint: &'static str,
    /// The path below the endpoint, a template.
    pub path: &'static str,
    /// How the members travel.
    pub style: Style,
    /// The members, templates; a name that ends in `?` is optional.
    pub members: &'static [(&'static str, &'static str)],
    /// Where the token is in the answer: member names with dots between.
    pub token: &'static str,
    /// Where its life is, in seconds; empty: nobody says.
    pub expires_in: &'static str,
    /// Its life where the answer does not say.
    pub life: Duration,
    /// The audience of the identity token that goes in, a template.
    pub audience: &'static str,
    /// How the result is given back before its time.
    pub revoke: Option<Revoke>,
    /// The page it was read from.
    pub page: &'static str,
}

/// How a target takes a token back.
#[derive(Clone, Copy, Debug)]
pub struct Revoke {
    /// The method.
    pub method: &'static str,
    /// The path below the endpoint.
    pub path: &'static str,
    /// The header field that carries the token; `authorization` gets `Bearer` before it.
    pub header: &'static str,
}

/// What is encoded in a path's segment: all but the unreserved (RFC 3986 section 2.3).
const SEGMENT: &percent_encoding::AsciiSet = &percent_encoding::NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
const MINUTE: u64 = 60;
const UNSAID: Duration = Duration::ZERO;

/// The table. Package registries name no endpoint of their own here: the profile's `endpoint` says which.
pub const PRESETS: &[Preset] = &[
    Preset {
        name: "anthropic",
        endpoint: "https://api.anthropic.com",
        path: "/v1/oauth/token",
        style: Style::Json,
        members: &[
            ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
            ("assertion", "{token}"),
            ("federation_rule_id", "{federation_rule}"),
            ("organization_id", "{organization}"),
            ("service_account_id?", "{service_account}"),
            ("workspace_id?", "{workspace}"),
        ],
        token: "access_token",
        expires_in: "expires_in",
        life: UNSAID,
        audience: "https://api.anthropic.com",
        revoke: None,
        page: "Anthropic: workload identity federation",
    },
    Preset {
        name: "azure",
        endpoint: "https://login.microsoftonline.com",
        path: "/{tenant}/oauth2/v2.0/token",
        style: Style::Form,
        members: &[
            ("grant_type", "client_credentials"),
            ("client_id", "{client_id}"),
            ("scope", "{scope}"),
            ("client_assertion_type", super::client::JWT_BEARER_ASSERTION),
            ("client_assertion", "{token}"),
        ],
        token: "access_token",
        expires_in: "expires_in",
        life: UNSAID,
        audience: "api://AzureADTokenExchange",
        revoke: None,
        page: "Microsoft Entra: workload identity federation",
    },
    Preset {
        name: "buildkite",
        endpoint: "https://buildkite.com",
        path: "/oauth/token",
        style: Style::Form,
        members: &[
            ("grant_type", "client_credentials"),
            ("client_id", "{client_id}"),
            ("scope?", "{scope}"),
            ("client_assertion_type", super::client::JWT_BEARER_ASSERTION),
            ("client_assertion", "{token}"),
        ],
        token: "access_token",
        expires_in: "expires_in",
        life: UNSAID,
        audience: "https://buildkite.com",
        revoke: None,
        page: "Buildkite: OIDC for the API",
    },
    Preset {
        name: "crates-io",
        endpoint: "",
        path: "/api/v1/trusted_publishing/tokens",
        style: Style::Json,
        members: &[("jwt", "{token}")],
        token: "token",
        expires_in: "",
        life: Duration::from_secs(30 * MINUTE),
        audience: "{endpoint_host}",
        revoke: Some(Revoke {
            method: "DELETE",
            path: "/api/v1/trusted_publishing/tokens",
            header: "authorization",
        }),
        page: "RFC 3691 of the Rust project",
    },
    Preset {
        name: "github-app-broker",
        endpoint: "https://octo-sts.dev",
        path: "/sts/exchange",
        style: Style::Query,
        members: &[("scope", "{scope}"), ("identity", "{identity}")],
        token: "token",
        expires_in: "",
        life: Duration::from_secs(60 * MINUTE),
        audience: "{endpoint_host}",
        revoke: None,
        page: "octo-sts: README",
    },
    Preset {
        name: "jfrog",
        endpoint: "",
        path: "/access/api/v1/oidc/token",
        style: Style::Json,
        members: &[
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:id_token"),
            ("subject_token", "{token}"),
            ("provider_name", "{provider}"),
        ],
        token: "access_token",
        expires_in: "expires_in",
        life: UNSAID,
        audience: "{endpoint}",
        revoke: None,
        page: "JFrog: OpenID Connect integration",
    },
    Preset {
        name: "npm",
        endpoint: "",
        path: "/-/npm/v1/oidc/token/exchange/package/{package}",
        style: Style::Bearer,
        members: &[],
        token: "token",
        expires_in: "",
        life: Duration::from_secs(60 * MINUTE),
        audience: "npm:{endpoint_host}",
        revoke: None,
        page: "npm: trusted publishing",
    },
    Preset {
        name: "octo-sts",
        endpoint: "https://octo-sts.dev",
        path: "/sts/exchange",
        style: Style::Query,
        members: &[("scope", "{scope}"), ("identity", "{identity}")],
        token: "token",
        expires_in: "",
        life: Duration::from_secs(60 * MINUTE),
        audience: "{endpoint_host}",
        revoke: None,
        page: "octo-sts: README",
    },
    Preset {
        name: "pypi",
        endpoint: "",
        path: "/_/oidc/mint-token",
        style: Style::Json,
        members: &[("token", "{token}")],
        token: "token",
        expires_in: "",
        life: Duration::from_secs(15 * MINUTE),
        audience: "pypi",
        revoke: None,
        page: "PyPI: trusted publishers, internals",
    },
    Preset {
        name: "vault",
        endpoint: "",
        path: "/v1/auth/{mount}/login",
        style: Style::Json,
        members: &[("role?", "{role}"), ("jwt", "{token}")],
        token: "auth.client_token",
        expires_in: "auth.lease_duration",
        life: UNSAID,
        audience: "{endpoint}",
        revoke: Some(Revoke {
            method: "POST",
            path: "/v1/auth/token/revoke-self",
            header: "x-vault-token",
        }),
        page: "Vault and OpenBao: JWT auth method",
    },
    Preset {
        name: "json",
        endpoint: "",
        path: "",
        style: Style::Json,
        members: &[
            ("token", "{token}"),
            ("audience?", "{audience}"),
            ("scope?", "{scope}"),
        ],
        token: "token",
        expires_in: "expires_in",
        life: UNSAID,
        audience: "{endpoint}",
        revoke: None,
        page: "a JSON endpoint of your own: a token in, a token out",
    },
];

/// Targets with files of their own, and the key without which each asks nobody.
const CLOUDS: [(&str, &str); 2] = [("aws", "role"), ("gcp", "provider")];

/// Keys that a profile may leave to the variables of the platforms' own tools: preset, key, variable.
pub const VARIABLES: [(&str, &str, &str); 5] = [
    ("azure", "tenant", "AZURE_TENANT_ID"),
    ("azure", "client_id", "AZURE_CLIENT_ID"),
    ("anthropic", "federation_rule", "ANTHROPIC_FEDERATION_RULE_ID"),
    ("anthropic", "organization", "ANTHROPIC_ORGANIZATION_ID"),
    ("anthropic", "service_account", "ANTHROPIC_SERVICE_ACCOUNT_ID"),
];

/// Where the platforms' own tools look for a target's endpoint, first ones first: preset, variable.
pub const ENDPOINTS: [(&str, &str); 4] = [
    ("anthropic", "ANTHROPIC_BASE_URL"),
    ("azure", "AZURE_AUTHORITY_HOST"),
    ("vault", "BAO_ADDR"),
    ("vault", "VAULT_ADDR"),
];

/// Words in templates that are no keys of a profile.
const FILLED_IN: [&str; 3] = ["token", "endpoint", "endpoint_host"];
/// What a call may say where the profile does not.
const ASKED: [&str; 2] = ["audience", "scope"];
/// Where Vault and `OpenBao` mount the method unless somebody moves it.
const MOUNT: (&str, &str) = ("mount", "jwt");

/// The names of every target, in order.
#[must_use]
pub fn names() -> Vec<&'static str> {
    let rows = PRESETS.iter().map(|preset| preset.name);
    let mut names: Vec<_> = rows.chain(CLOUDS.map(|(name, _)| name)).collect();
    names.sort_unstable();
    names
}

/// The keys that a profile must have for this target, since nothing else can say them.
#[must_use]
pub fn needed(name: &str) -> Vec<&'static str> {
    if let Some((_, key)) = CLOUDS.iter().find(|(cloud, _)| *cloud == name) {
        return vec![key];
    }
    let Some(preset) = named(name) else {
        return Vec::new();
    };
    let has_variable = |key: &str| {
        VARIABLES
            .iter()
            .any(|(of, known, _)| *of == name && *known == key)
    };
    let is_known = !preset.endpoint.is_empty() || ENDPOINTS.iter().any(|(of, _)| *of == name);
    let endpoint = (!is_known).then_some("endpoint");
    let keys = preset.keys().into_iter();
    let keys = keys.filter(|(key, is_needed)| *is_needed && !ASKED.contains(key) && !has_variable(key));
    endpoint.into_iter().chain(keys.map(|(key, _)| key)).collect()
}

impl Preset {
    /// Each key that a template names, once, and whether it is needed.
    #[must_use]
    pub fn keys(&self) -> Vec<(&'static str, bool)> {
        let members = self
            .members
            .iter()
            .map(|(name, value)| (*value, !name.ends_with('?')));
        let templates = [(self.path, true)].into_iter().chain(members);
        let mut keys: Vec<(&str, bool)> = Vec::new();
        for (template, is_needed) in templates.chain([(self.audience, true)]) {
            let words = template
                .split('{')
                .skip(1)
                .filter_map(|rest| rest.split('}').next());
            for word in words.filter(|word| !FILLED_IN.contains(word)) {
                if !keys.iter().any(|(key, _)| *key == word) {
                    keys.push((word, is_needed && word != MOUNT.0));
                }
            }
        }
        keys
    }
}

/// The row of this name.
#[must_use]
pub fn named(name: &str) -> Option<&'static Preset> {
    PRESETS.iter().find(|p| p.name == name)
}

/// A target with the profile's values filled in.
#[derive(Clone, Debug)]
pub struct Target {
    /// The row.
    pub preset: &'static Preset,
    /// The endpoint, the profile's or the row's.
    pub endpoint: String,
    /// The profile's keys, by name.
    pub values: BTreeMap<String, String>,
}

impl Target {
    /// The target of a row, with the profile's endpoint and keys.
    ///
    /// # Errors
    /// `Class::Config` when the row has no endpoint and the profile names none.
    pub fn new(
        preset: &'static Preset,
        endpoint: Option<&str>,
        mut values: BTreeMap<String, String>,
        what: &str,
    ) -> Result<Self, Error> {
        let endpoint = endpoint
            .unwrap_or(preset.endpoint)
            .trim_end_matches('/')
            .to_owned();
        if endpoint.is_empty() {
            let variables = ENDPOINTS.iter().filter(|(of, _)| *of == preset.name);
            let variables: String = variables
                .map(|(_, variable)| format!(", or {variable}"))
                .collect();
            return Err(Error::new(
                Class::Config,
                format!("{what}: the preset \"{}\" needs an endpoint", preset.name),
            )
            .with_hint(format!(
                "set `endpoint = \"https://…\"` in the profile{variables}"
            )));
        }
        let url = checked_url(&endpoint, what)?;
        if preset.name == "vault" {
            values
                .entry(MOUNT.0.to_owned())
                .or_insert_with(|| MOUNT.1.to_owned());
        }
        values.insert(
            "endpoint_host".to_owned(),
            url.host_str().unwrap_or_default().to_owned(),
        );
        values.insert("endpoint".to_owned(), endpoint.clone());
        Ok(Self {
            preset,
            endpoint,
            values,
        })
    }

    /// The audience that the identity token must have.
    ///
    /// # Errors
    /// `Class::Config` when the template names a key that the profile has not.
    pub fn audience(&self, what: &str) -> Result<String, Error> {
        self.fill(self.preset.audience, None, what)
    }

    /// The audience that the identity token must have; PyPI says it itself.
    ///
    /// # Errors
    /// As [`Target::audience`], and as [`Context::fetch`].
    pub async fn input_audience(&self, cx: &Context, what: &str) -> Result<String, Error> {
        if self.preset.name != "pypi" {
            return self.audience(what);
        }
        let request = Request::get(below(&self.endpoint, "/_/oidc/audience", what)?);
        let audience = |response: &Response| {
            answer::success(response)?;
            answer::secret_member(&answer::json(response)?, "audience")
        };
        Ok(cx.fetch(what, &request, audience).await?.reveal().to_owned())
    }

    /// Exchanges `token`.
    ///
    /// # Errors
    /// `Class::Config` for a missing key, else as [`Context::fetch`].
    pub async fn exchange(&self, cx: &Context, what: &str, token: &Secret) -> Result<Granted, Error> {
        let request = self.request(token, what)?;
        cx.fetch(what, &request, |response| self.read(response)).await
    }

    /// Gives a token back, where the target takes it.
    ///
    /// # Errors
    /// As [`Context::fetch`].
    pub async fn revoke(&self, cx: &Context, what: &str, token: &Secret) -> Result<(), Error> {
        let Some(revoke) = self.preset.revoke else {
            return Ok(());
        };
        let url = checked_url(&format!("{}{}", self.endpoint, revoke.path), what)?;
        let method = Method::from_bytes(revoke.method.as_bytes()).unwrap_or(Method::POST);
        let mut request = Request::new(method, url);
        request = match revoke.header {
            "authorization" => request.bearer(token),
            header => request.secret_header(header, token),
        };
        cx.fetch(what, &request, |response| match response.status {
            200..=299 => Ok(()),
            _ => Err(super::refusal(response)),
        })
        .await
    }

    fn request(&self, token: &Secret, what: &str) -> Result<Request, Error> {
        let path = self.fill_path(self.preset.path, what)?;
        let mut url = checked_url(&format!("{}{path}", self.endpoint), what)?;
        let members = self.members(token, what)?;
        let request = match self.preset.style {
            Style::Form => {
                let borrowed: Vec<(&str, &str)> = members.iter().map(|(k, v)| (*k, v.as_str())).collect();
                Request::form(url, &borrowed)
            }
            Style::Json => {
                let object = Json::object(members.into_iter().map(|(k, v)| (k, Json::from(v))));
                let mut request = Request::json(url, object.to_text());
                request.credential = true;
                request
            }
            Style::Query => {
                url.query_pairs_mut().extend_pairs(members);
                Request::get(url).bearer(token)
            }
            Style::Bearer => Request::new(Method::POST, url)
                .header("content-length", "0")
                .bearer(token),
        };
        Ok(request.header("accept", "application/json"))
    }

    fn members(&self, token: &Secret, what: &str) -> Result<Vec<(&'static str, String)>, Error> {
        let mut members = Vec::new();
        for (name, template) in self.preset.members {
            let filled = self.fill(template, Some(token), what);
            match (name.strip_suffix('?'), filled) {
                (Some(name), Ok(value)) => members.push((name, value)),
                (Some(_), Err(_)) => {}
                (None, filled) => members.push((name, filled?)),
            }
        }
        Ok(members)
    }

    fn fill(&self, template: &str, token: Option<&Secret>, what: &str) -> Result<String, Error> {
        self.filled(template, what, |key| match (key, token) {
            ("token", Some(token)) => Some(token.reveal().to_owned()),
            _ => self.values.get(key).cloned(),
        })
    }

    /// A path's values are encoded, so that a package's slash stays inside its segment.
    fn fill_path(&self, template: &str, what: &str) -> Result<String, Error> {
        self.filled(template, what, |key| {
            let value = self.values.get(key)?;
            Some(percent_encoding::utf8_percent_encode(value, SEGMENT).to_string())
        })
    }

    fn filled(
        &self,
        template: &str,
        what: &str,
        value: impl Fn(&str) -> Option<String>,
    ) -> Result<String, Error> {
        let mut out = String::new();
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('{') {
            let (key, after) = after.split_once('}').unwrap_or((after, ""));
            out.push_str(before);
            out.push_str(&value(key).ok_or_else(|| self.missing(key, what))?);
            rest = after;
        }
        out.push_str(rest);
        Ok(out)
    }

    fn missing(&self, key: &str, what: &str) -> Error {
        Error::new(
            Class::Config,
            format!("{what}: the preset \"{}\" needs `{key}`", self.preset.name),
        )
        .with_hint(format!("set `{key} = \"…\"` in the profile"))
    }

    fn read(&self, response: &Response) -> Result<Granted, Fault> {
        // npm and the Rust registry answer 201.
        if !matches!(response.status, 200 | 201) {
            return Err(super::refusal(response));
        }
        let body = answer::json(response)?;
        if body.get("error").is_some_and(|error| error.as_str().is_some()) {
            return Err(answer::oauth_fault(response));
        }
        let value = at(&body, self.preset.token)
            .and_then(Json::as_str)
            .filter(|t| !t.is_empty());
        let value = value.ok_or_else(|| {
            Fault::new(
                Failure::Unexpected,
                format!("the answer holds no token at \"{}\"", self.preset.token),
            )
        })?;
        let said = at(&body, self.preset.expires_in)
            .and_then(Json::as_f64)
            .filter(|s| *s > 0.0 && s.is_finite());
        let said = said
            .map(|s| Duration::from_secs_f64(s.min(jeton_core::expiry::LONGEST_EXPIRES_IN.as_secs_f64())));
        let unsaid = (self.preset.life > UNSAID).then_some(self.preset.life);
        let answer = TokenAnswer {
            access_token: Secret::new(value),
            token_type: "Bearer".to_owned(),
            expires_in: said.or(unsaid),
            scopes: None,
            refresh_token: None,
            id_token: None,
            issued_token_type: None,
        };
        Ok(Granted {
            answer,
            date: response.date,
            received: response.received,
        })
    }
}

/// A member of a member, by names with dots between.
fn at<'a>(body: &'a Json, path: &str) -> Option<&'a Json> {
    path.split('.').try_fold(body, |value, name| value.get(name))
}

/// The URL of an endpoint below another, for targets with files of their own.
pub(crate) fn below(endpoint: &str, path: &str, what: &str) -> Result<Url, Error> {
    checked_url(&format!("{}{path}", endpoint.trim_end_matches('/')), what)
}
