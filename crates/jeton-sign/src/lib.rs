//! Keyless signing: the token minted for each signature, and verification of exactly the identity that is named.
//!
//! ```text
//! file -> digest -> key (of the moment) -> token, asked for now -> certificate -> signature
//!      -> timestamp -> log entry -> everything verified -> bundle, written whole or not at all
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`artifact`] | what is signed: a file, read as a stream |
//! | [`key`] | the key of the moment, and local keys |
//! | [`statement`], [`provenance`] | what is said of a file: in-toto Statement v1, SLSA provenance v1 |
//! | [`services`] | whom to ask: an instance of Sigstore, public or private |
//! | [`fulcio`], [`rekor`], [`timestamp`] | one request each, under jeton's retry contract |
//! | [`signer`] | the order of it all |
//! | [`identity`], [`login`] | who signs, and the token that says so, late |
//! | [`preflight`] | whether all of that would work |
//! | [`trust`] | what is trusted: a file, or TUF |
//! | [`verification`] | whether a bundle holds, and for whom |
//! | [`output`] | bundles as files |
//!
//! Bundles, certificates, proofs and timestamps are the Sigstore project's crates' business. Every connection is
//! jeton's: same deadlines, same caps, same retries.
pub mod artifact;
pub mod fulcio;
pub mod identity;
pub mod key;
pub mod login;
pub mod output;
pub mod preflight;
pub mod provenance;
pub mod rekor;
pub mod services;
pub mod signer;
pub mod statement;
pub mod timestamp;
pub mod trust;
pub mod verification;

pub use artifact::Artifact;
pub use identity::{Disclosure, Identity, Tokens};
pub use key::{Key, PublicKey};
pub use services::Services;
pub use signer::{Content, Signed, Signer};
pub use sigstore_trust_root::TrustedRoot;
pub use sigstore_types::Bundle;
pub use statement::Attestation;
pub use verification::{Expectations, Level, Verification};
