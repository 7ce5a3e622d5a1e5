//! One source = one file, one test, one page, one spelling.

use super::{Finding, House, Page};

/// Every source, as the contract of the command line spells it. Platforms that only put a token into a variable
/// or a file are rows of a table, not files, but they have a page like the others.
const NAMES: &[&str] = &[
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
    "terraform-cloud",
    "spacelift",
    "semaphore",
    "codefresh",
    "bitrise",
    "cirrus",
    "nomad",
    "systemd",
    "wlcg",
    "cosign",
    "agent",
];

/// Files in the folder of sources that hold something else: what it is.
const OTHERS: &[(&str, &str)] = &[
    ("audience", "the audience in a request"),
    ("candidate", "choosing among tokens that are there already"),
    ("command", "the spec command:"),
    ("file", "how a file that holds a token is read"),
    ("fixture", "what the tests of sources share"),
    (
        "projected",
        "files that a kubelet projects, for several platforms",
    ),
    ("spec", "sources as they are written"),
    ("stage", "what the tests of platforms share"),
    ("variable", "the table of platforms that use a variable or a file"),
];

const FOLDER: &str = "crates/jeton/src/source/";

/// What is missing beside a source, and what stands beside them without being one.
pub(super) fn findings(house: &House<'_>) -> Vec<Finding> {
    let files = house.pages.iter().filter(|page| page.name.starts_with(FOLDER));
    let mut findings: Vec<Finding> = files.flat_map(|page| of_file(house, page)).collect();
    if findings.is_empty() && !house.pages.iter().any(|page| page.name.starts_with(FOLDER)) {
        return findings;
    }
    for name in NAMES {
        let expected = format!("docs/sources/{name}.md");
        match house.page(&expected) {
            None => findings.push(Finding::at(*name, format!("its page {expected} is missing"))),
            Some(page) if !page.text.starts_with(&format!("# {name}\n")) => {
                findings.push(Finding::at(&expected, format!("does not begin with `# {name}`")));
            }
            Some(_) => {}
        }
        let spelled = format!("\"{name}\"");
        let library = |page: &&Page| page.name.starts_with(FOLDER) && page.text.contains(&spelled);
        if !house.pages.iter().any(|page| library(&page)) {
            findings.push(Finding::at(
                *name,
                format!("no source is called {spelled} in {FOLDER}"),
            ));
        }
    }
    findings
}

fn of_file(house: &House<'_>, page: &Page) -> Option<Finding> {
    let stem = page.name[FOLDER.len()..]
        .strip_suffix(".rs")
        .filter(|stem| !stem.contains('/'))?;
    if OTHERS.iter().any(|(other, _)| *other == stem) {
        return None;
    }
    if !NAMES.contains(&stem.replace('_', "-").as_str()) {
        return Some(Finding::at(
            &page.name,
            "no source of the command line is spelled like this",
        ));
    }
    let missing = || Finding::at(&page.name, format!("its test {FOLDER}{stem}/tests.rs is missing"));
    (!is_tested(house, stem, &page.text)).then(missing)
}

/// A source's tests stand beside it in a module, or in an integration test of its name.
fn is_tested(house: &House<'_>, stem: &str, text: &str) -> bool {
    let beside = [
        format!("{FOLDER}{stem}/tests.rs"),
        format!("crates/jeton/tests/{stem}.rs"),
    ];
    text.contains("#[test]")
        || text.contains("test]\n")
        || beside.iter().any(|name| house.page(name).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::tests::judged;

    /// A project in which every source is there.
    fn whole() -> Vec<(String, String)> {
        let page = |name: &&str| (format!("docs/sources/{name}.md"), format!("# {name}\n"));
        let rows = NAMES.iter().map(|name| format!("\"{name}\"\n")).collect();
        let mut files: Vec<(String, String)> = NAMES.iter().map(page).collect();
        files.push((format!("{FOLDER}variable.rs"), rows));
        files
    }

    #[test]
    fn a_source_is_counted_against_its_page_its_test_and_its_name() {
        let with = |name: &str, text: &str| {
            let mut files = whole();
            files.retain(|(other, _)| other != name);
            files.push((name.into(), text.into()));
            files
        };
        let without = |name: &str| whole().into_iter().filter(|(other, _)| other != name).collect();
        let facts: Vec<(Vec<(String, String)>, usize)> = vec![
            (whole(), 0),
            (without("docs/sources/fly.md"), 1),
            (with("docs/sources/fly.md", "# Fly.io\n"), 1),
            (with("crates/jeton/src/source/fly.rs", "#[test]"), 0),
            (with("crates/jeton/src/source/fly.rs", ""), 1),
            (with("crates/jeton/src/source/flies.rs", "#[test]"), 1),
            (
                with("crates/jeton/src/source/variable.rs", "\"fly\""),
                NAMES.len() - 1,
            ),
        ];
        for (index, (files, expected)) in facts.iter().enumerate() {
            let files: Vec<(&str, &str)> = files
                .iter()
                .map(|(name, text)| (name.as_str(), text.as_str()))
                .collect();
            assert_eq!(judged(findings, &files).len(), *expected, "fact {index}");
        }
    }
}
