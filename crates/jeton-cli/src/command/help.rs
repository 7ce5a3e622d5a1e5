//! `jeton help`: commands and topics.
use super::{Command, definition};
use crate::exit::{Exit, TABLE};
use crate::failure::Failure;
use crate::session::Session;
use crate::settings::variable::{COMMON, OWN, SETTINGS, Variable};
use crate::table;

mod presets;

pub(super) const COMMAND: Command = Command {
    name: "help",
    define: <Arguments as clap::Args>::augment_args,
    run: |session, matches| run(session, &super::arguments(matches)?),
};

const EXAMPLES: &str = "\
Examples:
  jeton help token
  jeton help exit-codes
  jeton help environment
  jeton help presets";

/// Explain a command or a topic
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// A command, or one of the topics exit-codes, environment and presets
    #[arg(value_name = "COMMAND|TOPIC")]
    words: Vec<String>,
}

/// What is not a command: its name and its page.
const TOPICS: [(&str, fn() -> String); 3] = [
    ("exit-codes", exit_codes),
    ("environment", environment),
    ("presets", presets::page),
];

fn run(session: &Session, arguments: &Arguments) -> Result<Exit, Failure> {
    page(session, &arguments.words)
}

/// Prints the page of a topic or a command.
pub(super) fn page(session: &Session, words: &[String]) -> Result<Exit, Failure> {
    let topic = TOPICS.iter().find(|(name, _)| words == [*name]);
    let text = match topic {
        Some((_, page)) => page(),
        None => command_page(session, words)?,
    };
    session.output.line(text.trim_end())?;
    Ok(Exit::Done)
}

/// Exactly what `--help` says.
fn command_page(session: &Session, words: &[String]) -> Result<String, Failure> {
    subcommand(words)?;
    let line = std::iter::once("jeton").chain(words.iter().map(String::as_str));
    let help = definition().try_get_matches_from(line.chain(["--help"]));
    Ok(help.err().map_or_else(String::new, |help| {
        let help = help.render();
        if session.output.is_colourful() {
            help.ansi().to_string()
        } else {
            help.to_string()
        }
    }))
}

/// The command that `words` lead to.
pub(super) fn subcommand(words: &[String]) -> Result<clap::Command, Failure> {
    let mut root = definition();
    root.build();
    let mut command = &root;
    for word in words {
        command = command.find_subcommand(word).ok_or_else(|| {
            let topics = TOPICS.iter().map(|(name, _)| *name);
            let known = command
                .get_subcommands()
                .map(clap::Command::get_name)
                .chain(topics);
            let failure = Failure::usage(format!("there is no command `{word}`"));
            match jeton::config::nearest::nearest(word, known) {
                Some(meant) => failure.with_hint(format!("did you mean `{meant}`?")),
                None => failure.with_hint("`jeton --help` lists them"),
            }
        })?;
    }
    Ok(command.clone())
}

fn exit_codes() -> String {
    let rows = TABLE.map(|(_, code, _, meaning)| [code.to_string(), meaning.to_owned()]);
    let table = table::columns(["CODE", "MEANING"], rows);
    format!(
        "{table}\n\n`jeton exec` and `jeton run` exit with the child's own code, 128+N when it died of signal N,\n\
         126/127 when it could not be run."
    )
}

fn environment() -> String {
    let settings = SETTINGS.iter().map(|setting| {
        let default = match setting.default {
            "" => String::new(),
            text => format!(" [default: {text}]"),
        };
        [
            setting.variable(),
            format!("--{}", setting.flag),
            format!("{}{default}", setting.about),
        ]
    });
    let others = |rows: &'static [Variable]| rows.iter().map(|v| [v.name.to_owned(), v.about.to_owned()]);
    format!(
        "A flag beats its variable, a variable beats config.toml, config.toml beats the default. Lists are separated\n\
         by commas, switches are true or false, durations are written 250ms, 30s, 5m, 1h.\n\n{}\n\n{}\n\n{}\n\n\
         What each source reads stands on its own page and in `jeton explain`.",
        table::columns(["VARIABLE", "FLAG", "SETS"], settings),
        table::columns(["VARIABLE", "IS"], others(OWN)),
        table::columns(["ALSO READ", "FOR"], others(COMMON)),
    )
}
