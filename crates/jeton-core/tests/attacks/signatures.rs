//! Signatures that are wrong by arithmetic: edges of ECDSA, malleable Ed25519, broken RSA padding.
use crate::fixture::*;
use jeton_core::jose::encode_segment;
use jeton_core::{SigningKey, json};

const P256_N: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
const P384_N: &str =
    "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973";
/// The order of the base point of Ed25519, little-endian.
const ED_L: &str = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect()
}

/// `a - b`, big-endian, of one length.
fn minus(a: &[u8], b: &[u8]) -> Vec<u8> {
    let mut out = vec![0; a.len()];
    let mut borrow = 0;
    for at in (0..a.len()).rev() {
        let d = i16::from(a[at]) - i16::from(b[at]) - borrow;
        borrow = i16::from(d < 0);
        out[at] = u8::try_from(d.rem_euclid(256)).unwrap();
    }
    out
}

/// `a + b`, little-endian, of one length; what does not fit is lost.
fn plus(a: &[u8], b: &[u8]) -> Vec<u8> {
    let mut carry = 0;
    let add = |(a, b): (&u8, &u8)| {
        let sum = u16::from(*a) + u16::from(*b) + carry;
        carry = sum >> 8;
        u8::try_from(sum & 0xff).unwrap()
    };
    a.iter().zip(b).map(add).collect()
}

fn number(width: usize, last: u8) -> Vec<u8> {
    let mut n = vec![0; width];
    n[width - 1] = last;
    n
}

fn der(r: &[u8], s: &[u8]) -> Vec<u8> {
    let integer = |n: &[u8]| [&[2, u8::try_from(n.len()).unwrap() + 1, 0], n].concat();
    let body = [integer(r), integer(s)].concat();
    [&[0x30, u8::try_from(body.len()).unwrap()], &body[..]].concat()
}

/// A token whose signature is what `make` makes of the right one.
fn with_signature(key: &SigningKey, make: impl Fn(&[u8]) -> Vec<u8>) -> &'static str {
    let token = key.sign(&good_claims()).unwrap();
    let signed = &token[..token.rfind('.').unwrap()];
    let signature = key.signature(signed.as_bytes()).unwrap();
    outcome(&format!("{signed}.{}", encode_segment(make(&signature))))
}

#[test]
fn d7_an_ecdsa_signature_is_two_numbers_in_range() {
    // CVE-2022-21449
    let f = &*FIXTURE;
    for (key, n) in [(&f.es256, bytes(P256_N)), (&f.es384, bytes(P384_N))] {
        let w = n.len();
        let (zero, one) = (number(w, 0), number(w, 1));
        let below = minus(&n, &one);
        let edges = [&zero, &one, &below, &n];
        for (r, s) in edges.iter().flat_map(|r| edges.iter().map(move |s| (r, s))) {
            assert_eq!(
                with_signature(key, |_| [&r[..], &s[..]].concat()),
                "bad-signature"
            );
        }
        let all_ones = vec![0xff; 2 * w];
        check([
            ("as it is", with_signature(key, <[u8]>::to_vec), "accepted"),
            // Valid arithmetic, and so another text of the same token: nothing may be remembered by its signature.
            (
                "s above the half",
                with_signature(key, |g| [&g[..w], &minus(&n, &g[w..])].concat()),
                "accepted",
            ),
            (
                "r = 0",
                with_signature(key, |g| [&zero, &g[w..]].concat()),
                "bad-signature",
            ),
            (
                "s = 0",
                with_signature(key, |g| [&g[..w], &zero].concat()),
                "bad-signature",
            ),
            (
                "s = n",
                with_signature(key, |g| [&g[..w], &n].concat()),
                "bad-signature",
            ),
            (
                "all ones",
                with_signature(key, |_| all_ones.clone()),
                "bad-signature",
            ),
            (
                "swapped",
                with_signature(key, |g| [&g[w..], &g[..w]].concat()),
                "bad-signature",
            ),
            (
                "DER",
                with_signature(key, |g| der(&g[..w], &g[w..])),
                "bad-signature",
            ),
            (
                "one byte less",
                with_signature(key, |g| g[..2 * w - 1].to_vec()),
                "bad-signature",
            ),
            (
                "one byte more",
                with_signature(key, |g| [g, &[0]].concat()),
                "bad-signature",
            ),
            (
                "zeros before each",
                with_signature(key, |g| [&[0], &g[..w], &[0], &g[w..]].concat()),
                "bad-signature",
            ),
            ("half", with_signature(key, |g| g[..w].to_vec()), "bad-signature"),
        ]);
    }
}

