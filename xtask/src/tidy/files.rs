//! Names and sizes of files.

use super::{Finding, House, Page};

/// Beyond this a file is several files. Lines.
const LONGEST: usize = 800;

/// Beyond this nobody reads the architecture page. Lines.
const ARCHITECTURE_LONGEST: usize = 300;

/// Names that say nothing about what is inside.
const EMPTY_NAMES: &[&str] = &[
    "util", "utils", "helper", "helpers", "common", "manager", "misc", "base", "impl", "info", "data",
];

/// What is wrong with names and sizes.
pub(super) fn findings(house: &House<'_>) -> Vec<Finding> {
    house
        .pages
        .iter()
        .flat_map(|page| [name(page), size(page)])
        .flatten()
        .collect()
}

fn name(page: &Page) -> Option<Finding> {
    if page.name.ends_with("/mod.rs") {
        return Some(Finding::at(&page.name, "`foo.rs` beside `foo/`, never `mod.rs`"));
    }
    let empty = |part: &str| EMPTY_NAMES.contains(&part.strip_suffix(".rs").unwrap_or(part));
    let part = page
        .is_rust()
        .then(|| page.name.split('/').find(|part| empty(part)))??;
    Some(Finding::at(
        &page.name,
        format!("`{part}` says nothing: use a noun of the RFC or the platform"),
    ))
}

fn size(page: &Page) -> Option<Finding> {
    let longest = match page.name.as_str() {
        "ARCHITECTURE.md" => ARCHITECTURE_LONGEST,
        _ if page.is_rust() => LONGEST,
        _ => return None,
    };
    let length = page.text.lines().count();
    (length > longest).then(|| Finding::at(&page.name, format!("{length} lines; at most {longest}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::tests::judged;

    #[test]
    fn names_and_sizes_have_bounds() {
        let long = "\n".repeat(LONGEST + 1);
        let facts: &[(&str, &str, bool)] = &[
            ("crates/a/src/mod.rs", "", false),
            ("crates/a/src/token.rs", "", true),
            ("crates/a/src/util.rs", "", false),
            ("crates/a/src/helpers/token.rs", "", false),
            ("crates/a/src/token.rs", &long, false),
            ("docs/data.md", &long, true),
            ("ARCHITECTURE.md", &long, false),
        ];
        for (name, text, holds) in facts {
            assert_eq!(judged(findings, &[(name, text)]).is_empty(), *holds, "{name}");
        }
    }
}
