//! `config.toml` from outside: where it is read, what is refused before anything is sent, what it sets.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on ends"
)]
use jeton_test::Sandbox;

fn sandbox() -> Sandbox {
    Sandbox::new(env!("CARGO_BIN_EXE_jeton"))
}

#[test]
fn mistakes_are_usage_errors_with_line_and_nearest_key_before_anything_is_sent() {
    let sandbox = sandbox();
    let issuer = sandbox.issuer([""; 0]);
    let rows = [
        (
            "[defaults]\nmin_validty = \"60s\"",
            "config.toml:2",
            "min_validity",
        ),
        (
            "[profiles.a]\ngrant = \"refresh\"\nfrom = \"a\"",
            "config.toml:1",
            "cycle",
        ),
        (
            "[profiles.a]\ngrant = \"refresh\"\nfrom = \"nobody\"",
            "config.toml:1",
            "nobody",
        ),
        (
            "[profiles.a]\ngrant = \"device\"\nclient_id = \"x\"",
            "config.toml:1",
            "issuer",
        ),
        (
            "[profiles.a]\ngrant = \"device\"\nclient_id = \"x\"\nissuer = \"http://x.example\"",
            "config.toml:4",
            "http://",
        ),
        (
            "[profiles.a]\ngrant = \"client-credentials\"\nissuer = \"https://x.example\"\nclient_id = \"x\"\nclient_secret = \"hunter2\"",
            "config.toml:5",
            "env:VAR",
        ),
        (
            "[defaults]\nmax_attempts = \"x\"",
            "config.toml:2",
            "max_attempts",
        ),
        ("[defaults]\nsource = \"gihub\"", "config.toml:2", "`github`"),
        ("nonsense", "config.toml:1", ""),
    ];
    for (text, line, says) in rows {
        sandbox.config(text);
        let run = sandbox
            .command(["token", "-a", "x"])
            .envs(&issuer.environment("github"))
            .run()
            .ended(2);
        assert!(
            run.stderr.contains(line) && run.stderr.contains(says),
            "{text}\n{run:?}"
        );
        assert!(!run.stderr.contains("hunter2"));
    }
    assert_eq!(issuer.count("github"), 0);
}

#[test]
fn the_flag_beats_the_variable_beats_the_users_own_file_and_the_current_folder_is_not_looked_at() {
    let sandbox = sandbox();
    let named = |name: &str| {
        let text = format!("[profiles.p]\ngrant = \"env:{name}\"\n");
        sandbox
            .write(&format!("{name}.toml"), &text)
            .display()
            .to_string()
    };
    sandbox.config("[profiles.p]\ngrant = \"env:OWN\"\n");
    sandbox.write("config.toml", "nonsense");
    sandbox.write("jeton.toml", "nonsense");
    let (flag, variable) = (named("FLAG"), named("VARIABLE"));
    let command = |arguments: &[&str]| {
        let arguments = ["token", "p"].iter().chain(arguments);
        sandbox
            .command(arguments)
            .env("OWN", "own")
            .env("VARIABLE", "variable")
            .env("FLAG", "flag")
    };
    assert_eq!(command(&[]).run().ended(0).line(), "own");
    assert_eq!(
        command(&[]).env("JETON_CONFIG", &variable).run().ended(0).line(),
        "variable"
    );
    assert_eq!(
        command(&["--config", &flag])
            .env("JETON_CONFIG", &variable)
            .run()
            .ended(0)
            .line(),
        "flag"
    );
    let _ = command(&["--config", "missing.toml"]).run().ended(3);
}

#[test]
fn profiles_of_places_are_read_and_unknown_ones_suggest_the_nearest() {
    let sandbox = sandbox();
    let file = sandbox.write("t", "from-file").display().to_string();
    sandbox.config(&format!(
        "[profiles.one]\ngrant = \"file:{file}\"\n[profiles.two]\ngrant = \"command:/bin/echo from-command\"\n"
    ));
    assert_eq!(sandbox.run(["token", "one"]).ended(0).line(), "from-file");
    assert_eq!(sandbox.run(["token", "two"]).ended(0).line(), "from-command");
    let run = sandbox.run(["token", "tow"]).ended(3);
    assert!(run.stderr.contains("`two`"), "{run:?}");
    let _ = sandbox.run(["token", "one", "--source", "env:X"]).ended(2);
}

#[test]
fn defaults_and_profiles_stand_below_flags_and_variables() {
    let sandbox = sandbox();
    let issuer = sandbox.issuer(["--token-life", "5m"]);
    sandbox.config("[defaults]\naudience = \"of-defaults\"\noutput = \"json\"\ncache_ttl = \"0\"\n[profiles.p]\ngrant = \"ambient\"\naudience = \"of-profile\"\n");
    let command = |arguments: &[&str]| {
        let arguments = ["token"].iter().chain(arguments);
        sandbox.command(arguments).envs(&issuer.environment("github"))
    };
    let audience = |run: jeton_test::Run| run.ended(0).json()["audience"][0].as_str().unwrap().to_owned();
    assert_eq!(audience(command(&[]).run()), "of-defaults");
    assert_eq!(audience(command(&["p"]).run()), "of-profile");
    assert_eq!(
        audience(command(&["p"]).env("JETON_AUDIENCE", "of-variable").run()),
        "of-variable"
    );
    assert_eq!(
        audience(
            command(&["p", "-a", "of-flag"])
                .env("JETON_AUDIENCE", "of-variable")
                .run()
        ),
        "of-flag"
    );
    assert!(!sandbox.cache().exists());
}

#[test]
fn a_bad_source_and_a_missing_configuration_say_where_they_were_named() {
    let sandbox = sandbox();
    let rows = [
        ("JETON_SOURCE", "nonsense", "--source", 2),
        ("JETON_CONFIG", "/nowhere/c.toml", "--config", 3),
    ];
    for (variable, value, flag, code) in rows {
        let run = sandbox.command(["token"]).env(variable, value).run().ended(code);
        assert!(
            run.stderr.contains(&format!("from the variable {variable}")),
            "{run:?}"
        );
        let run = sandbox.command(["token", flag, value]).run().ended(code);
        assert!(run.stderr.contains(&format!("from the flag {flag}")), "{run:?}");
    }
}

#[test]
fn b18_a_token_where_a_profile_should_be_is_not_repeated() {
    let token = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.c2lnbmF0dXJlLWNhbmFyeQ";
    let run = sandbox().command(["token", token]).run().ended(3);
    assert!(!run.stderr.contains("c2lnbmF0dXJl"), "{run:?}");
}
