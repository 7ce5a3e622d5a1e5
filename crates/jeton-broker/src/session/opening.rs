//! What is asked for when a session is opened.
use crate::fields::Fields;
use crate::minting::cloud::is_exchange;
use crate::problem::Problem;
use jeton_core::json::Json;

/// The longest id and the longest subject, in bytes.
const LONGEST: usize = 1024;
/// How many users may share a session, and how many providers may be named.
const MOST: usize = 64;

/// The body of `POST /sessions`.
#[derive(Debug, PartialEq, Eq)]
pub struct Opening {
    /// The project's id.
    pub project: String,
    /// The agent's id.
    pub agent: String,
    /// The one user; nobody named and nobody sharing it, it is whoever opens it.
    pub user: Option<String>,
    /// Those who share it.
    pub users: Vec<String>,
    /// The providers that are wanted; without them, all that are attached.
    pub providers: Option<Vec<String>>,
}

impl Opening {
    /// Reads the body; `known` are the providers that there are.
    ///
    /// # Errors
    /// 400, naming the field.
    pub fn read(body: &[u8], known: impl Fn(&str) -> bool) -> Result<Self, Problem> {
        let mut fields = Fields::parse(body)?;
        let opening = Self {
            project: fields.required("project", LONGEST)?,
            agent: fields.required("agent", LONGEST)?,
            user: fields.text("user", LONGEST)?.filter(|user| !user.is_empty()),
            users: texts("users", fields.take("users"))?.unwrap_or_default(),
            providers: texts("providers", fields.take("providers"))?,
        };
        fields.end()?;
        if opening.user.is_some() && !opening.users.is_empty() {
            return Err(Problem::invalid(
                "users",
                "stands beside `user`: name one of them",
            ));
        }
        for name in opening.providers.iter().flatten() {
            let provider = name
                .split_once('/')
                .map_or(name.as_str(), |(provider, _)| provider);
            let named = provider == "mcp" || provider == name;
            if !named || !(known(provider) || is_exchange(provider)) {
                return Err(Problem::invalid("providers", "names one that is not known"));
            }
        }
        Ok(opening)
    }
}

/// An array of different texts, none of them empty.
fn texts(name: &'static str, value: Option<Json>) -> Result<Option<Vec<String>>, Problem> {
    let Some(value) = value else { return Ok(None) };
    let items = value
        .as_array()
        .ok_or_else(|| Problem::invalid(name, "must be an array"))?;
    if items.len() > MOST {
        return Err(Problem::invalid(name, "has too many members"));
    }
    let mut all: Vec<String> = Vec::new();
    for item in items {
        let text = item
            .as_str()
            .filter(|text| !text.is_empty() && text.len() <= LONGEST);
        let text = text.ok_or_else(|| Problem::invalid(name, "has a member that is no name"))?;
        if !jeton_core::redact::is_printable(text) {
            return Err(Problem::invalid(name, "has characters that do not print"));
        }
        if !all.iter().any(|known| known == text) {
            all.push(text.to_owned());
        }
    }
    Ok(Some(all))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d13_what_does_not_fit_is_named() {
        let rows = [
            (r#"{"project":"p","agent":"a","user":"u"}"#, None),
            (
                r#"{"project":"p","agent":"a","users":["u","v"],"providers":["github","mcp/x","aws"]}"#,
                None,
            ),
            (r#"{"agent":"a","user":"u"}"#, Some("project")),
            (r#"{"project":"p","user":"u"}"#, Some("agent")),
            (r#"{"project":"p","agent":"a","users":[]}"#, None),
            (
                r#"{"project":"p","agent":"a","user":"u","users":["v"]}"#,
                Some("users"),
            ),
            (r#"{"project":"p","agent":"a","users":"u"}"#, Some("users")),
            (r#"{"project":"p","agent":"a","users":[1]}"#, Some("users")),
            (r#"{"project":"p","agent":"a","users":["a\nb"]}"#, Some("users")),
            (
                r#"{"project":"p","agent":"a","user":"u","providers":["githu"]}"#,
                Some("providers"),
            ),
            (
                r#"{"project":"p","agent":"a","user":"u","providers":["github/x"]}"#,
                Some("providers"),
            ),
            (r#"{"project":"p","agent":"a","user":"u","ttl":1}"#, Some("ttl")),
        ];
        for (body, wanted) in rows {
            let got = Opening::read(body.as_bytes(), |name| matches!(name, "github" | "mcp"));
            let got = got.err().map(|problem| problem.reason().to_owned());
            match (got.as_deref(), wanted) {
                (None, None) => (),
                (Some(got), Some(wanted)) => assert!(got.starts_with(wanted), "{body}: {got}"),
                (got, wanted) => panic!("{body}: {got:?} {wanted:?}"),
            }
        }
    }
}
