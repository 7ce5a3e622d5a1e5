//! `jeton completions`: completion scripts, generated from the command line itself.
use super::Command;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::session::Session;
use clap_complete::Shell;

pub(super) const COMMAND: Command = Command {
    name: "completions",
    define: <Arguments as clap::Args>::augment_args,
    run: |session, matches| run(session, &super::arguments(matches)?),
};

const EXAMPLES: &str = "\
Examples:
  jeton completions bash > ~/.local/share/bash-completion/completions/jeton
  jeton completions zsh > ~/.zfunc/_jeton
  jeton completions fish > ~/.config/fish/completions/jeton.fish";

/// Print a completion script
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// For this shell
    #[arg(value_enum)]
    shell: Shell,
}

fn run(session: &Session, arguments: &Arguments) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut super::definition(), "jeton", &mut script);
    session.output.data(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}
