use super::*;
use alloc::string::ToString;
use alloc::vec::Vec;
use proptest::prelude::*;

fn covers(pattern: &str, value: &str) -> bool {
    Pattern::parse(pattern).unwrap().matches(value)
}

#[test]
fn a_pattern_covers_whole_values_by_its_rules() {
    let rows: &[(&str, &[&str], &[&str])] = &[
        (
            "main",
            &["main"],
            &["Main", "main ", "xmain", "mai", "", "main\n"],
        ),
        (
            "repo:acme/*:ref:refs/heads/main",
            &[
                "repo:acme/app:ref:refs/heads/main",
                "repo:acme/:ref:refs/heads/main",
            ],
            &[
                "repo:acme/app:x:ref:refs/heads/main",
                "repo:acme/a/b:ref:refs/heads/main",
                "repo:acme/app:ref:refs/heads/main2",
                "repo:acme-evil/app:ref:refs/heads/main",
            ],
        ),
        (
            "repo:acme*",
            &["repo:acme", "repo:acme-evil"],
            &["repo:acme/app", "repo:acme:x"],
        ),
        (
            "repo:acme/**",
            &["repo:acme/", "repo:acme/a/b:ref:x"],
            &["repo:acme", "repo:acmeX/a"],
        ),
        ("**", &["", "a/b:c\nd"], &[]),
        ("***", &["", "a/b:c"], &[]),
        ("*", &["", "abc", "a\nb"], &["a/b", "a:b"]),
        (r"\*", &["*"], &["a", "", r"\*"]),
        (r"a\**", &["a*", "a*b"], &["a", "ab", "a*/"]),
        (r"DOMAIN\user", &[r"DOMAIN\user"], &["DOMAINuser"]),
        ("a.c", &["a.c"], &["abc"]),
        ("a*b*c", &["abc", "axbxc", "abbcc"], &["acb", "ab/c"]),
        ("ä*ü", &["äöü", "äü"], &["ä/ü", "ä"]),
        (
            "re:main|release",
            &["main", "release"],
            &["main2", "xrelease", "mainrelease"],
        ),
        ("re:^main$", &["main"], &["main\n", "xmain"]),
        ("re:(?m)^main$", &["main"], &["main\n", "x\nmain", "main\nx"]),
        ("re:a.c", &["abc"], &["a\nc", "abcd"]),
        ("re:(?s)a.c", &["a\nc"], &["abcd"]),
        ("re:", &[], &[]),
    ];
    for (pattern, yes, no) in rows {
        let Ok(parsed) = Pattern::parse(pattern) else {
            assert!(yes.is_empty() && no.is_empty(), "{pattern}");
            continue;
        };
        yes.iter()
            .for_each(|v| assert!(parsed.matches(v), "{pattern} should cover {v:?}"));
        no.iter()
            .for_each(|v| assert!(!parsed.matches(v), "{pattern} should not cover {v:?}"));
        assert_eq!(parsed.to_string(), *pattern);
    }
}

#[test]
fn what_is_no_pattern_is_refused() {
    let long = "x".repeat(1025);
    let rows = [
        ("", PatternError::Empty),
        ("re:", PatternError::Empty),
        (long.as_str(), PatternError::TooLarge),
        ("re:a)|(?:b", PatternError::Regex),
        ("re:(?x)main # ", PatternError::Regex),
        ("re:(", PatternError::Regex),
        ("re:*", PatternError::Regex),
        ("re:(?=a)", PatternError::Regex),
        ("re:((a{100}){100}){100}", PatternError::Regex),
    ];
    for (text, why) in rows {
        assert_eq!(Pattern::parse(text), Err(why), "{text}");
    }
}

