//! What is trusted: a file, a TUF repository that somebody names, or what the public instance says.
use crate::failure::Failure;
use crate::session::Session;
use crate::settings::variable as setting;
use jeton_sign::TrustedRoot;
use jeton_sign::trust::{self, Repository};
use std::path::Path;

// What is trusted. (No doc comment: it would become the command's.)
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Trusted {
    /// A file with what is trusted (trusted_root.json); nothing is fetched for it [default: the public instance's]
    #[arg(long, value_name = "FILE", help_heading = "Trust")]
    trusted_root: Option<String>,
    /// A TUF repository that says what is trusted: a mirror of the public one, or with --tuf-root another
    #[arg(long, value_name = "URL", help_heading = "Trust")]
    tuf_url: Option<String>,
    /// The root metadata (root.json) by which that repository is trusted
    #[arg(long, value_name = "FILE", help_heading = "Trust")]
    pub(super) tuf_root: Option<String>,
}

impl Trusted {
    /// Whether any of them was written as a flag.
    pub(super) fn are_given(&self) -> bool {
        let all = [&self.trusted_root, &self.tuf_url, &self.tuf_root];
        all.iter().any(|flag| flag.is_some())
    }

    /// Reads what flags, variables and files say. Nobody is asked.
    pub(crate) fn read(&self, session: &Session) -> Result<Roots, Failure> {
        let layers = session.layers()?;
        let file = layers.text(&setting::TRUSTED_ROOT, self.trusted_root.as_ref())?;
        let url = layers.text(&setting::TUF_URL, self.tuf_url.as_ref())?;
        let root = layers.text(&setting::TUF_ROOT, self.tuf_root.as_ref())?;
        let is_another = root.is_some();
        let repository = match (url, root) {
            (None, None) => None,
            (Some(url), None) => Some(Repository::mirrored(url)?),
            (Some(url), Some(root)) => Some(Repository::read(url, Path::new(&root))?),
            (None, Some(_)) => {
                return Err(
                    Failure::usage("--tuf-root is the root of a repository that nobody named")
                        .with_hint("say --tuf-url URL"),
                );
            }
        };
        Ok(Roots {
            file: file.map(|path| trust::read(Path::new(&path))).transpose()?,
            repository,
            is_another,
        })
    }
}

/// What is trusted, as far as it is known without asking anybody.
pub(crate) struct Roots {
    /// From a file: it comes first.
    pub(crate) file: Option<TrustedRoot>,
    /// The repository that was named.
    pub(crate) repository: Option<Repository>,
    /// Whether that is another instance's than the public one.
    pub(super) is_another: bool,
}
