//! `jeton verify-bundle`: whether a Sigstore bundle is exactly that signer's, for exactly this file.
use super::Command;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::session::Session;
use crate::settings::variable as setting;
use crate::signing::roots::{self, Roots};
use jeton_sign::trust::Repository;
use jeton_sign::verification::{self, Expectations, Level, Name, Signer, Verification};
use jeton_sign::{PublicKey, TrustedRoot, statement};
use serde_json::json;
use std::path::PathBuf;

pub(super) const COMMAND: Command = Command {
    name: "verify-bundle",
    define: <Arguments as clap::Args>::augment_args,
    run: |session, matches| run(session, &super::arguments(matches)?),
};

const EXAMPLES: &str = "\
Examples:
  jeton verify-bundle app.tar.gz --bundle app.tar.gz.sigstore.json \\
    --certificate-identity https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1.2.3 \\
    --certificate-oidc-issuer https://token.actions.githubusercontent.com
  jeton verify-bundle app.tar.gz --bundle app.sigstore.json --certificate-oidc-issuer https://issuer.example.com \\
    --certificate-identity-regexp 'https://github\\.com/acme/.*' --trusted-root trusted_root.json
  jeton verify-bundle app.tar.gz --bundle app.sigstore.json --key signer.pub
  jeton verify-bundle app.tar.gz --bundle app.sigstore.json --key signer.pub --json | jq .failures

A pattern has to cover the whole name. Levels: unverified < attested (signature and certificate, or the named key,
hold) < verified (and log, time and identity hold). Exit codes: 0 it holds, 3 a file is not there, 4 it does not hold,
8 a file that is of no use.";

/// Verify that a bundle is a named signer's, for this file
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// The file that was signed; `-` is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The bundle
    #[arg(long, value_name = "BUNDLE")]
    bundle: PathBuf,
    /// Whose signature it must be: the certificate's subject, exactly
    #[arg(long, value_name = "NAME", conflicts_with = "certificate_identity_regexp")]
    certificate_identity: Option<String>,
    /// The same as a regular expression over the whole of it
    #[arg(long, value_name = "REGEX")]
    certificate_identity_regexp: Option<String>,
    /// Who vouched for the signer: the issuer, exactly
    #[arg(long, value_name = "URL", conflicts_with = "certificate_oidc_issuer_regexp")]
    certificate_oidc_issuer: Option<String>,
    /// The same as a regular expression over the whole of it
    #[arg(long, value_name = "REGEX")]
    certificate_oidc_issuer_regexp: Option<String>,
    /// The public half of the local key it must be signed with, as PEM, instead of an identity
    #[arg(long, value_name = "PUB", conflicts_with_all = [
        "certificate_identity", "certificate_identity_regexp", "certificate_oidc_issuer", "certificate_oidc_issuer_regexp",
    ])]
    key: Option<PathBuf>,
    #[command(flatten)]
    roots: roots::Trusted,
    /// The least that must hold: unverified, attested or verified [default: verified; attested with --key]
    #[arg(long, value_name = "LEVEL")]
    min_trust_level: Option<String>,
    /// The predicate type it must have: a URI, or a short name such as slsaprovenance
    #[arg(long = "type", value_name = "URI")]
    predicate_type: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn run(session: &Session, arguments: &Arguments) -> Result<Exit, Failure> {
    let expectations = expectations(arguments)?;
    let least = least(session, arguments, &expectations)?;
    let artifact = crate::signing::artifact(&arguments.file)?;
    let bundle = match verification::bundle(&arguments.bundle) {
        Ok(bundle) => bundle,
        Err(error) => return unread(session, arguments, error),
    };
    let trust = trust(session, arguments, &expectations, least)?;
    let found = verification::verify(&artifact, &bundle, &expectations, trust.as_ref())?.held_to(least);
    tell(session, arguments, &found, least)
}

