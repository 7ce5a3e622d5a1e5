//! The platforms that put a token into a variable at the start of a job and have no endpoint.
use super::{Environment, Platform, variables};
use crate::desk::{Desk, claims};
use serde_json::json;

const fn platform(name: &'static str, environment: fn(&Desk<'_>) -> Environment) -> Platform {
    Platform {
        name,
        routes: &[],
        environment,
    }
}

pub(super) const PLATFORMS: &[Platform] = &[
    platform("gitlab", gitlab),
    platform("circleci", circleci),
    platform("bitbucket", bitbucket),
    platform("terraform-cloud", terraform_cloud),
    platform("spacelift", spacelift),
    platform("semaphore", semaphore),
    platform("bitrise", bitrise),
    platform("cirrus", cirrus),
];

fn token(desk: &Desk<'_>, audience: &str, subject: &str) -> String {
    desk.identity_token(claims([("aud", json!(audience)), ("sub", json!(subject))]))
}

fn gitlab(desk: &Desk<'_>) -> Environment {
    let subject = "project_path:octo-org/octo-repo:ref_type:branch:ref:main";
    Ok(variables([
        ("GITLAB_CI", "true".into()),
        ("CI_SERVER_URL", desk.url().into()),
        ("GITLAB_JWT_ID_TOKEN", token(desk, desk.url(), subject)),
        ("SIGSTORE_ID_TOKEN", token(desk, "sigstore", subject)),
    ]))
}

fn circleci(desk: &Desk<'_>) -> Environment {
    let token = |subject| token(desk, "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee", subject);
    Ok(variables([
        ("CIRCLECI", "true".into()),
        ("CIRCLE_OIDC_TOKEN", token("org/octo/project/repo/user/cat")),
        (
            "CIRCLE_OIDC_TOKEN_V2",
            token(
                "org/octo/project/repo/user/cat/vcs-origin/github.com/octo-org/octo-repo/vcs-ref/refs/heads/main",
            ),
        ),
    ]))
}

fn bitbucket(desk: &Desk<'_>) -> Environment {
    let token = token(
        desk,
        "ari:cloud:bitbucket::workspace/aaaaaaaa",
        "{repository}:{step}",
    );
    Ok(variables([
        ("BITBUCKET_BUILD_NUMBER", "7".into()),
        ("BITBUCKET_STEP_OIDC_TOKEN", token),
    ]))
}

fn terraform_cloud(desk: &Desk<'_>) -> Environment {
    let subject = "organization:octo:project:default:workspace:prod:run_phase:apply";
    Ok(variables([
        ("TFC_RUN_ID", "run-1".into()),
        ("TFC_WORKLOAD_IDENTITY_TOKEN", token(desk, "terraform", subject)),
    ]))
}

fn spacelift(desk: &Desk<'_>) -> Environment {
    let token = token(
        desk,
        "octo.app.spacelift.io",
        "space:root:stack:prod:run_type:TRACKED:scope:write",
    );
    Ok(variables([("SPACELIFT_OIDC_TOKEN", token)]))
}

fn semaphore(desk: &Desk<'_>) -> Environment {
    let token = token(
        desk,
        desk.url(),
        "org:octo:project:1:repo:octo-repo:ref_type:branch:ref:refs/heads/main",
    );
    Ok(variables([
        ("SEMAPHORE", "true".into()),
        ("SEMAPHORE_OIDC_TOKEN", token),
    ]))
}

fn bitrise(desk: &Desk<'_>) -> Environment {
    let token = token(desk, "octo", "octo-repo");
    Ok(variables([
        ("BITRISE_IO", "true".into()),
        ("BITRISE_IDENTITY_TOKEN", token),
    ]))
}

fn cirrus(desk: &Desk<'_>) -> Environment {
    let token = token(
        desk,
        "https://cirrus-ci.com/github/octo-org",
        "repo:github:octo-org/octo-repo",
    );
    Ok(variables([
        ("CIRRUS_CI", "true".into()),
        ("CIRRUS_OIDC_TOKEN", token),
    ]))
}
