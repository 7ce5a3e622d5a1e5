//! Pages that people read: they are there, they name everything, and what they name is there.

use super::{Finding, House, Page};

/// Pages at the root that a stranger looks for.
const EXPECTED: &[&str] = &[
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "SECURITY.md",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    ".ci/run",
    "deny.toml",
    "rustfmt.toml",
];

const ARCHITECTURE: &str = "ARCHITECTURE.md";

/// What is missing from the pages, or named by them and missing from the tree.
pub(super) fn findings(house: &House<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for name in EXPECTED.iter().filter(|name| house.page(name).is_none()) {
        findings.push(Finding::at(*name, "is missing"));
    }
    if let Some(page) = house.page(ARCHITECTURE) {
        findings.extend(unnamed(house, page));
    }
    findings.extend(
        house
            .pages
            .iter()
            .filter(|page| page.name.ends_with(".md"))
            .flat_map(|page| dead_links(house, page)),
    );
    findings.extend(clippy_files(house));
    findings
}

/// Crates, dependencies and caches that the architecture page does not name.
fn unnamed(house: &House<'_>, page: &Page) -> Vec<Finding> {
    let mut expected: Vec<(String, String)> = Vec::new();
    for package in house.workspace.ours() {
        expected.push((package.name.clone(), "a crate of ours".into()));
        let foreign = |name: &&str| !house.workspace.ours().any(|ours| ours.name == **name);
        let names = package
            .dependencies
            .iter()
            .map(|dependency| dependency.name.as_str());
        expected.extend(
            names
                .filter(foreign)
                .map(|name| (name.into(), format!("a dependency of {}", package.name))),
        );
    }
    let library =
        |page: &&Page| page.is_rust() && page.name.starts_with("crates/") && page.name.contains("/src/");
    for source in house.pages.iter().filter(library) {
        expected
            .extend(caches(&source.text).map(|name| (name.into(), format!("a cache in {}", source.name))));
    }
    expected.sort();
    expected.dedup_by(|one, other| one.0 == other.0);
    let named =
        |name: &str| page.text.contains(&format!("`{name}`")) || page.text.contains(&format!("/{name}`"));
    let missing = expected.iter().filter(|(name, _)| !named(name));
    missing
        .map(|(name, what)| Finding::at(ARCHITECTURE, format!("does not name `{name}`, {what}")))
        .collect()
}

/// Types that are caches by their own name.
fn caches(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| {
        let rest = line
            .strip_prefix("pub struct ")
            .or_else(|| line.strip_prefix("pub(crate) struct "))?;
        let name = rest
            .split(|letter: char| !letter.is_ascii_alphanumeric())
            .next()?;
        name.ends_with("Cache").then_some(name)
    })
}

/// Links to files that are not there.
fn dead_links(house: &House<'_>, page: &Page) -> Vec<Finding> {
    let folder = page.name.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut findings = Vec::new();
    for (number, line) in page.lines() {
        for target in line.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = target.split('#').next().unwrap_or_default();
            if target.is_empty() || target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            if !exists(house, &join(folder, target)) {
                findings.push(Finding::at(
                    page.at(number),
                    format!("links to {target}, which is not there"),
                ));
            }
        }
    }
    findings
}

fn exists(house: &House<'_>, path: &str) -> bool {
    let folder = format!("{path}/");
    house
        .pages
        .iter()
        .any(|page| page.name == path || page.name.starts_with(&folder))
}

/// `folder` and a path relative to it, with `.` and `..` resolved.
fn join(folder: &str, target: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            name => parts.push(name),
        }
    }
    parts.join("/")
}

/// Clippy reads the nearest clippy.toml only: each crate's own must repeat the workspace's lines.
fn clippy_files(house: &House<'_>) -> Vec<Finding> {
    let Some(ours) = house.page("clippy.toml") else {
        return Vec::new();
    };
    let mut findings = Vec::new();
    for page in house
        .pages
        .iter()
        .filter(|page| page.name.ends_with("/clippy.toml"))
    {
        for line in ours
            .text
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
        {
            if !page.text.lines().any(|own| own == line) {
                findings.push(Finding::at(
                    &page.name,
                    format!("does not repeat `{line}` of the workspace's"),
                ));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::tests::judged;

    #[test]
    fn links_lead_somewhere() {
        let facts = [
            ("[a](b.md)", 0),
            ("[a](b.md#c)", 0),
            ("[a](../docs/b.md)", 0),
            ("[a](https://example.com/x.md)", 0),
            ("[a](c.md)", 1),
            ("[a](b.md) and [c](c.md)", 1),
        ];
        for (text, expected) in facts {
            let places = judged(findings, &[("docs/a.md", text), ("docs/b.md", "")]);
            assert_eq!(
                places.iter().filter(|place| place.starts_with("docs/")).count(),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn caches_are_known_by_their_names() {
        let text = "pub struct DiskCache {\npub struct Token {\n    pub struct InnerCache\npub(crate) struct KeyCache(u8);";
        assert_eq!(caches(text).collect::<Vec<_>>(), ["DiskCache", "KeyCache"]);
    }
}
