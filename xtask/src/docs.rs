//! `cargo xtask docs`: the pages that are made from the program, so that they cannot drift from it.
//!
//! Without an argument it writes them; `--check` compares and says what has drifted.

mod command_line;
mod environment;
mod presets;
mod source_index;

use crate::workspace::Workspace;
use crate::{Outcome, report};

/// A page and what makes it.
struct Page {
    name: &'static str,
    make: fn(&Workspace) -> Outcome<String>,
}

const PAGES: &[Page] = &[
    Page {
        name: "docs/cli.md",
        make: command_line::page,
    },
    Page {
        name: "docs/environment.md",
        make: environment::page,
    },
    Page {
        name: "docs/presets.md",
        make: presets::page,
    },
    Page {
        name: "docs/sources/README.md",
        make: source_index::page,
    },
];

/// The line at the head of each page.
const NOTICE: &str = "<!-- Written by `cargo xtask docs`. Do not edit. -->\n\n";

/// The recipe.
pub(crate) fn docs(workspace: &Workspace, arguments: &[String]) -> Outcome {
    let check = match arguments {
        [] => false,
        [one] if one == "--check" => true,
        _ => return Err("usage: cargo xtask docs [--check]".into()),
    };
    let mut drifted = Vec::new();
    for page in PAGES {
        let text = format!("{NOTICE}{}\n", (page.make)(workspace)?.trim_end());
        if workspace.text(page.name).as_deref() == Some(&text) {
            continue;
        }
        drifted.push(page.name);
        if !check {
            write(workspace, page.name, &text)?;
            report::note(&format!("wrote {}", page.name));
        }
    }
    if check && !drifted.is_empty() {
        return Err(format!("{} drifted: run `cargo xtask docs`", drifted.join(", ")));
    }
    Ok(())
}

fn write(workspace: &Workspace, name: &str, text: &str) -> Outcome {
    let path = workspace.root.join(name);
    let folder = path.parent().unwrap_or(&workspace.root);
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(&path, text))
        .map_err(|fault| format!("{name}: {fault}"))
}
