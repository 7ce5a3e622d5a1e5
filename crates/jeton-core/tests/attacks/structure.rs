//! The form of a token: segments, alphabet, JSON forms, size.
use crate::fixture::*;
use jeton_core::decode::inspect;
use jeton_core::jose::{MAX_TOKEN, encode_segment};
use jeton_core::{UnixTime, decode};
use proptest::prelude::*;

fn good() -> String {
    FIXTURE.es256.sign(&good_claims()).unwrap()
}

#[test]
fn d7_only_three_clean_segments_are_a_token() {
    // CVE-2022-39227, CVE-2026-28229
    let good = good();
    let parts: Vec<&str> = good.split('.').collect();
    let (h, p, s) = (parts[0], parts[1], parts[2]);
    let json = format!(r#"{{"protected":"{h}","payload":"{p}","signature":"{s}"}}"#);
    let mixed = format!(r#"{{"  {h}.":"{p}","signature":"{s}"}}"#);
    let rows = [
        ("nothing", String::new()),
        ("a word", "nothing".into()),
        ("one dot", format!("{h}.{p}")),
        ("two dots and nothing", "..".into()),
        ("four segments", format!("{good}.{s}")),
        ("a dot behind", format!("{good}.")),
        ("a dot before", format!(".{good}")),
        ("flattened JSON", json.clone()),
        (
            "general JSON",
            format!(r#"{{"payload":"{p}","signatures":[{json}]}}"#),
        ),
        ("JSON with a compact form in it", mixed),
        ("padding", format!("{h}.{p}.{s}==")),
        ("padded payload", format!("{h}.{p}=.{s}")),
        ("line break behind", format!("{good}\n")),
        ("space before", format!(" {good}")),
        ("space inside", format!("{h}. {p}.{s}")),
        (
            "tab inside the header",
            format!("{}\t{}.{p}.{s}", &h[..4], &h[4..]),
        ),
        ("NUL behind", format!("{good}\0")),
        ("Bearer before", format!("Bearer {good}")),
        ("full-width dot", good.replacen('.', "\u{ff0e}", 1)),
        ("detached", format!("{h}..{s}")),
        ("no header", format!(".{p}.{s}")),
    ];
    check(
        rows.iter()
            .map(|(name, token)| (name, outcome(token), "malformed")),
    );
    assert_eq!(outcome(&good), "accepted");
}

#[test]
fn d7_another_alphabet_and_stray_bits_are_refused() {
    let good = good();
    let (head, signature) = good.rsplit_once('.').unwrap();
    // 64 bytes are 86 characters, the last of which carries four bits that must be 0.
    let stray = |add: u8| {
        const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let last = ALPHABET
            .iter()
            .position(|c| *c == *signature.as_bytes().last().unwrap())
            .unwrap();
        format!(
            "{head}.{}{}",
            &signature[..signature.len() - 1],
            char::from(ALPHABET[last + usize::from(add)])
        )
    };
    for add in 1..16 {
        assert_eq!(outcome(&stray(add)), "malformed");
    }
    let standard = loop {
        let token = FIXTURE.es256.sign(&good_claims()).unwrap();
        let (head, signature) = token.rsplit_once('.').unwrap();
        if signature.contains(['-', '_']) {
            break format!("{head}.{}", signature.replace('-', "+").replace('_', "/"));
        }
    };
    assert_eq!(outcome(&standard), "malformed");
}

#[test]
fn b8_d7_size_is_looked_at_first_and_costs_nothing() {
    // CVE-2025-30204, CVE-2025-27144, CVE-2025-22868, CVE-2025-66506, CVE-2025-61920
    let big = |n: usize| {
        let claims = claims_with(&format!(r#"{{"groups":"{}"}}"#, "g".repeat(n)));
        FIXTURE.es256.sign(&claims).unwrap()
    };
    check([
        ("20 KiB", outcome(&big(15_000)), "accepted"),
        ("more than 64 KiB", outcome(&big(60_000)), "too-large"),
        ("a million dots", outcome(&".".repeat(1_000_000)), "too-large"),
        ("64 KiB of dots", outcome(&".".repeat(MAX_TOKEN)), "malformed"),
        (
            "64 KiB and one byte",
            outcome(&"a".repeat(MAX_TOKEN + 1)),
            "too-large",
        ),
        ("8 MiB", outcome(&"a".repeat(8 << 20)), "too-large"),
        (
            "64 KiB of brackets",
            outcome(&compact(&"[".repeat(40_000), "{}", "")),
            "malformed",
        ),
    ]);
}

#[test]
fn d7_header_and_payload_are_strict_json_objects() {
    // CVE-2025-53864
    let sign = |header: &[u8], payload: &[u8]| outcome(&FIXTURE.es256.sign_bytes(header, payload).unwrap());
    let kid = FIXTURE.es256.key_id();
    let h = format!(r#"{{"alg":"ES256","kid":"{kid}"}}"#);
    let p = good_claims().to_text();
    let body = &p[1..];
    let deep = format!(r#"{{"x":{}1{},{body}"#, "[".repeat(10_000), "]".repeat(10_000));
    let utf16: Vec<u8> = p.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let headers: [(&str, Vec<u8>); 7] = [
        ("no JSON", b"x".to_vec()),
        ("array", format!("[{h}]").into_bytes()),
        ("null", b"null".to_vec()),
        ("trailing", format!("{h}{{}}").into_bytes()),
        (
            "alg twice, once escaped",
            format!(r#"{{"\u0061lg":"none",{}"#, &h[1..]).into_bytes(),
        ),
        ("kid twice", format!(r#"{{"kid":"x",{}"#, &h[1..]).into_bytes()),
        ("byte order mark", format!("\u{feff}{h}").into_bytes()),
    ];
    check(
        headers
            .iter()
            .map(|(name, header)| (name, sign(header, p.as_bytes()), "malformed")),
    );
    let payloads: [(&str, Vec<u8>); 12] = [
        ("no JSON", b"x".to_vec()),
        ("array", format!("[{p}]").into_bytes()),
        ("string", b"\"x\"".to_vec()),
        ("a nested token", good().into_bytes()),
        ("trailing", format!("{p},").into_bytes()),
        ("cut", p.as_bytes()[..p.len() - 1].to_vec()),
        ("exp twice", format!(r#"{{"exp":9999999999,{body}"#).into_bytes()),
        (
            "exp twice, once escaped",
            format!(r#"{{"\u0065xp":9999999999,{body}"#).into_bytes(),
        ),
        ("byte order mark", format!("\u{feff}{p}").into_bytes()),
        ("UTF-16", utf16),
        ("bad UTF-8", [b"{\"x\":\"\xff\",", body.as_bytes()].concat()),
        ("deep", deep.into_bytes()),
    ];
    check(
        payloads
            .iter()
            .map(|(name, payload)| (name, sign(h.as_bytes(), payload), "malformed")),
    );
    // A member that differs in case is another member.
    let other_case = format!(r#"{{"EXP":1,"Sub":"other","x":"\u0061",{body}"#);
    assert_eq!(sign(h.as_bytes(), other_case.as_bytes()), "accepted");
}

#[test]
fn a_token_is_shown_without_proof_and_with_what_is_wrong() {
    let claims = claims_with(r#"{"exp":"1","aud":["a","b"],"iat":1700000000.5}"#);
    let token = FIXTURE
        .es256
        .sign_with(&parse(r#"{"alg":"HS256"}"#), &claims)
        .unwrap();
    let seen = inspect(&token).unwrap();
    let codes: Vec<_> = seen.warnings.iter().map(jeton_core::Rejection::code).collect();
    assert_eq!(codes, ["invalid-claim", "algorithm-not-allowed"]);
    let claims = seen.claims.peek();
    assert_eq!(claims.audience().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(
        (claims.issuer(), claims.subject(), claims.expires_at()),
        (Some(ISSUER), Some("someone"), None)
    );
    assert_eq!(claims.issued_at(), Some(UnixTime::from_millis(1_700_000_000_500)));
    let opaque = [
        "ghp_abcdefgh",
        "",
        "a.b.c",
        "x.y",
        &compact("{}", "[]", ""),
        &compact("{}", "{}", "!"),
    ];
    for token in opaque {
        assert_eq!(decode(token).unwrap_err().code(), "malformed", "{token}");
    }
    assert!(decode(&compact("{}", "{}", "")).is_ok());
}

proptest! {
    #[test]
    fn random_text_is_refused_and_never_panics(token in "[A-Za-z0-9_.=-]{0,80}|\\PC{0,40}") {
        prop_assert_ne!(outcome(&token), "accepted");
        let _ = inspect(&token);
    }

    #[test]
    fn random_json_in_a_token_never_panics(header in "[{}\\[\\]\",:a-z0-9]{0,40}", payload in any::<Vec<u8>>()) {
        let token = format!("{}.{}.AAAA", encode_segment(header), encode_segment(payload));
        prop_assert_ne!(outcome(&token), "accepted");
    }

    #[test]
    fn a_flipped_bit_never_verifies(at in any::<prop::sample::Index>(), bit in 0_u8..7) {
        let mut bytes = good().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let token = String::from_utf8(bytes).unwrap();
        prop_assert_ne!(outcome(&token), "accepted");
    }
}