/// Whose it must be. Without a word about that there is nothing to verify.
fn expectations(arguments: &Arguments) -> Result<Expectations, Failure> {
    let name = |exact: &Option<String>, regex: &Option<String>| -> Result<Option<Name>, Failure> {
        match (exact, regex) {
            (Some(exact), _) => Ok(Some(Name::Exact(exact.clone()))),
            (None, Some(regex)) => Ok(Some(Name::pattern(regex)?)),
            (None, None) => Ok(None),
        }
    };
    let identity = name(
        &arguments.certificate_identity,
        &arguments.certificate_identity_regexp,
    )?;
    let issuer = name(
        &arguments.certificate_oidc_issuer,
        &arguments.certificate_oidc_issuer_regexp,
    )?;
    let signer = match (&arguments.key, identity, issuer) {
        (Some(path), ..) => Signer::Key(PublicKey::read(path)?),
        (None, Some(identity), Some(issuer)) => Signer::Identity { identity, issuer },
        (None, Some(_), None) => {
            return Err(
                Failure::usage("verify-bundle: who must have vouched for the signer?")
                    .with_hint("say --certificate-oidc-issuer URL"),
            );
        }
        (None, None, _) => {
            return Err(Failure::usage(
                "verify-bundle: whose signature must it be? There is no \"anybody's\"",
            )
            .with_hint("say --certificate-identity NAME and --certificate-oidc-issuer URL, or --key PUB"));
        }
    };
    let predicate_type = arguments.predicate_type.as_deref();
    Ok(Expectations {
        signer,
        predicate_type: predicate_type.map(statement::predicate_type).transpose()?,
    })
}

fn least(session: &Session, arguments: &Arguments, expectations: &Expectations) -> Result<Level, Failure> {
    let said = session.layers()?.value(
        &setting::MIN_TRUST_LEVEL,
        arguments.min_trust_level.as_ref(),
        "no level; write unverified, attested or verified",
        |_| true,
    );
    let said =
        said.map_err(|failure| failure.with_hint("without a word about it, `verified` is what must hold"))?;
    Ok(said.unwrap_or(match expectations.signer {
        Signer::Key(_) => Level::Attested,
        Signer::Identity { .. } => Level::Verified,
    }))
}

/// What is trusted. A local key needs nobody's word unless the log's is asked for.
fn trust(
    session: &Session,
    arguments: &Arguments,
    expectations: &Expectations,
    least: Level,
) -> Result<Option<TrustedRoot>, Failure> {
    let Roots { file, repository, .. } = arguments.roots.read(session)?;
    match (file, &expectations.signer) {
        (Some(file), _) => Ok(Some(file)),
        (None, Signer::Key(_)) if least < Level::Verified => Ok(None),
        (None, _) => {
            let repository = repository.unwrap_or_else(Repository::public);
            crate::signing::trust_of(session, &repository).map(Some)
        }
    }
}

/// A bundle that cannot be read as one is told like every other finding.
fn unread(session: &Session, arguments: &Arguments, error: jeton::Error) -> Result<Exit, Failure> {
    let failure = Failure::from(error);
    if arguments.json && failure.exit != Exit::NotFound {
        session
            .output
            .json(&report(&Verification::of_no_bundle(&failure.message), false))?;
    }
    Err(failure)
}

fn tell(
    session: &Session,
    arguments: &Arguments,
    found: &Verification,
    least: Level,
) -> Result<Exit, Failure> {
    let holds = found.reaches(least);
    if arguments.json {
        session.output.json(&report(found, holds))?;
    }
    if holds {
        let by = found.identity.as_deref().unwrap_or("the holder of the key");
        let note = format!(
            "{}: {}, signed by {by}",
            arguments.file.display(),
            found.level.name()
        );
        session.output.note(&note);
        return Ok(Exit::Done);
    }
    let mut reasons = found.failures.iter();
    let reasons: Vec<String> = reasons
        .by_ref()
        .map(|failure| format!("{}: {}", failure.code.name(), failure.detail))
        .collect();
    let failure = Failure::new(
        Exit::Refused,
        format!("the bundle does not hold: {}", reasons.join("; ")),
    );
    Err(match found.failures.first() {
        Some(first) => failure.with_hint(first.code.mend()),
        None => failure,
    })
}

fn report(found: &Verification, holds: bool) -> serde_json::Value {
    let failures: Vec<_> = found
        .failures
        .iter()
        .map(|failure| json!({"code": failure.code.name(), "detail": failure.detail}))
        .collect();
    json!({
        "verified": holds,
        "level": found.level.name(),
        "identity": found.identity,
        "issuer": found.issuer,
        "logged_at": found.logged_at.map(|time| time.to_string()),
        "failures": failures,
    })
}
