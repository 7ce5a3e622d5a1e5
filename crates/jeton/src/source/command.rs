//! A program that prints a token: run without a shell, with a deadline, never left behind.
use crate::{Context, Env, Error};
use jeton_core::{Class, Secret, redact};
use rustix::process::{Pid, Signal, kill_process_group};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};

/// How long a program may take when the deadline does not end it earlier.
pub const COMMAND_TIMEOUT: Duration = Duration::from_secs(30);
/// The most that is read of what it prints, in bytes.
const OUTPUT_CAP: u64 = 1024 * 1024;
/// The most that is read of what it says beside that, in bytes.
const STDERR_CAP: u64 = 64 * 1024;
/// How many lines of that are passed on.
const STDERR_LINES: usize = 8;

/// Runs `argv` in the environment of `cx` and gives what it prints.
///
/// What it says on stderr is passed on line by line, redacted. It has no terminal and no input. It is in a process
/// group of its own, which is killed when the future is dropped or the time is up.
///
/// # Errors
/// [`Class::Config`] when it cannot be run, [`Class::Refused`] when it fails, [`Class::Timeout`],
/// [`Class::Protocol`] when it prints too much or no text.
pub async fn run(cx: &Context, argv: &[String]) -> Result<Secret, Error> {
    let Some((program, arguments)) = argv.split_first() else {
        return Err(Error::new(Class::Config, "there is no program in the command"));
    };
    let name = shown(program);
    let span = cx
        .left()
        .map_or(COMMAND_TIMEOUT, |left| left.min(COMMAND_TIMEOUT));
    let running = Running::start(cx, program, arguments, &name)?;
    match tokio::time::timeout(span, running.finish(cx, &name)).await {
        Ok(output) => output,
        Err(_) => Err(Error::new(
            Class::Timeout,
            format!(
                "{name} took longer than {:.1} s and was killed",
                span.as_secs_f64()
            ),
        )),
    }
}

/// Where a program is: a path, or found in `PATH`.
#[must_use]
pub fn find(env: &Env, program: &str) -> Option<PathBuf> {
    if program.contains('/') {
        return is_program(Path::new(program)).then(|| program.into());
    }
    let folders = env.get("PATH")?.split(':');
    folders
        .map(|folder| Path::new(folder).join(program))
        .find(|path| is_program(path))
}

fn is_program(path: &Path) -> bool {
    path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
}

/// A program's name in messages, without what somebody may have put there by mistake.
fn shown(program: &str) -> String {
    redact::foreign(program, &[])
}

/// A program that runs. Dropped, it is killed with all that it started.
struct Running {
    child: Child,
    group: Option<Pid>,
}

impl Running {
    fn start(cx: &Context, program: &str, arguments: &[String], name: &str) -> Result<Self, Error> {
        let path = find(&cx.env, program).ok_or_else(|| {
            Error::new(Class::Config, format!("there is no program {name}"))
                .with_hint("name one that is in PATH, or give its whole path")
        })?;
        let child = Command::new(path)
            .args(arguments)
            .env_clear()
            .envs(cx.env.iter())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| Error::new(Class::Config, format!("{name} cannot be run: {error}")))?;
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        let group = id.and_then(Pid::from_raw);
        Ok(Self { child, group })
    }

    async fn finish(mut self, cx: &Context, name: &str) -> Result<Secret, Error> {
        let (stdout, stderr) = (self.child.stdout.take(), self.child.stderr.take());
        let (printed, said) = tokio::join!(capped(stdout, OUTPUT_CAP), capped(stderr, STDERR_CAP));
        if printed.len() as u64 > OUTPUT_CAP {
            return Err(Error::new(
                Class::Protocol,
                format!("{name} printed more than {OUTPUT_CAP} bytes"),
            ));
        }
        let status = self.child.wait().await;
        self.group = None;
        let status = status.map_err(|error| Error::new(Class::Other, format!("{name} was lost: {error}")))?;
        let printed = String::from_utf8(printed)
            .map(Secret::new)
            .map_err(|_| Error::new(Class::Protocol, format!("{name} printed bytes that are no text")))?;
        let said = lines(&said, printed.reveal().trim());
        for line in &said {
            cx.observer.warning(&format!("{name}: {line}"));
        }
        if status.success() {
            return Ok(printed);
        }
        Err(failed(name, status, said.last()))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(group) = self.group {
            // It may have ended by itself in this moment; then there is nobody to kill.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// Reads up to one byte more than `cap`; what cannot be read ends it.
async fn capped(from: Option<impl AsyncRead + Unpin>, cap: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(from) = from {
        let _ = from.take(cap + 1).read_to_end(&mut bytes).await;
    }
    bytes
}

/// The last lines, without secrets.
fn lines(said: &[u8], token: &str) -> Vec<String> {
    let text = String::from_utf8_lossy(said);
    let all: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let last = all.len().saturating_sub(STDERR_LINES);
    all[last..]
        .iter()
        .map(|line| redact::foreign(line, &[token]))
        .collect()
}

fn failed(name: &str, status: ExitStatus, said: Option<&String>) -> Error {
    use std::os::unix::process::ExitStatusExt;
    let how = match (status.code(), status.signal()) {
        (Some(code), _) => format!("failed with exit code {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "failed".to_owned(),
    };
    let why = said.map(|line| format!(": {line}")).unwrap_or_default();
    Error::new(Class::Refused, format!("{name} {how}{why}"))
}

#[cfg(test)]
mod tests;
