//! The strict parser: serde_json's tokenizer underneath, our rules for members, depth and ends on top.
use super::name::Name;
use super::{Json, JsonError, MAX_DEPTH, Member};
use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::Cell;
use core::fmt;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;

/// Objects up to this many members are searched for a second member one by one, larger ones are sorted: a hostile
/// object of a hundred thousand members must not cost their square.
const FEW_MEMBERS: usize = 64;

/// How many members room is made for at once: most objects have fewer.
const USUAL_MEMBERS: usize = 8;

/// Parses `bytes` as exactly one JSON value.
///
/// # Errors
/// What is wrong with them, see [`JsonError`].
pub fn parse(bytes: &[u8]) -> Result<Json, JsonError> {
    let text = core::str::from_utf8(bytes).map_err(|e| match e.error_len() {
        None => JsonError::Truncated,
        Some(_) => JsonError::Syntax,
    })?;
    let fault = Cell::new(None);
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = Value {
        depth: 0,
        fault: &fault,
    }
    .deserialize(&mut deserializer)
    .map_err(|e| fault.get().unwrap_or_else(|| kind_of(&e)))?;
    deserializer.end().map_err(|_| JsonError::Trailing)?;
    Ok(value)
}

fn kind_of(error: &serde_json::Error) -> JsonError {
    match error.classify() {
        Category::Eof => JsonError::Truncated,
        Category::Io | Category::Syntax | Category::Data => JsonError::Syntax,
    }
}

/// One value at one depth. serde's errors are texts; the exact reason travels in `fault`.
#[derive(Clone, Copy)]
struct Value<'a> {
    depth: usize,
    fault: &'a Cell<Option<JsonError>>,
}

