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
            .with_hint("write the predicate yourself and name it with --predicate")
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

#[cfg(test)]
mod tests {
    use super::*;

    fn said(claims: &Value) -> Result<Value, Error> {
        let json = jeton_core::json::parse(claims.to_string().as_bytes()).unwrap();
        predicate(&Claims::strict(json).unwrap())
    }

    fn of_github() -> Value {
        json!({
            "iss": "https://token.actions.githubusercontent.com", "repository": "acme/app", "ref": "refs/tags/v1",
            "sha": "abc", "run_id": "7", "run_attempt": "2", "event_name": "push", "repository_id": "1",
            "workflow_ref": "acme/app/.github/workflows/w.yml@refs/tags/v1",
            "job_workflow_ref": "acme/shared/.github/workflows/b.yml@refs/heads/main",
        })
    }

    #[test]
    fn b14_github_says_what_was_built_by_which_workflow_in_which_run() {
        assert_eq!(
            said(&of_github()).unwrap(),
            json!({
                "buildDefinition": {
                    "buildType": "https://actions.github.io/buildtypes/workflow/v1",
                    "externalParameters": {"workflow": {
                        "ref": "refs/tags/v1", "repository": "https://github.com/acme/app",
                        "path": ".github/workflows/w.yml",
                    }},
                    "internalParameters": {"github": {"event_name": "push", "repository_id": "1"}},
                    "resolvedDependencies": [{
                        "uri": "git+https://github.com/acme/app@refs/tags/v1", "digest": {"gitCommit": "abc"},
                    }],
                },
                "runDetails": {
                    "builder": {"id": "https://github.com/acme/shared/.github/workflows/b.yml@refs/heads/main"},
                    "metadata": {"invocationId": "https://github.com/acme/app/actions/runs/7/attempts/2"},
                },
            })
        );
        let mut own = of_github();
        own["iss"] = json!("https://ghe.example.com/_services/token");
        let builder = &said(&own).unwrap()["runDetails"]["builder"]["id"];
        assert!(
            builder
                .as_str()
                .unwrap()
                .starts_with("https://ghe.example.com/acme/shared/")
        );
    }

    #[test]
    fn b14_a_build_without_a_builder_has_no_provenance() {
        // (what is changed, whether there is provenance all the same)
        let rows = [
            ("job_workflow_ref", json!(""), false),
            ("repository", Value::Null, false),
            ("repository", json!(""), false),
            ("sha", json!(""), true),
            ("run_id", Value::Null, true),
        ];
        for (claim, value, expected) in rows {
            let mut claims = of_github();
            match value {
                Value::Null => drop(claims.as_object_mut().unwrap().remove(claim)),
                value => claims[claim] = value,
            }
            assert_eq!(said(&claims).is_ok(), expected, "{claim}");
        }
        let nobody = said(&json!({"iss": "https://issuer.example.com", "sub": "x"})).unwrap_err();
        assert!(nobody.hint().unwrap().contains("--predicate"));
    }

    #[test]
    fn b14_gitlab_says_which_runner_ran_which_job() {
        let claims = json!({
            "iss": "https://gitlab.example.com", "project_path": "acme/app", "ref_path": "refs/heads/main", "sha": "abc",
            "ci_config_ref_uri": "gitlab.example.com/acme/app//.gitlab-ci.yml@refs/heads/main", "runner_id": 12,
            "job_id": "99",
        });
        let said = said(&claims).unwrap();
        assert_eq!(
            said["runDetails"]["builder"]["id"],
            "https://gitlab.example.com/acme/app/-/runners/12"
        );
        let invocation = &said["runDetails"]["metadata"]["invocationId"];
        assert_eq!(invocation, "https://gitlab.example.com/acme/app/-/jobs/99");
        let source = &said["buildDefinition"]["resolvedDependencies"][0]["uri"];
        assert_eq!(source, "git+https://gitlab.example.com/acme/app@refs/heads/main");
    }
}
