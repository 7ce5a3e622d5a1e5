//! From arguments to a signature: which identity, which services, and where the bundles go.
use crate::exit::Exit;
use crate::failure::Failure;
use crate::plan::Pace;
use crate::session::Session;
use crate::settings::variable as setting;
use jeton_sign::{Content, Key, TrustedRoot, output, signer};
use std::path::{Path, PathBuf};

// Who signs, and by whose services. (No doc comment: it would become the command's.)
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Signing {
    /// Where the identity token is: env:VAR, file:PATH or stdin:
    #[arg(long, value_name = "SPEC", help_heading = "Identity")]
    identity_token: Option<String>,
    /// A profile of config.toml
    #[arg(long, value_name = "PROFILE", help_heading = "Identity")]
    profile: Option<String>,
    /// Try exactly these sources, in this order (repeatable) [default: the built-in order]
    #[arg(long, value_name = "SPEC", help_heading = "Identity")]
    source: Vec<String>,
    /// Log in with a code that is confirmed elsewhere
    #[arg(long, help_heading = "Identity")]
    device: bool,
    /// Log in in a browser
    #[arg(long, help_heading = "Identity")]
    browser: bool,
    /// A local key, as PEM: nothing is sent, and nobody learns of it
    #[arg(long, value_name = "FILE", conflicts_with_all = ["device", "browser"], help_heading = "Identity")]
    key: Option<String>,
    /// The issuer at which --device and --browser log in [default: https://oauth2.sigstore.dev/auth]
    #[arg(long, value_name = "URL", help_heading = "Identity")]
    oidc_issuer: Option<String>,
    /// The client as which they do [default: sigstore]
    #[arg(long, value_name = "ID", help_heading = "Identity")]
    oidc_client_id: Option<String>,
    /// The audience of the identity token [default: sigstore]
    #[arg(short, long, value_name = "AUD", help_heading = "Identity")]
    audience: Option<String>,
    /// Do not ask before the identity becomes public
    #[arg(long, help_heading = "Identity")]
    yes: bool,
    /// The certificate authority [default: the public instance's]
    #[arg(long, value_name = "URL", help_heading = "Services")]
    fulcio_url: Option<String>,
    /// The transparency log; needed with --fulcio-url
    #[arg(long, value_name = "URL", help_heading = "Services")]
    rekor_url: Option<String>,
    /// The timestamp authority
    #[arg(long, value_name = "URL", help_heading = "Services")]
    timestamp_server_url: Option<String>,
    /// A file that names the services (signing_config.v0.2.json)
    #[arg(long, value_name = "FILE", help_heading = "Services")]
    signing_config: Option<String>,
    /// A file with what the answers are verified by [default: the public instance's]
    #[arg(long, value_name = "FILE", help_heading = "Services")]
    trusted_root: Option<String>,
    /// Say what would happen; nothing is sent and nothing is written
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    pace: Pace,
}

/// Something to sign, and where its bundle goes.
pub(crate) struct Outlet {
    content: Content,
    /// What it is called to people.
    name: String,
    pub(crate) bundle: PathBuf,
}

impl Outlet {
    /// Looks whether the bundle can be written where it shall go, before anything is sent.
    pub(crate) fn new(content: Content, name: String, bundle: PathBuf) -> Result<Self, Failure> {
        let folder = bundle.parent().filter(|folder| !folder.as_os_str().is_empty());
        if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
            let message = format!("{}: there is no such folder", folder.display());
            return Err(Failure::new(Exit::NotFound, message));
        }
        Ok(Self {
            content,
            name,
            bundle,
        })
    }
}

impl Signing {
    /// Signs each of `outlets`.
    pub(crate) fn run(&self, session: &Session, _batch: bool, outlets: &[Outlet]) -> Result<Exit, Failure> {
        let layers = session.layers()?;
        if let Some(path) = layers.text(&setting::KEY, self.key.as_ref())? {
            return self.with_key(session, Path::new(&path), outlets);
        }
        Err(Failure::usage("keyless signing is not there yet"))
    }

    fn with_key(&self, session: &Session, path: &Path, outlets: &[Outlet]) -> Result<Exit, Failure> {
        if self.device || self.browser {
            return Err(Failure::usage(
                "--key signs without a login: leave out --device and --browser",
            ));
        }
        let key = Key::read(path)?;
        for outlet in outlets {
            if self.dry_run {
                let path = path.display();
                session.output.note(&format!(
                    "{}: would be signed with the key in {path}",
                    outlet.name
                ));
                continue;
            }
            output::write(&signer::sign_with_key(&outlet.content, &key)?, &outlet.bundle)?;
            session
                .output
                .note(&format!("{}: signed, {}", outlet.name, outlet.bundle.display()));
        }
        Ok(Exit::Done)
    }
}

/// The trust root of the public instance.
pub(crate) fn public_trust(_session: &Session) -> Result<TrustedRoot, Failure> {
    Err(Failure::usage("which authorities are trusted?").with_hint("say --trusted-root FILE"))
}
