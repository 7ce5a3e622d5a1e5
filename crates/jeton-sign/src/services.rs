//! Whom to ask: the services of one instance of Sigstore, public or private, never of two.
use jeton::http::{Url, checked_url};
use jeton::{Class, Error};
use jeton_core::redact;
use sigstore_trust_root::{ServiceConfiguration, ServiceEndpoint, ServiceSelector, SigningConfig};
use std::path::Path;

/// Which API a transparency log speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogVersion {
    /// Rekor v1: entries with a promise and the log's own time.
    V1,
    /// Rekor v2: entries with a proof alone; a timestamp authority gives the time.
    V2,
}

/// The services that a keyless signature needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Services {
    /// The certificate authority.
    pub fulcio: Url,
    /// The transparency log.
    pub rekor: Url,
    /// What it speaks.
    pub log_version: LogVersion,
    /// The timestamp authority: its endpoint, whole.
    pub timestamp: Option<Url>,
    /// The issuer at which people log in.
    pub issuer: Option<String>,
}

/// What was said of single services.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// The certificate authority.
    pub fulcio: Option<String>,
    /// The transparency log; it speaks v1.
    pub rekor: Option<String>,
    /// The timestamp authority.
    pub timestamp: Option<String>,
}

impl Named {
    /// Whether nothing was said, so that the public instance is meant.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Services {
    /// The services of a private instance by their URLs.
    ///
    /// # Errors
    /// `Class::Config` for a URL that is none, and when the certificate authority or the log is missing: the public
    /// ones never stand in for private ones.
    pub fn named(named: &Named) -> Result<Self, Error> {
        let needed = |what: &str, flag: &str, url: &Option<String>| {
            let url = url.as_ref().ok_or_else(|| {
                let message = format!("{what} is missing: the public one never stands in for a private one");
                Error::new(Class::Config, message).with_hint(format!("say {flag} URL"))
            })?;
            checked_url(url, flag)
        };
        Ok(Self {
            fulcio: needed("the certificate authority", "--fulcio-url", &named.fulcio)?,
            rekor: needed("the transparency log", "--rekor-url", &named.rekor)?,
            log_version: LogVersion::V1,
            timestamp: timestamp(named)?,
            issuer: None,
        })
    }

    /// The services that a signing config names, those of `named` in place of its own.
    ///
    /// # Errors
    /// `Class::Config` when it names none that can be used, or wants more of a kind than one.
    pub fn configured(config: &SigningConfig, named: &Named) -> Result<Self, Error> {
        let fulcio = match &named.fulcio {
            Some(url) => checked_url(url, "--fulcio-url")?,
            None => address(config.fulcio_url(), "certificate authority")?,
        };
        let (rekor, log_version) = match &named.rekor {
            Some(url) => (checked_url(url, "--rekor-url")?, LogVersion::V1),
            None => {
                enough(
                    &config.rekor_tlog_config,
                    &config.eligible_rekor_urls(None),
                    "transparency log",
                )?;
                let endpoint = config.rekor_url(None);
                let version = match endpoint.map(|endpoint| endpoint.major_api_version) {
                    Some(2) => LogVersion::V2,
                    _ => LogVersion::V1,
                };
                (address(endpoint, "transparency log")?, version)
            }
        };
        let timestamp = match (timestamp(named)?, config.tsa_url()) {
            (Some(url), _) => Some(url),
            (None, Some(endpoint)) => {
                enough(
                    &config.tsa_config,
                    &config.eligible_tsa_urls(),
                    "timestamp authority",
                )?;
                Some(address(Some(endpoint), "timestamp authority")?)
            }
            (None, None) => None,
        };
        let services = Self {
            fulcio,
            rekor,
            log_version,
            timestamp,
            issuer: config.oidc_url().map(|endpoint| endpoint.url.clone()),
        };
        services.complete()
    }

    /// A log of v2 gives no time: without a timestamp authority nobody could verify the bundle later.
    fn complete(self) -> Result<Self, Error> {
        match (self.log_version, &self.timestamp) {
            (LogVersion::V2, None) => {
                let message =
                    "the log speaks Rekor v2 and there is no timestamp authority: nobody could verify later";
                Err(Error::new(Class::Config, message).with_hint("say --timestamp-server-url URL"))
            }
            _ => Ok(self),
        }
    }

    /// A signing config from a file (`signing_config.v0.2.json`).
    ///
    /// # Errors
    /// `Class::NotFound` when it is not there, `Class::Config` when it is none.
    pub fn read_config(path: &Path) -> Result<SigningConfig, Error> {
        let text = crate::artifact::document(path)?;
        SigningConfig::from_json(&text).map_err(|e| {
            let why = redact::foreign(&e.to_string(), &[]);
            let path = jeton::source::file::shown(path);
            Error::new(Class::Config, format!("{path}: it is no signing config: {why}"))
                .with_hint("name a signing_config.v0.2.json, as whoever runs the instance hands it out")
        })
    }
}