impl Value<'_> {
    fn inside<E: Error>(self) -> Result<Self, E> {
        if self.depth == MAX_DEPTH {
            return Err(self.fail(JsonError::TooDeep));
        }
        Ok(Self {
            depth: self.depth + 1,
            ..self
        })
    }

    fn fail<E: Error>(self, why: JsonError) -> E {
        self.fault.set(Some(why));
        E::custom(why)
    }
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Integer(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Integer(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Json, E> {
        if value.is_finite() {
            Ok(Json::Float(value))
        } else {
            Err(self.fail(JsonError::Syntax))
        }
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Json, E> {
        Ok(Json::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json, A::Error> {
        let inside = self.inside()?;
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(inside)? {
            items.push(item);
        }
        Ok(Json::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let inside = self.inside()?;
        let mut members: Vec<Member> = Vec::with_capacity(USUAL_MEMBERS);
        let mut seen = 0;
        while let Some(name) = map.next_key::<Name>()? {
            let mark = mark(&name);
            if seen & mark != 0 && members.len() < FEW_MEMBERS && members.iter().any(|(n, _)| *n == name) {
                return Err(self.fail(JsonError::Duplicate));
            }
            seen |= mark;
            let value = map.next_value_seed(inside)?;
            members.push((name, value));
        }
        if members.len() > FEW_MEMBERS && has_twins(&members) {
            return Err(self.fail(JsonError::Duplicate));
        }
        Ok(Json::Object(members))
    }
}

/// One of 64 bits for a name: two names of different bits are different, and need not be compared.
fn mark(name: &str) -> u64 {
    let bytes = name.as_bytes();
    let ends = bytes
        .first()
        .zip(bytes.last())
        .map_or(0, |(a, b)| usize::from(*a) * 7 + usize::from(*b));
    1 << ((ends + bytes.len() % 64 * 11) % 64)
}

fn has_twins(members: &[Member]) -> bool {
    let mut names: Vec<&str> = members.iter().map(|(n, _)| n.as_str()).collect();
    names.sort_unstable();
    names.windows(2).any(|pair| pair[0] == pair[1])
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::ToString;
    use proptest::prelude::*;

    #[test]
    fn d7_what_is_not_one_json_value_is_refused_for_its_own_reason() {
        let deep = |n: usize| "[".repeat(n) + &"]".repeat(n);
        let (too_deep, far_too_deep) = (deep(MAX_DEPTH + 1), deep(100_000));
        let many = format!(
            "{{{},\"m7\":0}}",
            (0..500)
                .map(|i| format!("\"m{i}\":0"))
                .collect::<Vec<_>>()
                .join(",")
        );
        let rows: &[(&[u8], JsonError)] = &[
            (b"", JsonError::Truncated),
            (b"  ", JsonError::Truncated),
            (b"{\"a\":1", JsonError::Truncated),
            (b"{\"a\":\"x", JsonError::Truncated),
            (b"tru", JsonError::Truncated),
            (b"\"\xc3", JsonError::Truncated),
            (b"{\"a\":1,\"a\":2}", JsonError::Duplicate),
            (b"{\"a\":1,\"\\u0061\":1}", JsonError::Duplicate),
            (b"[{\"b\":{\"a\":1,\"a\":1}}]", JsonError::Duplicate),
            (many.as_bytes(), JsonError::Duplicate),
            (too_deep.as_bytes(), JsonError::TooDeep),
            (far_too_deep.as_bytes(), JsonError::TooDeep),
            (b"{} {}", JsonError::Trailing),
            (b"{}x", JsonError::Trailing),
            (b"1 2", JsonError::Trailing),
            (b"\xef\xbb\xbf{}", JsonError::Syntax),
            (b"\xff\xfe{\0}\0", JsonError::Syntax),
            (b"\"\xff\"", JsonError::Syntax),
            (b"\"\\ud800\"", JsonError::Syntax),
            (b"\"a\nb\"", JsonError::Syntax),
            (b"<html></html>", JsonError::Syntax),
            (b"{'a':1}", JsonError::Syntax),
            (b"{\"a\":1,}", JsonError::Syntax),
            (b"[1,]", JsonError::Syntax),
            (b"NaN", JsonError::Syntax),
            (b"Infinity", JsonError::Syntax),
            (b"1e400", JsonError::Syntax),
            (b"-1e400", JsonError::Syntax),
            (b"0x10", JsonError::Trailing),
            (b"01", JsonError::Syntax),
            (b"+1", JsonError::Syntax),
            (b"/* c */ 1", JsonError::Syntax),
        ];
        for (bytes, why) in rows {
            assert_eq!(
                parse(bytes).err(),
                Some(*why),
                "{}",
                String::from_utf8_lossy(bytes).get(..40).unwrap_or("…")
            );
        }
    }

    #[test]
    fn what_is_one_value_is_read_exactly() {
        let rows = [
            ("0", Json::Integer(0)),
            ("18446744073709551615", Json::Integer(u64::MAX.into())),
            ("-9223372036854775808", Json::Integer(i64::MIN.into())),
            ("1.5", Json::Float(1.5)),
            ("1e3", Json::Float(1000.0)),
            ("\"\\u0041\\ud83d\\ude00\"", Json::from("A😀")),
            (
                " [true , null] ",
                Json::Array(alloc::vec![Json::Bool(true), Json::Null]),
            ),
        ];
        for (text, value) in rows {
            assert!(parse(text.as_bytes()) == Ok(value), "{text}");
        }
        // Names that differ in case are two names.
        let two = parse(br#"{"exp":1,"EXP":2}"#).unwrap();
        assert_eq!(
            (two.get("exp").and_then(Json::as_i64), two.get("Exp").is_none()),
            (Some(1), true)
        );
        assert_eq!(
            parse("[".repeat(MAX_DEPTH).as_bytes()).err(),
            Some(JsonError::Truncated)
        );
    }

    #[test]
    fn b18_debug_shows_names_and_never_texts() {
        let body = parse(br#"{"access_token":"canary","list":["canary"],"n":5}"#).unwrap();
        assert_eq!(format!("{body:?}"), r#"{"access_token", "list", "n"}"#);
        assert!(!format!("{:?}", body.get("access_token")).contains("canary"));
        assert_eq!(
            JsonError::Duplicate.to_string(),
            "a JSON object has a member twice"
        );
    }

    proptest! {
        #[test]
        fn parse_never_panics_and_what_it_read_it_can_write(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(value) = parse(&bytes) {
                prop_assert!(parse(value.to_text().as_bytes()).is_ok());
            }
        }

        #[test]
        fn a_cut_object_is_truncated(text in "[ -~]{0,20}", cut in 1_usize..5) {
            let whole = Json::object([("a", Json::from(text)), ("b", Json::from(true))]).to_text();
            let at = whole.len() - cut;
            prop_assert_eq!(parse(&whole.as_bytes()[..at]).err(), Some(JsonError::Truncated));
        }
    }
}
