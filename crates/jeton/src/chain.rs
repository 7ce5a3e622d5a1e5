//! Which source answers: an ordered list, the first that is *here*, and why not each other one.
//!
//! | chain | absent | broken | ready |
//! |---|---|---|---|
//! | ambient | the next one | ends it: falling through would use a weaker identity in silence | answers |
//! | named by the user | the next one; asked after all when none is ready | warns, the next one; ends it when none is ready | answers |
//!
//! A source that was chosen and fails ends the chain: its error is the answer, never another identity.
use crate::{Context, Error, Presence, Source};
use jeton_core::{Class, TokenRequest};
use std::sync::Arc;

mod report;

pub use report::{Report, Row, Status};

/// An ordered list of sources.
#[derive(Clone, Default)]
pub struct Chain {
    sources: Vec<Arc<dyn Source>>,
    named: bool,
    disabled: Vec<String>,
}

/// A source that is to be asked, and what proves its identity.
#[derive(Clone)]
pub(crate) struct Choice {
    pub(crate) source: Arc<dyn Source>,
    /// What [`Presence::Ready`] gave; empty for a named source that did not look ready.
    pub(crate) fingerprint: Vec<u8>,
}

impl Chain {
    /// Sources that were found to be worth looking at, in the order in which they are.
    #[must_use]
    pub fn ambient(sources: Vec<Arc<dyn Source>>) -> Self {
        Self {
            sources,
            ..Self::default()
        }
    }

    /// Exactly these, in this order, because the user said so (`--source`, `[ambient] order`, a profile's grant).
    #[must_use]
    pub fn named(sources: Vec<Arc<dyn Source>>) -> Self {
        Self {
            sources,
            named: true,
            disabled: Vec::new(),
        }
    }

    /// The same chain in which these names are skipped (`[ambient] disable`).
    #[must_use]
    pub fn without(mut self, names: impl IntoIterator<Item = String>) -> Self {
        self.disabled.extend(names);
        self
    }

    /// The names of its sources, in order, disabled ones included.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.sources.iter().map(|source| source.name())
    }

    fn is_disabled(&self, source: &dyn Source) -> bool {
        self.disabled.iter().any(|name| name == source.name())
    }

    /// The sources to ask, in order: one that is ready, or all named ones when none looks ready.
    ///
    /// # Errors
    /// `Class::Config` when a broken source ends the chain, `Class::NotFound` when nothing is here.
    pub(crate) fn choose(&self, cx: &Context, request: &TokenRequest) -> Result<Vec<Choice>, Error> {
        let mut broken = None;
        let mut absent = Vec::new();
        for source in self.sources.iter().filter(|s| !self.is_disabled(s.as_ref())) {
            match source.presence(cx, request) {
                Presence::Ready { fingerprint, .. } => {
                    if let Some(error) = broken {
                        let error: Error = error;
                        cx.observer
                            .warning(&format!("{error}; going on with {}", source.name()));
                    }
                    let source = Arc::clone(source);
                    return Ok(vec![Choice { source, fingerprint }]);
                }
                Presence::Broken { reason, hint } => {
                    let error = broken_error(source.name(), &reason, &hint);
                    if !self.named {
                        return Err(error);
                    }
                    broken.get_or_insert(error);
                }
                Presence::Absent { .. } => absent.push(Arc::clone(source)),
            }
        }
        match broken {
            Some(error) => Err(error),
            None if self.named && !absent.is_empty() => {
                Ok(absent.into_iter().map(Choice::unproven).collect())
            }
            None => Err(self.nothing_here()),
        }
    }

    pub(crate) fn nothing_here(&self) -> Error {
        let looked = self.sources.len();
        Error::new(
            Class::NotFound,
            format!("no source of tokens is here ({looked} looked for)"),
        )
        .with_hint("`jeton explain` says what each one looked for; `--source` names one")
    }
}

impl Choice {
    fn unproven(source: Arc<dyn Source>) -> Self {
        Self {
            source,
            fingerprint: Vec::new(),
        }
    }
}

fn broken_error(name: &str, reason: &str, hint: &str) -> Error {
    Error::new(Class::Config, format!("{name} is here but cannot work: {reason}")).with_hint(hint)
}

#[cfg(test)]
mod tests;
