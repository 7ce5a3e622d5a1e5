//! `jeton token` from outside: sources, outputs, order, and what is asked of them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on should say where"
)]
use jeton_test::{IssuerProcess, Sandbox};
use serde_json::{Value, json};

fn sandbox() -> Sandbox {
    Sandbox::new(env!("CARGO_BIN_EXE_jeton"))
}

fn claims(token: &str) -> Value {
    let sandbox = sandbox();
    sandbox
        .command(["inspect", "-"])
        .input(token)
        .run()
        .ended(0)
        .json()["claims"]
        .clone()
}

/// GitHub's request URL, changed.
fn with_url(issuer: &IssuerProcess, url: impl Fn(&str) -> String) -> Vec<(String, String)> {
    let mut variables = issuer.environment("github");
    for (name, value) in &mut variables {
        if name == "ACTIONS_ID_TOKEN_REQUEST_URL" {
            *value = url(value);
        }
    }
    variables
}

#[test]
fn a3_github_is_asked_once_with_the_audience_encoded_and_the_token_is_its_value() {
    let sandbox = sandbox();
    let issuer = sandbox.issuer(["--token-life", "5m"]);
    let plain = |url: &str| url.split('?').next().unwrap().to_owned();
    let urls = [
        with_url(&issuer, str::to_owned),
        with_url(&issuer, plain),
        with_url(&issuer, |url| format!("{}?", plain(url))),
        with_url(&issuer, |url| format!("{url}&audience=other")),
    ];
    let audience = "https://api.example.com:8443/a?b=c&d=e+f%20#g ü";
    for variables in urls {
        issuer.forget();
        let run = sandbox
            .command(["token", "--no-cache", "-a", audience])
            .envs(&variables)
            .run()
            .ended(0);
        let requests = issuer.requests_of("github");
        assert_eq!(requests.len(), 1);
        let query = requests[0]["query"].as_str().unwrap();
        let url = format!("http://x/?{query}");
        let pairs: Vec<_> = url_pairs(&url)
            .into_iter()
            .filter(|(name, _)| name == "audience")
            .collect();
        assert_eq!(pairs, [("audience".to_owned(), audience.to_owned())], "{query}");
        let secret = &variables
            .iter()
            .find(|(name, _)| name == "ACTIONS_ID_TOKEN_REQUEST_TOKEN")
            .unwrap()
            .1;
        let sent = requests[0]["headers"].to_string();
        assert!(
            sent.contains(&format!("[\"authorization\",\"Bearer {secret}\"]")),
            "{sent}"
        );
        assert_eq!(claims(run.line())["aud"], json!(audience));
        assert!(run.stderr.contains("::add-mask::"), "{run:?}");
    }
}

fn url_pairs(url: &str) -> Vec<(String, String)> {
    let query = url.split_once('?').unwrap().1;
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(k, v)| (k.to_owned(), decoded(v)))
        .collect()
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        match first {
            b'+' => bytes.push(b' '),
            b'%' => {
                bytes.push(u8::from_str_radix(std::str::from_utf8(&tail[..2]).unwrap(), 16).unwrap());
                rest = &tail[2..];
            }
            other => bytes.push(*other),
        }
    }
    String::from_utf8(bytes).unwrap()
}

#[test]
fn a4_gitlab_gives_its_variable_and_says_id_token_without_it() {
    let sandbox = sandbox();
    let issuer = sandbox.issuer([""; 0]);
    let token = issuer.mint(&json!({"aud": "x", "sub": "s"}));
    issuer.forget();
    let run = sandbox
        .command(["token"])
        .env("GITLAB_CI", "true")
        .env("GITLAB_JWT_ID_TOKEN", &token)
        .run()
        .ended(0);
    assert_eq!(run.line(), token);
    let run = sandbox.command(["token"]).env("GITLAB_CI", "true").run();
    assert!(matches!(run.code, Some(2 | 3)), "{run:?}");
    assert!(run.stderr.contains("id_token"), "{run:?}");
    assert!(issuer.requests().is_empty());
}

