//! `cargo xtask bench slim`: what the commands that a slim build leaves out cost a warm `jeton token`.
//!
//! Two builds of one tree, the default one and one without `sign`, run in turns. Instructions decide: they are the same
//! in each run, and times are not. A debug build (`--debug`) is relocated by the dynamic loader whenever it is started,
//! one instruction after another for each address in it, so there a larger program costs more although not a line more
//! of it is run; release builds are linked at a fixed address.

use super::processes::{AUDIENCE, Place, RUNS, middle, timed};
use crate::strangers::Issuer;
use crate::workspace::Workspace;
use crate::{Outcome, report, run};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The most that the default build may cost beside the slim one.
const MOST: f64 = 1.01;

/// What a slim build keeps of the default features.
const KEPT: &str = "broker";

/// The two builds: a name, and what cargo is told.
const BUILDS: [(&str, &[&str]); 2] = [
    ("default", &[]),
    ("slim", &["--no-default-features", "--features", KEPT]),
];

/// Page faults are counted this often, and the middle of it is taken.
const FAULT_RUNS: usize = 25;

/// The recipe.
pub(super) fn slim(workspace: &Workspace, arguments: &[String]) -> Outcome {
    let is_debug = arguments.iter().any(|word| word == "--debug");
    let folder = workspace.target.join("bench/slim");
    let wrong = |fault: std::io::Error| format!("{}: {fault}", folder.display());
    std::fs::create_dir_all(&folder).map_err(wrong)?;
    let mut builds = Vec::new();
    for (name, features) in BUILDS {
        let program = built(workspace, &folder.join(name), features, is_debug)?;
        builds.push(Build { name, program });
    }
    let issuer = Issuer::start(&builds[0].program, &folder, "RS256")?;
    let variables = issuer.environment("github")?;
    let mut measured = [Vec::new(), Vec::new(), Vec::new()];
    let homes: Vec<PathBuf> = BUILDS
        .iter()
        .map(|(name, _)| folder.join(format!("home-{name}")))
        .collect();
    let mut places = Vec::new();
    for (build, home) in builds.iter().zip(&homes) {
        std::fs::create_dir_all(home).map_err(wrong)?;
        let place = Place {
            jeton: &build.program,
            home,
            variables: variables.clone(),
        };
        place.output(&[])?;
        measured[0].push(instructions(
            &place,
            &folder.join(format!("{}.callgrind", build.name)),
        ));
        let faults = (0..FAULT_RUNS).filter_map(|_| faults(&place, &folder.join("faults")));
        measured[1].push(middle(&mut faults.collect::<Vec<_>>()));
        places.push(place);
    }
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..RUNS {
        for (place, times) in places.iter().zip(&mut times) {
            times.extend(timed(place.command(&[])));
        }
    }
    measured[2].extend(times.iter_mut().map(|times| middle(times)));
    for (what, pair) in ["instructions", "page faults", "milliseconds"]
        .iter()
        .zip(&measured)
    {
        report::line(&sentence(what, pair));
    }
    let decided = ratio(&measured[0]).or_else(|| ratio(&measured[2]));
    match decided {
        Some(ratio) if ratio <= MOST || is_debug => Ok(()),
        Some(ratio) => Err(format!(
            "the default build costs {ratio:.4} of the slim one, at most {MOST} is allowed"
        )),
        None => Err("nothing could be measured".into()),
    }
}

struct Build {
    name: &'static str,
    program: PathBuf,
}

/// Builds, and copies what was built to where it stays.
fn built(workspace: &Workspace, to: &Path, features: &[&str], is_debug: bool) -> Outcome<PathBuf> {
    let mut build = run::cargo(&["build", "--locked", "--package=jeton-cli"]);
    build.args(features).args((!is_debug).then_some("--release"));
    run::check(&workspace.root, &mut build)?;
    let from = workspace
        .target
        .join(if is_debug { "debug/jeton" } else { "release/jeton" });
    std::fs::copy(&from, to).map_err(|fault| format!("{}: {fault}", from.display()))?;
    Ok(to.to_owned())
}

/// What valgrind counts in one warm start; none where there is no valgrind.
fn instructions(place: &Place<'_>, kept: &Path) -> Option<f64> {
    let mut command = place.scrubbed(Path::new("valgrind"));
    command
        .arg("--tool=callgrind")
        .arg(format!("--callgrind-out-file={}", kept.display()));
    command.arg(place.jeton).args(["token", "--audience", AUDIENCE]);
    let done = command.stderr(Stdio::piped()).output().ok()?;
    let text = String::from_utf8_lossy(&done.stderr).into_owned();
    let (_, count) = text.split_once("Collected : ")?;
    count.split_whitespace().next()?.parse().ok()
}

/// What the system counts in one warm start, as `time` tells it; none where there is no such program.
fn faults(place: &Place<'_>, kept: &Path) -> Option<f64> {
    let mut command: Command = place.scrubbed(Path::new("/usr/bin/time"));
    command.arg("--format=%R").arg("--output").arg(kept);
    command.arg(place.jeton).args(["token", "--audience", AUDIENCE]);
    command.status().ok().filter(std::process::ExitStatus::success)?;
    std::fs::read_to_string(kept).ok()?.trim().parse().ok()
}

fn ratio(pair: &[Option<f64>]) -> Option<f64> {
    match pair {
        [Some(whole), Some(slim)] => Some(whole / slim),
        _ => None,
    }
}

fn sentence(what: &str, pair: &[Option<f64>]) -> String {
    match (pair, ratio(pair)) {
        ([Some(whole), Some(slim)], Some(ratio)) => {
            format!("{what}: default {whole:.3}, slim {slim:.3}, ratio {ratio:.4}")
        }
        _ => format!("{what}: not measured"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_of_two_figures_or_none() {
        assert_eq!(
            sentence("x", &[Some(3.0), Some(2.0)]),
            "x: default 3.000, slim 2.000, ratio 1.5000"
        );
        assert_eq!(sentence("x", &[Some(3.0), None]), "x: not measured");
    }
}
