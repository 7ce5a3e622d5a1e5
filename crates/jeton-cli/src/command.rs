//! The commands: each a file of its own and a line of the table.
//!
//! To add one: write `command/NAME.rs` with a `COMMAND`, name it below twice.
use crate::exit::Exit;
use crate::failure::Failure;
use crate::session::{Globals, Session};
use clap::ArgMatches;

mod agent;
#[cfg(feature = "sign")]
mod attest;
#[cfg(feature = "broker")]
mod broker;
pub(crate) mod cache;
mod completions;
pub(crate) mod credential_helper;
mod demo;
mod doctor;
mod exec;
mod explain;
mod help;
mod inspect;
mod issuer;
pub(crate) mod login;
mod logout;
mod man;
mod proxy;
mod run;
#[cfg(feature = "sign")]
mod sign;
mod status;
pub(crate) mod token;
mod verify;
#[cfg(feature = "sign")]
mod verify_bundle;
mod verify_jws;

/// A command.
pub(crate) struct Command {
    /// What is typed.
    pub(crate) name: &'static str,
    /// Adds its arguments and its help.
    pub(crate) define: fn(clap::Command) -> clap::Command,
    /// Does it.
    pub(crate) run: fn(&Session, &ArgMatches) -> Result<Exit, Failure>,
}

/// In the order of the help page.
const TABLE: &[Command] = &[
    token::COMMAND,
    explain::COMMAND,
    doctor::COMMAND,
    inspect::COMMAND,
    verify::COMMAND,
    verify_jws::COMMAND,
    #[cfg(feature = "sign")]
    sign::COMMAND,
    #[cfg(feature = "sign")]
    attest::COMMAND,
    #[cfg(feature = "sign")]
    verify_bundle::COMMAND,
    login::COMMAND,
    logout::COMMAND,
    status::COMMAND,
    exec::COMMAND,
    run::COMMAND,
    proxy::COMMAND,
    agent::COMMAND,
    credential_helper::COMMAND,
    cache::COMMAND,
    #[cfg(feature = "broker")]
    broker::COMMAND,
    issuer::COMMAND,
    demo::COMMAND,
    completions::COMMAND,
    man::COMMAND,
    help::COMMAND,
];

const ABOUT: &str = "The right identity token, fresh at the moment it is used";

const AFTER: &str = "\
Examples:
  jeton token -a https://api.example.com           one token, from whatever platform this is
  jeton token -a sigstore -o header                as a header field
  jeton explain                                    which source would answer, and why not the others
  jeton demo                                       the whole story in ten seconds, offline

`jeton help COMMAND` explains a command, `jeton help exit-codes` and `jeton help environment` the rest.";

/// The whole command line.
pub(crate) fn definition() -> clap::Command {
    let root = clap::Command::new("jeton")
        .about(ABOUT)
        .version(env!("CARGO_PKG_VERSION"))
        .after_help(AFTER)
        .disable_help_subcommand(true)
        .subcommand_value_name("COMMAND")
        .max_term_width(MAX_WIDTH);
    let root = <Globals as clap::Args>::augment_args(root);
    TABLE.iter().fold(root, |root, command| {
        root.subcommand((command.define)(clap::Command::new(command.name)))
    })
}

/// Lines longer than this are hard to read.
const MAX_WIDTH: usize = 100;

/// The command that was asked for.
pub(crate) fn chosen(matches: &ArgMatches) -> Option<(&'static Command, &ArgMatches)> {
    let (name, matches) = matches.subcommand()?;
    let command = TABLE.iter().find(|command| command.name == name)?;
    Some((command, matches))
}

/// What is said when nothing was asked.
pub(crate) fn overview(session: &Session) -> Result<Exit, Failure> {
    help::page(session, &[])
}

/// The arguments of a command as its own type.
pub(crate) fn arguments<T: clap::FromArgMatches>(matches: &ArgMatches) -> Result<T, Failure> {
    T::from_arg_matches(matches).map_err(|e| Failure::usage(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_sound_and_every_command_has_an_example() {
        let mut root = definition();
        root.build();
        root.clone().debug_assert();
        for command in root.get_subcommands() {
            let help = command.clone().render_long_help().to_string();
            assert!(help.contains("Example"), "{}", command.get_name());
            assert!(
                help.contains(&format!("jeton {}", command.get_name())),
                "{}",
                command.get_name()
            );
        }
    }
}