#[test]
fn d7_an_ed25519_signature_has_one_form() {
    let key = &FIXTURE.ed;
    let small_order = number(32, 0);
    let neutral = plus(&number(32, 0), &{
        let mut one = vec![0; 32];
        one[0] = 1;
        one
    });
    check([
        ("as it is", with_signature(key, <[u8]>::to_vec), "accepted"),
        (
            "S plus L",
            with_signature(key, |g| [&g[..32], &plus(&g[32..], &bytes(ED_L))].concat()),
            "bad-signature",
        ),
        (
            "S = 0",
            with_signature(key, |g| [&g[..32], &number(32, 0)].concat()),
            "bad-signature",
        ),
        (
            "R of order 4, S = 0",
            with_signature(key, |_| [&small_order[..], &number(32, 0)].concat()),
            "bad-signature",
        ),
        (
            "R neutral, S = 0",
            with_signature(key, |_| [&neutral[..], &number(32, 0)].concat()),
            "bad-signature",
        ),
        (
            "R neutral",
            with_signature(key, |g| [&neutral[..], &g[32..]].concat()),
            "bad-signature",
        ),
        (
            "one byte less",
            with_signature(key, |g| g[..63].to_vec()),
            "bad-signature",
        ),
        (
            "one byte more",
            with_signature(key, |g| [g, &[0]].concat()),
            "bad-signature",
        ),
    ]);
}

#[test]
fn d7_an_rsa_signature_has_exactly_its_padding() {
    let key = &FIXTURE.rsa;
    check([
        ("as it is", with_signature(key, <[u8]>::to_vec), "accepted"),
        (
            "one byte less",
            with_signature(key, |g| g[1..].to_vec()),
            "bad-signature",
        ),
        (
            "a zero before",
            with_signature(key, |g| [&[0], g].concat()),
            "bad-signature",
        ),
        (
            "a zero behind",
            with_signature(key, |g| [g, &[0]].concat()),
            "bad-signature",
        ),
        ("nothing", with_signature(key, |_| Vec::new()), "bad-signature"),
    ]);
    let vectors = json::parse(include_bytes!("rsa_vectors.json")).unwrap();
    let keys = set(vectors.get("keys").unwrap().as_array().unwrap().to_vec());
    let rows = vectors.get("rows").unwrap().as_array().unwrap();
    assert_eq!(rows.len(), 28);
    check(rows.iter().map(|row| {
        let text = |name| row.get(name).and_then(json::Json::as_str).unwrap();
        let accepted = row.get("accepted").and_then(json::Json::as_bool).unwrap();
        let wanted = if accepted { "accepted" } else { "bad-signature" };
        (text("name"), outcome_as(text("token"), &keys, &expect()), wanted)
    }));
}

#[test]
fn d7_a_bad_signature_is_said_before_anything_in_the_claims() {
    // CVE-2024-51744
    for changes in [
        r#"{"exp":1000}"#,
        r#"{"iss":"https://evil.example"}"#,
        r#"{"exp":"x"}"#,
        r#"{"aud":null}"#,
    ] {
        let token = FIXTURE.rsa.sign(&claims_with(changes)).unwrap();
        let other = FIXTURE.rsa.sign(&good_claims()).unwrap();
        let (head, signature) = (
            &token[..token.rfind('.').unwrap()],
            &other[other.rfind('.').unwrap()..],
        );
        assert_ne!(outcome(&token), "accepted");
        assert_eq!(
            outcome(&format!("{head}{signature}")),
            "bad-signature",
            "{changes}"
        );
    }
}
