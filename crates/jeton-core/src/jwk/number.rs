//! Key material as numbers: which RSA moduli, exponents and Edwards points are refused before any library sees them.
use alloc::vec::Vec;

/// The smallest RSA modulus, in bits (RFC 7518 section 3.3).
const MIN_RSA_BITS: usize = 2048;

/// The largest RSA modulus, in bits: the cost of a check grows with its square, and strangers choose when to ask.
const MAX_RSA_BITS: usize = 8192;

/// The largest RSA exponent, in bytes. Everybody uses 3 or 65537; a long one makes each check slow.
const MAX_EXPONENT_BYTES: usize = 4;

/// `n` and `e`, big-endian without leading zeros.
pub(super) struct RsaNumbers {
    pub(super) n: Vec<u8>,
    pub(super) e: Vec<u8>,
}

impl RsaNumbers {
    /// Takes the two numbers if a key of them can be secure.
    pub(super) fn new(n: &[u8], e: &[u8]) -> Result<Self, &'static str> {
        let (n, e) = (trimmed(n), trimmed(e));
        let bits = bits(n);
        if bits < MIN_RSA_BITS {
            return Err("the RSA key is shorter than 2048 bits");
        }
        if bits > MAX_RSA_BITS {
            return Err("the RSA key is longer than 8192 bits");
        }
        if is_even(n) {
            return Err("the RSA modulus is even");
        }
        // 1 makes every padded hash its own signature; an even exponent has no inverse.
        if is_even(e) || e == [1] || e.len() > MAX_EXPONENT_BYTES {
            return Err("the RSA exponent is even, 1 or too large");
        }
        Ok(Self {
            n: n.to_vec(),
            e: e.to_vec(),
        })
    }
}

/// Some issuers write the sign byte of a DER integer, against RFC 7518 section 6.3.1.1; the number is the same.
fn trimmed(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|b| **b == 0).count();
    &number[zeros..]
}

fn bits(number: &[u8]) -> usize {
    number
        .first()
        .map_or(0, |first| number.len() * 8 - first.leading_zeros() as usize)
}

fn is_even(number: &[u8]) -> bool {
    number.last().is_none_or(|last| last % 2 == 0)
}

/// Every encoding of a point of Edwards curve 25519 whose order divides 8, the sign bit left out, also the encodings
/// that are not reduced (RFC 7748 section 6.1 and RFC 8032 section 5.1.3). With such a key one signature fits every message.
const SMALL_ORDER: [[u8; 32]; 7] = [
    point(0, 0, 0),
    point(1, 0, 0),
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5,
        0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a,
        0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ],
    point(0xec, 0xff, 0x7f),
    point(0xed, 0xff, 0x7f),
    point(0xee, 0xff, 0x7f),
];

const fn point(first: u8, middle: u8, last: u8) -> [u8; 32] {
    let mut bytes = [middle; 32];
    bytes[0] = first;
    bytes[31] = last;
    bytes
}

/// Whether an Ed25519 public key is a point of small order.
pub(super) fn is_small_order(key: &[u8]) -> bool {
    let Ok(mut key) = <[u8; 32]>::try_from(key) else {
        return false;
    };
    key[31] &= 0x7f;
    SMALL_ORDER.contains(&key)
}
