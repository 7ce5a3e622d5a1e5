//! Which crate may depend on which: the walls between the rooms of the house.

use super::{Finding, House};
use crate::workspace::Package;

/// A room: a crate and what it must never depend on, directly.
struct Wall {
    package: &'static str,
    never: &'static [&'static str],
    why: &'static str,
}

/// What does I/O, asynchronously or over HTTP.
const HTTP_CLIENTS: &[&str] = &[
    "tokio",
    "hyper",
    "hyper-util",
    "reqwest",
    "rustls",
    "tokio-rustls",
    "http",
    "futures-util",
    "rustix",
];

/// The walls. Crates that are not there yet keep theirs for the day they come.
const WALLS: &[Wall] = &[
    Wall {
        package: "jeton-core",
        never: HTTP_CLIENTS,
        why: "the core is a function: no I/O, no clock",
    },
    Wall {
        package: "jeton",
        never: &["axum", "clap", "anyhow", "anstream", "indicatif", "jeton-issuer"],
        why: "the library prints nothing and forces nothing on its users",
    },
    Wall {
        package: "jeton-sign",
        never: &["axum", "clap"],
        why: "a library for strangers",
    },
    Wall {
        package: "jeton-issuer",
        never: &["jeton"],
        why: "the issuer tests the library",
    },
];

/// Siblings never see each other, but for development.
const SIBLINGS: &[&str] = &["jeton-agent", "jeton-broker", "jeton-sign", "jeton-issuer"];

/// Nobody depends on these.
const TOPS: &[&str] = &["jeton-cli", "xtask"];

/// What crosses a wall.
pub(super) fn findings(house: &House<'_>) -> Vec<Finding> {
    let mut findings: Vec<Finding> = house.workspace.ours().flat_map(crossings).collect();
    findings.extend(no_std(house));
    findings
}

fn crossings(package: &Package) -> Vec<Finding> {
    let mut findings = Vec::new();
    for dependency in package.dependencies.iter().filter(|dependency| !dependency.dev) {
        let name = dependency.name.as_str();
        let mut report = |why: &str| {
            findings.push(Finding::at(
                &package.name,
                format!("must not depend on {name}: {why}"),
            ));
        };
        for wall in WALLS
            .iter()
            .filter(|wall| wall.package == package.name && wall.never.contains(&name))
        {
            report(wall.why);
        }
        if SIBLINGS.contains(&name) && SIBLINGS.contains(&package.name.as_str()) {
            report("siblings never see each other");
        }
        if TOPS.contains(&name) {
            report("nobody depends on it");
        }
        if name == "jeton-test" {
            report("the harness is for tests only");
        }
    }
    findings
}

/// The core says so itself, so that the compiler keeps the wall.
fn no_std(house: &House<'_>) -> Option<Finding> {
    const ROOT: &str = "crates/jeton-core/src/lib.rs";
    let page = house.pages.iter().find(|page| page.name == ROOT)?;
    let holds = page.text.contains("#![no_std]");
    (!holds).then(|| Finding::at(ROOT, "`#![no_std]` is missing"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Dependency;

    #[test]
    fn each_wall_is_seen_from_the_wrong_side() {
        let facts = [
            ("jeton-core", "tokio", false, 1),
            ("jeton-core", "tokio", true, 0),
            ("jeton-core", "serde", false, 0),
            ("jeton", "clap", false, 1),
            ("jeton", "jeton-issuer", false, 1),
            ("jeton", "jeton-issuer", true, 0),
            ("jeton-issuer", "jeton", false, 1),
            ("jeton-agent", "jeton-broker", false, 1),
            ("jeton", "jeton-cli", false, 1),
            ("jeton-cli", "jeton-test", false, 1),
        ];
        for (package, dependency, dev, expected) in facts {
            let package = Package {
                name: package.into(),
                version: String::new(),
                license: None,
                origin: None,
                ours: true,
                dependencies: vec![Dependency {
                    name: dependency.into(),
                    dev,
                }],
            };
            assert_eq!(
                crossings(&package).len(),
                expected,
                "{} on {dependency}",
                package.name
            );
        }
    }
}
