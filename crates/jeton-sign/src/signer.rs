//! From a file, or a statement about files, to a bundle.
//!
//! ```text
//! key of the moment -> token, now -> certificate -> signature -> timestamp -> log entry -> verified -> bundle
//! ```
//! The log comes last, because nothing of it can be taken back.
use crate::fulcio::{self, Certificate};
use crate::identity::Tokens;
use crate::rekor::{self, Entry};
use crate::services::Services;
use crate::statement::{Attestation, PAYLOAD_TYPE};
use crate::verification::{self, Level, Verification, Witnesses};
use crate::{Artifact, Bundle, Key, timestamp};
use jeton::{Class, Context, Error};
use jeton_core::{Claims, UnixTime, redact};
use sigstore_bundle::builder::{BundleV03, VerificationMaterialV03};
use sigstore_crypto::hash::sha256;
use sigstore_trust_root::TrustedRoot;
use sigstore_types::{
    DsseEnvelope, DsseSignature, KeyId, PayloadBytes, Sha256Hash, SignatureBytes, SignatureContent,
    TransparencyLogEntry,
};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

mod published;
mod unrooted;

/// A certificate that has less left than this is not used for another signature.
const LEAST_LEFT: Duration = Duration::from_secs(30);

/// How far the log's clock may be ahead of ours and still be waited for. More is told as what it is.
const MOST_AHEAD: Duration = Duration::from_secs(10);

/// What is signed.
#[derive(Clone, Debug)]
pub enum Content {
    /// A file itself.
    File(Artifact),
    /// A statement about files.
    Attestation(Attestation),
}

impl Content {
    /// Whether it can be written down by whoever holds a token with these claims.
    fn suits(&self, claims: &Claims) -> Result<(), Error> {
        match self {
            Self::File(_) => Ok(()),
            Self::Attestation(attestation) => attestation.statement(Some(claims)).map(drop),
        }
    }

    /// Signs it.
    fn signed_by(&self, key: &Key, claims: Option<&Claims>) -> Result<SignatureContent, Error> {
        Ok(match self {
            Self::File(artifact) => SignatureContent::MessageSignature(key.sign_artifact(artifact)?),
            Self::Attestation(attestation) => {
                let json = attestation.statement(claims)?;
                let signature = key.sign(&sigstore_types::pae(PAYLOAD_TYPE, &json))?;
                let signature = DsseSignature::new(signature, KeyId::default());
                let payload = PayloadBytes::new(json);
                SignatureContent::DsseEnvelope(DsseEnvelope::new(PAYLOAD_TYPE, payload, signature))
            }
        })
    }

    /// What a verifier of the bundle would be given.
    fn artifact(&self) -> Result<Artifact, Error> {
        match self {
            Self::File(artifact) => Ok(artifact.clone()),
            Self::Attestation(attestation) => {
                let first = attestation.subjects.values().next();
                let first = first.ok_or_else(|| Error::new(Class::Config, "a statement needs a subject"))?;
                Ok(Artifact::of_digest(*first))
            }
        }
    }
}

/// Signs with a local key. Nothing is sent, and nobody learns of it.
///
/// # Errors
/// `Class::Other` when the library fails; what reading the file once more fails with.
pub fn sign_with_key(content: &Content, key: &Key) -> Result<Bundle, Error> {
    let material = VerificationMaterialV03::PublicKey { hint: key.hint()? };
    Ok(BundleV03::new(material, content.signed_by(key, None)?).into_bundle())
}

/// A finished signature.
#[derive(Clone, Debug)]
pub struct Signed {
    /// The bundle.
    pub bundle: Bundle,
    /// The certificate's subject.
    pub identity: Option<String>,
    /// Who vouched for it.
    pub issuer: Option<String>,
    /// The entry's number in the log.
    pub log_index: u64,
    /// What all of it was held against.
    pub proof: Proof,
}

/// What the services' answers were held against before success was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// A trust root: all of it was verified.
    TrustRoot,
    /// What the instance says of itself: all but the certificate log's word was verified.
    Published,
    /// Nothing but each other: nobody named a trust root, and the instance does not say what it is verified by.
    Consistency,
}

/// Signs keyless, with one instance's services.
pub struct Signer {
    cx: Context,
    services: Services,
    trust: Option<Arc<TrustedRoot>>,
    tokens: Tokens,
    timeout: Duration,
    batch: bool,
    held: Mutex<Option<Arc<Pair>>>,
}

/// A key and its certificate.
struct Pair {
    key: Key,
    certificate: Certificate,
}

impl Signer {
    /// A signer. Without a trust root, what the services answer is held against what they say of themselves.
    #[must_use]
    pub fn new(cx: Context, services: Services, trust: Option<Arc<TrustedRoot>>, tokens: Tokens) -> Self {
        Self {
            cx,
            services,
            trust,
            tokens,
            timeout: jeton::context::DEFAULT_TIMEOUT,
            batch: false,
            held: Mutex::default(),
        }
    }

    /// The same, in which each signature must be done within `timeout`.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The same, which uses a certificate for further signatures while it is valid.
    #[must_use]
    pub fn batch(mut self, yes: bool) -> Self {
        self.batch = yes;
        self
    }

    /// One signature: a token of its own, a certificate of its own (unless this is a batch), a log entry, and all of it
    /// verified.
    ///
    /// # Errors
    /// [`Error`] of every class; `Class::Trust` when what the services answered does not verify.
    pub async fn sign(&self, content: &Content) -> Result<Signed, Error> {
        if self.tokens.is_interactive() {
            // The deadline is for machines; a person has his own.
            self.tokens.living(&self.cx).await?;
        }
        let cx = self.cx.within(self.timeout);
        cx.bounded("signature", self.sign_within(&cx, content)).await
    }

