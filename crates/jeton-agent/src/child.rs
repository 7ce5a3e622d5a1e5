//! Another program, started so that signals, exit codes and its end are what a shell would make of them.
use crate::redaction::{Redactor, Secrets};
use jeton::{Env, Error};
use jeton_core::Class;
use rustix::process::{Pid, Signal};
use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};

/// What proves a platform's identity to its own endpoints: kept from the child unless it is asked for, since whoever
/// has it can be anybody there.
pub const KEPT_FROM_CHILD: [&str; 18] = [
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
    "ACTIONS_ID_TOKEN_REQUEST_URL",
    "ACTIONS_RUNTIME_TOKEN",
    "AMBIENT_CP_TOKEN_PUBLIC_KEY",
    "AMBIENT_CP_TOKEN_URL",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "BOT_TOKEN",
    "BUILDKITE_AGENT_ACCESS_TOKEN",
    "BUILDKITE_AGENT_JOB_API_TOKEN",
    "CF_OIDC_REQUEST_TOKEN",
    "CF_OIDC_REQUEST_URL",
    "IDENTITY_HEADER",
    "JETON_SESSION_TOKEN",
    "JETON_TOKEN",
    "MSI_SECRET",
    "SYSTEM_ACCESSTOKEN",
];

/// The exit code of a program that is there and cannot be run.
const CANNOT_RUN: u8 = 126;
/// The exit code of a program that is not there.
const NO_PROGRAM: u8 = 127;
/// What is added to a signal's number.
const SIGNALLED: i32 = 128;
/// What a terminal sends to every program in its foreground, so to the child as well.
const FROM_KEYBOARD: [Signal; 3] = [Signal::INT, Signal::QUIT, Signal::WINCH];
/// How long what the child left behind in its output may take: somebody it started may hold the other end for ever.
const REST_TIME: Duration = Duration::from_millis(500);
/// How much is read at once from a child whose output is redacted, in bytes.
const CHUNK: usize = 16 * 1024;

/// A program that is to run.
pub struct Child<'a> {
    /// The program and its arguments.
    pub command: &'a [OsString],
    /// The environment that it starts from.
    pub env: &'a Env,
    /// Variables on top of it.
    pub variables: Vec<(String, String)>,
    /// Variables that are passed on although [`KEPT_FROM_CHILD`] names them.
    pub pass: Vec<String>,
    /// Is told the child's process id.
    pub started: Option<Box<dyn FnOnce(u32) + Send + 'a>>,
    /// What must not be seen in its output; `None`: its output is its own.
    pub redact: Option<Secrets>,
}

impl Child<'_> {
    /// Runs it to its end, passing signals on. The result is the exit code as a shell would have it: its own, 128 and
    /// the signal's number when it died of one, 126 or 127 when it could not be run.
    ///
    /// # Errors
    /// `Class::Config` for an empty command, `Class::Other` when the system is out of something.
    pub async fn run(self) -> Result<u8, Error> {
        let (program, arguments) = self
            .command
            .split_first()
            .ok_or_else(|| Error::new(Class::Config, "what should be run? write it after `--`"))?;
        let mut command = Command::new(program);
        command.args(arguments).env_clear().kill_on_drop(true);
        let kept = |name: &str| KEPT_FROM_CHILD.contains(&name) && !self.pass.iter().any(|p| p == name);
        command.envs(self.env.iter().filter(|(name, _)| !kept(name)));
        command.envs(self.variables.iter().map(|(n, v)| (n, v)));
        if self.redact.is_some() {
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
        }
        // Before there is a child: a signal that came in between would end us and leave it behind.
        let signals = Signals::catch();
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(NO_PROGRAM),
            Err(e) if matches!(e.kind(), ErrorKind::PermissionDenied | ErrorKind::InvalidInput) => {
                return Ok(CANNOT_RUN);
            }
            Err(e) if e.raw_os_error() == Some(rustix::io::Errno::NOEXEC.raw_os_error()) => {
                return Ok(CANNOT_RUN);
            }
            Err(e) => return Err(Error::new(Class::Other, format!("{}: {e}", program.display()))),
        };
        if let (Some(started), Some(id)) = (self.started, child.id()) {
            started(id);
        }
        let secrets = self.redact.unwrap_or_default();
        let out = pass_on(child.stdout.take(), tokio::io::stdout(), secrets.clone());
        let err = pass_on(child.stderr.take(), tokio::io::stderr(), secrets);
        let pid = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let waiting = async {
            let mut streams = std::pin::pin!(async { tokio::join!(out, err) });
            let mut streams_end = false;
            let status = tokio::select! {
                status = child.wait() => status,
                _ = &mut streams => {
                    streams_end = true;
                    child.wait().await
                }
            };
            if !streams_end {
                let _ = tokio::time::timeout(REST_TIME, streams).await;
            }
            status
        };
        let status = tokio::select! {
            status = waiting => status,
            never = signals.forward(pid) => match never {},
        };
        status
            .map(code)
            .map_err(|e| Error::new(Class::Other, format!("{}: {e}", program.display())))
    }
}

