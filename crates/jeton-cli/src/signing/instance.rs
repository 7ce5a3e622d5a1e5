//! Which instance of Sigstore is asked: the public one, when nobody names another.
use super::Flags;
use super::roots::Roots;
use crate::failure::Failure;
use crate::output::Output;
use crate::session::Session;
use crate::settings::variable as setting;
use jeton::Context;
use jeton_sign::TrustedRoot;
use jeton_sign::services::{Named, Services};
use jeton_sign::signer::Proof;
use jeton_sign::trust::Repository;
use std::path::Path;
use std::sync::Arc;

/// An instance, as far as it is known without asking anybody.
pub(crate) struct Instance {
    services: Option<Services>,
    roots: Roots,
}

/// Reads what flags, variables and files say.
pub(crate) fn named(said: &Flags, session: &Session) -> Result<Instance, Failure> {
    let layers = session.layers()?;
    let named = Named {
        fulcio: layers.text(&setting::FULCIO_URL, said.fulcio_url.as_ref())?,
        rekor: layers.text(&setting::REKOR_URL, said.rekor_url.as_ref())?,
        timestamp: layers.text(&setting::TIMESTAMP_SERVER_URL, said.timestamp_server_url.as_ref())?,
    };
    let config = layers.text(&setting::SIGNING_CONFIG, said.signing_config.as_ref())?;
    let services = match config {
        Some(path) => {
            let config = Services::read_config(Path::new(&path))?;
            Some(Services::configured(&config, &named)?)
        }
        None if named.is_empty() => None,
        None => Some(Services::named(&named)?),
    };
    let roots = said.roots.read(session)?;
    Ok(Instance { services, roots })
}

impl Instance {
    /// What is said of it to people.
    pub(crate) fn describe(&self) -> String {
        match (&self.services, &self.roots.repository) {
            (None, None) => "the public instance of Sigstore".to_owned(),
            (None, Some(repository)) if self.roots.is_another => {
                format!("the services that {} names", repository.url())
            }
            (None, Some(repository)) => {
                format!("the public instance of Sigstore, as {} has it", repository.url())
            }
            (Some(services), _) => {
                let stamped = services.timestamp.as_ref().map(|url| format!(", {url}"));
                format!(
                    "{}, {}{}",
                    services.fulcio,
                    services.rekor,
                    stamped.unwrap_or_default()
                )
            }
        }
    }

    /// The services and what they are verified by. A TUF repository says both; of services that were named one by one
    /// nobody else can say what is to be trusted.
    pub(crate) async fn settled(
        self,
        cx: &Context,
        output: &Output,
    ) -> Result<(Services, Option<Arc<TrustedRoot>>), Failure> {
        let Roots { file, repository, .. } = self.roots;
        let file = file.map(Arc::new);
        match (self.services, file, repository) {
            (Some(services), Some(file), _) => Ok((services, Some(file))),
            (Some(services), None, Some(repository)) => {
                let said = repository.trust(cx).await.map_err(super::offline)?;
                Ok((services, Some(Arc::new(said.root))))
            }
            (Some(services), None, None) => {
                output.warning(
                    "without --trusted-root (or --tuf-url) the services' answers are held against nothing but their own \
                     word: verify the bundle before you publish it",
                );
                Ok((services, None))
            }
            (None, file, repository) => {
                let repository = repository.unwrap_or_else(Repository::public);
                let said = repository.trust(cx).await.map_err(super::offline)?;
                let services = said.services.ok_or_else(|| {
                    let message = format!("{}: the repository names no services", repository.url());
                    Failure::usage(message)
                        .with_hint("say --fulcio-url and --rekor-url, or --signing-config FILE")
                })?;
                let services = Services::configured(&services, &Named::default())?;
                Ok((services, Some(file.unwrap_or_else(|| Arc::new(said.root)))))
            }
        }
    }
}

/// Whoever named no trust root is told what his signature lacks.
pub(super) fn say_what_is_missing(proof: Proof, output: &Output) {
    match proof {
        Proof::TrustRoot => (),
        Proof::Published => {
            output.warning("not verified: that the certificate is in a certificate log (SCT)")
        }
        Proof::Consistency => output.warning(
            "not verified: certificate, SCT, log and time; the instance does not say what verifies them",
        ),
    }
}
