//! `jeton login`: a person confirms once, commands work for long.
use super::Command;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::progress::Progress;
use crate::session::Session;
use crate::settings::variable as setting;
use jeton::duration;
use jeton::profiles::{Login, LoginFlow, LoginPrompt, Profiles, Prompted, Wishes};
use std::io::{IsTerminal, stderr, stdin};
use std::sync::Arc;
use std::time::Duration;

pub(super) const COMMAND: Command = Command {
    name: "login",
    define: <Arguments as clap::Args>::augment_args,
    run: |session, matches| run(session, &super::arguments(matches)?),
};

/// The time a person gets when nobody says otherwise.
const PATIENCE: Duration = Duration::from_secs(300);

const EXAMPLES: &str = "\
Examples:
  jeton login cloud                     as the profile says: in the browser, or with a code
  jeton login cloud --device            with a code, confirmed on any other screen
  jeton login cloud --no-open           print the page's address and open nothing

The profile is a `[profiles.NAME]` of config.toml with `grant = \"device\"` or `\"browser\"`.
With CI set, say --device or --browser in so many words. Over SSH the device flow is used where it can be.";

/// Log in to a profile
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// The profile
    #[arg(value_name = "PROFILE")]
    profile: String,
    /// In a browser on this machine
    #[arg(long, conflicts_with = "device")]
    browser: bool,
    /// With a code that is confirmed elsewhere
    #[arg(long)]
    device: bool,
    /// Open no browser, only print the address
    #[arg(long)]
    no_open: bool,
    /// How long to wait for the person [default: 5m]
    #[arg(long, value_name = "D")]
    timeout: Option<String>,
}

fn run(session: &Session, arguments: &Arguments) -> Result<Exit, Failure> {
    let timeout = session
        .layers()?
        .duration(&setting::TIMEOUT, arguments.timeout.as_ref())?;
    let asked = match (arguments.browser, arguments.device) {
        (true, _) => Some(LoginFlow::Browser),
        (_, true) => Some(LoginFlow::Device),
        _ => None,
    };
    if asked.is_none() && session.env.is_true("CI") {
        return Err(
            Failure::usage("login: CI is set, and nobody may be there to log in")
                .with_hint("say --device or --browser if somebody is"),
        );
    }
    let login = log_in(
        session,
        &arguments.profile,
        asked,
        !arguments.no_open,
        timeout.unwrap_or(PATIENCE),
    )?;
    session.output.note(&done(&login));
    Ok(Exit::Done)
}

fn done(login: &Login) -> String {
    let who = login
        .subject
        .as_ref()
        .map(|subject| format!(" as {subject}"))
        .unwrap_or_default();
    let lasting = match login.lasting {
        true => "",
        false => {
            "; the issuer gave no refresh token, so this lasts as long as the token does (ask for offline_access)"
        }
    };
    format!("logged in to {}{who}{lasting}", login.profile)
}

/// Whether a command that is no login may start one: a person is there, and the profile says that he may be asked.
fn may_ask(session: &Session, interactive: bool) -> bool {
    interactive && !session.env.is_true("CI") && stdin().is_terminal() && stderr().is_terminal()
}

/// After a command has failed: logs in, if a login is what was missing and the person who is there may be asked.
/// Returns whether it is worth to try again.
pub(super) fn log_in_where_asked(session: &Session, profile: Option<&str>) -> Result<bool, Failure> {
    let Some(name) = profile else { return Ok(false) };
    let config = session.config()?;
    // Nobody is there: what is missing was said already.
    if !may_ask(session, true) {
        return Ok(false);
    }
    let interactive = config
        .profiles
        .get(name)
        .is_some_and(|profile| profile.interactive);
    let (cx, _) = session.context(&session.env);
    let profiles = Profiles::new(Arc::new(config.clone()), cx, Wishes::default());
    let Some(login) = profiles.missing_login(name) else {
        return Ok(false);
    };
    if !may_ask(session, interactive || login.interactive) {
        return Ok(false);
    }
    let message = done(&log_in(session, &login.name, None, true, PATIENCE)?);
    session.output.note(&message);
    Ok(true)
}

/// Logs in.
fn log_in(
    session: &Session,
    profile: &str,
    asked: Option<LoginFlow>,
    open: bool,
    timeout: Duration,
) -> Result<Login, Failure> {
    let config = Arc::new(session.config()?.clone());
    let (mut cx, progress) = session.context(&session.env);
    cx.policy = crate::plan::policy(session.layers()?, &crate::plan::Pace::default())?.0;
    let runtime_cx = cx.clone();
    let shown = Shown::new(session, &progress, open, timeout);
    progress.within(timeout);
    session.run(&progress, async {
        let cx = runtime_cx.within(timeout);
        let profiles = Profiles::new(
            config,
            cx,
            Wishes {
                timeout: Some(timeout),
                ..Wishes::default()
            },
        );
        let flow = flow(session, profiles.flow(profile)?, asked);
        profiles.login(profile, flow, &shown).await.map_err(Failure::from)
    })
}

/// A browser that would open on another machine's screen is of no use: over SSH the device flow is taken.
fn flow(session: &Session, own: LoginFlow, asked: Option<LoginFlow>) -> LoginFlow {
    let remote = ["SSH_CONNECTION", "SSH_TTY"]
        .iter()
        .any(|name| session.env.get(name).is_some());
    match asked {
        Some(flow) => flow,
        None if own == LoginFlow::Browser && remote && session.env.get("DISPLAY").is_none() => {
            session
                .output
                .note("this is an SSH session without a screen: using the device flow (--browser insists)");
            LoginFlow::Device
        }
        None => own,
    }
}

/// Shows a person what he has to do to log in.
pub(crate) struct Shown {
    output: Arc<Output>,
    progress: Progress,
    /// Whether a browser is opened.
    open: bool,
    timeout: Duration,
}

impl Shown {
    /// Nobody is there to see a window that opens by itself in CI.
    pub(crate) fn new(session: &Session, progress: &Progress, open: bool, timeout: Duration) -> Self {
        let watched = stderr().is_terminal() && !session.env.is_true("CI");
        Self {
            output: Arc::clone(&session.output),
            progress: progress.clone(),
            open: open && watched,
            timeout,
        }
    }
}

impl LoginPrompt for Shown {
    fn show(&self, what: &Prompted<'_>) {
        let output = &self.output;
        let page = match what {
            Prompted::Browser(url) => {
                output.prompt(&format!("To log in, visit:\n\n  {url}\n"));
                url.as_str().to_owned()
            }
            Prompted::Device(device) => {
                let life = duration::show(device.expires_in.min(self.timeout));
                output.prompt(&format!(
                    "To log in, visit:\n\n  {}\n\nand confirm the code (within {life}):\n\n  {}\n",
                    device.verification_uri, device.user_code
                ));
                device
                    .verification_uri_complete
                    .as_ref()
                    .unwrap_or(&device.verification_uri)
                    .clone()
            }
        };
        if self.open && webbrowser::open(&page).is_err() {
            output.detail("no browser could be opened");
        }
        self.progress.doing("waiting for the login to be confirmed");
    }
}