#[test]
fn a5_d1_c19_places_are_read_when_they_are_used() {
    let sandbox = sandbox();
    let file = sandbox.write("token", "first\n");
    let spec = format!("file:{}", file.display());
    assert_eq!(sandbox.run(["token", "--source", &spec]).ended(0).line(), "first");
    sandbox.write("token", "second");
    assert_eq!(
        sandbox.run(["token", "--source", &spec]).ended(0).line(),
        "second"
    );
    let env = |value: &str| {
        sandbox
            .command(["token", "--source", "env:T"])
            .env("T", value)
            .run()
            .ended(0)
    };
    assert_eq!(env("one").line(), "one");
    assert_eq!(env("two").line(), "two");
    let run = sandbox
        .command(["token", "--source", "stdin:"])
        .input("piped\n")
        .run()
        .ended(0);
    assert_eq!(run.line(), "piped");
    let run = sandbox
        .run(["token", "--source", "command:/bin/echo printed"])
        .ended(0);
    assert_eq!(run.line(), "printed");
    assert!(sandbox.cached_files().is_empty());
}

#[test]
fn a7_a_missing_permission_names_the_mend_and_the_variable() {
    let sandbox = sandbox();
    let issuer = sandbox.issuer([""; 0]);
    let variables = issuer.environment("github");
    for (missing, says) in [
        ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "id-token: write"),
        ("ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_URL"),
    ] {
        let run = sandbox
            .command(["token", "-a", "x"])
            .envs(&variables)
            .without(missing)
            .run()
            .ended(2);
        assert!(run.stderr.contains(says), "{run:?}");
        assert_eq!(run.stdout, "");
        for (_, value) in variables.iter().filter(|(name, _)| name.ends_with("_TOKEN")) {
            assert!(!run.stderr.contains(value), "{run:?}");
        }
        let annotations = run
            .stderr
            .lines()
            .filter(|line| line.starts_with("::error title="))
            .count();
        assert_eq!(annotations, 1, "{run:?}");
    }
}

#[test]
fn d1_the_callers_own_comes_before_its_file_before_the_platform() {
    let sandbox = sandbox();
    let issuer = sandbox.issuer([""; 0]);
    let file = sandbox.write("own", "from-file").display().to_string();
    let command = || {
        sandbox
            .command(["token", "-o", "json"])
            .envs(&issuer.environment("github"))
    };
    let all = command()
        .env("JETON_TOKEN", "from-variable")
        .env("JETON_TOKEN_FILE", &file)
        .run()
        .ended(0);
    assert_eq!(all.json()["token"], "from-variable");
    let without = command().env("JETON_TOKEN_FILE", &file).run().ended(0);
    assert_eq!(without.json()["token"], "from-file");
    assert_eq!(issuer.count("github"), 0);
    assert_eq!(command().run().ended(0).json()["source"], "github");
}

#[test]
fn a1_the_first_platform_that_is_here_answers_and_a_named_source_beats_it() {
    let sandbox = sandbox();
    let issuer = sandbox.issuer([""; 0]);
    let gitlab = issuer.environment("gitlab");
    let github = issuer.environment("github");
    let command = |arguments: &[&str]| {
        let arguments = ["token", "-o", "json"]
            .into_iter()
            .chain(arguments.iter().copied());
        sandbox.command(arguments).env("X", "x-token")
    };
    assert_eq!(
        command(&[]).envs(&github).envs(&gitlab).run().ended(0).json()["source"],
        "github"
    );
    assert_eq!(
        command(&[]).envs(&gitlab).run().ended(0).json()["source"],
        "gitlab"
    );
    let named = command(&["--source", "env:X"]).envs(&github).run().ended(0);
    assert_eq!(named.json()["source"], "env:X");
    command(&[]).run().ended(3);
}

#[test]
fn b8_a_token_of_20_kib_is_fine_and_a_body_beyond_a_mebibyte_is_not() {
    let sandbox = sandbox();
    let issuer = sandbox.issuer([""; 0]);
    let big = json!({"groups": "g".repeat(20 * 1024)}).to_string();
    issuer.rules(&format!(
        "[[rule]]\nfault = \"claims\"\nvalue = '{big}'\nroute = \"github\"\n"
    ));
    let command = || {
        sandbox
            .command(["token", "--no-cache", "-a", "x"])
            .envs(&issuer.environment("github"))
    };
    let run = command().run().ended(0);
    assert!(run.line().len() > 20 * 1024);
    issuer.heal();
    issuer.fault("github", "big-m2");
    let run = command().run().ended(8);
    assert!(run.stderr.len() < 2000, "{run:?}");
}

