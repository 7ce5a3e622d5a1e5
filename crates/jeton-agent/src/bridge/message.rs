//! What the bridge has to know of a JSON-RPC message: whether it wants an answer, and how one is written on a line.
use super::LARGEST;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

/// JSON-RPC 2.0 section 5.1: no JSON.
const PARSE: i64 = -32700;
/// JSON-RPC 2.0 section 5.1: no request.
const INVALID: i64 = -32600;
/// JSON-RPC 2.0 section 5.1, the range for servers: what lies between the client and its server.
pub(super) const SERVER: i64 = -32000;

/// A message from the client.
pub(super) struct Message {
    /// The requests in it that want an answer.
    pub(super) ids: Vec<Value>,
    /// Whether it opens the session.
    pub(super) is_first: bool,
    /// Whether it says that the session is open.
    pub(super) is_ready: bool,
}

impl Message {
    /// Reads a line; `None` for an empty one.
    pub(super) fn read(line: &[u8]) -> Result<Option<Self>, (i64, &'static str)> {
        if line.len() > LARGEST {
            return Err((INVALID, "the message is larger than 10 MiB"));
        }
        if line.iter().all(u8::is_ascii_whitespace) {
            return Ok(None);
        }
        let value: Value = serde_json::from_slice(line).map_err(|_| (PARSE, "the line is no JSON"))?;
        let members = match &value {
            Value::Array(members) => members.as_slice(),
            Value::Object(_) => std::slice::from_ref(&value),
            _ => return Err((INVALID, "the line is no JSON-RPC message")),
        };
        let is = |name: &str| members.iter().any(|m| m["method"] == name);
        let requests = members.iter().filter(|m| m["method"].is_string());
        Ok(Some(Self {
            ids: requests.filter_map(|m| m.get("id").cloned()).collect(),
            is_first: is("initialize"),
            is_ready: is("notifications/initialized"),
        }))
    }
}

/// An error as the answer to a request.
pub(super) fn error(id: &Value, code: i64, why: &str) -> String {
    json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": why } }).to_string()
}

/// A JSON text on one line: outside of strings a line's end is white space, and inside of them it cannot stand.
pub(super) fn line(text: &[u8]) -> Option<String> {
    serde_json::from_slice::<IgnoredAny>(text).ok()?;
    let text = std::str::from_utf8(text).ok()?;
    Some(text.trim().replace(['\r', '\n'], " "))
}

/// Whether this is the server's own error.
pub(super) fn is_error(line: &str) -> bool {
    #[derive(Deserialize)]
    struct Refusal {
        jsonrpc: String,
        #[serde(default)]
        error: Option<IgnoredAny>,
    }
    serde_json::from_str::<Refusal>(line).is_ok_and(|r| r.jsonrpc == "2.0" && r.error.is_some())
}

/// The protocol's version in the answer to `initialize`.
pub(super) fn version(line: &str) -> Option<String> {
    let value: Value = serde_json::from_str(line).ok()?;
    value["result"]["protocolVersion"].as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c15_requests_want_answers_and_notifications_do_not() {
        let facts = [
            (r#"{"jsonrpc":"2.0","id":1,"method":"initialize"}"#, 1, true),
            (
                r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
                0,
                false,
            ),
            (r#"{"jsonrpc":"2.0","id":"a","result":{}}"#, 0, false),
            (
                r#"[{"id":1,"method":"a"},{"id":2,"method":"b"},{"method":"c"}]"#,
                2,
                false,
            ),
        ];
        for (text, ids, first) in facts {
            let message = Message::read(text.as_bytes()).expect("JSON").expect("a message");
            assert_eq!((message.ids.len(), message.is_first), (ids, first), "{text}");
        }
        assert!(Message::read(b"  ").is_ok_and(|m| m.is_none()));
        assert_eq!(Message::read(b"{").err().map(|e| e.0), Some(PARSE));
        assert_eq!(Message::read(b"1").err().map(|e| e.0), Some(INVALID));
    }

    #[test]
    fn c15_an_answer_is_one_line_and_its_numbers_are_kept() {
        let pretty = b"{\n  \"n\": 123456789012345678901234567890,\r\n \"s\": \"a\\nb\"\n}\n";
        let wanted = r#"{   "n": 123456789012345678901234567890,   "s": "a\nb" }"#;
        assert_eq!(line(pretty).as_deref(), Some(wanted));
        assert_eq!(line(b"<html>"), None);
    }
}
