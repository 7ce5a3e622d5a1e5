//! Every row of the feature table that is called done is named by a test.

use super::{Finding, House, Page};

/// Rows that are done. An issue that brings a row adds it here, beside the tests that show it.
const DONE: &[&str] = &[
    "A1", "A3", "A4", "A5", "A6", "A7", "B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B9", "B18", "C4",
    "C5", "C6", "C11", "C12", "C18", "C19", "D1", "D7",
];

/// Rows that no test names.
pub(super) fn findings(house: &House<'_>) -> Vec<Finding> {
    let tests: Vec<&Page> = house.pages.iter().filter(|page| is_test(page)).collect();
    let missing = DONE
        .iter()
        .filter(|row| !tests.iter().any(|page| names(page, row)));
    missing
        .map(|row| Finding::at(*row, "no test names this row in its name or its doc line"))
        .collect()
}

fn is_test(page: &Page) -> bool {
    page.is_rust()
        && !page.name.starts_with("xtask/")
        && (page.name.contains("/tests/")
            || page.name.ends_with("/tests.rs")
            || page.text.contains("#[cfg(test)]"))
        || page.name.starts_with("tests/strangers/")
}

/// `/// B3: …` above a test, or `fn b3_…`.
fn names(page: &Page, row: &str) -> bool {
    let function = format!("fn {}_", row.to_lowercase());
    page.lines().any(|(_, line)| {
        let line = line.trim_start();
        line.contains(&function) || is_comment(line) && words(line).any(|word| word == row)
    })
}

fn is_comment(line: &str) -> bool {
    line.starts_with("//") || line.starts_with('#') || line.starts_with("\"\"\"")
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|letter: char| !letter.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_named_by_a_doc_line_or_a_function() {
        let facts = [
            ("/// B1, B2: retried", "B1", true),
            ("/// B1, B2: retried", "B2", true),
            ("/// B12: retried", "B1", false),
            ("fn b1_is_retried() {", "B1", true),
            ("let row = \"B1\";", "B1", false),
        ];
        for (text, row, expected) in facts {
            let page = Page {
                name: "crates/a/tests/b.rs".into(),
                text: text.into(),
            };
            assert_eq!(names(&page, row), expected, "{text}");
        }
    }
}