#[test]
fn outputs_are_what_their_readers_want() {
    let sandbox = sandbox();
    let run = |arguments: &[&str]| {
        let arguments = ["token", "--source", "env:T"]
            .into_iter()
            .chain(arguments.iter().copied());
        sandbox.command(arguments).env("T", "abc\"d").run()
    };
    let rows: [(&[&str], &str); 5] = [
        (&[], "abc\"d\n"),
        (&["-o", "token"], "abc\"d\n"),
        (&["-o", "header"], "Authorization: Bearer abc\"d\n"),
        (&["-o", "curl"], "header = \"Authorization: Bearer abc\\\"d\"\n"),
        (&["-o", "env", "--name", "API_TOKEN"], "API_TOKEN=abc\"d\n"),
    ];
    for (arguments, shown) in rows {
        assert_eq!(run(arguments).ended(0).stdout, shown);
    }
    let wrong: [&[&str]; 4] = [
        &["-o", "yaml"],
        &["-o", "env"],
        &["-o", "env", "--name", "1x"],
        &["--name", "X"],
    ];
    for arguments in wrong {
        let run = run(arguments).ended(2);
        assert_eq!(run.stdout, "");
    }
    let known = run(&["-o", "json"]).ended(0).json();
    let known = known.as_object().unwrap();
    let names = [
        "audience",
        "cached",
        "expires_at",
        "expires_in",
        "issuer",
        "scopes",
        "source",
        "subject",
        "token",
        "token_type",
    ];
    assert_eq!(known.keys().map(String::as_str).collect::<Vec<_>>(), names);
    assert_eq!(known["expires_at"], Value::Null);
}

#[test]
fn json_says_what_is_known_of_a_minted_token() {
    let sandbox = sandbox();
    let issuer = sandbox.issuer(["--token-life", "5m"]);
    let run = sandbox
        .command(["token", "-a", "x", "-o", "json"])
        .envs(&issuer.environment("github"))
        .run()
        .ended(0);
    let known = run.json();
    let claims = claims(known["token"].as_str().unwrap());
    assert_eq!(known["issuer"], issuer.url());
    assert_eq!(known["subject"], claims["sub"]);
    assert_eq!(known["audience"], json!(["x"]));
    assert_eq!(known["cached"], false);
    assert_eq!(known["token_type"], "Bearer");
    assert!(
        (295..=300).contains(&known["expires_in"].as_i64().unwrap()),
        "{known}"
    );
    assert!(known["expires_at"].as_str().unwrap().ends_with('Z'));
}

#[test]
fn c6_a_token_that_lives_too_short_is_printed_with_a_warning_or_refused() {
    let sandbox = sandbox();
    let issuer = sandbox.issuer(["--token-life", "20s"]);
    let command = |arguments: &[&str]| {
        let arguments = ["token", "--no-cache", "-a", "x"]
            .into_iter()
            .chain(arguments.iter().copied());
        sandbox
            .command(arguments)
            .envs(&issuer.environment("github"))
            .run()
    };
    let run = command(&[]).ended(0);
    assert!(run.stderr.contains("warning"), "{run:?}");
    let run = command(&["--strict"]).ended(8);
    assert_eq!(run.stdout, "");
    let run = command(&["--min-validity", "5s"]).ended(0);
    assert!(!run.stderr.contains("warning"), "{run:?}");
}

#[test]
fn several_audiences_where_the_platform_takes_one_are_a_usage_error() {
    let sandbox = sandbox();
    let issuer = sandbox.issuer([""; 0]);
    let run = sandbox
        .command(["token", "-a", "x", "-a", "y"])
        .envs(&issuer.environment("github"))
        .run()
        .ended(2);
    assert!(run.stderr.contains("audience"), "{run:?}");
    assert_eq!(issuer.count("github"), 0);
}

#[test]
fn a_named_file_that_is_missing_is_not_found_and_one_that_is_none_is_a_protocol_error() {
    let sandbox = sandbox();
    let empty = sandbox.write("empty", "");
    let large = sandbox.write("large", &"x".repeat(1024 * 1024 + 1));
    let rows = [
        (sandbox.path("missing"), 3),
        (empty, 8),
        (large, 8),
        (sandbox.path("home"), 8),
        ("/dev/zero".into(), 8),
    ];
    for (path, code) in rows {
        let run = sandbox
            .run(["token", "--source", &format!("file:{}", path.display())])
            .ended(code);
        assert!(run.elapsed.as_secs() < 3, "{run:?}");
        assert_eq!(run.stdout, "");
    }
}
