//! `docs/presets.md`: what the command says of its exchange targets, each with a profile to copy.

use super::command_line::help;
use crate::Outcome;
use crate::workspace::Workspace;
use std::fmt::Write;

/// The page.
pub(super) fn page(workspace: &Workspace) -> Outcome<String> {
    Ok(marked(&help(workspace, &["help", "presets"])?))
}

/// Names become headings, profiles become blocks.
fn marked(text: &str) -> String {
    let mut page = String::from("# Exchange presets\n");
    let mut is_profile = false;
    for line in text.lines() {
        let inside = line.strip_prefix("  ");
        let begins = inside.is_some_and(|line| line.starts_with("[profiles."));
        if begins {
            page.push_str("```toml\n");
        } else if is_profile && inside.is_none() {
            page.push_str("```\n");
        }
        is_profile = begins || (is_profile && inside.is_some());
        let is_name = inside.is_none() && !line.is_empty() && !line.contains(' ');
        let head = if is_name { "## " } else { "" };
        // Writing to a String cannot fail.
        let _ = writeln!(page, "{head}{}", inside.unwrap_or(line));
        if is_name {
            page.push('\n');
        }
    }
    if is_profile {
        page.push_str("```\n");
    }
    page.replacen("# Exchange presets\n", "# Exchange presets\n\n", 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_headings_and_profiles_blocks() {
        let text = "What it is.\n\naws\n  A role.\n\n  [profiles.aws]\n  role = \"r\"\n\ngcp\n  A pool.\n";
        let page = "# Exchange presets\n\nWhat it is.\n\n## aws\n\nA role.\n\n```toml\n[profiles.aws]\nrole = \"r\"\n\
                    ```\n\n## gcp\n\nA pool.\n";
        assert_eq!(marked(text), page);
    }
}
