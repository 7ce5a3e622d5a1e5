//! A folder of recipes, published with provenance and verified by whoever gets it:
//!
//! ```text
//! cargo run --example recipes -- publish FOLDER FULCIO_URL REKOR_URL TRUSTED_ROOT
//! cargo run --example recipes -- verify FOLDER IDENTITY_REGEX ISSUER TRUSTED_ROOT
//! ```
//!
//! Publishing writes `checksums.txt`, says in a signed statement which CI job made it, and puts the bundle beside it.
//! The token is asked for when the certificate is: however long the recipes took to make, it is seconds old. Verifying
//! needs no network: the bundle must be the named job's, and every file must be the one that the list names.
#![allow(clippy::print_stdout, reason = "an example shows something")]
use jeton::{Chain, Clock, Context, Env, Jeton, TokenRequest, source};
use jeton_sign::services::Named;
use jeton_sign::statement::{Predicate, SLSA_PROVENANCE, checksums};
use jeton_sign::verification::{self, Expectations, Level, Name};
use jeton_sign::{Artifact, Attestation, Content, Services, Signer, Tokens, output, trust};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// The list of what is in the folder, and what vouches for it.
const CHECKSUMS: &str = "checksums.txt";
const BUNDLE: &str = "checksums.txt.sigstore.json";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["publish", folder, fulcio, rekor, root] => publish(Path::new(folder), fulcio, rekor, root).await,
        ["verify", folder, identity, issuer, root] => verify(Path::new(folder), identity, issuer, root),
        _ => Err("publish FOLDER FULCIO_URL REKOR_URL TRUSTED_ROOT, or verify FOLDER IDENTITY_REGEX ISSUER TRUSTED_ROOT".into()),
    }
}

async fn publish(folder: &Path, fulcio: &str, rekor: &str, root: &str) -> Outcome {
    let list: String = recipes(folder)?
        .iter()
        .map(|(name, artifact)| format!("{}  {name}\n", artifact.sha256().to_hex()))
        .collect();
    let checksums = folder.join(CHECKSUMS);
    std::fs::write(&checksums, list)?;

    let cx = Context::new(Env::from_process(), Clock::system());
    let services = Services::named(&Named {
        fulcio: Some(fulcio.to_owned()),
        rekor: Some(rekor.to_owned()),
        timestamp: None,
    })?;
    // Nothing is kept: each signature has a token of its own.
    let jeton = Jeton::builder(cx.clone(), Chain::ambient(source::ambient_order()));
    let jeton = jeton.cache_ttl(Some(Duration::ZERO)).build();
    let tokens = Tokens::ambient(
        Arc::new(jeton),
        TokenRequest::audience("sigstore").min_validity(Duration::ZERO),
    );
    let signer = Signer::new(
        cx,
        services,
        Some(Arc::new(trust::read(Path::new(root))?)),
        tokens,
    );
    let list = Artifact::open(&checksums)?;
    let signed = signer
        .sign(&Content::Attestation(Attestation {
            subjects: BTreeMap::from([(CHECKSUMS.to_owned(), list.sha256())]),
            predicate_type: SLSA_PROVENANCE.to_owned(),
            predicate: Predicate::FromCi,
        }))
        .await?;
    output::write(&signed.bundle, &folder.join(BUNDLE))?;
    println!("published as {}", jeton_sign::signer::shown(&signed));
    Ok(())
}

fn verify(folder: &Path, identity: &str, issuer: &str, root: &str) -> Outcome {
    let list = folder.join(CHECKSUMS);
    let bundle = verification::bundle(&folder.join(BUNDLE))?;
    let expectations = Expectations {
        signer: verification::Signer::Identity {
            identity: Name::pattern(identity)?,
            issuer: Name::Exact(issuer.to_owned()),
        },
        predicate_type: Some(SLSA_PROVENANCE.to_owned()),
    };
    let trust = trust::read(Path::new(root))?;
    let found = verification::verify(&Artifact::open(&list)?, &bundle, &expectations, Some(&trust))?;
    if !found.reaches(Level::Verified) {
        let codes: Vec<&str> = found.failures.iter().map(|failure| failure.code.name()).collect();
        return Err(format!("not to be trusted: {}", codes.join(", ")).into());
    }
    let (named, here) = (checksums(&list)?, recipes(folder)?);
    for (name, digest) in &named {
        match here.get(name) {
            None => return Err(format!("{name} is missing").into()),
            Some(recipe) if recipe.sha256() != *digest => return Err(format!("{name} was changed").into()),
            Some(_) => (),
        }
    }
    if let Some(name) = here.keys().find(|name| !named.contains_key(*name)) {
        return Err(format!("{name} was added").into());
    }
    println!("{} recipes by {}", here.len(), found.identity.unwrap_or_default());
    Ok(())
}

/// The files of a folder but for the list and what vouches for it.
fn recipes(folder: &Path) -> Outcome<BTreeMap<String, Artifact>> {
    let mut recipes = BTreeMap::new();
    for entry in std::fs::read_dir(folder)? {
        let path: PathBuf = entry?.path();
        let artifact = Artifact::open(&path)?;
        let name = artifact.name();
        if name != CHECKSUMS && name != BUNDLE {
            recipes.insert(name, artifact);
        }
    }
    Ok(recipes)
}
