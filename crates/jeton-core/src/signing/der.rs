//! Just enough DER (X.690) to read the two integers of an `RSAPublicKey` (RFC 8017 appendix A.1.1) that our own
//! library wrote.

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;

/// The modulus and the exponent, big-endian, perhaps with a sign byte in front.
pub(super) fn rsa_public_key(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (body, rest) = element(der, SEQUENCE)?;
    let (n, body) = element(body, INTEGER)?;
    let (e, after) = element(body, INTEGER)?;
    (rest.is_empty() && after.is_empty()).then_some((n, e))
}

/// One element of type `tag` and what comes after it.
fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (first, bytes) = bytes.split_first()?;
    let (short, bytes) = bytes.split_first()?;
    if *first != tag {
        return None;
    }
    // Lengths up to 127 stand for themselves; a longer one says first in how many bytes it is written.
    let (length, bytes) = match short.checked_sub(0x80) {
        None => (usize::from(*short), bytes),
        Some(count @ 1..=2) => {
            let (digits, bytes) = bytes.split_at_checked(count.into())?;
            (digits.iter().fold(0, |n, d| n << 8 | usize::from(*d)), bytes)
        }
        Some(_) => return None,
    };
    bytes.split_at_checked(length)
}
