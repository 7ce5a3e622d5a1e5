//! `cargo xtask strangers`: other people's clients and servers against ours.
//!
//! Everything is installed below `target/strangers`, pinned by the lock files in `tests/strangers`, through npm and
//! pip as this machine has them set up. Scripts run there, because Node looks for packages beside the script.

use crate::run::{self, Tally};
use crate::workspace::Workspace;
use crate::{Outcome, report, suite};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Where the scripts and lock files are.
const SCRIPTS: &str = "tests/strangers";

/// What a headless Chromium is called.
const CHROMIUMS: &[&str] = &["chromium-headless-shell", "chromium", "google-chrome"];

/// A keyring for a session bus of its own.
const KEYRING: [&str; 3] = ["gnome-keyring", "libsecret-tools", "dbus"];

/// How long our issuer may take to start.
const START: Duration = Duration::from_secs(10);

/// How long one script may take.
const LONGEST: Duration = Duration::from_secs(60);

/// How long one of the night's may take.
const LONGEST_NIGHT: Duration = Duration::from_secs(900);

/// How often we look whether something has started or ended.
const LOOK: Duration = Duration::from_millis(20);

/// The algorithms that the issuer's tokens are verified in by every stranger.
const ALGORITHMS: &[&str] = &["RS256", "ES256", "EdDSA"];

/// The recipe; an argument chooses the scripts whose names hold it.
pub(crate) fn strangers(workspace: &Workspace, arguments: &[String]) -> Outcome {
    suite::finish(meet(workspace, arguments.first().map(String::as_str))?)
}

/// Installs what is missing and runs every script.
pub(crate) fn meet(workspace: &Workspace, chosen: Option<&str>) -> Outcome<Tally> {
    let jeton = workspace.program("jeton")?;
    let folder = workspace.target.join("strangers");
    install(workspace, &folder)?;
    if !run::is_here("gnome-keyring-daemon", "--version") && !run::install(&KEYRING) {
        report::note("skipped: GNOME Keyring is not here and cannot be installed; no keyring was tried");
    }
    let mut tally = Tally::default();
    for (round, algorithm) in ALGORITHMS.iter().enumerate() {
        let issuer = Issuer::start(&jeton, &folder, algorithm)?;
        for script in scripts(workspace)?
            .iter()
            .filter(|script| chosen.is_none_or(|word| script.contains(word)))
        {
            // Who brings a provider of his own sees none of the difference.
            if round > 0 && !asks_our_issuer(&folder.join(script)) {
                continue;
            }
            let ok = run_script(&workspace.root, &folder, script, &jeton, &issuer.url, LONGEST)?;
            report::line(&format!(
                "stranger {script} ({algorithm}) ... {}",
                if ok { "ok" } else { "FAILED" }
            ));
            tally.count(ok);
        }
    }
    Ok(tally)
}

fn asks_our_issuer(script: &Path) -> bool {
    std::fs::read_to_string(script).is_ok_and(|text| text.contains("JETON_ISSUER"))
}

/// What is too much to install for every check: pages in a headless Chromium, where one is installed, and schemathesis.
pub(crate) fn night(workspace: &Workspace) -> Outcome<Tally> {
    const PAGES: [&str; 2] = ["chromium_pages.py", "chromium_logs_in.mjs"];
    const WALK: &str = "schemathesis_walks.py";
    let jeton = workspace.program("jeton")?;
    let folder = workspace.target.join("strangers");
    install(workspace, &folder)?;
    let source = workspace.root.join(SCRIPTS);
    let mut chosen = vec![WALK];
    if CHROMIUMS.iter().any(|name| run::is_here(name, "--version")) {
        chosen.extend(PAGES);
    } else {
        report::note("no Chromium is installed: its pages are left out");
    }
    let night = source.join("night");
    install_python(&folder, "night-python", &night.join("requirements.txt"))?;
    let issuer = Issuer::start(&jeton, &folder, ALGORITHMS[0])?;
    let mut tally = Tally::default();
    for script in chosen {
        copy(&night.join(script), &folder.join(script))?;
        tally.count(run_script(
            &workspace.root,
            &folder,
            script,
            &jeton,
            &issuer.url,
            LONGEST_NIGHT,
        )?);
    }
    Ok(tally)
}

/// The scripts, by name.
fn scripts(workspace: &Workspace) -> Outcome<Vec<String>> {
    here(workspace, &[".mjs", ".py"])
}

