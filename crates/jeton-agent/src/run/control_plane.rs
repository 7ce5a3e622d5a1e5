//! The Ambient platform's control plane: it gives a runner its token for the session's id, encrypted with its public key.
use super::bearer::Minted;
use aws_lc_rs::rsa::{OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jeton::http::{Request, Url};
use jeton::{Context, Error, Secret, answer};
use jeton_core::Class;

/// Where it is and what it knows us by.
#[derive(Clone)]
pub struct ControlPlane {
    url: Url,
    key: Vec<u8>,
    session: String,
}

impl ControlPlane {
    /// The control plane at `url`, whose public key is `pem` (SubjectPublicKeyInfo), for this session.
    ///
    /// # Errors
    /// `Class::Config` for a key that is none.
    pub fn new(url: Url, pem: &str, session: String) -> Result<Self, Error> {
        let text: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
        let key = STANDARD.decode(text.trim()).ok();
        let key = key.filter(|der| PublicEncryptingKey::from_der(der).is_ok());
        let key = key.ok_or_else(|| {
            Error::new(
                Class::Config,
                "AMBIENT_CP_TOKEN_PUBLIC_KEY is no RSA public key in PEM",
            )
        })?;
        Ok(Self { url, key, session })
    }

    /// A token.
    ///
    /// # Errors
    /// The control plane's.
    pub async fn token(&self, cx: &Context) -> Result<Minted, Error> {
        let proof = Secret::new(STANDARD.encode(self.sealed()?));
        let mut request = Request::get(self.url.clone()).bearer(&proof);
        request.clear_text = true;
        let value = cx
            .fetch("control plane", &request, |response| {
                answer::success(response)?;
                answer::secret_member(&answer::json(response)?, "token")
            })
            .await?;
        let ends = jeton_core::decode(value.reveal())
            .ok()
            .and_then(|claims| claims.into_peeked().expires_at());
        Ok(Minted { value, ends })
    }

    /// The session's id, for the control plane's eyes only.
    fn sealed(&self) -> Result<Vec<u8>, Error> {
        let wrong = || {
            Error::new(
                Class::Config,
                "the session's id cannot be encrypted for the control plane",
            )
        };
        let key = PublicEncryptingKey::from_der(&self.key).map_err(|_| wrong())?;
        let key = OaepPublicEncryptingKey::new(key).map_err(|_| wrong())?;
        let mut sealed = vec![0; key.ciphertext_size()];
        let written = key.encrypt(
            &OAEP_SHA256_MGF1SHA256,
            self.session.as_bytes(),
            &mut sealed,
            None,
        );
        Ok(written.map_err(|_| wrong())?.to_vec())
    }
}
