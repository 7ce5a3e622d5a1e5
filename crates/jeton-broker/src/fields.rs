//! The members of a request's body, read one by one; what nobody asked for is an error that names it.
use crate::problem::Problem;
use jeton::config::nearest::nearest;
use jeton_core::{Json, json, redact};

/// The longest name of anything, in bytes.
pub const LONGEST_NAME: usize = 256;
/// The longest text of a field that is no secret, in bytes.
pub const LONGEST_TEXT: usize = 4096;
/// How many labels or annotations there may be.
const MOST_LABELS: usize = 64;

/// A JSON object that is being read.
pub struct Fields {
    rest: Json,
    known: Vec<&'static str>,
}

impl Fields {
    /// The body of a request: one JSON object, no member twice.
    ///
    /// # Errors
    /// 400.
    pub fn parse(body: &[u8]) -> Result<Self, Problem> {
        let rest = json::parse(body).map_err(|error| Problem::invalid("body", &error.to_string()))?;
        Self::of(rest, "body")
    }

    /// An object inside a body.
    ///
    /// # Errors
    /// 400, naming `field`.
    pub fn of(rest: Json, field: &str) -> Result<Self, Problem> {
        if rest.as_object().is_none() {
            return Err(Problem::invalid(field, "must be a JSON object"));
        }
        let known = Vec::new();
        Ok(Self { rest, known })
    }

    /// A member, whatever it is; `null` counts as absent.
    pub fn take(&mut self, name: &'static str) -> Option<Json> {
        self.take_or_null(name).filter(|value| !value.is_null())
    }

    /// A member; `null` is a value of its own.
    pub fn take_or_null(&mut self, name: &'static str) -> Option<Json> {
        self.known.push(name);
        self.rest.take(name)
    }

    /// A text on one line, of at most `longest` bytes.
    ///
    /// # Errors
    /// 400, naming the field.
    pub fn text(&mut self, name: &'static str, longest: usize) -> Result<Option<String>, Problem> {
        self.take(name)
            .map(|value| plain(name, value, longest))
            .transpose()
    }

    /// A text that has to be there and may not be empty.
    ///
    /// # Errors
    /// 400, naming the field.
    pub fn required(&mut self, name: &'static str, longest: usize) -> Result<String, Problem> {
        let text = self.text(name, longest)?;
        text.filter(|text| !text.trim().is_empty())
            .ok_or_else(|| Problem::invalid(name, "is missing"))
    }

    /// A text that is to be changed: absent = leave it, `null` = empty it.
    ///
    /// # Errors
    /// 400, naming the field.
    pub fn change(&mut self, name: &'static str, longest: usize) -> Result<Option<String>, Problem> {
        match self.take_or_null(name) {
            None => Ok(None),
            Some(Json::Null) => Ok(Some(String::new())),
            Some(value) => plain(name, value, longest).map(Some),
        }
    }

    /// An object of texts, such as `labels`; `null` empties it.
    ///
    /// # Errors
    /// 400, naming the field.
    pub fn labels(&mut self, name: &'static str) -> Result<Option<Json>, Problem> {
        match self.take_or_null(name) {
            None => Ok(None),
            Some(Json::Null) => Ok(Some(Json::Object(Vec::new()))),
            Some(value) => labels(name, value).map(Some),
        }
    }

    /// Nothing else may be there.
    ///
    /// # Errors
    /// 400, naming the first field that is not known, and the one that was perhaps meant.
    pub fn end(self) -> Result<(), Problem> {
        let Some((name, _)) = self.rest.as_object().and_then(<[_]>::first) else {
            return Ok(());
        };
        let name = name.as_str();
        match nearest(name, self.known.iter().copied()) {
            Some(meant) => Err(Problem::invalid(
                name,
                &format!("is not known here; did you mean {meant}?"),
            )),
            None => Err(Problem::invalid(name, "is not known here")),
        }
    }
}

fn plain(name: &str, value: Json, longest: usize) -> Result<String, Problem> {
    let text = value.into_string();
    let text = text.ok_or_else(|| Problem::invalid(name, "must be a string"))?;
    if text.len() > longest {
        return Err(Problem::invalid(name, "is too long"));
    }
    if !redact::is_printable(&text) {
        return Err(Problem::invalid(name, "has characters that do not print"));
    }
    Ok(text)
}

fn labels(name: &str, value: Json) -> Result<Json, Problem> {
    let members = value
        .as_object()
        .ok_or_else(|| Problem::invalid(name, "must be an object"))?;
    if members.len() > MOST_LABELS {
        return Err(Problem::invalid(name, "has too many members"));
    }
    for (key, value) in members {
        let text = value
            .as_str()
            .ok_or_else(|| Problem::invalid(name, "has a value that is no string"))?;
        if key.as_str().len() > LONGEST_NAME || text.len() > LONGEST_TEXT {
            return Err(Problem::invalid(name, "has a member that is too long"));
        }
        if !redact::is_printable(key.as_str()) || !redact::is_printable(text) {
            return Err(Problem::invalid(name, "has characters that do not print"));
        }
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d6_a_field_that_is_wrong_missing_or_unknown_is_named() {
        let read = |body: &str| -> Result<(), Problem> {
            let mut fields = Fields::parse(body.as_bytes())?;
            fields.required("name", 8)?;
            fields.labels("labels")?;
            fields.change("url", 8)?;
            fields.end()
        };
        let rows = [
            (r#"{"name":"a"}"#, None),
            (r#"{"name":"a","labels":{"x":"y"},"url":null}"#, None),
            (r#"{"name":"a","lables":{}}"#, Some("lables: ")),
            (r#"{"name":"a","x":1}"#, Some("x: ")),
            (r#"{"name":1}"#, Some("name: ")),
            (r#"{"name":" "}"#, Some("name: is missing")),
            (r#"{"name":"123456789"}"#, Some("name: is too long")),
            (r#"{"name":"a\u0000"}"#, Some("name: ")),
            (r#"{"name":"a","labels":{"x":1}}"#, Some("labels: ")),
            (r#"{"name":"a","name":"b"}"#, Some("body: ")),
            ("[]", Some("body: ")),
            ("", Some("body: ")),
        ];
        for (body, wanted) in rows {
            let got = read(body).err().map(|problem| problem.reason().to_owned());
            match (got.as_deref(), wanted) {
                (None, None) => (),
                (Some(got), Some(wanted)) => assert!(got.starts_with(wanted), "{body}: {got}"),
                (got, wanted) => panic!("{body}: {got:?} {wanted:?}"),
            }
        }
    }
}