#[test]
fn a_claim_is_covered_as_text_or_as_one_text_of_an_array_and_never_as_a_number() {
    let pattern = Pattern::parse("**").unwrap();
    let rows = [
        (r#""x""#, true),
        (r#"["x"]"#, true),
        (r#"[1,"x"]"#, true),
        ("[]", false),
        ("1", false),
        ("true", false),
        ("null", false),
        ("{}", false),
        (r#"[["x"]]"#, false),
    ];
    for (claim, covered) in rows {
        assert_eq!(
            pattern.matches_claim(&crate::json::parse(claim.as_bytes()).unwrap()),
            covered,
            "{claim}"
        );
    }
}

#[test]
fn facts_for_a_linter() {
    let rows = [
        ("plain", Some("plain"), "plain", false),
        (r"a\*b", Some("a*b"), "a*b", false),
        ("repo:acme/*", None, "repo:acme/", false),
        ("repo:acme/**", None, "repo:acme/", true),
        ("*x", None, "", false),
        ("re:repo:acme/.*", None, "repo:acme/", true),
        ("re:ab?c", None, "a", true),
        ("re:a|b", None, "", false),
    ];
    for (text, literal, start, crosses) in rows {
        let pattern = Pattern::parse(text).unwrap();
        let facts = (
            pattern.as_literal(),
            pattern.fixed_start(),
            pattern.may_cross_slash(),
        );
        assert_eq!(facts, (literal, start.to_string(), crosses), "{text}");
        assert_eq!(pattern.starts_open(), start.is_empty(), "{text}");
    }
    assert_eq!(Pattern::parse("re:a|b").unwrap().as_regex(), Some("a|b"));
}

#[test]
fn a_hostile_value_costs_little() {
    let hostile = Pattern::parse(&"*a".repeat(500)).unwrap();
    assert!(!hostile.matches(&"a".repeat(499)));
    assert!(hostile.matches(&"a".repeat(4000)));
    assert!(!hostile.matches(&"a".repeat(MAX_VALUE + 1)));
    assert!(!covers("re:(a*)*b", &"a".repeat(MAX_VALUE)));
}

/// The rules said again in the plainest way.
fn model(pattern: &[char], value: &[char]) -> bool {
    match pattern {
        [] => value.is_empty(),
        ['*', '*', rest @ ..] => (0..=value.len()).any(|n| model(rest, &value[n..])),
        ['*', rest @ ..] => {
            let most = value.iter().take_while(|c| !matches!(c, '/' | ':')).count();
            (0..=most).any(|n| model(rest, &value[n..]))
        }
        ['\\', '*', rest @ ..] => value.first() == Some(&'*') && model(rest, &value[1..]),
        [c, rest @ ..] => value.first() == Some(c) && model(rest, &value[1..]),
    }
}

proptest! {
    #[test]
    fn wildcards_do_what_their_rules_say(pattern in r"[ab/:*\\]{1,8}", value in "[ab/:*]{0,8}") {
        let (p, v): (Vec<char>, Vec<char>) = (pattern.chars().collect(), value.chars().collect());
        prop_assert_eq!(covers(&pattern, &value), model(&p, &v));
    }

    #[test]
    fn one_byte_more_at_either_end_never_fits_a_literal(text in "[a-z/:.|()\\n]{1,12}", more in any::<char>()) {
        let literal = Pattern::literal(&text);
        let escaped = Pattern::parse(&alloc::format!("re:{}", regex_lite::escape(&text))).unwrap();
        for pattern in [literal, escaped] {
            prop_assert!(pattern.matches(&text));
            let (before, after) = (alloc::format!("{more}{text}"), alloc::format!("{text}{more}"));
            prop_assert!(!pattern.matches(&before));
            prop_assert!(!pattern.matches(&after));
        }
    }

    #[test]
    fn nothing_outside_a_covered_value_is_covered_by_an_alternation(more in "[a-z\\n]{1,3}") {
        let pattern = Pattern::parse("re:main|release").unwrap();
        let (before, after) = (alloc::format!("{more}release"), alloc::format!("main{more}"));
        prop_assert!(!pattern.matches(&before));
        prop_assert!(!pattern.matches(&after));
    }

    #[test]
    fn parsing_and_matching_never_panic(source in any::<String>(), value in any::<String>()) {
        if let Ok(pattern) = Pattern::parse(&source) {
            let _ = (pattern.matches(&value), pattern.fixed_start(), pattern.may_cross_slash());
        }
    }
}
