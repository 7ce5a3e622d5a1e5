//! `cargo xtask bench`: our times beside the floor and beside other people's, as ratios of one run on one machine.
//!
//! The programs that measure inside a process are those of `benches/peers`; whole processes are timed here. The
//! result is written to `BENCHMARKS.md`. With `--long`, memory is looked at after a million requests. `cargo xtask bench
//! slim` compares builds with and without what can be left out; `bench servers PROGRAM` measures the proxy and the agent
//! of a program that is built already, and writes nothing.

mod broker;
mod processes;
mod servers;
mod slim;
mod table;

use crate::workspace::Workspace;
use crate::{Outcome, report, run};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What was measured, by its name: value and unit.
pub(crate) type Figures = BTreeMap<String, (f64, String)>;

/// The programs of `benches/peers` that print figures.
const MEASURING: &[&str] = &["cached", "herd", "crypto"];

/// The recipe.
pub(crate) fn bench(workspace: &Workspace, arguments: &[String]) -> Outcome {
    match arguments.split_first() {
        None => all(workspace, false),
        Some((word, [])) if word == "--long" => all(workspace, true),
        Some((word, rest)) if word == "slim" => slim::slim(workspace, rest),
        Some((word, [program])) if word == "servers" => {
            let figures = servers::measure(workspace, Path::new(program))?;
            report::line(table::page(&figures, &machine()).trim_end());
            Ok(())
        }
        Some((word, _)) => Err(format!(
            "{word}: nothing is measured by that name; `slim`, `servers PROGRAM` and `--long` are"
        )),
    }
}

fn all(workspace: &Workspace, long: bool) -> Outcome {
    let release = ["build", "--release", "--locked", "--package=jeton-cli"];
    run::check(&workspace.root, &mut run::cargo(&release))?;
    let peers = workspace.root.join("benches/peers");
    // It shares our target folder for what both need in the same shape.
    let mut build = run::cargo(&["build", "--release", "--bins"]);
    run::check(
        &peers,
        build.env("CARGO_TARGET_DIR", workspace.target.join("peers")),
    )?;
    let floor = workspace.target.join("peers/release/static_floor");
    // The floor is linked as the release binary is: without the dynamic loader, at a fixed address.
    let mut static_floor = Command::new("rustc");
    static_floor
        .args([
            "--edition=2021",
            "-O",
            "-Cstrip=symbols",
            "-Crelocation-model=static",
        ])
        .args(["-Ctarget-feature=+crt-static", "src/bin/warm_floor.rs", "-o"])
        .arg(&floor);
    run::check(&peers, &mut static_floor)?;
    // Installed, that is copied: a linker leaves its file in the page cache in other pieces than a copy does.
    let installed = workspace.target.join("bench/jeton");
    let wrong = |fault: std::io::Error| format!("{}: {fault}", installed.display());
    std::fs::create_dir_all(workspace.target.join("bench")).map_err(wrong)?;
    std::fs::copy(workspace.target.join("release/jeton"), &installed).map_err(wrong)?;
    let programs = Programs {
        floor,
        jeton: installed.clone(),
        peers: workspace.target.join("peers/release"),
    };
    let mut figures = processes::measure(workspace, &programs)?;
    figures.extend(servers::measure(workspace, &programs.jeton)?);
    for name in MEASURING {
        figures.extend(measured_by(&programs.peers.join(name))?);
    }
    figures.extend(broker::measure(workspace, &programs, long)?);
    broker::derive(&mut figures);
    let text = table::page(&figures, &machine());
    std::fs::write(workspace.root.join("BENCHMARKS.md"), &text)
        .map_err(|fault| format!("BENCHMARKS.md: {fault}"))?;
    report::line(text.trim_end());
    Ok(())
}

/// Where the measured programs are.
pub(crate) struct Programs {
    floor: PathBuf,
    jeton: PathBuf,
    peers: PathBuf,
}

/// Runs a program that prints `name TAB value TAB unit`.
fn measured_by(program: &Path) -> Outcome<Figures> {
    figures_of(&mut Command::new(program))
}

fn figures_of(command: &mut Command) -> Outcome<Figures> {
    let text = run::output(Path::new("."), command)?;
    Ok(text.lines().filter_map(figure).collect())
}

fn figure(line: &str) -> Option<(String, (f64, String))> {
    let mut parts = line.split('\t');
    let (name, value, unit) = (parts.next()?, parts.next()?, parts.next()?);
    Some((name.to_owned(), (value.parse().ok()?, unit.to_owned())))
}

/// The machine, in one line.
fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("unknown processor", |(_, name)| name);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = read("/proc/sys/kernel/osrelease");
    let load = read("/proc/loadavg");
    let load = load.split_whitespace().next().unwrap_or("unknown");
    format!(
        "{model}, {cores} cores, Linux {}, load {load} at the end",
        kernel.trim()
    )
}
