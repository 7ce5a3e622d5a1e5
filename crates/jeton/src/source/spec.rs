//! Sources as they are written: a name, or a kind and a place (`env:VAR`, `file:PATH`, `stdin:`, `command:…`,
//! `issuer:URL`).
//!
//! What a place holds is read when a token is asked for, each time: whoever writes `file:` keeps that file fresh.
mod issuer;
mod printed;
pub(crate) mod words;

pub use issuer::DevelopmentIssuer;
pub use printed::Program;

use super::candidate::placed;
use super::file::{TokenFile, shown};
use super::{Caching, Presence, Source, named};
use crate::{Context, Error, Token, TokenRequest};
use futures_util::future::BoxFuture;
use jeton_core::{Class, Secret, redact};
use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::OnceCell;

/// The kinds of places, as they are written.
pub const KINDS: [&str; 5] = ["env:VAR", "file:PATH", "stdin:", "command:CMD ARG…", "issuer:URL"];
/// The most that is read of standard input, in bytes.
const STDIN_CAP: u64 = 1024 * 1024;

/// The source that `spec` says: the name of a built-in one, or a kind and a place.
///
/// # Errors
/// [`Class::Config`] for everything else, with the nearest name or the kinds there are.
pub fn parse(spec: &str) -> Result<Arc<dyn Source>, Error> {
    let usage = |what: &str| {
        Err(
            Error::new(Class::Config, format!("`{}` {what}", redact::foreign(spec, &[])))
                .with_hint(format!("a source is a name or one of {}", KINDS.join(", "))),
        )
    };
    match spec.split_once(':') {
        None if KINDS.iter().any(|kind| kind.split(':').next() == Some(spec)) => {
            usage("wants a colon after it")
        }
        None => named(spec),
        Some(("env", "")) => usage("names no variable"),
        Some(("env", variable)) if variable.contains(['=', '\0']) || variable.trim() != variable => {
            usage("is no name of a variable")
        }
        Some(("env", variable)) => Ok(Arc::new(Variable::named(variable))),
        Some(("file", "")) => usage("names no file"),
        Some(("file", path)) => Ok(Arc::new(NamedFile::at(path))),
        Some(("stdin", "")) => Ok(Arc::new(Input::standard())),
        Some(("stdin", _)) => usage("has something after `stdin:`"),
        Some(("command", line)) => Ok(Arc::new(Program::parse(line)?)),
        Some(("issuer", url)) => Ok(Arc::new(DevelopmentIssuer::parse(url)?)),
        Some(_) => usage("is no kind of source"),
    }
}

/// A variable that the user named.
struct Variable {
    spec: String,
    variable: String,
}

impl Variable {
    fn named(name: &str) -> Self {
        let spec = format!("env:{}", redact::foreign(name, &[]));
        let variable = name.to_owned();
        Self { spec, variable }
    }
}

impl Source for Variable {
    fn name(&self) -> &str {
        &self.spec
    }

    fn presence(&self, cx: &Context, _request: &TokenRequest) -> Presence {
        match cx.env.get(&self.variable) {
            // What is made from the token it holds is of that identity, and of no other that is put there later.
            Some(value) => Presence::ready(
                format!("{} is set", &self.spec[4..]),
                super::projected::fingerprint(&Secret::new(value.trim_end())),
            ),
            None => Presence::absent(format!("{} is not set", &self.spec[4..])),
        }
    }

    fn fetch<'a>(
        &'a self,
        cx: &'a Context,
        request: &'a TokenRequest,
    ) -> BoxFuture<'a, Result<Token, Error>> {
        Box::pin(async move {
            let value = cx.env.get(&self.variable).ok_or_else(|| {
                Error::new(
                    Class::NotFound,
                    format!("the variable {} is not set", &self.spec[4..]),
                )
            })?;
            placed(cx, &self.spec, &Secret::new(value.trim_end()), request)
        })
    }

    fn caching(&self) -> Caching {
        Caching::Reread
    }
}

