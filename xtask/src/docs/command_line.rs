//! `docs/cli.md`: every command's own help, found by walking from the top.

use crate::workspace::Workspace;
use crate::{Outcome, run};
use std::fmt::Write;
use std::process::Command;

/// Pages of `jeton help` that are no commands, in the order of the page.
const TOPICS: &[&str] = &["exit-codes", "environment"];

/// The page.
pub(super) fn page(workspace: &Workspace) -> Outcome<String> {
    let mut text = String::from("# Command line\n\nWhat each command says of itself.\n");
    walk(workspace, &mut Vec::new(), &mut text)?;
    for topic in TOPICS {
        section(
            &mut text,
            &format!("jeton help {topic}"),
            &help(workspace, &["help", topic])?,
        );
    }
    Ok(text)
}

fn walk(workspace: &Workspace, path: &mut Vec<String>, text: &mut String) -> Outcome {
    let mut arguments: Vec<&str> = path.iter().map(String::as_str).collect();
    arguments.push("--help");
    let own = help(workspace, &arguments)?;
    let name = ["jeton"]
        .into_iter()
        .chain(path.iter().map(String::as_str))
        .collect::<Vec<_>>()
        .join(" ");
    section(text, &name, &own);
    for child in commands(&own) {
        path.push(child.to_owned());
        walk(workspace, path, text)?;
        path.pop();
    }
    Ok(())
}

fn section(text: &mut String, title: &str, body: &str) {
    // Writing to a String cannot fail.
    let _ = write!(text, "\n## `{title}`\n\n```text\n{}\n```\n", body.trim_end());
}

/// What the command prints, in an environment that changes nothing of it.
pub(super) fn help(workspace: &Workspace, arguments: &[&str]) -> Outcome<String> {
    let mut command = Command::new(workspace.program("jeton")?);
    run::output(&workspace.root, command.args(arguments).env_clear())
}

/// The names in the `Commands:` part of a help text.
fn commands(help: &str) -> Vec<&str> {
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let entries = lines.take_while(|line| line.is_empty() || line.starts_with("  "));
    let names = entries.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    names
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_from_a_help_text() {
        let help = "Tokens\n\nCommands:\n  token  Print one\n         and more\n  cache  Look\n  help   Print\n\n\
                    Options:\n  -h  Help\n";
        assert_eq!(commands(help), ["token", "cache"]);
    }
}
