//! Who asks: a client and how it proves itself at the token endpoint (RFC 6749 section 2.3, RFC 7523 section 2.2).
use super::random_id;
use crate::config::Reference;
use crate::{Context, Error};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jeton_core::{Class, Json, Moment, Secret, SigningKey};
use std::time::Duration;
use url::Url;

/// How long a client assertion lives: one request.
const ASSERTION_LIFE: Duration = Duration::from_secs(60);

/// The assertion type of a client that proves itself with a JWT (RFC 7523 section 2.2).
pub const JWT_BEARER_ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// A client of an authorization server.
#[derive(Clone, Debug)]
pub struct Client {
    /// Its identifier.
    pub id: String,
    /// How it proves itself.
    pub auth: ClientAuth,
}

/// How a client proves itself. Secrets are named, and read when they are needed.
#[derive(Clone, Debug)]
pub enum ClientAuth {
    /// A public client: its id alone.
    None,
    /// `client_secret_basic`, id and secret form-encoded inside (RFC 6749 section 2.3.1).
    Basic(Reference),
    /// `client_secret_post`.
    Post(Reference),
    /// `private_key_jwt`.
    PrivateKeyJwt {
        /// The private key, PEM (PKCS#8).
        key: Reference,
        /// The `kid` by which the server knows it; the key's thumbprint when not said.
        key_id: Option<String>,
    },
    /// A JWT from another source as the assertion (workload identity).
    Assertion(Secret),
}

impl Client {
    /// A public client.
    #[must_use]
    pub fn public(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            auth: ClientAuth::None,
        }
    }

    /// Reads what it proves itself with.
    ///
    /// # Errors
    /// `Class::Config` when the reference leads nowhere or the key is no key.
    pub(crate) async fn credential(&self, cx: &Context) -> Result<Credential<'_>, Error> {
        let proof = match &self.auth {
            ClientAuth::None => Proof::None,
            ClientAuth::Basic(reference) => Proof::Basic(reference.read(cx).await?),
            ClientAuth::Post(reference) => Proof::Post(reference.read(cx).await?),
            ClientAuth::Assertion(jwt) => Proof::Assertion(jwt.clone()),
            ClientAuth::PrivateKeyJwt { key, key_id } => {
                let pem = reference_key(&key.read(cx).await?, key)?;
                Proof::Key(Box::new(pem), key_id.clone())
            }
        };
        Ok(Credential { id: &self.id, proof })
    }
}

fn reference_key(pem: &Secret, reference: &Reference) -> Result<SigningKey, Error> {
    SigningKey::from_pem(pem.reveal(), None).map_err(|e| {
        Error::new(Class::Config, format!("client_key {reference:?}: {e}"))
            .with_hint("name a private key in PEM, PKCS#8: RSA, P-256, P-384 or Ed25519")
    })
}

/// A client with its proof read.
pub(crate) struct Credential<'a> {
    id: &'a str,
    proof: Proof,
}

enum Proof {
    None,
    Basic(Secret),
    Post(Secret),
    Assertion(Secret),
    Key(Box<SigningKey>, Option<String>),
}

impl Credential<'_> {
    /// Adds the proof to a form; gives back the value of an `Authorization` field where it goes there.
    pub(crate) fn apply(
        &self,
        fields: &mut Vec<(&'static str, String)>,
        endpoint: &Url,
        now: Moment,
    ) -> Result<Option<Secret>, Error> {
        match &self.proof {
            Proof::Basic(secret) => return Ok(Some(basic(self.id, secret))),
            Proof::None => fields.push(("client_id", self.id.to_owned())),
            Proof::Post(secret) => {
                fields.push(("client_id", self.id.to_owned()));
                fields.push(("client_secret", secret.reveal().to_owned()));
            }
            Proof::Assertion(jwt) => self.assert(fields, jwt.reveal().to_owned()),
            Proof::Key(key, kid) => {
                let jwt = self.assertion(key, kid.as_deref(), endpoint, now)?;
                self.assert(fields, jwt);
            }
        }
        Ok(None)
    }

    fn assert(&self, fields: &mut Vec<(&'static str, String)>, jwt: String) {
        fields.push(("client_id", self.id.to_owned()));
        fields.push(("client_assertion_type", JWT_BEARER_ASSERTION.to_owned()));
        fields.push(("client_assertion", jwt));
    }

    fn assertion(
        &self,
        key: &SigningKey,
        kid: Option<&str>,
        endpoint: &Url,
        now: Moment,
    ) -> Result<String, Error> {
        let seconds = now.wall.seconds();
        let life = i64::try_from(ASSERTION_LIFE.as_secs()).unwrap_or(i64::MAX);
        let claims = Json::object([
            ("iss", Json::from(self.id)),
            ("sub", Json::from(self.id)),
            ("aud", Json::from(endpoint.as_str())),
            ("jti", Json::from(random_id()?)),
            ("iat", Json::from(seconds)),
            ("exp", Json::from(seconds.saturating_add(life))),
        ]);
        let header = Json::object([
            ("typ", Json::from("JWT")),
            ("kid", Json::from(kid.unwrap_or(key.key_id()))),
        ]);
        key.sign_with(&header, &claims)
            .map_err(|e| Error::new(Class::Other, format!("signing the client assertion: {e}")))
    }
}

fn basic(id: &str, secret: &Secret) -> Secret {
    let encode = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair = format!("{}:{}", encode(id), encode(secret.reveal()));
    Secret::new(format!("Basic {}", STANDARD.encode(pair)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defect_5_basic_is_form_encoded_inside_and_standard_base64_outside() {
        let header = basic("a b:c", &Secret::new("p+ä/?~"));
        let encoded = header.reveal().strip_prefix("Basic ").expect("scheme");
        let pair = String::from_utf8(STANDARD.decode(encoded).expect("base64")).expect("UTF-8");
        assert_eq!(pair, "a+b%3Ac:p%2B%C3%A4%2F%3F%7E");
    }
}
