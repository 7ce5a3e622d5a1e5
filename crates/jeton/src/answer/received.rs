//! How a text came here: what beside the text itself says how long it lives and what it is.
use crate::http::{Fault, Response};
use jeton_core::expiry::LONGEST_EXPIRES_IN;
use jeton_core::oauth::TokenAnswer;
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
    /// What the endpoint said of its life.
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

    /// The same, with what a token endpoint said beside the token. A life that is not above zero says nothing: such a
    /// token is used, and not kept.
    ///
    /// # Errors
    /// [`Failure::OAuthRefused`] when a scope that was asked for was not granted.
    pub fn granted(self, request: &TokenRequest, answer: &TokenAnswer) -> Result<Self, Fault> {
        if let Some(missing) = answer.withheld(&request.scopes).first() {
            return Err(Fault::new(
                Failure::OAuthRefused,
                format!("the scope {missing:?} was not granted"),
            ));
        }
        Ok(Self {
            expires_in: answer.expires_in.filter(|span| !span.is_zero()),
            scopes: answer.scopes.clone(),
            ..self
        })
    }

    /// How far the two clocks are apart, when the answer showed the other one.
    pub(super) fn skew(&self) -> Option<Duration> {
        let (theirs, ours) = (self.date?, self.moment.wall);
        Some(theirs.since(ours).max(ours.since(theirs)))
    }
}

/// A life in seconds as platforms' own endpoints write it: a number, or a number in a string; at most
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
    Some(Duration::from_secs_f64(
        seconds.min(LONGEST_EXPIRES_IN.as_secs_f64()),
    ))
}
