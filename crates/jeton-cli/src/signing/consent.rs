//! Before a person's name becomes public for ever, he is asked.
use crate::output::Output;
use jeton::{Class, Error};
use jeton_sign::identity::{Answer, Disclosure, Identity};
use std::io::{IsTerminal, stderr, stdin};
use std::sync::Arc;

/// Words that mean yes. Everything else, nothing included, means no.
const YES: [&str; 2] = ["y", "yes"];

/// Asks, where there is a terminal and nobody has said yes already.
pub(super) struct Consent {
    output: Arc<Output>,
    log: String,
    asks: bool,
}

impl Consent {
    pub(super) fn new(output: Arc<Output>, log: String, yes: bool) -> Self {
        let asks = !yes && stdin().is_terminal() && stderr().is_terminal();
        Self { output, log, asks }
    }

    async fn ask(&self, identity: &Identity) -> Result<(), Error> {
        if !self.asks {
            return Ok(());
        }
        let issuer = jeton::core::redact::foreign(&identity.issuer, &[]);
        self.output.prompt(&format!(
            "{} (says {issuer}) will be in the transparency log {}, public for ever. Go on? [y/N]",
            identity.shown(),
            self.log
        ));
        match line()
            .await
            .is_some_and(|line| YES.contains(&line.trim().to_lowercase().as_str()))
        {
            true => Ok(()),
            false => Err(
                Error::new(Class::Refused, "not signed: the identity is not to become public")
                    .with_hint("--yes says yes beforehand"),
            ),
        }
    }
}

/// A line from the terminal, read on a thread of its own, so that an interrupt is heard meanwhile.
async fn line() -> Option<String> {
    let (tell, told) = tokio::sync::oneshot::channel();
    let read = move || {
        let mut line = String::new();
        let _ = tell.send(stdin().read_line(&mut line).ok().map(|_| line));
    };
    std::thread::Builder::new()
        .name("consent".to_owned())
        .spawn(read)
        .ok()?;
    told.await.ok()?
}

impl Disclosure for Consent {
    fn allow<'a>(&'a self, identity: &'a Identity) -> Answer<'a> {
        Box::pin(self.ask(identity))
    }
}
