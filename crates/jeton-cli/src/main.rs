//! The command `jeton`: arguments, output, exit codes. What it does is done by the library.
#![allow(
    rustdoc::broken_intra_doc_links,
    rustdoc::bare_urls,
    reason = "doc comments of arguments are help texts: brackets are brackets, and URLs stand as they are"
)]
mod command;
mod courier;
mod exit;
mod failure;
mod output;
mod plan;
mod progress;
mod session;
mod settings;
#[cfg(feature = "sign")]
mod signing;
mod table;
mod warm;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::session::{Globals, Session};
use clap::FromArgMatches;
use clap::error::ErrorKind;
use jeton::Env;
use std::ffi::OsString;
use std::process::ExitCode;

fn main() -> ExitCode {
    let env = Env::from_process();
    let arguments: Vec<OsString> = command::credential_helper::dispatched(std::env::args_os().collect());
    let exit = match warm::recognise(&arguments) {
        Some((globals, token)) => run(env, globals, |session| command::token::run(session, &token)),
        None if courier::is_called(&arguments) => carried(env),
        None => general(env, arguments),
    };
    ExitCode::from(exit.code())
}

/// The courier's errand. Its own function, as the next: what they put on the stack, a warm start need not touch.
#[inline(never)]
fn carried(env: Env) -> Exit {
    courier::run(env).unwrap_or_else(|failure| failure.exit)
}

/// Any invocation, by way of the whole command line.
#[inline(never)]
fn general(env: Env, arguments: Vec<OsString>) -> Exit {
    let matches = match command::definition().try_get_matches_from(arguments) {
        Ok(matches) => matches,
        Err(error) => return refused(env, &error),
    };
    let globals = match Globals::from_arg_matches(&matches) {
        Ok(globals) => globals,
        Err(error) => return refused(env, &error),
    };
    run(env, globals, |session| match command::chosen(&matches) {
        Some((command, matches)) => (command.run)(session, matches),
        None => command::overview(session),
    })
}

fn run(env: Env, globals: Globals, command: impl FnOnce(&Session) -> Result<Exit, Failure>) -> Exit {
    let (session, settled) = Session::new(env, globals);
    match settled.and_then(|()| command(&session)) {
        Ok(exit) => exit,
        Err(failure) => {
            session.output.failure(&failure);
            failure.exit
        }
    }
}

/// What the command line's own parser has to say: help on standard output, or what is wrong with the arguments.
fn refused(env: Env, error: &clap::Error) -> Exit {
    let (session, _) = Session::new(env, Globals::default());
    let shown = error.render();
    let is_help = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    if is_help {
        let text = if session.output.is_colourful() {
            shown.ansi().to_string()
        } else {
            shown.to_string()
        };
        return match session.output.data(&text) {
            Ok(()) => Exit::Done,
            Err(_) => Exit::Other,
        };
    }
    // What was typed is quoted, and might be a token that went astray.
    let text = jeton::core::redact::redact_tokens(&shown.to_string());
    let text = text.trim().trim_start_matches("error: ");
    session.output.failure(&Failure::usage(text));
    Exit::Usage
}
