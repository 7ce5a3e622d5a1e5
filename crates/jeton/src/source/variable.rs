//! Platforms that have put a token into a variable or a file before the program starts: one row each.
//!
//! There is nothing to ask for. What differs is where to look, which of several tokens fits an audience, and what the
//! author of the job must write so that the token is there.
mod places;
mod rows;

pub use rows::{
    BITBUCKET, BITRISE, CIRRUS, COSIGN, JETON_TOKEN, NOMAD, SEMAPHORE, SPACELIFT, SYSTEMD, TERRAFORM_CLOUD,
    WLCG,
};

use super::candidate::{Candidate, only, placed, places};
use super::{Caching, Presence, Source};
use crate::{Context, Env, Error, Token, TokenRequest};
use futures_util::future::BoxFuture;
use jeton_core::Class;
use places::Place;

/// A row: a platform that is a source.
#[derive(Debug)]
pub struct Platform {
    /// The source's name.
    name: &'static str,
    /// Variables that only this platform sets: with one of them and no token, the platform is here but broken.
    signs: &'static [&'static str],
    /// Where its tokens are, in the order in which they are looked for.
    places: &'static [Place],
    /// What the author of a job must do to have a token there.
    mend: &'static str,
    /// What decides the audience.
    audience: &'static str,
}

impl Platform {
    fn candidates(&self, env: &Env) -> Found {
        let mut found = Found::default();
        for place in self.places {
            place.look(env, &mut found);
        }
        found
    }

    /// The token for this request, whether it fits or not; `None` when there is none at all.
    fn choose(&self, env: &Env, request: &TokenRequest) -> Result<Option<Candidate>, Error> {
        let Found { plain, tagged } = self.candidates(env);
        if !request.audience.is_empty() {
            let all: Vec<Candidate> = plain.into_iter().chain(tagged).collect();
            let fitting = all.iter().position(|candidate| candidate.fits(request));
            // None fits: one that says nothing may be right, and the first will be refused by name.
            let silent = || all.iter().position(|candidate| candidate.claims().is_none());
            let chosen = fitting.or_else(silent).unwrap_or_default();
            return Ok(all.into_iter().nth(chosen));
        }
        if plain.is_empty() && tagged.len() > 1 {
            let several = places(&tagged);
            return only(tagged).map(Some).ok_or_else(|| {
                Error::new(Class::Config, format!("there are several tokens: {several}"))
                    .with_hint("say which by its audience (`--audience`)")
            });
        }
        Ok(plain.into_iter().chain(tagged).next())
    }

    fn nothing(&self, env: &Env) -> Presence {
        let looked: Vec<String> = self.places.iter().map(Place::to_string).collect();
        let missing = match looked.as_slice() {
            [one] => format!("{one} is not there"),
            many => format!("none of {} is there", many.join(", ")),
        };
        match self.signs.iter().find(|sign| env.get(sign).is_some()) {
            Some(sign) => Presence::broken(format!("{sign} is set, but {missing}"), self.mend),
            None => Presence::absent(missing),
        }
    }
}

/// What was found: tokens in places of their own, and tokens that a tag tells apart.
#[derive(Debug, Default)]
struct Found {
    plain: Vec<Candidate>,
    tagged: Vec<Candidate>,
}

impl Source for &'static Platform {
    fn name(&self) -> &str {
        self.name
    }

    fn presence(&self, cx: &Context, request: &TokenRequest) -> Presence {
        match self.choose(&cx.env, request) {
            Ok(Some(found)) => match &found.value {
                Err(error) if error.kind() == Class::Config => Presence::from_error(error),
                _ => Presence::ready(format!("{} is there", found.place), found.place),
            },
            Ok(None) => self.nothing(&cx.env),
            Err(error) => Presence::from_error(&error),
        }
    }

    fn fetch<'a>(
        &'a self,
        cx: &'a Context,
        request: &'a TokenRequest,
    ) -> BoxFuture<'a, Result<Token, Error>> {
        Box::pin(async move {
            let Some(found) = self.choose(&cx.env, request)? else {
                return Err(match self.nothing(&cx.env) {
                    Presence::Broken { reason, hint } => Error::new(Class::Config, reason).with_hint(hint),
                    Presence::Absent { reason } | Presence::Ready { reason, .. } => {
                        Error::new(Class::NotFound, reason).with_hint(self.mend)
                    }
                });
            };
            let other_audience = found.claims().is_some() && !found.fits(request);
            let place = found.place.clone();
            let secret = found.token().await?;
            placed(cx, self.name, &secret, request).map_err(|error| match other_audience {
                true => error.about(&place).with_hint(self.audience),
                false => error.about(&place),
            })
        })
    }

    fn caching(&self) -> Caching {
        Caching::Reread
    }

    fn default_audience(&self, cx: &Context) -> Option<String> {
        let found = self.choose(&cx.env, &TokenRequest::default()).ok()??;
        found.claims()?.audience().next().map(str::to_owned)
    }
}

#[cfg(test)]
mod tests;
