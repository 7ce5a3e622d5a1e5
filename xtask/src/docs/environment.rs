//! `docs/environment.md`: every variable that some source of ours reads, and who reads it.

use crate::Outcome;
use crate::workspace::Workspace;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// Where variables are read: the library and the command.
const FOLDERS: &[&str] = &["crates/jeton/src/", "crates/jeton-cli/src/"];

/// The page.
pub(super) fn page(workspace: &Workspace) -> Outcome<String> {
    let mut readers: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for name in workspace.files()? {
        let Some(rest) = FOLDERS.iter().find_map(|folder| name.strip_prefix(folder)) else {
            continue;
        };
        if is_test(&name) {
            continue;
        }
        let Some(text) = workspace.text(&name).filter(|_| name.ends_with(".rs")) else {
            continue;
        };
        for variable in variables(without_tests(&text)) {
            readers
                .entry(variable.to_owned())
                .or_default()
                .insert(reader(rest));
        }
    }
    let mut text = String::from(
        "# Environment variables\n\nEvery variable that is read, and by which part. Each flag of a command has \
         its variable, `JETON_` and the flag in capitals: those stand in [cli.md](cli.md).\n\n\
         | variable | read by |\n|---|---|\n",
    );
    for (variable, parts) in readers {
        let parts: Vec<String> = parts.into_iter().collect();
        // Writing to a String cannot fail.
        let _ = writeln!(text, "| `{variable}` | {} |", parts.join(", "));
    }
    Ok(text)
}

/// Files of nothing but tests name variables that nobody reads, as the tests at the end of a file do.
fn is_test(name: &str) -> bool {
    name.ends_with("/tests.rs") || name.contains("/tests/")
}

/// `source/azure_pipelines.rs` is read by `azure-pipelines`.
fn reader(path: &str) -> String {
    let part = path.strip_prefix("source/").unwrap_or(path);
    part.split('/')
        .next()
        .unwrap_or(part)
        .trim_end_matches(".rs")
        .replace('_', "-")
}

/// Unit tests stand at the end of a file and name variables that nobody reads.
fn without_tests(text: &str) -> &str {
    text.split_once("#[cfg(test)]").map_or(text, |(before, _)| before)
}

/// String literals that look like names of variables: capitals with an underscore in them.
fn variables(text: &str) -> impl Iterator<Item = &str> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.flat_map(|line| line.split('"').skip(1).step_by(2))
        .filter(|word| is_variable(word))
}

fn is_variable(word: &str) -> bool {
    let allowed = |letter: char| letter.is_ascii_uppercase() || letter.is_ascii_digit() || letter == '_';
    /// Shorter words in capitals are algorithms and methods.
    const SHORTEST: usize = 4;
    word.len() >= SHORTEST
        && word.contains('_')
        && word.starts_with(|letter: char| letter.is_ascii_uppercase())
        && !word.ends_with('_')
        // Known when it is built, not when it runs.
        && !word.starts_with("CARGO_PKG_")
        && word.chars().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_literals_in_capitals() {
        let text = "env.get(\"GITHUB_ACTIONS\"), \"ES256\", \"no\"\n// \"IN_A_COMMENT\"\n\
                    const X: &str = \"JETON_TOKEN\";\nenv!(\"CARGO_PKG_VERSION\")\n";
        assert_eq!(
            variables(text).collect::<Vec<_>>(),
            ["GITHUB_ACTIONS", "JETON_TOKEN"]
        );
        assert!(is_test("crates/jeton/src/chain/tests.rs") && !is_test("crates/jeton/src/chain.rs"));
        assert_eq!(reader("source/azure_pipelines.rs"), "azure-pipelines");
        assert_eq!(reader("source/gcp/metadata.rs"), "gcp");
        assert_eq!(reader("config.rs"), "config");
    }
}
