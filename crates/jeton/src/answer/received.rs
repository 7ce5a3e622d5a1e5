//! How a text came here: what beside the text itself says how long it lives and what it is.
use crate::Context;
use crate::http::{Fault, Response};
use jeton_core::expiry::LONGEST_EXPIRES_IN;
use jeton_core::{Failure, Json, Moment, TokenRequest, UnixTime};
use std::time::Duration;

/// What a source promises of its tokens' form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A JWT, for the audience that was asked for.
    Jwt,
    /// Anything; when it is a JWT, then for the audience that was asked for.
    Any,
    /// Anything, whoever its `aud` names: the platform writes its own name of the resource there.
    Opaque,
}

/// How a text came here.
#[derive(Clone, Debug)]
pub struct Received {
    /// The `Date` of the answer it came in.
    pub date: Option<UnixTime>,
    /// When it came.
    pub moment: Moment,
    /// What the endpoint said of its life; see [`expires_in`].
    pub expires_in: Option<Duration>,
    /// When the endpoint said that it ends.
    pub expires_at: Option<UnixTime>,
    /// The scopes that the endpoint said it granted.
    pub scopes: Option<Vec<String>>,
    /// What it has to be.
    pub shape: Shape,
    /// Whether it came into being for this request, and not by somebody else's hand (a variable, a file).
    pub minted: bool,
}

impl Received {
    /// In an answer, just now; a JWT.
    #[must_use]
    pub fn over(response: &Response) -> Self {
        Self {
            date: response.date,
            minted: true,
            ..Self::at(response.received)
        }
    }

    /// From a variable, a file or standard input, at this moment; a JWT.
    #[must_use]
    pub fn at(moment: Moment) -> Self {
        Self {
            date: None,
            moment,
            expires_in: None,
            expires_at: None,
            scopes: None,
            shape: Shape::Jwt,
            minted: false,
        }
    }

    /// The same, of this shape.
    #[must_use]
    pub fn shape(self, shape: Shape) -> Self {
        Self { shape, ..self }
    }

    /// The same, with what the endpoint said of its life.
    #[must_use]
    pub fn expires_in(self, span: Option<Duration>) -> Self {
        Self {
            expires_in: span,
            ..self
        }
    }

    /// The same, with when the endpoint said that it ends.
    #[must_use]
    pub fn expires_at(self, end: Option<UnixTime>) -> Self {
        Self {
            expires_at: end,
            ..self
        }
    }

    /// The same, with what a token endpoint's answer says beside the token (RFC 6749 section 5.1): `token_type`,
    /// `expires_in`, `scope`. An answer without `token_type` is taken as `Bearer`, with a warning.
    ///
    /// # Errors
    /// [`Failure::Unexpected`] for another token type, [`Failure::OAuthRefused`] when a scope that was asked for was
    /// not granted.
    pub fn granted(self, cx: &Context, request: &TokenRequest, json: &Json) -> Result<Self, Fault> {
        token_type(cx, json)?;
        let scopes = scopes(json);
        let missing = scopes
            .as_ref()
            .and_then(|granted| request.scopes.iter().find(|asked| !granted.contains(asked)));
        if let Some(missing) = missing {
            return Err(Fault::new(
                Failure::OAuthRefused,
                format!("the scope {missing:?} was not granted"),
            ));
        }
        Ok(Self {
            expires_in: expires_in(json.get("expires_in")),
            scopes,
            ..self
        })
    }

    /// How far the two clocks are apart, when the answer showed the other one.
    pub(super) fn skew(&self) -> Option<Duration> {
        let (theirs, ours) = (self.date?, self.moment.wall);
        Some(theirs.since(ours).max(ours.since(theirs)))
    }
}

fn token_type(cx: &Context, json: &Json) -> Result<(), Fault> {
    match json.get("token_type") {
        None | Some(Json::Null) => {
            cx.observer
                .warning("the answer has no token_type: taken as Bearer");
            Ok(())
        }
        Some(Json::String(kind)) if kind.eq_ignore_ascii_case("bearer") => Ok(()),
        Some(other) => Err(Fault::new(
            Failure::Unexpected,
            format!(
                "the token is of a type that cannot be used as Bearer: {}",
                jeton_core::redact::foreign(&other.to_text(), &[])
            ),
        )),
    }
}

fn scopes(json: &Json) -> Option<Vec<String>> {
    let text = json.get("scope")?.as_str()?;
    Some(text.split_ascii_whitespace().map(str::to_owned).collect())
}

/// A life in seconds as endpoints write it: a number, or a number in a string; at most
/// [`LONGEST_EXPIRES_IN`]. One that is missing, no number, or not above zero says nothing: such a token is not kept.
#[must_use]
pub fn expires_in(member: Option<&Json>) -> Option<Duration> {
    let seconds = match member? {
        Json::String(text) => text.trim().parse::<f64>().ok()?,
        other => other.as_f64()?,
    };
    if seconds.is_nan() || seconds <= 0.0 {
        return None;
    }
    let capped = seconds.min(LONGEST_EXPIRES_IN.as_secs_f64());
    Some(Duration::from_secs_f64(capped))
}
