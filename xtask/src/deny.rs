//! `cargo xtask deny`: the dependency policy of `deny.toml`.
//!
//! cargo-deny is the better reader of that file and runs where it is installed. Building it takes longer
//! than everything else a check does, so without it this file enforces the same bans, licences and
//! origins from what cargo itself says.

mod licence;

use crate::run;
use crate::workspace::{Package, Workspace};
use crate::{Outcome, report};
use licence::Licence;
use serde::Deserialize;

/// The one origin that packages may come from, as the lock file spells it.
const INDEX: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// What is read of `deny.toml`; cargo-deny reads the rest.
#[derive(Deserialize)]
struct Policy {
    bans: Bans,
    licenses: Licences,
}

#[derive(Deserialize)]
struct Bans {
    deny: Vec<Ban>,
}

/// A package that must not be in the tree, with the reason.
#[derive(Deserialize)]
struct Ban {
    #[serde(rename = "crate")]
    package: String,
    reason: String,
}

#[derive(Deserialize)]
struct Licences {
    allow: Vec<String>,
}

/// The recipe.
pub(crate) fn deny(workspace: &Workspace, _: &[String]) -> Outcome {
    if run::is_here("cargo-deny", "--version") {
        let mut command = run::cargo(&["deny", "--all-features", "check", "bans", "licenses", "sources"]);
        return run::check(&workspace.root, &mut command);
    }
    let text = workspace.text("deny.toml").ok_or("deny.toml is missing")?;
    let policy: Policy = toml::from_str(&text).map_err(|fault| format!("deny.toml: {fault}"))?;
    let findings = policy.findings(&workspace.packages);
    for finding in &findings {
        report::note(finding);
    }
    match findings.len() {
        0 => {
            report::note(&format!(
                "dependency policy: {} packages hold it",
                workspace.packages.len()
            ));
            Ok(())
        }
        number => Err(format!("{number} packages break the dependency policy")),
    }
}

impl Policy {
    fn findings(&self, packages: &[Package]) -> Vec<String> {
        packages.iter().flat_map(|package| self.about(package)).collect()
    }

    fn about(&self, package: &Package) -> Vec<String> {
        let named = format!("{} {}", package.name, package.version);
        let mut findings = Vec::new();
        for ban in self.bans.deny.iter().filter(|ban| ban.names(package)) {
            findings.push(format!("{named} is banned: {}", ban.reason));
        }
        let licence = package.license.as_deref().unwrap_or_default();
        if !Licence::read(licence).is_allowed(&self.licenses.allow) {
            findings.push(format!("{named}: licence `{licence}` is not allowed"));
        }
        let path = package.origin.is_none() && package.ours;
        if !path && package.origin.as_deref() != Some(INDEX) {
            let origin = package
                .origin
                .as_deref()
                .unwrap_or("a path outside the workspace");
            findings.push(format!("{named} comes from {origin}"));
        }
        findings
    }
}

impl Ban {
    /// `name` bans every version, `name:<1.2` those below it.
    fn names(&self, package: &Package) -> bool {
        match self.package.split_once(":<") {
            None => self.package == package.name,
            Some((name, bound)) => name == package.name && numbers(&package.version) < numbers(bound),
        }
    }
}

/// Major and minor number of a version.
fn numbers(version: &str) -> (u64, u64) {
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, version: &str, license: &str, origin: &str) -> Package {
        Package {
            name: name.into(),
            version: version.into(),
            license: Some(license.into()),
            origin: Some(origin.into()),
            ours: false,
            dependencies: Vec::new(),
        }
    }

    #[test]
    fn each_rule_of_the_policy_is_enforced() {
        let policy = Policy {
            bans: Bans {
                deny: vec![
                    Ban {
                        package: "ring".into(),
                        reason: "one provider".into(),
                    },
                    Ban {
                        package: "hyper:<1.0".into(),
                        reason: "old".into(),
                    },
                ],
            },
            licenses: Licences {
                allow: vec!["MIT".into()],
            },
        };
        let facts = [
            (package("ring", "0.17.0", "MIT", INDEX), 1),
            (package("hyper", "0.14.32", "MIT", INDEX), 1),
            (package("hyper", "1.7.0", "MIT", INDEX), 0),
            (package("copyleft", "1.0.0", "GPL-3.0", INDEX), 1),
            (
                package("forked", "1.0.0", "MIT", "git+https://example.com/forked"),
                1,
            ),
        ];
        for (package, expected) in facts {
            assert_eq!(
                policy.about(&package).len(),
                expected,
                "{} {}",
                package.name,
                package.version
            );
        }
    }
}
