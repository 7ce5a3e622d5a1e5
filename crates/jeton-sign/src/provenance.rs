//! SLSA provenance v1, filled from what the CI platform itself says in the token: nothing that a build could make up.
//!
//! A platform is one row: how it is recognised, and where each field is among its claims.
use jeton::{Class, Error};
use jeton_core::{Claims, Json};
use serde_json::{Map, Value, json};

/// A platform whose claims are known.
struct Platform {
    name: &'static str,
    /// A claim that nobody else's tokens have.
    sign: &'static str,
    predicate: fn(&Reader<'_>) -> Result<Value, Error>,
}

const PLATFORMS: [Platform; 2] = [
    Platform {
        name: "GitHub",
        sign: "job_workflow_ref",
        predicate: github,
    },
    Platform {
        name: "GitLab",
        sign: "ci_config_ref_uri",
        predicate: gitlab,
    },
];

/// The predicate for a token with these claims.
///
/// # Errors
/// `Class::Token` for a token of no platform that is known here, or one that lacks a claim that the provenance needs:
/// an empty builder would be no provenance.
pub fn predicate(claims: &Claims) -> Result<Value, Error> {
    let platform = PLATFORMS
        .iter()
        .find(|platform| claims.get(platform.sign).is_some());
    let platform = platform.ok_or_else(|| {
        let names = PLATFORMS.map(|platform| platform.name).join(" or ");
        Error::new(
            Class::Token,
            format!("--from-ci: the token is not of {names}, whose claims are known here"),
        )
        .with_hint("write the predicate yourself and name it with --predicate")
    })?;
    (platform.predicate)(&Reader { claims, platform })
}

struct Reader<'a> {
    claims: &'a Claims,
    platform: &'a Platform,
}

impl Reader<'_> {
    /// A claim that has to be there.
    fn needed(&self, name: &str) -> Result<&str, Error> {
        let text = self.claims.text(name).filter(|text| !text.is_empty());
        text.ok_or_else(|| {
            let platform = self.platform.name;
            Error::new(
                Class::Token,
                format!("--from-ci: the token of {platform} has no claim {name}"),
            )
        })
    }

    /// Claims that may be missing, as members of an object.
    fn members(&self, names: &[&str]) -> Value {
        let members = names
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), self.claims.text(name)?.into())));
        Value::Object(members.collect::<Map<_, _>>())
    }
}

/// GitHub's own build type for workflows; the fields are where `actions/attest-build-provenance` has them.
fn github(claims: &Reader<'_>) -> Result<Value, Error> {
    let server = server(claims.needed("iss")?);
    let repository = claims.needed("repository")?;
    let workflow = claims.needed("workflow_ref")?;
    let (workflow, workflow_ref) = workflow.split_once('@').unwrap_or((workflow, ""));
    let path = workflow
        .strip_prefix(repository)
        .unwrap_or(workflow)
        .trim_start_matches('/');
    let (run, attempt) = (claims.needed("run_id")?, claims.needed("run_attempt")?);
    Ok(json!({
        "buildDefinition": {
            "buildType": "https://actions.github.io/buildtypes/workflow/v1",
            "externalParameters": {
                "workflow": {"ref": workflow_ref, "repository": format!("{server}/{repository}"), "path": path},
            },
            "internalParameters": {
                "github": claims.members(&["event_name", "repository_id", "repository_owner_id", "runner_environment"]),
            },
            "resolvedDependencies": [{
                "uri": format!("git+{server}/{repository}@{}", claims.needed("ref")?),
                "digest": {"gitCommit": claims.needed("sha")?},
            }],
        },
        "runDetails": {
            "builder": {"id": format!("{server}/{}", claims.needed("job_workflow_ref")?)},
            "metadata": {"invocationId": format!("{server}/{repository}/actions/runs/{run}/attempts/{attempt}")},
        },
    }))
}

/// The web address of a GitHub server by its token issuer: `token.actions.githubusercontent.com` is github.com's, an
/// Enterprise Server's is `https://HOST/_services/token`.
fn server(issuer: &str) -> &str {
    match issuer.split_once("/_services/") {
        Some((server, _)) => server,
        None => "https://github.com",
    }
}

/// GitLab's build type as its runner documents it.
fn gitlab(claims: &Reader<'_>) -> Result<Value, Error> {
    let server = claims.needed("iss")?.trim_end_matches('/');
    let project = claims.needed("project_path")?;
    Ok(json!({
        "buildDefinition": {
            "buildType": "https://gitlab.com/gitlab-org/gitlab-runner/-/blob/main/PROVENANCE.md",
            "externalParameters": {
                "entryPoint": claims.needed("ci_config_ref_uri")?,
                "source": format!("{server}/{project}"),
            },
            "internalParameters": {
                "gitlab": claims.members(&[
                    "environment", "namespace_id", "pipeline_source", "project_id", "project_visibility", "ref_type",
                    "runner_environment",
                ]),
            },
            "resolvedDependencies": [{
                "uri": format!("git+{server}/{project}@{}", claims.needed("ref_path")?),
                "digest": {"gitCommit": claims.needed("sha")?},
            }],
        },
        "runDetails": {
            "builder": {"id": format!("{server}/{project}/-/runners/{}", runner(claims)?)},
            "metadata": {"invocationId": format!("{server}/{project}/-/jobs/{}", claims.needed("job_id")?)},
        },
    }))
}

/// GitLab writes the runner's number as a number.
fn runner(claims: &Reader<'_>) -> Result<String, Error> {
    match claims.claims.get("runner_id") {
        Some(Json::Integer(number)) => Ok(number.to_string()),
        _ => claims.needed("runner_id").map(str::to_owned),
    }
}
