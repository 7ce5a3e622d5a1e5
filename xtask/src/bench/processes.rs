//! Whole processes: warm, cold, and fifty at once.

use super::{Figures, Programs};
use crate::strangers::Issuer;
use crate::workspace::Workspace;
use crate::{Outcome, report};
use std::path::Path;
use std::process::{Command, Stdio};

/// How often each program is started.
pub(super) const RUNS: usize = 400;

/// Slow programs are started less often.
const FEW_RUNS: usize = 20;

/// How many processes start at once on a cold cache.
const HERD: usize = 50;

pub(super) const AUDIENCE: &str = "https://registry.example.com";

/// Times programs and gives the medians.
pub(super) fn measure(workspace: &Workspace, programs: &Programs) -> Outcome<Figures> {
    let folder = workspace.target.join("bench");
    let home = folder.join("home");
    std::fs::create_dir_all(&home).map_err(|fault| format!("{}: {fault}", home.display()))?;
    let issuer = Issuer::start(&programs.jeton, &folder, "RS256")?;
    let place = Place {
        jeton: &programs.jeton,
        home: &home,
        variables: issuer.environment("github")?,
    };
    let mut figures = Figures::new();
    let mut keep = |name: &str, value: Option<f64>| {
        if let Some(value) = value {
            figures.insert(name.into(), (value, "ms".into()));
        }
    };

    let token = place.output(&[])?;
    let file = folder.join("token");
    std::fs::write(&file, token.trim_end()).map_err(|fault| format!("{}: {fault}", file.display()))?;
    let warm: [(&str, &dyn Fn() -> Command); 3] = [
        ("warm floor: read a file and print it", &|| {
            on_file(&programs.floor, &file)
        }),
        ("warm cat", &|| on_file(Path::new("/bin/cat"), &file)),
        ("warm jeton", &|| place.command(&[])),
    ];
    // In turns: a machine that slows down for a moment slows all of them.
    let mut times: [Vec<f64>; 3] = Default::default();
    for _ in 0..RUNS {
        for ((_, command), times) in warm.iter().zip(&mut times) {
            times.extend(timed(command()));
        }
    }
    for ((name, _), mut times) in warm.into_iter().zip(times) {
        keep(name, middle(&mut times));
    }

    keep("cold jeton", median(RUNS, || place.command(&["--no-cache"])));
    keep(
        "cold ambient-id",
        median(RUNS, || place.peer(&programs.peers.join("ambient"))),
    );
    keep("cold curl", median(RUNS, || place.curl()));
    let python = workspace.target.join("strangers/python");
    keep("cold python id", median(FEW_RUNS, || place.python_id(&python)));

    issuer.forget()?;
    let cold = folder.join("cold");
    let _ = std::fs::remove_dir_all(&cold);
    std::fs::create_dir_all(&cold).map_err(|fault| format!("{}: {fault}", cold.display()))?;
    let herd = Place { home: &cold, ..place };
    let children: Vec<_> = (0..HERD).filter_map(|_| herd.command(&[]).spawn().ok()).collect();
    for mut child in children {
        let ended = child.wait();
        if !ended.is_ok_and(|status| status.success()) {
            report::note("a process of the herd failed");
        }
    }
    figures.insert(
        "herd of 50 processes: calls".into(),
        (issuer.calls("github")?, "calls".into()),
    );
    Ok(figures)
}

/// The surroundings of a job.
pub(super) struct Place<'a> {
    pub(super) jeton: &'a Path,
    pub(super) home: &'a Path,
    pub(super) variables: Vec<(String, String)>,
}

impl Place<'_> {
    pub(super) fn scrubbed(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("HOME", self.home)
            .env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    pub(super) fn command(&self, flags: &[&str]) -> Command {
        let mut command = self.scrubbed(self.jeton);
        command.args(["token", "--audience", AUDIENCE]).args(flags);
        command
    }

    pub(super) fn output(&self, flags: &[&str]) -> Outcome<String> {
        let done = self
            .command(flags)
            .stdout(Stdio::piped())
            .output()
            .map_err(|fault| fault.to_string())?;
        String::from_utf8(done.stdout).map_err(|fault| fault.to_string())
    }

    fn peer(&self, program: &Path) -> Command {
        self.scrubbed(program)
    }

    fn curl(&self) -> Command {
        let value = |name: &str| {
            let found = self.variables.iter().find(|(variable, _)| variable == name);
            found.map(|(_, value)| value.clone()).unwrap_or_default()
        };
        let url = value("ACTIONS_ID_TOKEN_REQUEST_URL");
        let joint = if url.contains('?') { '&' } else { '?' };
        let mut command = self.scrubbed(Path::new("curl"));
        command.arg("-sSf").arg(format!("{url}{joint}audience=x"));
        command.arg("-H").arg(format!(
            "Authorization: Bearer {}",
            value("ACTIONS_ID_TOKEN_REQUEST_TOKEN")
        ));
        command
    }

    fn python_id(&self, packages: &Path) -> Command {
        let mut command = self.scrubbed(Path::new("python3"));
        command.env("PYTHONPATH", packages).args(["-m", "id", AUDIENCE]);
        command
    }
}

fn on_file(program: &Path, file: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .arg(file)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
}

/// The median time of a whole process in milliseconds; none where it cannot be run or fails.
fn median(runs: usize, command: impl Fn() -> Command) -> Option<f64> {
    let mut times = Vec::with_capacity(runs);
    for _ in 0..runs {
        times.push(timed(command())?);
    }
    middle(&mut times)
}

/// How long one process takes, in milliseconds; none where it cannot be run or fails.
pub(super) fn timed(mut command: Command) -> Option<f64> {
    let watch = report::Stopwatch::start();
    let status = command.status().ok()?;
    let time = watch.elapsed().as_secs_f64() * 1e3;
    if status.success() {
        return Some(time);
    }
    let program = command.get_program().to_string_lossy();
    report::note(&format!("{program} failed: {status}"));
    None
}

pub(super) fn middle(times: &mut [f64]) -> Option<f64> {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied()
}
