//! Choosing among the tokens that a platform has already put somewhere: the one whose audience fits.
use super::file::{TokenFile, shown};
use crate::answer::{self, Received, Shape};
use crate::{Context, Error, Token, TokenRequest};
use jeton_core::Secret;
use jeton_core::claims::Claims;
use jeton_core::decode::decode;

/// A token that is there, and where.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The variable or file, as messages name it.
    pub place: String,
    /// What is there, or why it cannot be read.
    pub value: Result<Secret, Error>,
    /// The file it is in, if it is in one.
    file: Option<TokenFile>,
}

impl Candidate {
    /// What a variable holds.
    pub fn variable(name: &str, value: &str) -> Self {
        Self {
            place: name.to_owned(),
            value: Ok(Secret::new(value.trim_end())),
            file: None,
        }
    }

    /// What a file holds.
    pub fn file(file: TokenFile) -> Self {
        Self {
            place: shown(file.path()),
            value: file.read_now(),
            file: Some(file),
        }
    }

    /// The token itself; a file is read once more, and waited for where a platform replaces it.
    ///
    /// # Errors
    /// As [`TokenFile::read`].
    pub async fn token(self) -> Result<Secret, Error> {
        match self.file {
            Some(file) => file.read().await,
            None => self.value,
        }
    }

    /// Its claims, if it is a JWT.
    #[must_use]
    pub fn claims(&self) -> Option<Claims> {
        claims_of(self.value.as_ref().ok()?.reveal())
    }

    /// Whether it is a JWT for every audience that is asked for.
    #[must_use]
    pub fn fits(&self, request: &TokenRequest) -> bool {
        self.claims()
            .is_some_and(|claims| fits(&claims, &request.audience))
    }

    /// Whether it is there and no JWT: nobody can say what it is for.
    #[must_use]
    pub fn is_opaque(&self) -> bool {
        self.value
            .as_ref()
            .is_ok_and(|value| claims_of(value.reveal()).is_none())
    }
}

/// The one there is, if there is no choice; the same token in two places is one.
#[must_use]
pub fn only(mut candidates: Vec<Candidate>) -> Option<Candidate> {
    candidates.dedup_by(|a, b| a.value.is_ok() && a.value.as_ref().ok() == b.value.as_ref().ok());
    (candidates.len() == 1).then(|| candidates.remove(0))
}

/// The places of candidates, for a message.
#[must_use]
pub fn places(candidates: &[Candidate]) -> String {
    let places: Vec<&str> = candidates
        .iter()
        .map(|candidate| candidate.place.as_str())
        .collect();
    places.join(", ")
}

/// The claims of a JWT, unverified.
#[must_use]
pub fn claims_of(token: &str) -> Option<Claims> {
    decode(token).ok().map(|claims| claims.into_peeked())
}

/// Whether a token with these claims is for every one of `audiences`.
#[must_use]
pub fn fits(claims: &Claims, audiences: &[String]) -> bool {
    audiences
        .iter()
        .all(|asked| claims.audience().any(|aud| aud == asked))
}

/// The text of a variable, a file or standard input as the answer: opaque or a JWT, and a JWT for whom it was asked.
///
/// # Errors
/// [`Class::Token`](jeton_core::Class::Token) when it is no token, for somebody else, or dead.
pub fn placed(cx: &Context, source: &str, raw: &Secret, request: &TokenRequest) -> Result<Token, Error> {
    let received = Received::at(cx.clock.now()).shape(Shape::Any);
    answer::token(cx, source, request, raw, received).map_err(|fault| fault.into_error(source))
}
