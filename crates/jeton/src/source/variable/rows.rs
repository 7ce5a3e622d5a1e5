//! The table: one row for each platform.
use super::Platform;
use super::places::{Folder, Place};

/// The caller's own token: before everything else.
pub static JETON_TOKEN: Platform = Platform {
    name: "jeton-token",
    signs: &[],
    places: &[Place::Variable("JETON_TOKEN"), Place::FileOf("JETON_TOKEN_FILE")],
    mend: "set JETON_TOKEN to a token, or JETON_TOKEN_FILE to a file that holds one",
    audience: "JETON_TOKEN and JETON_TOKEN_FILE come before everything else: unset them, or put a token for \
        this audience there",
};

/// Bitbucket Pipelines.
pub static BITBUCKET: Platform = Platform {
    name: "bitbucket",
    signs: &["BITBUCKET_BUILD_NUMBER"],
    places: &[Place::Variable("BITBUCKET_STEP_OIDC_TOKEN")],
    mend: "write `oidc: true` (or `oidc: { audiences: [AUDIENCE] }`) into the step in bitbucket-pipelines.yml",
    audience: "write the audience into the step in bitbucket-pipelines.yml: `oidc: { audiences: [AUDIENCE] }`",
};

/// HCP Terraform and Terraform Enterprise.
pub static TERRAFORM_CLOUD: Platform = Platform {
    name: "terraform-cloud",
    signs: &["TFC_RUN_ID"],
    places: &[
        Place::Variable("TFC_WORKLOAD_IDENTITY_TOKEN"),
        Place::Tagged("TFC_WORKLOAD_IDENTITY_TOKEN_"),
    ],
    mend: "set the workspace's environment variable TFC_WORKLOAD_IDENTITY_AUDIENCE to the audience (agents of \
        version 1.7.0 and later)",
    audience: "set the workspace's environment variable TFC_WORKLOAD_IDENTITY_AUDIENCE_TAG to the audience, \
        with a TAG of your own for each",
};

/// Spacelift.
pub static SPACELIFT: Platform = Platform {
    name: "spacelift",
    signs: &[],
    places: &[
        Place::Variable("SPACELIFT_OIDC_TOKEN"),
        Place::File("/mnt/workspace/spacelift.oidc"),
    ],
    mend: "Spacelift gives every run of a paid account SPACELIFT_OIDC_TOKEN; hand it into the container",
    audience: "Spacelift's tokens are for the account's own host; no other audience can be had",
};

/// Semaphore.
pub static SEMAPHORE: Platform = Platform {
    name: "semaphore",
    signs: &["SEMAPHORE", "SEMAPHORE_JOB_ID"],
    places: &[Place::Variable("SEMAPHORE_OIDC_TOKEN")],
    mend: "hand SEMAPHORE_OIDC_TOKEN into the container; every job of Semaphore Cloud has it",
    audience: "Semaphore's tokens are for https://ORGANISATION.semaphoreci.com; no other audience can be had",
};

/// Bitrise.
pub static BITRISE: Platform = Platform {
    name: "bitrise",
    signs: &["BITRISE_IO"],
    places: &[Place::Variable("BITRISE_IDENTITY_TOKEN")],
    mend: "run the step \"Get OIDC identity token\" before this one",
    audience: "give the step \"Get OIDC identity token\" this audience",
};

/// Cirrus CI.
pub static CIRRUS: Platform = Platform {
    name: "cirrus",
    signs: &["CIRRUS_CI"],
    places: &[Place::Variable("CIRRUS_OIDC_TOKEN")],
    mend: "hand CIRRUS_OIDC_TOKEN into the container; tasks of public forks do not have it",
    audience: "Cirrus' tokens are for https://cirrus-ci.com; no other audience can be had",
};

/// Nomad's workload identities.
pub static NOMAD: Platform = Platform {
    name: "nomad",
    signs: &[],
    places: &[
        Place::Variable("NOMAD_TOKEN"),
        Place::Inside("NOMAD_SECRETS_DIR", "nomad_token"),
        Place::Tagged("NOMAD_TOKEN_"),
        Place::AllInside("NOMAD_SECRETS_DIR", "nomad_", ".jwt"),
    ],
    mend: "write `identity { name = \"NAME\" aud = [\"AUDIENCE\"] file = true }` into the task (Nomad 1.7 and later)",
    audience: "write `identity { name = \"NAME\" aud = [\"AUDIENCE\"] file = true }` into the task",
};

/// Credentials of a systemd unit.
pub static SYSTEMD: Platform = Platform {
    name: "systemd",
    signs: &[],
    places: &[
        Place::Inside("CREDENTIALS_DIRECTORY", "jeton-token"),
        Place::AllInside("CREDENTIALS_DIRECTORY", "", ""),
    ],
    mend: "write `LoadCredential=jeton-token:PATH` into the unit",
    audience: "load a token for this audience: `LoadCredential=NAME:PATH`",
};

/// Bearer token discovery of the WLCG, the grid of high energy physics.
pub static WLCG: Platform = Platform {
    name: "wlcg",
    signs: &[],
    places: &[
        Place::Variable("BEARER_TOKEN"),
        Place::FileOf("BEARER_TOKEN_FILE"),
        Place::UserFile(Folder::Of("XDG_RUNTIME_DIR")),
        Place::UserFile(Folder::Shared("/tmp")),
    ],
    mend: "set BEARER_TOKEN, or BEARER_TOKEN_FILE to a file that holds a token",
    audience: "get a token for this audience from the tool that fills BEARER_TOKEN or its file",
};

/// What Sigstore's tools read.
pub static COSIGN: Platform = Platform {
    name: "cosign",
    signs: &[],
    places: &[
        Place::Variable("SIGSTORE_ID_TOKEN"),
        Place::File("/var/run/sigstore/cosign/oidc-token"),
    ],
    mend: "set SIGSTORE_ID_TOKEN, or mount a token at /var/run/sigstore/cosign/oidc-token",
    audience: "SIGSTORE_ID_TOKEN is mostly for `sigstore`; put a token for this audience there",
};