/// A file that the user named.
struct NamedFile {
    spec: String,
    file: TokenFile,
}

impl NamedFile {
    fn at(path: &str) -> Self {
        let file = TokenFile::named(path);
        let spec = format!("file:{}", shown(file.path()));
        Self { spec, file }
    }
}

impl Source for NamedFile {
    fn name(&self) -> &str {
        &self.spec
    }

    fn presence(&self, _cx: &Context, _request: &TokenRequest) -> Presence {
        match self.file.exists() {
            true => {
                let held = self.file.read_now();
                let identity =
                    held.map_or_else(|_| Vec::new(), |token| super::projected::fingerprint(&token));
                Presence::ready(format!("{} exists", &self.spec[5..]), identity)
            }
            false => Presence::absent(format!("{} does not exist", &self.spec[5..])),
        }
    }

    fn fetch<'a>(
        &'a self,
        cx: &'a Context,
        request: &'a TokenRequest,
    ) -> BoxFuture<'a, Result<Token, Error>> {
        Box::pin(async move { placed(cx, &self.spec, &self.file.read().await?, request) })
    }

    fn caching(&self) -> Caching {
        Caching::Reread
    }
}

/// Standard input, which can be read only once: what was in it is kept as long as the source.
pub struct Input {
    reader: Mutex<Option<Box<dyn Read + Send>>>,
    read: OnceCell<Secret>,
}

impl Input {
    /// This process' standard input.
    #[must_use]
    pub fn standard() -> Self {
        Self::of(std::io::stdin())
    }

    /// Anything else that can be read once.
    pub fn of(reader: impl Read + Send + 'static) -> Self {
        Self {
            reader: Mutex::new(Some(Box::new(reader))),
            read: OnceCell::new(),
        }
    }

    /// Reads on a thread of its own: it may wait for ever, and then nobody must wait for it, neither the deadline
    /// nor the runtime's end.
    async fn secret(&self) -> Result<Secret, Error> {
        let gone = || Error::new(Class::Other, "standard input cannot be read");
        let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner).take();
        let reader = reader.ok_or_else(gone)?;
        let (tell, told) = tokio::sync::oneshot::channel();
        std::thread::Builder::new()
            .name("stdin".to_owned())
            .spawn(move || tell.send(read_all(reader)))
            .map_err(|_| gone())?;
        told.await.map_err(|_| gone())?
    }
}

fn read_all(reader: impl Read) -> Result<Secret, Error> {
    let token = |what: &str| Error::new(Class::Token, format!("standard input {what}"));
    let mut bytes = Vec::new();
    let read = reader.take(STDIN_CAP + 1).read_to_end(&mut bytes);
    read.map_err(|error| Error::new(Class::Other, format!("standard input cannot be read: {error}")))?;
    if bytes.len() as u64 > STDIN_CAP {
        return Err(token("is larger than any token"));
    }
    let text = String::from_utf8(bytes).map_err(|_| token("is no text"))?;
    let text = Secret::new(text);
    match text.reveal().trim_end() {
        "" => Err(token("is empty")),
        trimmed => Ok(Secret::new(trimmed)),
    }
}

impl Source for Input {
    fn name(&self) -> &str {
        "stdin:"
    }

    fn presence(&self, _cx: &Context, _request: &TokenRequest) -> Presence {
        Presence::ready("standard input was named", "stdin")
    }

    fn fetch<'a>(
        &'a self,
        cx: &'a Context,
        request: &'a TokenRequest,
    ) -> BoxFuture<'a, Result<Token, Error>> {
        Box::pin(async move {
            let read = self.read.get_or_try_init(|| self.secret());
            let secret = cx.bounded("standard input", read).await?;
            placed(cx, "stdin:", secret, request)
        })
    }

    fn caching(&self) -> Caching {
        Caching::Reread
    }
}

#[cfg(test)]
mod tests;
