//! Names of things: ULIDs, unless the caller gives one.
use crate::problem::Problem;
use crate::store::StoreError;
use aws_lc_rs::rand;
use jeton_core::UnixTime;
use ulid::Ulid;

/// The longest id that a caller may give, in bytes.
const LONGEST_GIVEN: usize = 128;

/// A new id; later ones sort behind earlier ones.
///
/// # Errors
/// The machine has no randomness.
pub fn fresh(now: UnixTime) -> Result<String, Problem> {
    let mut random = [0; 16];
    rand::fill(&mut random).map_err(|_| Problem::internal("no randomness"))?;
    let millis = u64::try_from(now.millis()).unwrap_or(0);
    Ok(Ulid::from_parts(millis, u128::from_be_bytes(random)).to_string())
}

/// The same, where only the store is known.
///
/// # Errors
/// The machine has no randomness.
pub(crate) fn stored(now: UnixTime) -> Result<String, StoreError> {
    fresh(now).map_err(|_| StoreError::Failed("no randomness".into()))
}

/// An id that a caller gave: letters, digits, `-`, `_`, `.`, beginning with a letter or a digit.
///
/// # Errors
/// 400, naming the field `id`.
pub fn given(text: String) -> Result<String, Problem> {
    let fits = text.len() <= LONGEST_GIVEN
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    if fits {
        return Ok(text);
    }
    Err(Problem::invalid(
        "id",
        "is made of at most 128 letters, digits, `-`, `_` and `.`",
    ))
}

/// The longest id that is shown as it came; what is longer may be a token that went astray.
const LONGEST_SHOWN: usize = 64;

/// An id that a caller named, fit to be written down: as it is when it looks like one, else as any foreign text.
#[must_use]
pub fn shown(text: &str) -> String {
    let plain = text.len() <= LONGEST_SHOWN
        && !text.contains("eyJ")
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    if plain {
        return text.to_owned();
    }
    jeton_core::redact::foreign(text, &[])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time_and_given_ones_are_plain() {
        let early = fresh(UnixTime::from_seconds(1)).expect("id");
        let late = fresh(UnixTime::from_seconds(2)).expect("id");
        assert!(early < late && early.len() == 26);
        for (text, fits) in [
            ("my-project", true),
            ("A.b_c", true),
            ("", false),
            ("..", false),
            ("-a", false),
            ("a/b", false),
            ("a b", false),
            ("é", false),
        ] {
            assert_eq!(given(text.to_owned()).is_ok(), fits, "{text}");
        }
        assert!(given("x".repeat(129)).is_err());
    }
}