    async fn sign_within(&self, cx: &Context, content: &Content) -> Result<Signed, Error> {
        let pair = self.pair(cx, content).await?;
        let certificate = &pair.certificate;
        let signed = content.signed_by(&pair.key, Some(&certificate.claims))?;
        let signature = signature(&signed)?;
        let stamp = match &self.services.timestamp {
            Some(authority) => Some(timestamp::stamp(cx, authority, &signature).await?),
            None => None,
        };
        let entry = Entry {
            content: &signed,
            digest: digest(content, &signed),
            signature: &signature,
            certificate: &certificate.leaf,
        };
        let entry = rekor::log(cx, &self.services, &entry).await?;
        let material = VerificationMaterialV03::Certificate(certificate.leaf.clone());
        let bundle = BundleV03::new(material, signed).with_tlog_entry(entry.clone());
        let bundle = match stamp {
            Some(stamp) => bundle.with_rfc3161_timestamp(stamp),
            None => bundle,
        };
        let bundle = bundle.into_bundle();
        catch_up(cx, &entry).await;
        let proof = self.verify(cx, content, &bundle, certificate, &entry).await?;
        Ok(Signed {
            bundle,
            identity: certificate
                .info
                .identity
                .as_ref()
                .map(|name| name.as_str().to_owned()),
            issuer: certificate.info.issuer.clone(),
            log_index: entry.log_index.get(),
            proof,
        })
    }

    /// A key with a certificate: the one that is held, in a batch, or new ones.
    async fn pair(&self, cx: &Context, content: &Content) -> Result<Arc<Pair>, Error> {
        let mut held = self.held.lock().await;
        if let Some(pair) = held
            .as_ref()
            .filter(|pair| self.batch && is_valid(cx, &pair.certificate))
        {
            return Ok(Arc::clone(pair));
        }
        let key = Key::generate()?;
        let accepts = |claims: &Claims| content.suits(claims);
        let certificate = fulcio::certify(cx, &self.services.fulcio, &key, &self.tokens, accepts).await?;
        let pair = Arc::new(Pair { key, certificate });
        *held = self.batch.then(|| Arc::clone(&pair));
        Ok(pair)
    }

    /// Holds everything that was answered against the trust root, before success is said.
    async fn verify(
        &self,
        cx: &Context,
        content: &Content,
        bundle: &Bundle,
        certificate: &Certificate,
        entry: &TransparencyLogEntry,
    ) -> Result<Proof, Error> {
        let artifact = content.artifact()?;
        if let Some(trust) = &self.trust {
            let found = verification::by_certificate(&artifact, bundle, trust, Witnesses::All)?;
            return match reasons(&found) {
                None => Ok(Proof::TrustRoot),
                Some(reasons) => {
                    let message = format!("what the services answered does not verify: {reasons}");
                    Err(Error::new(Class::Trust, message)
                        .with_hint("the trust root (--trusted-root) must be that of the instance that signs"))
                }
            };
        }
        unrooted::check(bundle, certificate, entry)?;
        let Some(own) = published::root(cx, &self.services).await else {
            return Ok(Proof::Consistency);
        };
        let found = verification::by_certificate(&artifact, bundle, &own, Witnesses::ButCertificateLogs)?;
        match reasons(&found) {
            None => Ok(Proof::Published),
            Some(reasons) => Err(published::contradicts(&reasons)),
        }
    }
}

/// What does not hold of it; `None` when all holds.
fn reasons(found: &Verification) -> Option<String> {
    if found.level == Level::Verified {
        return None;
    }
    let reasons = found.failures.iter();
    let reasons: Vec<String> = reasons
        .map(|failure| format!("{}: {}", failure.code.name(), failure.detail))
        .collect();
    Some(reasons.join("; "))
}

fn signature(content: &SignatureContent) -> Result<SignatureBytes, Error> {
    match content {
        SignatureContent::MessageSignature(signature) => Ok(signature.signature.clone()),
        SignatureContent::DsseEnvelope(envelope) => Ok(envelope.signature.sig.clone()),
        _ => Err(Error::new(Class::Other, "a signature of an unknown kind")),
    }
}

/// The digest of what the signature is over: of the file, or of the envelope's encoding.
fn digest(content: &Content, signed: &SignatureContent) -> Sha256Hash {
    match (content, signed) {
        (_, SignatureContent::DsseEnvelope(envelope)) => sha256(&envelope.pae()),
        (Content::File(artifact), _) => artifact.sha256(),
        _ => sha256(&[]),
    }
}

/// Waits until the log's time is no longer the future here: two good clocks may differ, and a verifier believes in none.
async fn catch_up(cx: &Context, entry: &TransparencyLogEntry) {
    let logged = entry
        .integrated_time
        .map(|time| UnixTime::from_seconds(time.as_second()));
    let ahead = logged.map_or(Duration::ZERO, |logged| logged.since(cx.clock.now().wall));
    if ahead <= MOST_AHEAD {
        tokio::time::sleep(ahead).await;
    }
}

/// Whether a certificate has some time left, by the clock here.
fn is_valid(cx: &Context, certificate: &Certificate) -> bool {
    let left = certificate.info.not_after.as_second() - cx.clock.now().wall.seconds();
    u64::try_from(left).is_ok_and(|left| left >= LEAST_LEFT.as_secs())
}

/// What a message says of a signer's identity.
#[must_use]
pub fn shown(signed: &Signed) -> String {
    let name = signed.identity.as_deref().unwrap_or("nobody by name");
    redact::foreign(name, &[])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_can_be_waited_for_on_any_thread() {
        fn can<T: Send>(_: &impl Fn(&'static Signer, &'static Content) -> T) {}
        can(&|signer, content| signer.sign(content));
    }
}
