//! What the recipes know of the project: its packages as cargo sees them, its files as git does.

use crate::{Outcome, run};
use serde_json::Value;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The project on disk.
pub(crate) struct Workspace {
    /// The folder of the workspace's Cargo.toml.
    pub(crate) root: PathBuf,
    /// Where cargo builds.
    pub(crate) target: PathBuf,
    /// Every package of the lock file that is used on some platform.
    pub(crate) packages: Vec<Package>,
}

/// One package, ours or another's.
pub(crate) struct Package {
    /// Name in its manifest.
    pub(crate) name: String,
    /// Version, as written.
    pub(crate) version: String,
    /// SPDX expression, when it names one.
    pub(crate) license: Option<String>,
    /// Where it comes from; none for a path.
    pub(crate) origin: Option<String>,
    /// Whether it is a member of this workspace.
    pub(crate) ours: bool,
    /// What its manifest asks for directly.
    pub(crate) dependencies: Vec<Dependency>,
}

/// One line of a manifest's dependency tables.
pub(crate) struct Dependency {
    /// The package that is asked for.
    pub(crate) name: String,
    /// Whether it is only for tests and examples.
    pub(crate) dev: bool,
}

impl Workspace {
    /// Asks cargo; fetches the lock file's packages if they are not here yet.
    pub(crate) fn here() -> Outcome<Self> {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let text = run::output(
            &folder,
            &mut run::cargo(&["metadata", "--format-version=1", "--locked", "--all-features"]),
        )?;
        let facts: Value =
            serde_json::from_str(&text).map_err(|fault| format!("cargo metadata cannot be read: {fault}"))?;
        let members: Vec<&str> = list(&facts["workspace_members"])
            .iter()
            .filter_map(Value::as_str)
            .collect();
        let built = built(&folder)?;
        let packages = list(&facts["packages"])
            .iter()
            .map(|fact| Package::read(fact, &members));
        Ok(Self {
            root: path(&facts["workspace_root"]),
            target: path(&facts["target_directory"]),
            packages: packages
                .filter(|package| built.contains(&package.key()))
                .collect(),
        })
    }

    /// The members, by name.
    pub(crate) fn ours(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| package.ours)
    }

    /// Files that git tracks or would track, relative to the root, sorted.
    pub(crate) fn files(&self) -> Outcome<Vec<String>> {
        let mut git = Command::new("git");
        git.args([
            "ls-files",
            "--cached",
            "--others",
            "--exclude-standard",
            "--deduplicate",
        ]);
        let text = run::output(&self.root, &mut git)?;
        let exists = |name: &&str| self.root.join(name).is_file();
        Ok(text.lines().filter(exists).map(str::to_owned).collect())
    }

    /// A program of ours, built for debugging.
    ///
    /// Everything is built, not it alone: cargo would otherwise choose fewer features for the libraries
    /// below it and compile them once more.
    pub(crate) fn program(&self, name: &str) -> Outcome<PathBuf> {
        let mut build = run::cargo(&["build", "--quiet", "--locked", "--workspace", "--all-targets"]);
        run::check(&self.root, &mut build)?;
        Ok(self.target.join("debug").join(name))
    }

    /// A file's text; none when it is not there or not text.
    pub(crate) fn text(&self, name: impl AsRef<Path>) -> Option<String> {
        std::fs::read_to_string(self.root.join(name)).ok()
    }
}

impl Package {
    fn key(&self) -> (String, String) {
        (self.name.clone(), self.version.clone())
    }

    fn read(fact: &Value, members: &[&str]) -> Self {
        let text = |name: &str| fact[name].as_str().map(str::to_owned);
        Self {
            name: text("name").unwrap_or_default(),
            version: text("version").unwrap_or_default(),
            license: text("license"),
            origin: text("source"),
            ours: fact["id"].as_str().is_some_and(|id| members.contains(&id)),
            dependencies: list(&fact["dependencies"]).iter().map(Dependency::read).collect(),
        }
    }
}

impl Dependency {
    fn read(fact: &Value) -> Self {
        Self {
            name: fact["name"].as_str().unwrap_or_default().to_owned(),
            dev: fact["kind"] == "dev",
        }
    }
}

/// Names and versions of the packages that are really built on some platform.
/// The lock file and `cargo metadata` also name packages behind features that nobody turns on.
fn built(folder: &Path) -> Outcome<HashSet<(String, String)>> {
    const TREE: &[&str] = &[
        "tree",
        "--locked",
        "--workspace",
        "--all-features",
        "--target=all",
        "--prefix=none",
        "--format={p}",
    ];
    let text = run::output(folder, &mut run::cargo(TREE))?;
    let package = |line: &str| {
        let (name, rest) = line.split_once(" v")?;
        let version = rest.split_whitespace().next()?;
        Some((name.to_owned(), version.to_owned()))
    };
    Ok(text.lines().filter_map(package).collect())
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn path(value: &Value) -> PathBuf {
    PathBuf::from(value.as_str().unwrap_or_default())
}
