//! The textual form of a private key (RFC 7468): the first private key block of the text, other blocks passed over.
use super::SigningError;
use alloc::string::String;
use alloc::vec::Vec;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// Labels of unencrypted private keys: PKCS#8 (RFC 5958), PKCS#1 (RFC 8017) and SEC 1 (RFC 5915).
const LABELS: [&str; 3] = ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"];

/// How many characters a line has (RFC 7468 section 2).
const LINE: usize = 64;

/// The DER inside the first block with a private key in it. `openssl ecparam -genkey` writes the curve's parameters
/// in a block before the key.
pub(super) fn private_key(text: &str) -> Result<Zeroizing<Vec<u8>>, SigningError> {
    let mut lines = text.lines().map(str::trim);
    while let Some(line) = lines.next() {
        let Some(label) = boundary(line, "BEGIN") else {
            continue;
        };
        if !LABELS.contains(&label) {
            continue;
        }
        let mut body = Zeroizing::new(String::with_capacity(text.len()));
        for line in lines.by_ref() {
            if let Some(end) = boundary(line, "END") {
                let der = STANDARD.decode(body.as_bytes()).map_err(|_| SigningError::Pem)?;
                return if end == label {
                    Ok(Zeroizing::new(der))
                } else {
                    Err(SigningError::Pem)
                };
            }
            body.push_str(line);
        }
    }
    Err(SigningError::Pem)
}

fn boundary<'a>(line: &'a str, kind: &str) -> Option<&'a str> {
    line.strip_prefix("-----")?
        .strip_prefix(kind)?
        .strip_prefix(' ')?
        .strip_suffix("-----")
}

/// PKCS#8 as text.
pub(super) fn encode(der: &[u8]) -> String {
    let body = Zeroizing::new(STANDARD.encode(der));
    let mut text = String::from("-----BEGIN PRIVATE KEY-----\n");
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(LINE));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text.push_str("-----END PRIVATE KEY-----\n");
    text
}
