//! `jeton sign`: a file becomes a file and a bundle.
use super::Command;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::session::Session;
use crate::signing::{self, Outlet, Signing};
use jeton_sign::Content;
use std::path::PathBuf;

pub(super) const COMMAND: Command = Command {
    name: "sign",
    define: <Arguments as clap::Args>::augment_args,
    run: |session, matches| run(session, &super::arguments(matches)?),
};

const EXAMPLES: &str = "\
Examples:
  jeton sign app.tar.gz --bundle app.tar.gz.sigstore.json       as whoever this job is
  jeton sign dist/* --bundle-dir dist --batch                   one certificate for all of them
  jeton sign app.tar.gz --bundle app.sigstore.json --browser    as a person
  jeton sign app.tar.gz --bundle app.sigstore.json --key k.pem  with a local key: nothing is sent
  jeton sign app.tar.gz --bundle app.sigstore.json --dry-run    say what would happen

The identity comes from the first of: --key, --identity-token (or SIGSTORE_ID_TOKEN, COSIGN_IDENTITY_TOKEN), --profile
or the ambient source, --device, --browser. A keyless signature makes it public for ever, in a transparency log.
`jeton doctor --for-signing` checks all of it before a build.";

/// Sign files: keyless, with an identity token asked for when the certificate is, or with a local key
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// What is signed; `-` is standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Where the bundle is written; for one file
    #[arg(long, value_name = "OUT", conflicts_with = "bundle_dir")]
    bundle: Option<PathBuf>,
    /// The folder for bundles, each named as its file with `.sigstore.json` after it; made where it is missing
    #[arg(long, value_name = "DIR")]
    bundle_dir: Option<PathBuf>,
    /// Use one certificate for several files, as long as it is valid
    #[arg(long)]
    batch: bool,
    #[command(flatten)]
    signing: Signing,
}

fn run(session: &Session, arguments: &Arguments) -> Result<Exit, Failure> {
    // One level only: a path whose beginning is mistyped is no wish for a new tree.
    let folder = arguments.bundle_dir.as_ref().filter(|folder| !folder.exists());
    if let Some(folder) = folder.filter(|_| !arguments.signing.dry_run) {
        std::fs::create_dir(folder).map_err(|fault| {
            Failure::new(Exit::NotFound, format!("{}: {fault}", folder.display()))
                .with_hint("make the folders above it first, or say another place")
        })?;
    }
    let outlets = outlets(arguments)?;
    arguments.signing.run(session, arguments.batch, &outlets)
}

/// What is signed, and where each bundle goes. Everything is looked at before anything is sent.
fn outlets(arguments: &Arguments) -> Result<Vec<Outlet>, Failure> {
    let named = |file: &PathBuf, bundle: PathBuf| -> Result<Outlet, Failure> {
        let artifact = arguments.signing.artifact(file)?;
        Outlet::new(Content::File(artifact), file.display().to_string(), bundle)
    };
    match (
        &arguments.bundle,
        &arguments.bundle_dir,
        arguments.files.as_slice(),
    ) {
        (Some(bundle), _, [file]) => Ok(vec![named(file, bundle.clone())?]),
        (Some(_), _, _) => {
            Err(Failure::usage("--bundle is for one file").with_hint("say --bundle-dir DIR for several"))
        }
        (None, None, _) => Err(Failure::usage("sign: where shall the bundle go?")
            .with_hint("say --bundle OUT, or --bundle-dir DIR for several files")),
        (None, Some(folder), files) => {
            let mut outlets: Vec<Outlet> = Vec::new();
            for file in files {
                if file.as_os_str() == signing::STDIN {
                    return Err(
                        Failure::usage("standard input has no name that a bundle could have")
                            .with_hint("say --bundle OUT"),
                    );
                }
                let name = file.file_name().unwrap_or(file.as_os_str()).to_string_lossy();
                let bundle = folder.join(format!("{name}{}", jeton_sign::output::ENDING));
                if outlets.iter().any(|other| other.bundle == bundle) {
                    let name = jeton::core::redact::foreign(&name, &[]);
                    return Err(Failure::usage(format!(
                        "two files are named {name}: one bundle would replace the other"
                    ))
                    .with_hint("sign them one by one, with --bundle"));
                }
                outlets.push(named(file, bundle)?);
            }
            Ok(outlets)
        }
    }
}
