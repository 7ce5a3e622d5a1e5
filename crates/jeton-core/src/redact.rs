//! Foreign text made fit to show: escaped, capped, and without secrets.
use alloc::string::String;
use core::fmt::Write;

/// How many bytes of somebody else's text an error may hold.
pub const FOREIGN_TEXT_CAP: usize = 200;

/// Makes text that came from the other side safe to print: control characters, line breaks and direction marks are
/// escaped, anything that looks like a JWT or a long opaque token is replaced, every secret in `known` is replaced,
/// and the result is cut to [`FOREIGN_TEXT_CAP`] bytes.
#[must_use]
pub fn foreign(text: &str, known: &[&str]) -> String {
    // Look at no more than can matter: the cap, after escapes and replacements only shorten or cut.
    let mut cut = text.len().min(64 * 1024);
    while !text.is_char_boundary(cut) {
        cut -= 1;
    }
    let mut clean = String::from(&text[..cut]);
    for secret in known.iter().filter(|s| s.len() >= 4) {
        clean = clean.replace(secret, "[redacted]");
    }
    let clean = redact_tokens(&clean);
    let mut out = String::new();
    for c in clean.chars() {
        let before = out.len();
        if c == '\\' || is_unprintable(c) {
            let _ = write!(out, "{}", c.escape_default());
        } else {
            out.push(c);
        }
        if out.len() > FOREIGN_TEXT_CAP {
            out.truncate(before);
            out.push('…');
            break;
        }
    }
    out
}

/// Replaces every run that could be a token: `eyJ…`, or 24 and more characters of a token's alphabet with both
/// letters and digits in them.
#[must_use]
pub fn redact_tokens(text: &str) -> String {
    let is_token =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '~' | '+' | '/' | '=');
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(is_token) {
        out.push_str(&rest[..start]);
        let run = &rest[start..];
        let end = run.find(|c: char| !is_token(c)).unwrap_or(run.len());
        let word = &run[..end];
        out.push_str(if looks_like_token(word) {
            "[redacted]"
        } else {
            word
        });
        rest = &run[end..];
    }
    out.push_str(rest);
    out
}

fn looks_like_token(word: &str) -> bool {
    if word.contains("eyJ") && word.len() >= 8 {
        return true;
    }
    // A path or a host name is made of short pieces; a token has one long piece of mixed characters.
    word.split(['.', '/', '=']).any(|piece| {
        piece.len() >= 24
            && piece.bytes().any(|b| b.is_ascii_digit())
            && piece.bytes().any(|b| b.is_ascii_alphabetic())
    })
}

/// Whether every character of `text` prints.
#[must_use]
pub fn is_printable(text: &str) -> bool {
    // Nearly every text is plain ASCII, and then the bytes tell.
    text.bytes().all(|b| matches!(b, b' '..=b'~')) || !text.chars().any(is_unprintable)
}

/// Whether `c` does not print or changes how its neighbours print: control characters, line breaks, direction marks
/// and characters without width.
#[must_use]
pub fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b18_foreign_text_is_escaped_capped_and_redacted() {
        let rows = [
            ("plain words", "plain words"),
            ("a\nb\u{1b}[31m", "a\\nb\\u{1b}[31m"),
            (
                "token eyJhbGciOiJub25lIn0.e30. refused",
                "token [redacted] refused",
            ),
            ("hunter2hunter2 seen", "[redacted] seen"),
            (
                "host a.example.com/path/to/thing",
                "host a.example.com/path/to/thing",
            ),
            ("ghs_16C7e42F292c6912E7710c838347Ae178B4a", "[redacted]"),
        ];
        for (given, shown) in rows {
            assert_eq!(foreign(given, &["hunter2hunter2"]), shown);
        }
        assert!(foreign(&"x ".repeat(5000), &[]).len() <= FOREIGN_TEXT_CAP + 3);
    }
}
