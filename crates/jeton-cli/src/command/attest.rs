//! `jeton attest`: something is said of files, and signed.
use super::Command;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::session::Session;
use crate::signing::{Outlet, Signing};
use jeton_sign::Content;
use jeton_sign::statement::{self, Attestation, Predicate, SLSA_PROVENANCE};
use std::path::PathBuf;

pub(super) const COMMAND: Command = Command {
    name: "attest",
    define: <Arguments as clap::Args>::augment_args,
    run: |session, matches| run(session, &super::arguments(matches)?),
};

const EXAMPLES: &str = "\
Examples:
  jeton attest app.tar.gz --type slsaprovenance --from-ci --bundle app.intoto.sigstore.json
  jeton attest app.tar.gz --type spdx --predicate sbom.spdx.json --bundle app.sbom.sigstore.json
  jeton attest --subject-checksums checksums.txt --type slsaprovenance --from-ci --bundle provenance.sigstore.json
  jeton attest app --type https://example.com/review/v1 --predicate review.json --bundle b.json --key k.pem

Short names of types: slsaprovenance, slsaprovenance02, vsa, link, spdx, cyclonedx, vuln, openvex, custom.
Who signs is settled as for `jeton sign`.";

/// Say something of files in a signed statement (in-toto Statement v1 in a DSSE envelope)
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// What it is said of: each file is a subject
    #[arg(value_name = "FILE", required_unless_present = "subject_checksums")]
    files: Vec<PathBuf>,
    /// Subjects from a list of SHA-256 sums and names, as sha256sum writes it
    #[arg(long, value_name = "FILE")]
    subject_checksums: Option<PathBuf>,
    /// What is said: a JSON object
    #[arg(
        long,
        value_name = "JSON",
        conflicts_with = "from_ci",
        required_unless_present = "from_ci"
    )]
    predicate: Option<PathBuf>,
    /// What kind of thing is said: a URI, or a short name
    #[arg(long = "type", value_name = "URI")]
    predicate_type: String,
    /// Fill SLSA provenance v1 from what the CI platform says in the identity token
    #[arg(long)]
    from_ci: bool,
    /// Where the bundle is written
    #[arg(long, value_name = "OUT")]
    bundle: PathBuf,
    #[command(flatten)]
    signing: Signing,
}

fn run(session: &Session, arguments: &Arguments) -> Result<Exit, Failure> {
    let predicate_type = statement::predicate_type(&arguments.predicate_type)?;
    let predicate = match &arguments.predicate {
        Some(path) => Predicate::Given(statement::predicate(path)?),
        None if predicate_type != SLSA_PROVENANCE => {
            let message = "--from-ci fills --type slsaprovenance and nothing else";
            return Err(Failure::usage(message).with_hint("name what is said with --predicate JSON"));
        }
        None => Predicate::FromCi,
    };
    let files = arguments.files.iter();
    let artifacts: Result<Vec<_>, Failure> = files.map(|file| arguments.signing.artifact(file)).collect();
    let mut subjects = statement::subjects(&artifacts?)?;
    if let Some(path) = &arguments.subject_checksums {
        for (name, digest) in statement::checksums(path)? {
            if subjects
                .insert(name.clone(), digest)
                .is_some_and(|other| other != digest)
            {
                let name = jeton::core::redact::foreign(&name, &[]);
                let message =
                    format!("{name} is not the file that the checksum list means: their digests differ");
                return Err(Failure::usage(message).with_hint("make the list anew, or leave the file out"));
            }
        }
    }
    let name = match subjects.len() {
        1 => subjects.keys().next().cloned().unwrap_or_default(),
        many => format!("{many} subjects"),
    };
    let attestation = Attestation {
        subjects,
        predicate_type,
        predicate,
    };
    let outlet = Outlet::new(Content::Attestation(attestation), name, arguments.bundle.clone())?;
    arguments.signing.run(session, false, &[outlet])
}