/// What is in the folder and ends so. A `.js` is a module that scripts share, and is not run by itself.
fn here(workspace: &Workspace, endings: &[&str]) -> Outcome<Vec<String>> {
    let files = workspace.files()?;
    let here = files
        .iter()
        .filter_map(|name| name.strip_prefix(SCRIPTS)?.strip_prefix('/'));
    Ok(here
        .filter(|name| !name.contains('/') && endings.iter().any(|ending| name.ends_with(ending)))
        .map(str::to_owned)
        .collect())
}

fn run_script(
    root: &Path,
    folder: &Path,
    script: &str,
    jeton: &Path,
    issuer: &str,
    longest: Duration,
) -> Outcome<bool> {
    let program = if script.ends_with(".py") {
        "python3"
    } else {
        "node"
    };
    let mut command = Command::new(program);
    command
        .arg(folder.join(script))
        .current_dir(folder)
        .stdin(Stdio::null());
    command.env("JETON", jeton).env("JETON_ISSUER", issuer);
    command.env("PROJECT", root);
    command
        .env("PYTHONPATH", python_path(folder)?)
        .env("PYTHONDONTWRITEBYTECODE", "1");
    let variables = std::env::vars_os().filter(|(name, _)| is_foreign(&name.to_string_lossy()));
    for (name, _) in variables {
        command.env_remove(name);
    }
    let log = folder.join("log");
    let file = || std::fs::File::options().append(true).create(true).open(&log);
    let logs = std::fs::write(&log, "").and_then(|()| Ok((file()?, file()?)));
    let (stdout, stderr) = logs.map_err(|fault| format!("{}: {fault}", log.display()))?;
    let child = command.stdout(stdout).stderr(stderr).spawn();
    let mut child = child.map_err(|fault| format!("{program} did not start: {fault}"))?;
    let ok = ends_well(&mut child, longest);
    if !ok {
        report::note(&std::fs::read_to_string(&log).unwrap_or_default());
    }
    Ok(ok)
}

/// Waits for a script, but not for ever.
fn ends_well(child: &mut Child, longest: Duration) -> bool {
    let watch = report::Stopwatch::start();
    while watch.elapsed() < longest {
        if let Ok(Some(status)) = child.try_wait() {
            return status.success();
        }
        std::thread::sleep(LOOK);
    }
    report::note(&format!("it has not ended in {} s", longest.as_secs()));
    end(child);
    false
}

/// Ends a program and waits for it. It may have ended already; nothing is left to do then.
pub(crate) fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

/// Variables of the place where the tests run, which would make clients take it for the platform under test.
fn is_foreign(name: &str) -> bool {
    const OURS: &[&str] = &["JETON", "JETON_ISSUER", "PROJECT"];
    const PLATFORMS: &[&str] = &[
        "GITHUB_",
        "ACTIONS_",
        "GITLAB_",
        "BUILDKITE",
        "CIRCLE",
        "JETON_",
        "HTTP_PROXY",
        "http_proxy",
    ];
    !OURS.contains(&name) && PLATFORMS.iter().any(|prefix| name.starts_with(prefix))
}

/// Installs the pinned packages, unless exactly these are there, and puts the scripts beside them.
fn install(workspace: &Workspace, folder: &Path) -> Outcome {
    const LOCKS: &[&str] = &["package.json", "package-lock.json", ".npmrc", "requirements.txt"];
    make(folder)?;
    let source = workspace.root.join(SCRIPTS);
    for script in here(workspace, &[".mjs", ".js", ".py"])? {
        copy(&source.join(&script), &folder.join(&script))?;
    }
    let wanted: String = LOCKS
        .iter()
        .filter_map(|name| std::fs::read_to_string(source.join(name)).ok())
        .collect();
    let stamp = folder.join("installed");
    if std::fs::read_to_string(&stamp).is_ok_and(|there| there == wanted) {
        return Ok(());
    }
    for name in LOCKS {
        copy(&source.join(name), &folder.join(name))?;
    }
    let mut npm = Command::new("npm");
    run::check(
        folder,
        npm.args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"]),
    )?;
    install_python(folder, "python", &folder.join("requirements.txt"))?;
    std::fs::write(&stamp, wanted).map_err(|fault| format!("{}: {fault}", stamp.display()))
}

/// Where Python looks for packages: those of every check first.
fn python_path(folder: &Path) -> Outcome<std::ffi::OsString> {
    let folders = ["python", "night-python"].map(|name| folder.join(name));
    std::env::join_paths(folders).map_err(|fault| fault.to_string())
}

