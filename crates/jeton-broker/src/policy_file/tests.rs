use super::*;
use jeton_core::Claims;

const GITHUB: &str = "https://token.actions.githubusercontent.com";

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("folder");
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).expect("file");
    }
    folder
}

#[test]
fn the_same_policy_is_read_from_every_language() {
    let toml = "issuer = \"https://i.example\"\nsubject_pattern = \"repo:o/*\"\nttl = \"10m\"\n[claim_pattern]\nrepository_id = \"1\"\n";
    let dotted = "issuer = \"https://i.example\"\nsubject_pattern = \"repo:o/*\"\nttl = \"10m\"\nclaim_pattern.repository_id = \"1\"\n";
    let yaml = "issuer: https://i.example\nsubject_pattern: \"repo:o/*\"\nttl: 10m\nclaim_pattern:\n  repository_id: \"1\"\n";
    let json = r#"{"issuer":"https://i.example","subject_pattern":"repo:o/*","ttl":"10m","claim_pattern":{"repository_id":"1"}}"#;
    for (kind, text) in [
        ("toml", toml),
        ("toml", dotted),
        ("yaml", yaml),
        ("yml", yaml),
        ("json", json),
    ] {
        let name = format!("deploy.{kind}");
        let folder = folder(&[(&name, text)]);
        let policies = load(folder.path()).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(policies.len(), 1, "{kind}");
        let policy = &policies[0].policy;
        assert_eq!(policy.name, "deploy", "{kind}");
        assert_eq!(policy.ttl.as_secs(), 600, "{kind}");
        assert_eq!(policy.claims[0].1.as_literal(), Some("1"), "{kind}");
    }
}

#[test]
fn several_are_named_in_a_file_and_no_name_is_there_twice() {
    let list = "policies:\n- name: a\n  issuer: https://i.example\n  subject: s\n- name: b\n  issuer: https://i.example\n  subject: t\n";
    let table = "[policies.c]\nissuer = \"https://i.example\"\nsubject = \"u\"\n";
    let both = folder(&[
        ("x.yaml", list),
        ("y.toml", table),
        ("z.txt", "nonsense"),
        (".hidden.toml", "nonsense"),
    ]);
    let names: Vec<String> = load(both.path())
        .expect("policies")
        .into_iter()
        .map(|kept| kept.policy.name)
        .collect();
    assert_eq!(names, ["a", "b", "c"]);
    let twice = folder(&[("x.yaml", list), ("y.yml", list)]);
    assert!(load(twice.path()).expect_err("twice").why.contains("there twice"));
}

#[test]
fn what_is_wrong_with_a_file_is_said_with_its_name() {
    let rows = [
        ("a.toml", "issuer = ", "a.toml"),
        ("a.yaml", "issuer: [", "a.yaml"),
        (
            "a.yaml",
            "issuer: https://i.example\nissuer: https://j.example\nsubject: s\n",
            "a.yaml",
        ),
        (
            "a.json",
            r#"{"issuer":"https://i.example","issuer":"https://j.example"}"#,
            "a.json",
        ),
        ("a.yaml", "just text", "is no policy"),
        ("a.toml", "policies = 1", "policies: is neither"),
        ("a.yaml", "policies: [{issuer: x}]", "has no name"),
        ("a.yaml", "issuer: https://i.example\n", "subject"),
        (
            "a.yaml",
            "issuer: https://i.example\nsubject_pattern: '**'\n",
            "subject_pattern",
        ),
        (
            "a.yaml",
            "issuer: https://i.example\nsubject: s\nunknown: 1\n",
            "unknown",
        ),
        ("a.yaml", "issuer: https://i.example\nsubject: true\n", "subject"),
    ];
    for (name, text, wanted) in rows {
        let folder = folder(&[(name, text)]);
        let error = load(&folder.path().join(name)).expect_err(text).to_string();
        assert!(error.contains(wanted), "{text}: {error}");
    }
    assert!(load(Path::new("/nowhere/a.toml")).is_err());
}

#[test]
fn a_draft_is_accepted_without_a_finding_and_matches_only_what_it_was_made_from() {
    let text = format!(
        r#"{{"iss":"{GITHUB}","sub":"repo:o/r:environment:prod","repository":"o/r","repository_id":"1","repository_owner_id":"2","environment":"prod","run_id":"77"}}"#
    );
    let claims = |text: &str| Claims::strict(json::parse(text.as_bytes()).expect("JSON")).expect("claims");
    let gives = Draft {
        name: Some("deploy".to_owned()),
        audience: vec!["https://api.example".to_owned()],
        ..Draft::default()
    };
    let drafted = draft(&claims(&text), &gives).expect("draft");
    let folder = folder(&[("x.toml", &drafted)]);
    let written = read(folder.path()).expect("read").remove(0);
    assert_eq!(
        (written.name.as_str(), written.findings()),
        ("deploy", vec![]),
        "{drafted}"
    );
    let policy = written.policy.expect("policy");
    assert!(policy.matches(&claims(&text)).is_ok());
    for (from, to) in [
        ("\"1\"", "\"9\""),
        ("\"2\"", "\"9\""),
        ("prod", "test"),
        ("o/r:", "o/r2:"),
    ] {
        assert!(
            policy.matches(&claims(&text.replace(from, to))).is_err(),
            "{from}"
        );
    }
    assert!(policy.matches(&claims(&text.replace("77", "78"))).is_ok());
    assert!(draft(&claims(r#"{"iss":"https://i.example"}"#), &gives).is_err());
}
