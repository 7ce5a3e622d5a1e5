//! The broker's tests once more, on a real PostgreSQL: a throwaway cluster, as another user, gone at the end.

use crate::Outcome;
use crate::report;
use crate::run::{self, Tally};
use crate::workspace::Workspace;
use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The variable by which the tests find the server.
const SERVER: &str = "JETON_TEST_POSTGRES";
/// The variable that says how often a broker is killed, and how often it is at night.
const KILLS: &str = "JETON_TEST_KILLS";
const NIGHT_KILLS: &str = "100";
/// The variable that says how many samples a comparison of times takes, and how many it takes at night.
const SAMPLES: &str = "JETON_TEST_SAMPLES";
const NIGHT_SAMPLES: &str = "2000";
/// Where Debian keeps the programs, one folder for each version.
const DEBIAN: &str = "/usr/lib/postgresql";
/// `nobody`, on every Linux: PostgreSQL does not run as root.
const NOBODY: u32 = 65_534;

/// The recipe.
pub(crate) fn postgres(workspace: &Workspace, _: &[String]) -> Outcome {
    crate::suite::finish(meet(workspace)?)
}

/// Runs them; where PostgreSQL cannot be installed, says so in one line and counts nothing.
pub(crate) fn meet(workspace: &Workspace) -> Outcome<Tally> {
    let Some(programs) = programs().or_else(install) else {
        report::note(
            "skipped: PostgreSQL is not here and cannot be installed; the broker was tried on SQLite only",
        );
        return Ok(Tally::default());
    };
    let cluster = Cluster::start(&programs)?;
    let mut tests = test("jeton-broker", "running");
    // Each test has a database of its own, and each broker its connections.
    tests.args(["--", "--test-threads=4"]).env(SERVER, &cluster.url);
    let mut tally = run::count(&workspace.root, &mut tests)?;
    let mut kills = test("jeton-cli", "broker");
    kills
        .args(["after_every_kill_on_postgresql"])
        .env(SERVER, &cluster.url);
    tally.add(run::count(&workspace.root, &mut kills)?);
    Ok(tally)
}

/// A hundred kills under load, on each database; and whether what is there and what is not take the same time, with
/// as many samples as that takes to see.
pub(crate) fn night(workspace: &Workspace) -> Outcome<Tally> {
    let mut times = test("jeton-broker", "running");
    times.args(["take_the_same_time"]).env(SAMPLES, NIGHT_SAMPLES);
    let mut tally = run::count(&workspace.root, &mut times)?;
    let mut kills = test("jeton-cli", "broker");
    kills.args(["after_every_kill", "--", "--nocapture", "--test-threads=1"]);
    kills.env(KILLS, NIGHT_KILLS);
    let cluster = programs()
        .or_else(install)
        .map(|programs| Cluster::start(&programs))
        .transpose()?;
    match &cluster {
        Some(cluster) => drop(kills.env(SERVER, &cluster.url)),
        None => report::note("no PostgreSQL: the broker is killed on SQLite only"),
    }
    tally.add(run::count(&workspace.root, &mut kills)?);
    Ok(tally)
}

fn test(package: &str, target: &str) -> Command {
    run::cargo(&["test", "--locked", "--package", package, "--test", target])
}

/// The folder of `initdb` and `pg_ctl`: of the newest version.
pub(crate) fn programs() -> Option<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(DEBIAN)
        .ok()?
        .flatten()
        .map(|entry| entry.path().join("bin"))
        .filter(|bin| bin.join("initdb").is_file())
        .collect();
    found.sort();
    found.pop()
}

fn install() -> Option<PathBuf> {
    run::install(&["postgresql"]).then(programs)?
}

/// A server that runs until this is dropped.
pub(crate) struct Cluster {
    /// Its URL, without a database.
    pub(crate) url: String,
    programs: PathBuf,
    folder: PathBuf,
}

impl Cluster {
    pub(crate) fn start(programs: &Path) -> Outcome<Self> {
        let wrong = |what: &'static str| move |fault: std::io::Error| format!("PostgreSQL: {what}: {fault}");
        let folder = std::env::temp_dir().join(format!("jeton-postgres-{}", std::process::id()));
        std::fs::create_dir(&folder).map_err(wrong("a folder"))?;
        if run::is_root() {
            chown(&folder, Some(NOBODY), Some(NOBODY)).map_err(wrong("its folder"))?;
        }
        // A port that was free a moment ago is free.
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|free| free.local_addr())
            .map_err(wrong("a port"))?;
        let cluster = Self {
            url: format!("postgres://test@{port}"),
            programs: programs.to_owned(),
            folder,
        };
        let data = cluster.data();
        let mut init = cluster.program("initdb");
        init.args([
            "--username=test",
            "--auth=trust",
            "--encoding=UTF8",
            "--no-sync",
            "--pgdata",
        ])
        .arg(&data);
        run::output(&cluster.folder, &mut init)?;
        let socket = cluster.folder.display();
        let options = format!(
            "-c listen_addresses=127.0.0.1 -p {} -k {socket} -c max_connections=400 -c fsync=off",
            port.port()
        );
        let mut start = cluster.program("pg_ctl");
        start
            .arg("--pgdata")
            .arg(&data)
            .args(["--wait", "--options", &options, "--log"]);
        start.arg(cluster.folder.join("log")).arg("start");
        run::check(&cluster.folder, &mut start)?;
        Ok(cluster)
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        if run::is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let mut stop = self.program("pg_ctl");
        stop.arg("--pgdata")
            .arg(self.data())
            .args(["--mode=immediate", "stop"]);
        // What is left is a folder of the machine's own for such things.
        let _ = run::check(&self.folder, &mut stop);
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
