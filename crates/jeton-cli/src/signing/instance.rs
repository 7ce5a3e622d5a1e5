//! Which instance of Sigstore is asked: the public one, when nobody names another.
use super::Flags;
use crate::failure::Failure;
use crate::output::Output;
use crate::session::Session;
use crate::settings::variable as setting;
use jeton::Context;
use jeton_sign::TrustedRoot;
use jeton_sign::services::{Named, Services};
use jeton_sign::trust::{self, Repository};
use std::path::Path;
use std::sync::Arc;

/// An instance, as far as it is known without asking anybody.
pub(crate) struct Instance {
    services: Option<Services>,
    trust: Option<TrustedRoot>,
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
    let trust = layers.text(&setting::TRUSTED_ROOT, said.trusted_root.as_ref())?;
    let trust = trust.map(|path| trust::read(Path::new(&path))).transpose()?;
    Ok(Instance { services, trust })
}

impl Instance {
    /// What is said of it to people.
    pub(crate) fn describe(&self) -> String {
        match &self.services {
            None => "the public instance of Sigstore".to_owned(),
            Some(services) => {
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

    /// The services and what they are verified by. The public instance says both itself; of a private one nobody
    /// else can say what is to be trusted.
    pub(crate) async fn settled(
        self,
        cx: &Context,
        output: &Output,
    ) -> Result<(Services, Option<Arc<TrustedRoot>>), Failure> {
        let trust = self.trust.map(Arc::new);
        match self.services {
            Some(services) => {
                if trust.is_none() {
                    output.warning(
                        "without --trusted-root the services' answers are only held against themselves: \
                         verify the bundle before you publish it",
                    );
                }
                Ok((services, trust))
            }
            None => {
                let public = Repository::public()
                    .trust(cx)
                    .await
                    .map_err(crate::signing::offline)?;
                let services = Services::configured(&public.services, &Named::default())?;
                Ok((services, Some(trust.unwrap_or_else(|| Arc::new(public.root)))))
            }
        }
    }
}
