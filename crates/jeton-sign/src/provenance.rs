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
    /// A claim that says something.
    fn text(&self, name: &str) -> Option<&str> {
        self.claims.text(name).filter(|text| !text.is_empty())
    }

    /// A claim that has to be there.
    fn needed(&self, name: &str) -> Result<&str, Error> {
        self.text(name).ok_or_else(|| {
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
            .filter_map(|name| Some(((*name).to_owned(), self.text(name)?.into())));
        Value::Object(members.collect::<Map<_, _>>())
    }
}

/// GitHub's own build type for workflows; the fields are where `actions/attest-build-provenance` has them.
fn github(claims: &Reader<'_>) -> Result<Value, Error> {
    let server = server(claims.needed("iss")?);
    let repository = claims.needed("repository")?;
    let workflow = claims.text("workflow_ref").unwrap_or_default();
    let (workflow, workflow_ref) = workflow.split_once('@').unwrap_or((workflow, ""));
    let path = workflow
        .strip_prefix(repository)
        .unwrap_or(workflow)
        .trim_start_matches('/');
    let run = claims.text("run_id").zip(claims.text("run_attempt"));
    let run =
        run.map(|(run, attempt)| format!("{server}/{repository}/actions/runs/{run}/attempts/{attempt}"));
    let source = format!("{server}/{repository}");
    Ok(provenance(Build {
        kind: "https://actions.github.io/buildtypes/workflow/v1",
        builder: format!("{server}/{}", claims.needed("job_workflow_ref")?),
        external: json!({"workflow": {"ref": workflow_ref, "repository": source, "path": path}}),
        internal: json!({"github": claims.members(
            &["event_name", "repository_id", "repository_owner_id", "runner_environment"],
        )}),
        source: claims
            .text("ref")
            .map_or_else(|| format!("git+{source}"), |at| format!("git+{source}@{at}")),
        commit: claims.text("sha"),
        invocation: run,
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
    let project = format!("{server}/{}", claims.needed("project_path")?);
    let at = claims.text("ref_path").or_else(|| claims.text("ref"));
    Ok(provenance(Build {
        kind: "https://gitlab.com/gitlab-org/gitlab-runner/-/blob/main/PROVENANCE.md",
        builder: format!("{project}/-/runners/{}", runner(claims)?),
        external: json!({"entryPoint": claims.needed("ci_config_ref_uri")?, "source": project}),
        internal: json!({"gitlab": claims.members(
            &["environment", "namespace_id", "pipeline_source", "project_id", "ref_type", "runner_environment"],
        )}),
        source: at.map_or_else(|| format!("git+{project}"), |at| format!("git+{project}@{at}")),
        commit: claims.text("sha"),
        invocation: claims.text("job_id").map(|job| format!("{project}/-/jobs/{job}")),
    }))
}

/// What a platform says of a build.
struct Build<'a> {
    /// What kind of build, as a URI.
    kind: &'static str,
    /// Who built.
    builder: String,
    /// What the one who started it said.
    external: Value,
    /// What the platform adds.
    internal: Value,
    /// What was built, as a URI.
    source: String,
    /// At which commit.
    commit: Option<&'a str>,
    /// Which run it was, as a URI.
    invocation: Option<String>,
}

/// In the form of SLSA (slsa.dev/spec/v1.0/provenance). What is unknown is left out.
fn provenance(build: Build<'_>) -> Value {
    let mut source = json!({"uri": build.source});
    if let Some(commit) = build.commit {
        source["digest"] = json!({"gitCommit": commit});
    }
    let mut details = json!({"builder": {"id": build.builder}});
    if let Some(invocation) = build.invocation {
        details["metadata"] = json!({"invocationId": invocation});
    }
    json!({
        "buildDefinition": {
            "buildType": build.kind,
            "externalParameters": build.external,
            "internalParameters": build.internal,
            "resolvedDependencies": [source],
        },
        "runDetails": details,
    })
}

/// GitLab writes the runner's number as a number.
fn runner(claims: &Reader<'_>) -> Result<String, Error> {
    match claims.claims.get("runner_id") {
        Some(Json::Integer(number)) => Ok(number.to_string()),
        _ => claims.needed("runner_id").map(str::to_owned),
    }
}
