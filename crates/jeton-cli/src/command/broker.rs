//! `jeton broker`: the server, what its operator does, and what people ask a running one for.
//!
//! An operator's verb reads `broker.toml`; a person's verb reads `config.toml` and talks to a running broker.
use super::Command;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::session::Session;
use jeton_broker::config::{self, Config};
use std::path::{Path, PathBuf};

mod ask;
mod operate;
mod person;
mod policy;
mod serve;
mod sessions;

pub(super) const COMMAND: Command = Command {
    name: "broker",
    define: <Arguments as clap::Args>::augment_args,
    run: |session, matches| run(session, &super::arguments(matches)?),
};

const EXAMPLES: &str = "\
Examples:
  jeton broker init --issuer https://token.actions.githubusercontent.com --audience https://broker.example.com
  jeton broker serve                                     reads broker.toml, listens on 127.0.0.1:8420
  jeton broker keyring add && jeton broker rotate-keys   a new key, and everything sealed with it
  jeton broker audit verify                              whether the record is whole
  jeton broker put ci-github --provider github --secret file:token.txt
  jeton broker get ci-github

The configuration of a server is --config, else $JETON_BROKER_CONFIG, else broker.toml in the current folder; every key
of it is also a variable (JETON_BROKER_LISTEN). put, get, list, bind and session talk to a running broker.";

/// Run a broker of credentials, operate it, or ask one
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand, Clone, Debug)]
enum Verb {
    /// Write a configuration, a keyring and a signing key
    #[command(
        after_help = "Examples:\n  jeton broker init\n  jeton broker init --dir /etc/jeton --issuer \
                            https://issuer.example.com --audience https://broker.example.com --admin root"
    )]
    Init(operate::Init),
    /// Serve
    #[command(
        after_help = "Examples:\n  jeton broker serve\n  JETON_BROKER_LISTEN=127.0.0.1:9000 jeton broker serve \
                            --config /etc/jeton/broker.toml"
    )]
    Serve(serve::Serve),
    /// Say whether a broker would start: configuration, keyring, keys, database
    #[command(
        after_help = "Examples:\n  jeton broker check\n  jeton broker check --config /etc/jeton/broker.toml"
    )]
    Check,
    /// Bring the database's schema up to date
    #[command(after_help = "Examples:\n  jeton broker migrate")]
    Migrate,
    /// Seal everything again with the newest key of the keyring, while requests are served
    #[command(after_help = "Examples:\n  jeton broker rotate-keys --dry-run\n  jeton broker rotate-keys")]
    RotateKeys {
        /// Count only, and try whether everything opens
        #[arg(long)]
        dry_run: bool,
    },
    /// The keys that encrypt
    #[command(after_help = "Examples:\n  jeton broker keyring list\n  jeton broker keyring add")]
    Keyring {
        #[command(subcommand)]
        action: operate::KeyringAction,
    },
    /// The key that signs the broker's own tokens
    #[command(
        after_help = "Examples:\n  jeton broker signing-key rotate\n  jeton broker signing-key rotate --config \
                            /etc/jeton/broker.toml"
    )]
    SigningKey {
        #[command(subcommand)]
        action: operate::SigningKeyAction,
    },
    /// The record of what was done
    #[command(
        after_help = "Examples:\n  jeton broker audit verify\n  jeton broker audit export > audit.jsonl"
    )]
    Audit {
        #[command(subcommand)]
        action: operate::AuditAction,
    },
    /// Write everything that is stored to a file, while requests are served; secrets stay sealed
    #[command(after_help = "Examples:\n  jeton broker backup broker.backup")]
    Backup(operate::Backup),
    /// Fill an empty database from such a file
    #[command(after_help = "Examples:\n  jeton broker restore broker.backup")]
    Restore(operate::Backup),
    /// Trust policies in files, before they decide anything
    #[command(after_help = "Examples:\n  jeton broker policy lint policies/\n  \
                            jeton broker policy test release.toml --claims claims.json")]
    Policy {
        #[command(subcommand)]
        action: policy::Action,
    },
    /// Store a credential, or change the one of this name
    #[command(
        after_help = "Examples:\n  jeton broker put ci --provider github --secret file:token.txt\n  \
                            printf %s \"$TOKEN\" | jeton broker put ci --provider gitlab --url https://gitlab.example.com"
    )]
    Put(person::Put),
    /// Print what a credential releases
    #[command(after_help = "Examples:\n  jeton broker get ci\n  jeton broker get ci -o json")]
    Get(person::Get),
    /// List credentials, projects, agents of a project, bindings or roles; never a secret
    #[command(after_help = "Examples:\n  jeton broker list\n  jeton broker list bindings --json")]
    List(person::List),
    /// Give somebody a role, or bind a credential to a project or an agent
    #[command(
        after_help = "Examples:\n  jeton broker bind --credential ID --project ID\n  \
                            jeton broker bind --role credential:token-reader --credential ID --subject ci --issuer \
                            https://issuer.example.com"
    )]
    Bind(person::Bind),
    /// Sessions by hand: what a job would get
    #[command(
        after_help = "Examples:\n  jeton broker session open --project shop --agent deployer\n  jeton broker session \
                            show ID\n  jeton broker session end ID"
    )]
    Session {
        #[command(subcommand)]
        action: sessions::Action,
    },
}

fn run(session: &Session, arguments: &Arguments) -> Result<Exit, Failure> {
    match &arguments.verb {
        Verb::Init(init) => operate::init(session, init),
        Verb::Serve(serve) => serve::run(session, serve),
        Verb::Check => operate::check(session),
        Verb::Migrate => operate::migrate(session),
        Verb::RotateKeys { dry_run } => operate::rotate(session, *dry_run),
        Verb::Keyring { action } => operate::keyring(session, action),
        Verb::SigningKey { action } => operate::signing_key(session, action),
        Verb::Session { action } => sessions::run(session, action),
        Verb::Audit { action } => operate::audit(session, action),
        Verb::Backup(backup) => operate::backup(session, backup),
        Verb::Restore(backup) => operate::restore(session, backup),
        Verb::Policy { action } => policy::run(session, action),
        Verb::Put(put) => person::put(session, put),
        Verb::Get(get) => person::get(session, get),
        Verb::List(list) => person::list(session, list),
        Verb::Bind(bind) => person::bind(session, bind),
    }
}

/// The configuration's file of a server.
pub(super) fn location(session: &Session) -> PathBuf {
    config::locate(&session.env, session.config_flag().map(Path::new), Path::new(""))
}

/// The configuration of a server.
pub(super) fn configuration(session: &Session) -> Result<Config, Failure> {
    Ok(Config::load(&session.env, &location(session), Path::new(""))?)
}
