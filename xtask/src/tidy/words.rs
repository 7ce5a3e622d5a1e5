//! Words that must not stand in the tree, and calls that have one place.

use super::{Finding, House, Page};

/// A word that nothing in the tree may hold. The pieces are joined so that this table does not hold it either.
struct Word {
    pieces: &'static [&'static str],
    why: &'static str,
}

const WORDS: &[Word] = &[
    Word {
        pieces: &["registry.", "npmjs.org"],
        why: REGISTRY,
    },
    Word {
        pieces: &["files.python", "hosted.org"],
        why: REGISTRY,
    },
    Word {
        pieces: &["pypi.", "org/simple"],
        why: REGISTRY,
    },
    Word {
        pieces: &["static.", "crates.io"],
        why: REGISTRY,
    },
    Word {
        pieces: &["index.", "crates.io"],
        why: REGISTRY,
    },
    Word {
        pieces: &["deb.", "debian.org"],
        why: REGISTRY,
    },
    Word {
        pieces: &["/root", "/"],
        why: MACHINE,
    },
    Word {
        pieces: &["/work", "/wt"],
        why: MACHINE,
    },
    Word {
        pieces: &["/work", "/shared"],
        why: MACHINE,
    },
    Word {
        pieces: &["/work", "/main"],
        why: MACHINE,
    },
    Word {
        pieces: &["/opt", "/wheels"],
        why: MACHINE,
    },
    Word {
        pieces: &["BRIEF", ".md"],
        why: WORKPLACE,
    },
    Word {
        pieces: &["land", ".sh"],
        why: WORKPLACE,
    },
    Word {
        pieces: &["work", "tree/"],
        why: WORKPLACE,
    },
    Word {
        pieces: &["../", "shared"],
        why: WORKPLACE,
    },
];

const REGISTRY: &str = "registries are reached through the ordinary clients' own settings";
const MACHINE: &str = "a path of one machine";
const WORKPLACE: &str = "the project does not speak of how it is worked on";

/// A call with a few places where it is right.
struct Call {
    pieces: &'static [&'static str],
    /// Path prefixes where it may stand.
    places: &'static [&'static str],
    why: &'static str,
}

const CALLS: &[Call] = &[
    Call {
        pieces: &["process::", "exit("],
        places: &[],
        why: "`main` returns an ExitCode",
    },
    Call {
        pieces: &["io::", "stdout("],
        places: &[
            "crates/jeton-cli/",
            "crates/jeton-agent/src/child.rs",
            "crates/jeton-test/",
            "xtask/",
            "fuzz/",
            "benches/",
        ],
        why: "only the command line writes to stdout",
    },
    Call {
        pieces: &["io::", "stderr("],
        places: &[
            "crates/jeton-cli/",
            "crates/jeton-agent/src/child.rs",
            "crates/jeton-test/",
            "xtask/",
            "fuzz/",
            "benches/",
        ],
        why: "only the command line writes to stderr",
    },
    Call {
        pieces: &["env::", "set_var("],
        places: &["benches/peers/"],
        why: "the environment is a value",
    },
];

/// Which words and calls stand where they must not.
pub(super) fn findings(house: &House<'_>) -> Vec<Finding> {
    house
        .pages
        .iter()
        .filter(|page| page.name != "Cargo.lock")
        .flat_map(of_page)
        .collect()
}

fn of_page(page: &Page) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in page.lines() {
        let mut report = |text: String| findings.push(Finding::at(page.at(number), text));
        for word in WORDS.iter().filter(|word| line.contains(&word.pieces.concat())) {
            report(format!("`{}`: {}", word.pieces.concat(), word.why));
        }
        if page.is_rust() {
            for call in CALLS.iter().filter(|call| call.is_misplaced(page, line)) {
                report(format!("`{})`: {}", call.pieces.concat(), call.why));
            }
            if line.trim_start().starts_with(concat!("#[", "ignore]")) {
                report("a test that is ignored says why: `#[ignore = \"…\"]`".into());
            }
            if ["TODO", "FIXME", "XXX"]
                .iter()
                .any(|mark| line.contains(&format!("// {mark}")))
            {
                report("unfinished by its own word".into());
            }
        }
    }
    findings
}

impl Call {
    fn is_misplaced(&self, page: &Page, line: &str) -> bool {
        line.contains(&self.pieces.concat()) && !self.places.iter().any(|place| page.name.starts_with(place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::tests::judged;

    #[test]
    fn words_and_calls_are_found_where_they_stand() {
        let call = CALLS[1].pieces.concat();
        let ignored = concat!("#[", "ignore]");
        let facts: &[(&str, String, &[&str])] = &[
            (
                "docs/a.md",
                format!("x\n{}\n", WORDS[0].pieces.concat()),
                &["docs/a.md:2"],
            ),
            ("Cargo.lock", WORDS[0].pieces.concat(), &[]),
            (
                "crates/jeton/src/a.rs",
                format!("{call})"),
                &["crates/jeton/src/a.rs:1"],
            ),
            ("crates/jeton-cli/src/a.rs", format!("{call})"), &[]),
            (
                "crates/jeton/src/a.rs",
                format!("    {ignored}"),
                &["crates/jeton/src/a.rs:1"],
            ),
            (
                "crates/jeton/src/a.rs",
                "#[ignore = \"needs a browser\"]".into(),
                &[],
            ),
        ];
        for (name, text, expected) in facts {
            assert_eq!(judged(findings, &[(name, text)]), *expected, "{text}");
        }
    }
}
