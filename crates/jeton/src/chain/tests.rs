use super::*;
use crate::{Clock, Env, source};
use jeton_core::UnixTime;

fn sources(names: &[&str]) -> Vec<Arc<dyn Source>> {
    names
        .iter()
        .map(|name| source::spec::parse(name).unwrap())
        .collect()
}

const GITHUB: [(&str, &str); 3] = [
    ("GITHUB_ACTIONS", "true"),
    ("ACTIONS_ID_TOKEN_REQUEST_URL", "https://idp.example/token?v=1"),
    ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "request-token"),
];
const BROKEN_GITHUB: [(&str, &str); 1] = [("GITHUB_ACTIONS", "true")];
const BUILDKITE: [(&str, &str); 3] = [
    ("BUILDKITE", "true"),
    ("BUILDKITE_JOB_ID", "job"),
    ("BUILDKITE_AGENT_ACCESS_TOKEN", "agent-token"),
];

fn context(variables: &[&[(&str, &str)]]) -> Context {
    let env: Env = variables.iter().flat_map(|v| v.iter().copied()).collect();
    Context::new(
        env.with_root("/nowhere"),
        Clock::manual(UnixTime::from_seconds(0)),
    )
}

/// The names of the sources that would be asked, or the class of the error.
fn chosen(chain: &Chain, cx: &Context) -> Result<Vec<String>, Class> {
    let choices = chain
        .choose(cx, &TokenRequest::audience("a"))
        .map_err(|e| e.kind())?;
    Ok(choices
        .iter()
        .map(|choice| choice.source.name().to_owned())
        .collect())
}

#[test]
fn d1_the_first_that_is_here_answers() {
    let order = ["github", "buildkite", "gitlab"];
    let here: &[&[(&str, &str)]] = &[&GITHUB, &BUILDKITE];
    let rows: [(&[&[(&str, &str)]], &[&str], Result<&[&str], Class>); 6] = [
        (here, &[], Ok(&["github"])),
        (here, &["github"], Ok(&["buildkite"])),
        (&[&BUILDKITE], &[], Ok(&["buildkite"])),
        (&[&BROKEN_GITHUB, &BUILDKITE], &[], Err(Class::Config)),
        (&[&BROKEN_GITHUB, &BUILDKITE], &["github"], Ok(&["buildkite"])),
        (&[], &[], Err(Class::NotFound)),
    ];
    for (variables, disabled, expected) in rows {
        let disabled = disabled.iter().map(|name| (*name).to_owned());
        let chain = Chain::ambient(sources(&order)).without(disabled);
        let expected = expected.map(|names| names.iter().map(|n| (*n).to_owned()).collect());
        assert_eq!(chosen(&chain, &context(variables)), expected);
    }
}

#[test]
fn named_ones_are_tried_in_their_order_and_a_broken_one_only_ends_it_when_none_is_ready() {
    let rows: [(&[&[(&str, &str)]], &[&str], Result<&[&str], Class>); 6] = [
        (
            &[&GITHUB, &BUILDKITE],
            &["buildkite", "github"],
            Ok(&["buildkite"]),
        ),
        (
            &[&BROKEN_GITHUB, &BUILDKITE],
            &["github", "buildkite"],
            Ok(&["buildkite"]),
        ),
        (&[&BROKEN_GITHUB], &["github", "buildkite"], Err(Class::Config)),
        (&[&BROKEN_GITHUB], &["github"], Err(Class::Config)),
        (&[], &["github", "buildkite"], Ok(&["github", "buildkite"])),
        (&[], &[], Err(Class::NotFound)),
    ];
    for (variables, names, expected) in rows {
        let expected = expected.map(|names| names.iter().map(|n| (*n).to_owned()).collect());
        assert_eq!(
            chosen(&Chain::named(sources(names)), &context(variables)),
            expected,
            "{names:?}"
        );
    }
}

#[test]
fn the_report_says_why_each_one_does_not_answer() {
    let order = ["gitlab", "github", "buildkite", "codefresh"];
    let chain = Chain::ambient(sources(&order)).without(["codefresh".to_owned()]);
    let report = chain.explain(&context(&[&GITHUB, &BUILDKITE]), &TokenRequest::audience("a"));
    let rows: Vec<_> = report
        .rows
        .iter()
        .map(|r| (r.source.as_str(), r.status.as_str()))
        .collect();
    let expected = [
        ("gitlab", "absent"),
        ("github", "ready"),
        ("buildkite", "skipped"),
        ("codefresh", "skipped"),
    ];
    assert_eq!(rows, expected);
    assert_eq!(report.chosen.as_deref(), Some("github"));
    assert!(report.rows.iter().all(|row| !row.reason.is_empty()));
    assert!(report.rows[2].shadowed && !report.rows[3].shadowed);

    let report = chain.explain(
        &context(&[&BROKEN_GITHUB, &BUILDKITE]),
        &TokenRequest::audience("a"),
    );
    let statuses: Vec<_> = report.rows.iter().map(|r| r.status.as_str()).collect();
    assert_eq!(statuses, ["absent", "broken", "skipped", "skipped"]);
    assert!(report.broken && report.chosen.is_none());
    assert!(
        report.rows[1]
            .hint
            .as_deref()
            .is_some_and(|hint| hint.contains("id-token: write"))
    );

    let report = chain.explain(&context(&[]), &TokenRequest::audience("a"));
    assert!(report.chosen.is_none() && !report.broken);
}

#[test]
fn the_hosts_identity_in_place_of_the_workloads_is_worth_a_warning() {
    let gcp: [(&str, &str); 1] = [("GCE_METADATA_HOST", "metadata.example")];
    let order = ["gcp", "github"];
    let explain = |variables: &[&[(&str, &str)]], order: &[&str]| {
        let report = Chain::named(sources(order)).explain(&context(variables), &TokenRequest::audience("a"));
        (report.chosen, report.warnings.len())
    };
    let chosen = |name: &str, warnings| (Some(name.to_owned()), warnings);
    assert_eq!(explain(&[&gcp, &GITHUB], &order), chosen("gcp", 1));
    assert_eq!(explain(&[&gcp, &[("CI", "true")]], &order), chosen("gcp", 1));
    assert_eq!(explain(&[&gcp], &order), chosen("gcp", 0));
    assert_eq!(explain(&[&gcp, &GITHUB], &["github", "gcp"]), chosen("github", 0));
}