/// Installs exactly what a lock file names into a folder of its own, unless that is there.
fn install_python(folder: &Path, name: &str, lock: &Path) -> Outcome {
    let python = folder.join(name);
    let stamp = python.join("installed");
    let wanted = std::fs::read(lock).map_err(|fault| format!("{}: {fault}", lock.display()))?;
    if std::fs::read(&stamp).is_ok_and(|there| there == wanted) {
        return Ok(());
    }
    if python.exists() {
        std::fs::remove_dir_all(&python).map_err(|fault| format!("{}: {fault}", python.display()))?;
    }
    let mut pip = Command::new("python3");
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--only-binary=:all:",
    ]);
    pip.arg("--root-user-action=ignore").arg("--target").arg(&python);
    run::check(folder, pip.arg("--requirement").arg(lock))?;
    std::fs::write(&stamp, wanted).map_err(|fault| format!("{}: {fault}", stamp.display()))
}

fn make(folder: &Path) -> Outcome {
    std::fs::create_dir_all(folder).map_err(|fault| format!("{}: {fault}", folder.display()))
}

fn copy(from: &Path, to: &Path) -> Outcome {
    std::fs::copy(from, to)
        .map(drop)
        .map_err(|fault| format!("{}: {fault}", from.display()))
}

/// A running `jeton issuer`; it ends with this value.
pub(crate) struct Issuer {
    url: String,
    child: Child,
}

impl Issuer {
    /// Where it is.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Starts one on any free port of loopback.
    pub(crate) fn start(jeton: &Path, folder: &Path, algorithm: &str) -> Outcome<Self> {
        let url_file: PathBuf = folder.join("issuer.url");
        if url_file.exists() {
            std::fs::remove_file(&url_file).map_err(|fault| format!("{}: {fault}", url_file.display()))?;
        }
        let child = Command::new(jeton)
            .args([
                "issuer",
                "--listen=127.0.0.1:0",
                "--algorithm",
                algorithm,
                "--url-file",
            ])
            .arg(&url_file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|fault| format!("jeton issuer did not start: {fault}"))?;
        let mut issuer = Self {
            url: String::new(),
            child,
        };
        let watch = report::Stopwatch::start();
        while watch.elapsed() < START {
            let text = std::fs::read_to_string(&url_file).unwrap_or_default();
            if !text.trim().is_empty() {
                issuer.url = text.trim().to_owned();
                return Ok(issuer);
            }
            std::thread::sleep(LOOK);
        }
        Err("jeton issuer wrote no URL".into())
    }
}

/// What the issuer is asked by somebody who steers it. curl asks: nothing else here speaks HTTP.
impl Issuer {
    /// The variables that make a program take it for `platform`.
    pub(crate) fn environment(&self, platform: &str) -> Outcome<Vec<(String, String)>> {
        let text = self.ask(&["-sSf"], &format!("/_environment/{platform}?format=json"))?;
        let variables: std::collections::BTreeMap<String, String> =
            serde_json::from_str(&text).map_err(|fault| format!("the environment of {platform}: {fault}"))?;
        Ok(variables.into_iter().collect())
    }

    /// Forgets what it was asked so far.
    pub(crate) fn forget(&self) -> Outcome {
        self.ask(&["-sSf", "-X", "DELETE"], "/_requests").map(drop)
    }

    /// How often `route` was asked.
    pub(crate) fn calls(&self, route: &str) -> Outcome<f64> {
        let text = self.ask(&["-sSf"], &format!("/_requests?route={route}"))?;
        let answer: serde_json::Value =
            serde_json::from_str(&text).map_err(|fault| format!("the record of {route}: {fault}"))?;
        answer["count"]
            .as_f64()
            .ok_or_else(|| "the record has no count".into())
    }

    fn ask(&self, flags: &[&str], path: &str) -> Outcome<String> {
        let mut curl = Command::new("curl");
        run::output(
            Path::new("."),
            curl.args(flags).arg(format!("{}{path}", self.url)),
        )
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_of_the_place_are_hidden_and_ours_are_not() {
        let facts = [
            ("GITHUB_ACTIONS", true),
            ("ACTIONS_ID_TOKEN_REQUEST_URL", true),
            ("JETON_TIMEOUT", true),
            ("JETON", false),
            ("JETON_ISSUER", false),
            ("PATH", false),
        ];
        for (name, expected) in facts {
            assert_eq!(is_foreign(name), expected, "{name}");
        }
    }
}
