//! `docs/sources/README.md`: one line for each page in that folder, in its own words.

use crate::Outcome;
use crate::workspace::Workspace;
use std::fmt::Write;

const FOLDER: &str = "docs/sources/";

/// The page.
pub(super) fn page(workspace: &Workspace) -> Outcome<String> {
    let mut text =
        String::from("# Sources\n\nWhere tokens come from: one page each.\n\n| source | |\n|---|---|\n");
    for name in workspace.files()? {
        let Some(page) = name.strip_prefix(FOLDER).filter(|page| *page != "README.md") else {
            continue;
        };
        let source = page.trim_end_matches(".md");
        let body = workspace.text(&name).unwrap_or_default();
        // Writing to a String cannot fail.
        let _ = writeln!(text, "| [`{source}`]({page}) | {} |", first_sentence(&body));
    }
    Ok(text)
}

/// The first sentence of the first paragraph below the heading.
fn first_sentence(body: &str) -> String {
    let paragraphs = body.split("\n\n").map(str::trim);
    let prose =
        |part: &&str| part.starts_with(|letter: char| letter.is_alphanumeric() || "`*_[".contains(letter));
    let paragraph = paragraphs
        .filter(|part| !part.is_empty())
        .find(prose)
        .unwrap_or_default();
    let line = paragraph
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .replace('|', "\\|");
    match line.find(". ") {
        Some(end) => line[..=end].to_owned(),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_summed_up_by_its_first_sentence() {
        let facts = [
            (
                "# fly\n\nA token of\na machine. More.\n\n| a |",
                "A token of a machine.",
            ),
            (
                "# fly\n\n| a | b |\n|---|---|\n\nProse without an end",
                "Prose without an end",
            ),
            ("", ""),
        ];
        for (body, expected) in facts {
            assert_eq!(first_sentence(body), expected);
        }
    }
}
