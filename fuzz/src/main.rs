//! Drives every target for some seconds on stable Rust.
//!
//! `jeton-fuzz SEEDS SECONDS [TARGET]`: starts from the files in `SEEDS/TARGET`. An input that panics or takes too
//! long is written beside the seeds' folder, in `artifacts`, and is the first seed of a regression test.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the driver reports to a log"
)]

use jeton_fuzz::{Mutator, TARGETS, Target};
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A parser that takes longer than this for one small input, in a debug build, has a cost that grows too fast.
const SLOWEST: Duration = Duration::from_secs(2);

/// What went wrong: the target, how, and the input.
struct Find {
    how: &'static str,
    input: Vec<u8>,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (Some(seeds), Some(seconds)) = (
        arguments.first(),
        arguments.get(1).and_then(|text| text.parse().ok()),
    ) else {
        eprintln!("usage: jeton-fuzz SEEDS SECONDS [TARGET]");
        return ExitCode::from(2);
    };
    let chosen = |target: &&Target| arguments.get(2).is_none_or(|name| name == target.name);
    let (passed, failed): (Vec<_>, Vec<_>) = TARGETS
        .iter()
        .filter(chosen)
        .partition(|target| drive(target, Path::new(seeds), Duration::from_secs(seconds)));
    let (word, code) = if failed.is_empty() {
        ("ok", ExitCode::SUCCESS)
    } else {
        ("FAILED", ExitCode::FAILURE)
    };
    // The spelling of libtest, so that whoever counts tests counts these.
    println!(
        "test result: {word}. {} passed; {} failed",
        passed.len(),
        failed.len()
    );
    code
}

/// Runs one target; whether it held.
fn drive(target: &Target, folder: &Path, span: Duration) -> bool {
    let corpus = read(&folder.join(target.name));
    if corpus.is_empty() {
        println!("fuzz {}: no seeds ... FAILED", target.name);
        return false;
    }
    let seed = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(1, |since| since.as_secs() ^ u64::from(since.subsec_nanos()));
    let mut mutator = Mutator::new(seed);
    let started = Instant::now();
    let mut runs = 0_u64;
    let find = corpus
        .iter()
        .find_map(|input| attempt(target, input))
        .or_else(|| {
            while started.elapsed() < span {
                runs += 1;
                let input = mutator.input(&corpus, target.words);
                if let Some(find) = attempt(target, &input) {
                    return Some(find);
                }
            }
            None
        });
    match find {
        None => println!(
            "fuzz {}: {} seeds, {runs} inputs ... ok",
            target.name,
            corpus.len()
        ),
        Some(ref find) => {
            let place = keep(folder, target, find);
            println!(
                "fuzz {}: {} (input in {}) ... FAILED",
                target.name,
                find.how,
                place.display()
            );
        }
    }
    find.is_none()
}

fn attempt(target: &Target, input: &[u8]) -> Option<Find> {
    let started = Instant::now();
    let how = match catch_unwind(|| (target.run)(input)) {
        Err(_) => "panics",
        Ok(()) if started.elapsed() > SLOWEST => "takes too long",
        Ok(()) => return None,
    };
    Some(Find {
        how,
        input: input.to_vec(),
    })
}

fn read(folder: &Path) -> Vec<Vec<u8>> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    paths.sort();
    paths.iter().filter_map(|path| std::fs::read(path).ok()).collect()
}

/// Keeps the input, so that it can be looked at and become a seed.
fn keep(seeds: &Path, target: &Target, find: &Find) -> PathBuf {
    let folder = seeds.with_file_name("artifacts");
    let place = folder.join(target.name);
    if let Err(fault) = std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&place, &find.input)) {
        eprintln!("{}: {fault}", place.display());
    }
    place
}
