//! One target per parser of hostile input.
//!
//! A target is a plain function of bytes: it must return, soon, whatever they are. It asserts what must hold of
//! the result. libFuzzer drives them (`fuzz/libfuzzer`), and so does the program of this crate on stable Rust.

mod mutation;
mod targets;

pub use mutation::Mutator;

/// A parser and bytes to start from.
pub struct Target {
    /// Its name; its seeds are in `fuzz/seeds/NAME`.
    pub name: &'static str,
    /// Reads the bytes, and panics where the result breaks a promise.
    pub run: fn(&[u8]),
    /// Words of its language, which mutations put in.
    pub words: &'static [&'static str],
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target {
        name: "json",
        run: targets::json,
        words: JSON,
    },
    Target {
        name: "token",
        run: targets::token,
        words: &[".", "..", "eyJhbGciOiJub25lIn0", "=", "e30", "\n"],
    },
    Target {
        name: "header",
        run: targets::header,
        words: JOSE,
    },
    Target {
        name: "claims",
        run: targets::claims,
        words: CLAIMS,
    },
    Target {
        name: "key-set",
        run: targets::key_set,
        words: KEYS,
    },
    Target {
        name: "pem",
        run: targets::pem,
        words: &["-----BEGIN PRIVATE KEY-----\n", "-----END", "=", "\r\n"],
    },
    Target {
        name: "oauth",
        run: targets::oauth,
        words: OAUTH,
    },
    Target {
        name: "foreign-text",
        run: targets::foreign_text,
        words: &["eyJ", "\u{202e}", "\u{1b}[2J", "\r\n", "é"],
    },
    Target {
        name: "verify",
        run: targets::verify,
        words: CLAIMS,
    },
    Target {
        name: "pattern",
        run: targets::pattern,
        words: PATTERN,
    },
    Target {
        name: "retry-after",
        run: targets::retry_after,
        words: DATE,
    },
    Target {
        name: "cache-file",
        run: targets::cache_file,
        words: CACHE,
    },
    Target {
        name: "discovery",
        run: targets::discovery,
        words: DISCOVERY,
    },
    Target {
        name: "config",
        run: targets::config,
        words: CONFIG,
    },
];

const JSON: &[&str] = &[
    "{", "}", "[", "]", ":", ",", "\"", "\\u0000", "\\ud800", "1e400", "-0", "null", "true",
];
const JOSE: &[&str] = &[
    "{",
    "}",
    "\"",
    ",",
    "\"alg\":",
    "\"none\"",
    "\"ES256\"",
    "\"kid\":",
    "\"crit\":",
    "\"b64\":",
    "\"jwk\":",
];
const CLAIMS: &[&str] = &[
    "{",
    "}",
    "\"",
    ",",
    "\"exp\":",
    "\"aud\":",
    "[",
    "]",
    "\"iss\":",
    "1e400",
    "-1",
    "9223372036854775808",
    "null",
];
const KEYS: &[&str] = &[
    "{", "}", "[", "]", "\"", ",", "\"kty\":", "\"RSA\"", "\"EC\"", "\"OKP\"", "\"n\":", "\"e\":",
    "\"AQAB\"", "\"x\":",
];
const OAUTH: &[&str] = &[
    "{",
    "}",
    "\"",
    ",",
    "\"access_token\":",
    "\"expires_in\":",
    "\"token_type\":",
    "\"error\":",
    "-1",
    "1e99",
    "\"\"",
];
const CONFIG: &[&str] = &[
    "[",
    "]",
    "=",
    "\"",
    "\n",
    "[profiles.",
    "grant",
    "from",
    "issuer",
    "env:",
    "file:",
    "[hosts.\"",
    "[defaults]",
];
const PATTERN: &[&str] = &[
    "*", "**", "\\*", "re:", "(", ")", "|", "{1000}", "[^", "]", "^", "$", "(?i)", "\n", "/", ":",
];
const DATE: &[&str] = &[
    "Sun, 06 Nov 1994 08:49:37 GMT",
    "GMT",
    "99999999999999999999",
    "-1",
    " ",
    "1.5",
    "\t",
];
const CACHE: &[&str] = &[
    "{\"jeton\":1,\"sum\":\"",
    "\",\"entry\":",
    "}\n",
    "null",
    "\"token\":",
    "0000",
];
const DISCOVERY: &[&str] = &[
    "{",
    "}",
    "\"issuer\":",
    "\"https://issuer.example.com\"",
    "/",
    "\"jwks_uri\":",
    "\"token_endpoint\":",
    "null",
];