fn timestamp(named: &Named) -> Result<Option<Url>, Error> {
    let url = named.timestamp.as_ref();
    url.map(|url| checked_url(url, "--timestamp-server-url"))
        .transpose()
}

fn address(endpoint: Option<&ServiceEndpoint>, what: &str) -> Result<Url, Error> {
    let endpoint = endpoint.ok_or_else(|| {
        let message =
            format!("the signing config names no {what} that is valid now and speaks a known version");
        Error::new(Class::Config, message)
            .with_hint("get the instance's signing config again, or name its services one by one")
    })?;
    checked_url(&endpoint.url, what)
}

/// We ask one service of each kind; whoever wants more must not get less in silence.
fn enough(config: &ServiceConfiguration, eligible: &[&ServiceEndpoint], what: &str) -> Result<(), Error> {
    let one_operator = || {
        let mut operators = eligible.iter().map(|endpoint| endpoint.operator.as_deref());
        match operators.next() {
            None => true,
            Some(None) => eligible.len() == 1,
            Some(first) => operators.all(|operator| operator == first),
        }
    };
    let is_enough = match config.selector {
        ServiceSelector::Any => true,
        ServiceSelector::Exact => config.count == Some(1),
        ServiceSelector::All => one_operator(),
        _ => false,
    };
    if is_enough {
        return Ok(());
    }
    let message = format!("the signing config wants more than one {what}, and one is asked");
    Err(Error::new(Class::Config, message)
        .with_hint("name the one to ask with --rekor-url or --timestamp-server-url"))
}

/// `path` below a service's URL, whether that ends with a slash or not.
pub(crate) fn below(base: &Url, path: &str) -> Result<Url, Error> {
    let text = format!("{}/{path}", base.as_str().trim_end_matches('/'));
    Url::parse(&text).map_err(|e| Error::new(Class::Config, format!("{text}: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn endpoint(url: &str, version: u32, operator: &str) -> Value {
        json!({"url": url, "majorApiVersion": version, "operator": operator,
            "validFor": {"start": "2020-01-01T00:00:00Z"}})
    }

    fn config(logs: &Value, log_config: &Value, stamps: &Value) -> SigningConfig {
        let config = json!({
            "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
            "caUrls": [endpoint("https://ca.example.com", 1, "a")],
            "rekorTlogUrls": logs, "rekorTlogConfig": log_config,
            "tsaUrls": stamps, "tsaConfig": {"selector": "ANY"},
        });
        SigningConfig::from_json(&config.to_string()).unwrap()
    }

    #[test]
    fn b17_one_service_of_each_kind_is_asked_or_none_at_all() {
        let (v1, v2) = (
            endpoint("https://v1.example.com", 1, "a"),
            endpoint("https://v2.example.com", 2, "b"),
        );
        let stamp = json!([endpoint("https://t.example.com/stamp", 1, "a")]);
        let (any, none) = (json!({"selector": "ANY"}), json!([]));
        let rows = [
            (json!([v1]), &any, &none, Some(("v1.example.com", LogVersion::V1))),
            (
                json!([v1, v2]),
                &any,
                &stamp,
                Some(("v2.example.com", LogVersion::V2)),
            ),
            // No time could be proven.
            (json!([v1, v2]), &any, &none, None),
            (json!([]), &any, &stamp, None),
            (
                json!([endpoint("https://v3.example.com", 3, "a")]),
                &any,
                &stamp,
                None,
            ),
            (
                json!([v1]),
                &json!({"selector": "EXACT", "count": 1}),
                &stamp,
                Some(("v1.example.com", LogVersion::V1)),
            ),
            (
                json!([v1, v2]),
                &json!({"selector": "EXACT", "count": 2}),
                &stamp,
                None,
            ),
            (json!([v1, v2]), &json!({"selector": "ALL"}), &stamp, None),
            (
                json!([endpoint("http://plain.example.com", 1, "a")]),
                &any,
                &stamp,
                None,
            ),
        ];
        for (logs, log_config, stamps, expected) in rows {
            let services = Services::configured(&config(&logs, log_config, stamps), &Named::default());
            let found = services
                .ok()
                .map(|s| (s.rekor.host_str().unwrap().to_owned(), s.log_version));
            assert_eq!(
                found,
                expected.map(|(host, version)| (host.to_owned(), version)),
                "{logs} {log_config}"
            );
        }
    }
}
