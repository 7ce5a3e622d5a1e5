//! `cargo xtask tidy`: the rules of the house that no compiler lint knows.
//!
//! Each child module holds one rule or one family of them and gives back what breaks it.

mod files;
mod pages;
mod rows;
mod sources;
mod walls;
mod words;

use crate::workspace::Workspace;
use crate::{Outcome, report};

/// A place where a rule is broken: what a person needs in order to mend it.
pub(crate) struct Finding {
    /// File, or file and line, or package.
    pub(crate) place: String,
    /// What is wrong and what would be right.
    pub(crate) text: String,
}

impl Finding {
    /// A finding at `place`.
    pub(crate) fn at(place: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            text: text.into(),
        }
    }
}

/// A file of the project with its text.
pub(crate) struct Page {
    /// Path from the root, with `/`.
    pub(crate) name: String,
    /// What is in it.
    pub(crate) text: String,
}

impl Page {
    /// Lines with their numbers, from 1.
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text
            .lines()
            .enumerate()
            .map(|(index, line)| (index + 1, line))
    }

    /// The place of a line.
    fn at(&self, number: usize) -> String {
        format!("{}:{number}", self.name)
    }

    /// Whether it is Rust.
    fn is_rust(&self) -> bool {
        self.name.ends_with(".rs")
    }
}

/// Everything a rule may look at.
pub(crate) struct House<'a> {
    workspace: &'a Workspace,
    pages: Vec<Page>,
}

impl House<'_> {
    /// A file by its path.
    fn page(&self, name: &str) -> Option<&Page> {
        self.pages.iter().find(|page| page.name == name)
    }
}

/// The rules, in the order in which they are reported.
const RULES: &[fn(&House<'_>) -> Vec<Finding>] = &[
    walls::findings,
    files::findings,
    pages::findings,
    words::findings,
    sources::findings,
    rows::findings,
];

/// The recipe.
pub(crate) fn tidy(workspace: &Workspace, _: &[String]) -> Outcome {
    let read = |name: String| {
        let text = workspace.text(&name)?;
        Some(Page { name, text })
    };
    let pages: Vec<Page> = workspace.files()?.into_iter().filter_map(read).collect();
    let house = House { workspace, pages };
    let findings: Vec<Finding> = RULES.iter().flat_map(|rule| rule(&house)).collect();
    for finding in &findings {
        report::note(&format!("{}: {}", finding.place, finding.text));
    }
    match findings.len() {
        0 => {
            report::note(&format!(
                "tidy: {} files hold the rules of the house",
                house.pages.len()
            ));
            Ok(())
        }
        number => Err(format!("{number} breaks of the rules of the house")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    /// What `rule` says of a project of these files.
    pub(super) fn judged(rule: fn(&House<'_>) -> Vec<Finding>, files: &[(&str, &str)]) -> Vec<String> {
        let workspace = Workspace {
            root: PathBuf::new(),
            target: PathBuf::new(),
            packages: Vec::new(),
        };
        let page = |(name, text): &(&str, &str)| Page {
            name: (*name).into(),
            text: (*text).into(),
        };
        let house = House {
            workspace: &workspace,
            pages: files.iter().map(page).collect(),
        };
        rule(&house).into_iter().map(|finding| finding.place).collect()
    }
}
