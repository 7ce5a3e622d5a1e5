//! `jeton logout`: every trace is gone, here and, where it can be, at the issuer.
use super::Command;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::session::Session;
use jeton::profiles::{self, Profiles, Wishes};
use std::sync::Arc;

pub(super) const COMMAND: Command = Command {
    name: "logout",
    define: <Arguments as clap::Args>::augment_args,
    run: |session, matches| run(session, &super::arguments(matches)?),
};

const EXAMPLES: &str = "\
Examples:
  jeton logout cloud                    the profile cloud, and every profile that builds on it
  jeton logout --all

The refresh token is revoked where the issuer has an endpoint for it; what is on this machine is removed in any case.";

/// Log out of a profile, or of all
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// The profile
    #[arg(value_name = "PROFILE", required_unless_present = "all")]
    profile: Option<String>,
    /// Every profile
    #[arg(long, conflicts_with = "profile")]
    all: bool,
}

fn run(session: &Session, arguments: &Arguments) -> Result<Exit, Failure> {
    let config = Arc::new(session.config()?.clone());
    let names: Vec<String> = match &arguments.profile {
        Some(name) => vec![name.clone()],
        None => config.profiles.keys().cloned().collect(),
    };
    let (mut cx, progress) = session.context(&session.env);
    let (policy, timeout) = crate::plan::policy(session.layers()?, &crate::plan::Pace::default())?;
    cx.policy = policy;
    progress.within(timeout);
    session.run(&progress, async {
        let profiles = Profiles::new(config, cx.within(timeout), Wishes::default());
        let mut failed = None;
        for name in names {
            match profiles::logout(&profiles, &name).await {
                Ok(true) => session.output.note(&format!("logged out of {name}")),
                Ok(false) if arguments.all => {}
                Ok(false) => session
                    .output
                    .note(&format!("{name}: nobody was logged in; nothing is kept")),
                // Gone here all the same; the others are logged out too before this is told.
                Err(error) => failed = Some(error),
            }
        }
        if arguments.all {
            let forgotten = profiles::forget_everything(&profiles).await;
            failed = failed.or(forgotten.err());
        }
        failed.map_or(Ok(Exit::Done), |error| Err(Failure::from(error)))
    })
}
