//! From arguments to a signature: which identity, which services, and where the bundles go.
mod consent;
mod identity;
pub(crate) mod instance;
pub(crate) mod roots;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::plan::{self, Pace};
use crate::session::Session;
use crate::settings::Layers;
use crate::settings::variable as setting;
use identity::Identity;
use instance::Instance;
use jeton::Class;
use jeton::context::DEFAULT_TIMEOUT;
use jeton_sign::trust::Repository;
use jeton_sign::{Artifact, Content, Key, Signer, TrustedRoot, output, signer};
use std::path::{Path, PathBuf};

/// What standard input is called in arguments.
pub(crate) const STDIN: &str = "-";

/// The audience that certificate authorities of Sigstore want.
pub(crate) const AUDIENCE: &str = "sigstore";

// Whose services. (No doc comment: it would become the command's.)
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Flags {
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
    #[command(flatten)]
    roots: roots::Trusted,
}

impl Flags {
    /// Whether any of them was written as a flag.
    pub(crate) fn are_given(&self) -> bool {
        let all = [
            &self.fulcio_url,
            &self.rekor_url,
            &self.timestamp_server_url,
            &self.signing_config,
        ];
        all.iter().any(|flag| flag.is_some()) || self.roots.are_given()
    }
}

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
    #[command(flatten)]
    flags: Flags,
    /// Say what would happen; nothing is sent and nothing is written
    #[arg(long)]
    pub(crate) dry_run: bool,
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
            let failure = Failure::new(Exit::NotFound, message);
            return Err(failure.with_hint("make it first, or say another place for the bundle"));
        }
        Ok(Self {
            content,
            name,
            bundle,
        })
    }
}

impl Signing {
    /// A file that is signed; `-` is standard input, unless the identity token comes from there.
    pub(crate) fn artifact(&self, path: &Path) -> Result<Artifact, Failure> {
        let is_taken = self.identity_token.as_deref() == Some("stdin:");
        match path == Path::new(STDIN) && is_taken {
            true => Err(
                Failure::usage("standard input cannot be both the file and the identity token")
                    .with_hint("say --identity-token file:PATH or env:VAR"),
            ),
            false => artifact(path),
        }
    }

    /// Signs each of `outlets`.
    pub(crate) fn run(&self, session: &Session, batch: bool, outlets: &[Outlet]) -> Result<Exit, Failure> {
        let layers = session.layers()?;
        if let Some(path) = layers.text(&setting::KEY, self.key.as_ref())? {
            return self.with_key(session, Path::new(&path), outlets);
        }
        // What cannot be kept is not made public first.
        for outlet in outlets.iter().filter(|_| !self.dry_run) {
            output::check(&outlet.bundle)?;
        }
        let identity = identity::chosen(self, session)?;
        let instance = instance::named(&self.flags, session)?;
        if self.dry_run {
            let (who, whom) = (identity.describe(), instance.describe());
            for outlet in outlets {
                let to = outlet.bundle.display();
                let what = format!(
                    "{}: would be signed as {who}, by {whom}; bundle {to}",
                    outlet.name
                );
                session.output.note(&what);
            }
            return Ok(Exit::Done);
        }
        self.keyless(session, batch, identity, instance, outlets)
    }

    /// Whether services other than the public instance's were named.
    fn is_private(&self, layers: Layers<'_>) -> Result<bool, Failure> {
        let named = [
            (&setting::FULCIO_URL, &self.flags.fulcio_url),
            (&setting::REKOR_URL, &self.flags.rekor_url),
            (&setting::SIGNING_CONFIG, &self.flags.signing_config),
            (&setting::TUF_ROOT, &self.flags.roots.tuf_root),
        ];
        for (setting, flag) in named {
            if layers.text(setting, flag.as_ref())?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn with_key(&self, session: &Session, path: &Path, outlets: &[Outlet]) -> Result<Exit, Failure> {
        if self.device || self.browser {
            return Err(
                Failure::usage("--key signs without a login: leave out --device and --browser")
                    .with_hint("say one of them"),
            );
        }
        let key = Key::read(path)?;
        for outlet in outlets {
            if self.dry_run {
                let key = path.display();
                let what = format!("{}: would be signed with the key in {key}", outlet.name);
                session.output.note(&what);
                continue;
            }
            output::write(&signer::sign_with_key(&outlet.content, &key)?, &outlet.bundle)?;
            let what = format!("{}: signed, {}", outlet.name, outlet.bundle.display());
            session.output.note(&what);
        }
        Ok(Exit::Done)
    }

    fn keyless(
        &self,
        session: &Session,
        batch: bool,
        identity: Identity,
        instance: Instance,
        outlets: &[Outlet],
    ) -> Result<Exit, Failure> {
        let layers = session.layers()?;
        let env = plan::with_ca_file(layers, session.env.clone())?;
        let (mut cx, progress) = session.context(&env);
        let timeout;
        (cx.policy, timeout) = plan::policy(layers, &self.pace)?;
        progress.within(timeout);
        session.run(&progress, async {
            let (services, trust) = instance.settled(&cx.within(timeout), &session.output).await?;
            let identity = identity.settled(session, &services, &progress, self)?;
            let signer = Signer::new(cx, services, trust, identity)
                .timeout(timeout)
                .batch(batch);
            for outlet in outlets {
                progress.within(timeout);
                let signed = signer.sign(&outlet.content).await.map_err(mended)?;
                output::write(&signed.bundle, &outlet.bundle)?;
                let who = signer::shown(&signed);
                let (name, to, index) = (&outlet.name, outlet.bundle.display(), signed.log_index);
                let what = format!("{name}: signed as {who}, entry {index} of the log; {to}");
                session.output.note(&what);
                instance::say_what_is_missing(signed.proof, &session.output);
            }
            Ok(Exit::Done)
        })
    }
}

/// The trust root that a repository holds.
pub(crate) fn trust_of(session: &Session, repository: &Repository) -> Result<TrustedRoot, Failure> {
    let env = plan::with_ca_file(session.layers()?, session.env.clone())?;
    let (cx, progress) = session.context(&env);
    let cx = cx.within(DEFAULT_TIMEOUT);
    progress.within(DEFAULT_TIMEOUT);
    session.run(&progress, async {
        let trust = repository.trust(&cx).await;
        Ok(trust.map_err(offline)?.root)
    })
}

/// An error that says nothing of what to do about it, with that.
fn mended(error: jeton::Error) -> jeton::Error {
    if error.hint().is_some() {
        return error;
    }
    let hint = match error.kind() {
        Class::Unavailable | Class::Throttled | Class::Timeout => {
            "try again later, or give it more time with --timeout: nothing was written"
        }
        Class::NotFound => "name where the identity comes from: --identity-token, --profile or --source",
        _ => "`jeton doctor --for-signing` looks at identity and services one by one",
    };
    error.with_hint(hint)
}

/// A file that is signed; `-` is standard input.
pub(crate) fn artifact(path: &Path) -> Result<Artifact, Failure> {
    if path != Path::new(STDIN) {
        return Ok(Artifact::open(path)?);
    }
    let read = Artifact::read(STDIN, &mut std::io::stdin().lock());
    read.map_err(|fault| Failure::new(Exit::Protocol, format!("standard input: {fault}")))
}

/// Who cannot reach the public repository may have the file.
fn offline(error: jeton::Error) -> jeton::Error {
    match error.hint() {
        None => error.with_hint("--trusted-root FILE needs no network"),
        Some(_) => error,
    }
}
