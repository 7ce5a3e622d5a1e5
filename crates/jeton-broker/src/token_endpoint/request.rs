//! What was asked for: the form of RFC 8693 section 2.1 or RFC 7523 section 2.1, read strictly.
use super::TokenError;
use jeton_core::Secret;
use jeton_core::oauth::{grant_type, token_type};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// What proves the right to ask.
#[derive(Clone, Debug)]
pub enum Grant {
    /// A token for a token.
    Exchange {
        /// Whose token is wanted.
        subject: Secret,
        /// Who acts for him.
        actor: Option<Secret>,
    },
    /// A token for an assertion.
    Assertion {
        /// The assertion.
        assertion: Secret,
    },
}

/// A request to the token endpoint.
#[derive(Clone, Debug)]
pub struct TokenRequest {
    /// What proves it.
    pub grant: Grant,
    /// `audience` and `resource`: for whom it is to be.
    pub targets: Vec<String>,
    /// The scopes; `None` when nobody asked.
    pub scopes: Option<Vec<String>>,
    /// `issued_token_type` of the answer.
    pub issued_type: &'static str,
}

/// The token types that a JWT may be called (RFC 8693 section 3).
const JWTS: [&str; 3] = [token_type::JWT, token_type::ID_TOKEN, token_type::ACCESS_TOKEN];

/// The parameters that may come more than once (RFC 8693 section 2.1).
const REPEATABLE: [&str; 2] = ["audience", "resource"];

/// The parameters of a form; an empty one counts as absent (RFC 6749 section 3.2).
struct Form<'a>(BTreeMap<Cow<'a, str>, Vec<Cow<'a, str>>>);

impl<'a> Form<'a> {
    fn read(body: &'a [u8]) -> Result<Self, TokenError> {
        let mut all: BTreeMap<Cow<'a, str>, Vec<Cow<'a, str>>> = BTreeMap::new();
        for (name, value) in url::form_urlencoded::parse(body) {
            let repeatable = REPEATABLE.contains(&name.as_ref());
            let values = all.entry(name).or_default();
            if !values.is_empty() && !repeatable {
                return Err(TokenError::request("a parameter comes twice"));
            }
            values.push(value);
        }
        Ok(Self(all))
    }

    fn one(&self, name: &str) -> Option<&str> {
        let value = self.0.get(name)?.first()?;
        (!value.is_empty()).then_some(value)
    }

    fn required(&self, name: &str, missing: &'static str) -> Result<&str, TokenError> {
        self.one(name).ok_or(TokenError::request(missing))
    }

    fn all(&self, name: &str) -> impl Iterator<Item = String> {
        let values = self.0.get(name).map(Vec::as_slice).unwrap_or_default();
        values.iter().filter(|v| !v.is_empty()).map(ToString::to_string)
    }
}

/// Reads the body of a request.
///
/// # Errors
/// `invalid_request` for what is missing, comes twice or is no JWT's type, `unsupported_grant_type`, `invalid_scope`.
pub fn parse(body: &[u8]) -> Result<TokenRequest, TokenError> {
    let form = Form::read(body)?;
    let grant = match form.required("grant_type", "grant_type is missing")? {
        grant_type::TOKEN_EXCHANGE => exchange(&form)?,
        grant_type::JWT_BEARER => Grant::Assertion {
            assertion: Secret::new(form.required("assertion", "assertion is missing")?),
        },
        _ => {
            return Err(TokenError::new(
                "unsupported_grant_type",
                "grant_type is none of ours",
            ));
        }
    };
    Ok(TokenRequest {
        grant,
        targets: form.all("audience").chain(form.all("resource")).collect(),
        scopes: form.one("scope").map(scopes).transpose()?,
        issued_type: issued_type(form.one("requested_token_type"))?,
    })
}

fn exchange(form: &Form<'_>) -> Result<Grant, TokenError> {
    let subject = form.required("subject_token", "subject_token is missing")?;
    let kind = form.required("subject_token_type", "subject_token_type is missing")?;
    if !JWTS.contains(&kind) {
        return Err(TokenError::request("subject_token_type is not that of a JWT"));
    }
    let actor = match (form.one("actor_token"), form.one("actor_token_type")) {
        (None, None) => None,
        (Some(_), None) => return Err(TokenError::request("actor_token_type is missing")),
        (None, Some(_)) => return Err(TokenError::request("actor_token is missing")),
        (Some(token), Some(kind)) if JWTS.contains(&kind) => Some(Secret::new(token)),
        _ => return Err(TokenError::request("actor_token_type is not that of a JWT")),
    };
    Ok(Grant::Exchange {
        subject: Secret::new(subject),
        actor,
    })
}

fn issued_type(wanted: Option<&str>) -> Result<&'static str, TokenError> {
    match wanted {
        None | Some(token_type::ACCESS_TOKEN) => Ok(token_type::ACCESS_TOKEN),
        Some(token_type::JWT) => Ok(token_type::JWT),
        Some(_) => Err(TokenError::request("requested_token_type is none of ours")),
    }
}

/// `scope-token *( SP scope-token )` (RFC 6749 section 3.3).
fn scopes(text: &str) -> Result<Vec<String>, TokenError> {
    let allowed = |c: char| matches!(c, '\x21' | '\x23'..='\x5b' | '\x5d'..='\x7e');
    let mut scopes: Vec<String> = Vec::new();
    for scope in text.split(' ').filter(|s| !s.is_empty()) {
        if !scope.chars().all(allowed) {
            return Err(TokenError::new(
                "invalid_scope",
                "scope has a character that none has",
            ));
        }
        if !scopes.iter().any(|known| known == scope) {
            scopes.push(scope.to_owned());
        }
    }
    Ok(scopes)
}
