//! Strict JSON for hostile bodies: one value, every member once, nothing after it, never deeper than [`MAX_DEPTH`].
//!
//! RFC 7519 section 4 lets a parser take the last of two members of one name; two programs that choose differently
//! then read two different tokens out of the same bytes. Here a second member of a name is an error, also when it
//! is spelled with escapes. Integers are exact, numbers beyond the range of a double are refused, names are
//! compared byte for byte.
mod name;
mod parse;

pub use name::Name;
pub use parse::parse;

use alloc::borrow::ToOwned;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

/// How deep arrays and objects may be nested. Real claims and key sets need five; a parser's stack needs an end.
pub const MAX_DEPTH: usize = 64;

/// Why bytes are not one JSON value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JsonError {
    /// The input ends before the value does (also: there is no value at all). A cut transfer looks like this.
    Truncated,
    /// An object has two members of one name.
    Duplicate,
    /// Nested deeper than [`MAX_DEPTH`].
    TooDeep,
    /// Not JSON (RFC 8259), not UTF-8, a byte order mark, or a number no double can hold.
    Syntax,
    /// There is something after the value.
    Trailing,
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Truncated => "the JSON ends too soon",
            Self::Duplicate => "a JSON object has a member twice",
            Self::TooDeep => "the JSON is nested too deeply",
            Self::Syntax => "not JSON",
            Self::Trailing => "there is something after the JSON value",
        })
    }
}

impl core::error::Error for JsonError {}

/// One JSON value. `Debug` shows its shape and the names of its members, never its texts: a token response is JSON
/// too.
#[derive(Clone, PartialEq)]
pub enum Json {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number written as an integer, from `i64::MIN` to `u64::MAX`.
    Integer(i128),
    /// Any other number, finite.
    Float(f64),
    /// A text, unescaped.
    String(String),
    /// An array.
    Array(Vec<Json>),
    /// An object: its members in the order of the text, every name once.
    Object(Vec<Member>),
}

/// A member of an object: its name, which is written once for all when it is a usual one, and its value.
pub type Member = (Name, Json);

impl Json {
    /// An object of these members.
    pub fn object<N: Into<String>>(members: impl IntoIterator<Item = (N, Json)>) -> Self {
        let mut object = Self::Object(Vec::new());
        for (name, value) in members {
            object.set(name, value);
        }
        object
    }

    /// The member `name` of an object; `None` for everything else.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Json> {
        let members = self.as_object()?;
        members.iter().find(|(n, _)| n == name).map(|(_, v)| v)
    }

    /// Puts `value` at `name`, in place of what was there. Does nothing to a value that is no object.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<Json>) {
        let Self::Object(members) = self else { return };
        let (name, value) = (name.into(), value.into());
        match members.iter_mut().find(|(n, _)| *n == *name) {
            Some(member) => member.1 = value,
            None => members.push((name.into(), value)),
        }
    }

    /// Takes the member `name` out of an object: the way to move a secret into its box without a copy.
    pub fn take(&mut self, name: &str) -> Option<Json> {
        let Self::Object(members) = self else { return None };
        let at = members.iter().position(|(n, _)| n == name)?;
        Some(members.remove(at).1)
    }

    /// The text, if it is one.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        if let Self::String(text) = self {
            Some(text)
        } else {
            None
        }
    }

    /// The text itself, if it is one.
    #[must_use]
    pub fn into_string(self) -> Option<String> {
        if let Self::String(text) = self {
            Some(text)
        } else {
            None
        }
    }

    /// The integer, if it was written as one and fits.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        if let Self::Integer(n) = self {
            i64::try_from(*n).ok()
        } else {
            None
        }
    }

    /// The integer, if it was written as one and is not negative.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        if let Self::Integer(n) = self {
            u64::try_from(*n).ok()
        } else {
            None
        }
    }

    /// Any number, as the nearest double.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        reason = "the nearest double is what the name promises"
    )]
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Integer(n) => Some(*n as f64),
            Self::Float(n) => Some(*n),
            _ => None,
        }
    }

    /// `true` or `false`, if it is one of them.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(b) = self { Some(*b) } else { None }
    }

    /// The elements, if it is an array.
    #[must_use]
    pub fn as_array(&self) -> Option<&[Json]> {
        if let Self::Array(items) = self {
            Some(items)
        } else {
            None
        }
    }

    /// The members, if it is an object.
    #[must_use]
    pub fn as_object(&self) -> Option<&[Member]> {
        if let Self::Object(members) = self {
            Some(members)
        } else {
            None
        }
    }

    /// Whether it is `null`.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// What kind of value it is, in the words of RFC 8259.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "boolean",
            Self::Integer(_) | Self::Float(_) => "number",
            Self::String(_) => "string",
            Self::Array(_) => "array",
            Self::Object(_) => "object",
        }
    }

    /// The value as JSON text, without white space. Not `Display`, so that no format string prints one by accident.
    #[must_use]
    pub fn to_text(&self) -> String {
        // A `Json` has text for names and finite numbers, so that nothing in it can fail to be written.
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object(members) => f
                .debug_set()
                .entries(members.iter().map(|(n, _)| n.as_str()))
                .finish(),
            Self::Array(items) => write!(f, "[array of {}]", items.len()),
            Self::Null | Self::Bool(_) | Self::Integer(_) | Self::Float(_) => f.write_str(&self.to_text()),
            Self::String(_) => f.write_str("[string]"),
        }
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(b) => serializer.serialize_bool(*b),
            Self::Integer(n) => match (i64::try_from(*n), u64::try_from(*n)) {
                (Ok(n), _) => serializer.serialize_i64(n),
                (_, Ok(n)) => serializer.serialize_u64(n),
                _ => serializer.serialize_i128(*n),
            },
            Self::Float(n) => serializer.serialize_f64(*n),
            Self::String(text) => serializer.serialize_str(text),
            Self::Array(items) => {
                let mut seq = serializer.serialize_seq(Some(items.len()))?;
                items.iter().try_for_each(|item| seq.serialize_element(item))?;
                seq.end()
            }
            Self::Object(members) => {
                let mut map = serializer.serialize_map(Some(members.len()))?;
                members.iter().try_for_each(|(n, v)| map.serialize_entry(n, v))?;
                map.end()
            }
        }
    }
}

macro_rules! json_from {
    ($($from:ty => $make:expr),* $(,)?) => {$(
        impl From<$from> for Json {
            fn from(value: $from) -> Self {
                let make: fn($from) -> Self = $make;
                make(value)
            }
        }
    )*};
}

json_from! {
    bool => Self::Bool,
    i64 => |n| Self::Integer(n.into()),
    u64 => |n| Self::Integer(n.into()),
    i32 => |n| Self::Integer(n.into()),
    u32 => |n| Self::Integer(n.into()),
    f64 => |n| if n.is_finite() { Self::Float(n) } else { Self::Null },
    String => Self::String,
    &str => |text| Self::String(text.to_owned()),
    &String => |text| Self::String(text.to_string()),
    Vec<Json> => Self::Array,
    Vec<String> => |items| Self::Array(items.into_iter().map(Self::String).collect()),
    &[&str] => |items| Self::Array(items.iter().map(|s| Self::from(*s)).collect()),
    &[String] => |items| Self::Array(items.iter().map(Self::from).collect()),
}

impl<T: Into<Json>> From<Option<T>> for Json {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}
