//! A stream without the secrets in it: raw, in base64 and URL-encoded, also when one is split across writes.
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use jeton::Secret;
use std::sync::{Arc, PoisonError, RwLock};

/// What stands in a secret's place.
const MARK: &[u8] = b"[redacted]";
/// Shorter secrets are not looked for: too many harmless texts contain them.
pub const SHORTEST: usize = 8;

/// The secrets that are looked for; grows while streams run. Cheap to clone.
#[derive(Clone, Default)]
pub struct Secrets(Arc<RwLock<Vec<Secret>>>);

impl Secrets {
    /// Looks for this one from now on, in every spelling that programs print.
    pub fn add(&self, secret: &Secret) {
        let text = secret.reveal();
        if text.len() < SHORTEST {
            return;
        }
        let mut spellings = vec![text.to_owned(), percent(text)];
        // Inside a longer base64 text a secret starts at one of three offsets; the first and last characters there
        // depend on its neighbours and are left out.
        for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
            for offset in 0..3 {
                let mut padded = vec![0u8; offset];
                padded.extend_from_slice(text.as_bytes());
                let encoded = engine.encode(&padded);
                let from = [0, 2, 3][offset];
                let to = encoded.len() - usize::from(padded.len() % 3 != 0);
                if let Some(stable) = encoded.get(from..to) {
                    spellings.push(stable.to_owned());
                }
            }
        }
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for spelling in spellings {
            if !known.iter().any(|k| k.reveal() == spelling) {
                known.push(Secret::new(spelling));
            }
        }
        // A secret that contains another one is replaced as a whole.
        known.sort_by_key(|secret| std::cmp::Reverse(secret.reveal().len()));
    }

    fn longest(&self) -> usize {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .first()
            .map_or(0, |s| s.reveal().len())
    }
}

/// RFC 3986: everything but unreserved characters.
fn percent(text: &str) -> String {
    text.bytes()
        .map(|b| match b {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(b).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}

/// One stream: what could be the start of a secret is held back until it is one or not.
pub struct Redactor {
    secrets: Secrets,
    held: Vec<u8>,
}

impl Redactor {
    /// A stream without these secrets.
    #[must_use]
    pub const fn new(secrets: Secrets) -> Self {
        Self {
            secrets,
            held: Vec::new(),
        }
    }

    /// What can be passed on after these bytes came in.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.held.extend_from_slice(bytes);
        let keep = self.secrets.longest().saturating_sub(1);
        self.flush(keep)
    }

    /// The rest.
    pub fn finish(&mut self) -> Vec<u8> {
        self.flush(0)
    }

    /// Passes everything on but an end of at most `keep` bytes in which a secret may have begun.
    fn flush(&mut self, keep: usize) -> Vec<u8> {
        let known = self.secrets.0.read().unwrap_or_else(PoisonError::into_inner);
        let (mut out, mut at) = (Vec::with_capacity(self.held.len()), 0);
        while at < self.held.len() {
            let rest = &self.held[at..];
            if let Some(secret) = known.iter().find(|s| rest.starts_with(s.reveal().as_bytes())) {
                out.extend_from_slice(MARK);
                at += secret.reveal().len();
            } else if rest.len() <= keep && known.iter().any(|s| s.reveal().as_bytes().starts_with(rest)) {
                break;
            } else {
                out.push(rest[0]);
                at += 1;
            }
        }
        self.held.drain(..at);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::STANDARD;

    fn through(chunks: &[&[u8]]) -> String {
        let secrets = Secrets::default();
        secrets.add(&Secret::new("s3cr3t/value+1"));
        secrets.add(&Secret::new("short"));
        let mut redactor = Redactor::new(secrets);
        let mut out = Vec::new();
        for chunk in chunks {
            out.extend(redactor.push(chunk));
        }
        out.extend(redactor.finish());
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn d22_secrets_are_replaced_in_every_spelling_also_when_split() {
        assert_eq!(through(&[b"a s3cr3t/value+1 b"]), "a [redacted] b");
        assert_eq!(through(&[b"a s3cr", b"3t/va", b"lue+1"]), "a [redacted]");
        assert_eq!(through(&[b"a s3cr3t/valu", b"able"]), "a s3cr3t/valuable");
        assert_eq!(through(&[b"url=s3cr3t%2Fvalue%2B1"]), "url=[redacted]");
        assert_eq!(through(&[b"short stays"]), "short stays");
        for before in ["", "x", "xy"] {
            let encoded = STANDARD.encode(format!("{before}s3cr3t/value+1"));
            let shown = through(&[encoded.as_bytes()]);
            assert!(shown.contains("[redacted]"), "{before}: {encoded} -> {shown}");
        }
    }

    #[test]
    fn what_cannot_be_a_secret_is_not_held_back() {
        let secrets = Secrets::default();
        secrets.add(&Secret::new("zzzzzzzz"));
        let mut redactor = Redactor::new(secrets);
        assert_eq!(redactor.push(b"prompt> "), b"prompt> ");
    }
}
