//! `jeton man`: manual pages, generated from the command line itself.
use super::Command;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::session::Session;
use std::path::{Path, PathBuf};

pub(super) const COMMAND: Command = Command {
    name: "man",
    define: <Arguments as clap::Args>::augment_args,
    run: |session, matches| run(session, &super::arguments(matches)?),
};

const EXAMPLES: &str = "\
Examples:
  jeton man | man -l -                              jeton(1)
  jeton man token | man -l -                        jeton-token(1)
  jeton man --dir ~/.local/share/man/man1           all of them, as files";

/// Print a manual page, or write all of them
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// Of this command
    command: Option<String>,
    /// Write every page into this folder
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    dir: Option<PathBuf>,
}

fn run(session: &Session, arguments: &Arguments) -> Result<Exit, Failure> {
    if let Some(folder) = &arguments.dir {
        return write_all(folder);
    }
    let page = match &arguments.command {
        None => page("jeton", super::definition())?,
        Some(name) => {
            let command = super::help::subcommand(std::slice::from_ref(name))?;
            page(&format!("jeton-{name}"), command)?
        }
    };
    session.output.data(&page)?;
    Ok(Exit::Done)
}

fn write_all(folder: &Path) -> Result<Exit, Failure> {
    let mut root = super::definition();
    root.build();
    write(folder, "jeton", super::definition())?;
    for command in root.get_subcommands() {
        write(folder, &format!("jeton-{}", command.get_name()), command.clone())?;
    }
    Ok(Exit::Done)
}

fn write(folder: &Path, name: &str, command: clap::Command) -> Result<(), Failure> {
    let path = folder.join(format!("{name}.1"));
    let text = page(name, command)?;
    let written = std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&path, text));
    written.map_err(|e| Failure::new(Exit::Other, format!("{}: {e}", path.display())))
}

fn page(name: &str, command: clap::Command) -> Result<String, Failure> {
    let mut page = Vec::new();
    let command = command.display_name(name.to_owned());
    clap_mangen::Man::new(command)
        .title(name.to_uppercase())
        .source(concat!("jeton ", env!("CARGO_PKG_VERSION")))
        .render(&mut page)
        .map_err(|e| Failure::new(Exit::Other, format!("manual page: {e}")))?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}
