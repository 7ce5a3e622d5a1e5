//! One source = one file, one test, one page, one spelling.

use super::{Finding, House};

/// Sources that are files of the library, as the contract of the command line spells them.
/// Platforms that only put a token into a variable or a file are rows of a table, not files.
const FILES: &[&str] = &[
    "github",
    "gitlab",
    "buildkite",
    "circleci",
    "bitbucket",
    "azure-pipelines",
    "kubernetes",
    "spiffe",
    "gcp",
    "aws",
    "azure",
    "fly",
    "vercel",
];

/// Files in the folder of sources that hold something else: what it is.
const OTHERS: &[(&str, &str)] = &[
    ("file", "how a file that holds a token is read"),
    (
        "projected",
        "files that a kubelet projects, for several platforms",
    ),
    ("platform", "the table of platforms that use a variable or a file"),
    (
        "generic",
        "the specs a user names: env:, file:, stdin:, command:, issuer:",
    ),
];

const FOLDER: &str = "crates/jeton/src/source/";

/// What is missing beside a source, and what stands beside them without being one.
pub(super) fn findings(house: &House<'_>) -> Vec<Finding> {
    let in_folder = |name: &str| house.pages.iter().any(|page| page.name == name);
    let mut findings = Vec::new();
    for page in house.pages.iter().filter(|page| page.name.starts_with(FOLDER)) {
        let rest = &page.name[FOLDER.len()..];
        let Some(stem) = rest.strip_suffix(".rs").filter(|stem| !stem.contains('/')) else {
            continue;
        };
        let source = stem.replace('_', "-");
        if OTHERS.iter().any(|(other, _)| *other == stem) {
            continue;
        }
        if !FILES.contains(&source.as_str()) {
            findings.push(Finding::at(
                &page.name,
                "no source of the command line is spelled like this",
            ));
            continue;
        }
        let document = format!("docs/sources/{source}.md");
        if !in_folder(&document) {
            findings.push(Finding::at(&page.name, format!("its page {document} is missing")));
        }
        if !is_tested(house, stem, &page.text) {
            findings.push(Finding::at(
                &page.name,
                format!("its test crates/jeton/tests/{stem}.rs is missing"),
            ));
        }
        if !page.text.contains(&format!("\"{source}\"")) {
            findings.push(Finding::at(
                &page.name,
                format!("its name is not spelled \"{source}\" in it"),
            ));
        }
    }
    findings
}

/// A source's tests stand beside it in a module, or in an integration test of its name.
fn is_tested(house: &House<'_>, stem: &str, text: &str) -> bool {
    let beside = [
        format!("crates/jeton/tests/{stem}.rs"),
        format!("crates/jeton/tests/source_{stem}.rs"),
        format!("crates/jeton/tests/source/{stem}.rs"),
        format!("crates/jeton/tests/sources/{stem}.rs"),
        format!("{FOLDER}{stem}/tests.rs"),
    ];
    text.contains("#[cfg(test)]") && text.contains("test]")
        || house.pages.iter().any(|page| beside.contains(&page.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::tests::judged;

    #[test]
    fn a_source_is_counted_against_its_page_its_test_and_its_name() {
        let file = (
            "crates/jeton/src/source/azure_pipelines.rs",
            "\"azure-pipelines\"",
        );
        let page = ("docs/sources/azure-pipelines.md", "");
        let test = ("crates/jeton/tests/azure_pipelines.rs", "");
        let facts: &[(&[(&str, &str)], usize)] = &[
            (&[file, page, test], 0),
            (&[file, page], 1),
            (&[file, test], 1),
            (&[(file.0, "\"azure\""), page, test], 1),
            (&[("crates/jeton/src/source/azur.rs", "")], 1),
        ];
        for (files, expected) in facts {
            assert_eq!(judged(findings, files).len(), *expected, "{files:?}");
        }
    }
}
