//! What a cached token is for.
use jeton_core::TokenRequest;
use std::fmt;

/// Goes into every key: another layout of keys or entries is another key.
const FORMAT: &str = "jeton-token-1";

/// What a source says of itself beyond its name, for the key of what it gives. Change any, and it is a miss.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Particulars {
    /// The issuer that is asked, or that the token must come from.
    pub issuer: Option<String>,
    /// The client that asks.
    pub client: Option<String>,
    /// Who the token will be about, where that is known beforehand.
    pub subject: Option<String>,
    /// The endpoint that is asked.
    pub endpoint: Option<String>,
}

/// Everything that a cached token depends on.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// The profile; empty for the ambient chain.
    pub profile: &'a str,
    /// The source.
    pub source: &'a str,
    /// What the source says of itself.
    pub particulars: &'a Particulars,
    /// What was asked for.
    pub request: &'a TokenRequest,
    /// What proves the identity.
    pub fingerprint: &'a [u8],
}

/// The SHA-256 of a [`Scope`]: all that a file name ever shows.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key([u8; 32]);

impl Key {
    /// Hashes a scope. Each field is written with its length, so that no two scopes read alike; audiences, scopes
    /// and resources are sets.
    #[must_use]
    pub fn of(scope: &Scope<'_>) -> Self {
        let Particulars {
            issuer,
            client,
            subject,
            endpoint,
        } = scope.particulars;
        let mut fields = Fields::default();
        fields.text(FORMAT);
        fields.text(scope.profile);
        fields.text(scope.source);
        for optional in [issuer, client, subject, endpoint] {
            fields.optional(optional.as_deref());
        }
        fields.set(&scope.request.audience);
        fields.set(&scope.request.scopes);
        fields.set(&scope.request.resource);
        fields.bytes(scope.fingerprint);
        fields.hash()
    }

    /// The key of a public document that is kept on disk (a discovery document, a key set).
    #[must_use]
    pub fn of_document(kind: &str, url: &str) -> Self {
        let mut fields = Fields::default();
        fields.text(kind);
        fields.text(url);
        fields.hash()
    }

    /// 64 hexadecimal digits.
    #[must_use]
    pub fn hex(&self) -> String {
        hex(&self.0)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", &self.hex()[..8])
    }
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |n: u8| char::from(DIGITS[usize::from(n & 15)]);
    bytes.iter().flat_map(|b| [digit(b >> 4), digit(*b)]).collect()
}

/// Bytes with their lengths before them: no two lists of fields give the same bytes.
#[derive(Default)]
struct Fields(Vec<u8>);

impl Fields {
    fn bytes(&mut self, value: &[u8]) {
        self.0.extend_from_slice(&(value.len() as u64).to_le_bytes());
        self.0.extend_from_slice(value);
    }

    fn text(&mut self, value: &str) {
        self.bytes(value.as_bytes());
    }

    /// Absent and empty are different.
    fn optional(&mut self, value: Option<&str>) {
        self.0.push(u8::from(value.is_some()));
        self.text(value.unwrap_or_default());
    }

    fn set(&mut self, values: &[String]) {
        let mut sorted: Vec<_> = values.iter().map(String::as_str).collect();
        sorted.sort_unstable();
        sorted.dedup();
        self.0.extend_from_slice(&(sorted.len() as u64).to_le_bytes());
        for value in sorted {
            self.text(value);
        }
    }

    fn hash(&self) -> Key {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &self.0);
        let mut key = [0; 32];
        key.copy_from_slice(digest.as_ref());
        Key(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(values: &[&str]) -> Vec<String> {
        values.iter().map(|v| (*v).to_owned()).collect()
    }

    struct Given {
        profile: &'static str,
        source: &'static str,
        particulars: Particulars,
        request: TokenRequest,
        fingerprint: &'static [u8],
    }

    fn given() -> Given {
        Given {
            profile: "stack",
            source: "github",
            particulars: Particulars::default(),
            request: TokenRequest::audience("a"),
            fingerprint: b"job 1",
        }
    }

    fn key(change: impl FnOnce(&mut Given)) -> Key {
        let mut given = given();
        change(&mut given);
        Key::of(&Scope {
            profile: given.profile,
            source: given.source,
            particulars: &given.particulars,
            request: &given.request,
            fingerprint: given.fingerprint,
        })
    }

    #[test]
    fn c12_change_any_field_and_it_is_a_miss() {
        let some = || Some("x".to_owned());
        let keys = [
            key(|_| ()),
            key(|g| g.profile = "other"),
            key(|g| g.source = "gitlab"),
            key(|g| g.particulars.issuer = some()),
            key(|g| g.particulars.client = some()),
            key(|g| g.particulars.subject = some()),
            key(|g| g.particulars.endpoint = some()),
            key(|g| g.particulars.issuer = Some(String::new())),
            key(|g| g.request.audience = strings(&["A"])),
            key(|g| g.request.audience = strings(&["../../a"])),
            key(|g| g.request.audience = strings(&[])),
            key(|g| g.request.audience = strings(&["ab", "cd"])),
            key(|g| g.request.audience = strings(&["a", "bcd"])),
            key(|g| g.request.audience = strings(&["a", "b", "cd"])),
            key(|g| g.request.scopes = strings(&["a"])),
            key(|g| g.request.resource = strings(&["a"])),
            key(|g| g.fingerprint = b"job 2"),
        ];
        for (i, a) in keys.iter().enumerate() {
            assert_eq!(keys.iter().filter(|b| a == *b).count(), 1, "row {i} is not alone");
        }
    }

    #[test]
    fn order_and_repetition_of_audiences_and_minimum_validity_do_not_matter() {
        let one = key(|g| g.request.audience = strings(&["a", "b"]));
        let two = key(|g| g.request.audience = strings(&["b", "a", "b"]));
        assert_eq!(one, two);
        let longer = key(|g| g.request.min_validity = std::time::Duration::from_secs(900));
        assert_eq!(longer, key(|_| ()));
    }

    #[test]
    fn a_name_is_64_digits_whatever_is_in_it() {
        let name = key(|g| g.request.audience = vec!["../\0é".repeat(5000)]).hex();
        assert_eq!(name.len(), 64);
        assert!(name.bytes().all(|b| b.is_ascii_hexdigit()));
    }
}