fn code(status: ExitStatus) -> u8 {
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| SIGNALLED + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

/// Every signal that a person or a supervisor may send, caught.
struct Signals(Vec<(tokio::signal::unix::Signal, Signal)>);

impl Signals {
    fn catch() -> Self {
        let forwarded = [
            (SignalKind::terminate(), Signal::TERM),
            (SignalKind::hangup(), Signal::HUP),
            (SignalKind::quit(), Signal::QUIT),
            (SignalKind::user_defined1(), Signal::USR1),
            (SignalKind::user_defined2(), Signal::USR2),
            (SignalKind::interrupt(), Signal::INT),
            (SignalKind::window_change(), Signal::WINCH),
        ];
        let caught = forwarded
            .into_iter()
            .filter_map(|(kind, sent)| Some((signal(kind).ok()?, sent)));
        Self(caught.collect())
    }

    /// Passes them on. The terminal sends Ctrl-C to the child as well: it is in our process group, so what came from the
    /// keyboard is not sent twice.
    async fn forward(self, pid: Option<Pid>) -> std::convert::Infallible {
        let pass = |(mut stream, sent): (tokio::signal::unix::Signal, Signal)| async move {
            while stream.recv().await.is_some() {
                if let Some(pid) = pid
                    && !(FROM_KEYBOARD.contains(&sent) && is_foreground())
                {
                    let _ = rustix::process::kill_process(pid, sent);
                }
            }
        };
        futures_util::future::join_all(self.0.into_iter().map(pass)).await;
        std::future::pending().await
    }
}

/// Whether our process group is the one that the terminal sends its signals to: the terminal that controls us, wherever
/// our input comes from.
fn is_foreground() -> bool {
    let terminal = std::fs::File::open("/dev/tty");
    terminal.is_ok_and(|terminal| {
        rustix::termios::tcgetpgrp(&terminal).is_ok_and(|group| group == rustix::process::getpgrp())
    })
}

/// Copies a stream, without the secrets in it.
async fn pass_on(from: Option<impl AsyncRead + Unpin>, mut to: impl AsyncWrite + Unpin, secrets: Secrets) {
    let Some(mut from) = from else { return };
    let mut redactor = Redactor::new(secrets);
    let mut chunk = vec![0u8; CHUNK];
    loop {
        let read = from.read(&mut chunk).await.unwrap_or(0);
        let clean = if read == 0 {
            redactor.finish()
        } else {
            redactor.push(&chunk[..read])
        };
        // A reader who has gone is the child's business: it gets its SIGPIPE from its own writes' end.
        if to.write_all(&clean).await.is_err() || to.flush().await.is_err() || read == 0 {
            return;
        }
    }
}
