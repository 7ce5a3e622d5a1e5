//! Starting other programs: shown, checked, and their test results counted as they pass by.

use crate::Outcome;
use crate::report;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

/// Tests that passed and failed, over several runners.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Tests that passed.
    pub(crate) passed: u64,
    /// Tests that failed, and programs that ended badly without naming a test.
    pub(crate) failed: u64,
}

impl Tally {
    /// Adds another runner's counts.
    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }

    /// Counts one check of our own.
    pub(crate) fn count(&mut self, ok: bool) {
        if ok {
            self.passed += 1;
        } else {
            self.failed += 1;
        }
    }

    /// The line that ends a run.
    pub(crate) fn sentence(&self) -> String {
        format!("{} passed, {} failed", self.passed, self.failed)
    }

    /// Reads a runner's summary line, if it is one: libtest's and nextest's spelling. Of a test that failed, nextest
    /// repeats the output, indented; libtest's summary in there counts nothing.
    fn of_summary(line: &str) -> Option<Self> {
        let counts = if line.starts_with("test result:") {
            line
        } else if line.trim_start().starts_with("Summary [") {
            line.split_once(" run: ")?.1
        } else {
            return None;
        };
        Some(Self {
            passed: number_before(counts, " passed"),
            failed: number_before(counts, " failed") + number_before(counts, " timed out"),
        })
    }
}

/// The number that stands right before `word`, or zero.
fn number_before(line: &str, word: &str) -> u64 {
    let Some(end) = line.find(word) else { return 0 };
    let digits = |byte: &u8| byte.is_ascii_digit();
    let head = &line.as_bytes()[..end];
    let length = head.iter().rev().take_while(|byte| digits(byte)).count();
    line[end - length..end].parse().unwrap_or(0)
}

/// Runs `command` in `folder` without stdin; its output goes where ours goes.
pub(crate) fn check(folder: &Path, command: &mut Command) -> Outcome {
    let shown = show(command);
    report::step(&shown);
    let status = command
        .current_dir(folder)
        .stdin(Stdio::null())
        .status()
        .map_err(|fault| format!("`{shown}` did not start: {fault}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("`{shown}` ended with {status}"))
    }
}

/// Runs `command` and gives back what it wrote on stdout.
pub(crate) fn output(folder: &Path, command: &mut Command) -> Outcome<String> {
    let shown = show(command);
    let done = command
        .current_dir(folder)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|fault| format!("`{shown}` did not start: {fault}"))?;
    if !done.status.success() {
        return Err(format!("`{shown}` ended with {}", done.status));
    }
    String::from_utf8(done.stdout).map_err(|_| format!("`{shown}` wrote bytes that are not UTF-8"))
}

/// Runs a test runner, passes its output on, and counts.
///
/// libtest prints its summaries on stdout and nextest on stderr, so both are read.
pub(crate) fn count(folder: &Path, command: &mut Command) -> Outcome<Tally> {
    let shown = show(command);
    report::step(&shown);
    let mut child = command
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|fault| format!("`{shown}` did not start: {fault}"))?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let mut tally = std::thread::scope(|scope| {
        let other = scope.spawn(|| pass_on(stderr, std::io::stderr()));
        let mut tally = pass_on(stdout, std::io::stdout());
        tally.add(other.join().unwrap_or_default());
        tally
    });
    let status = child.wait().map_err(|fault| format!("`{shown}`: {fault}"))?;
    if !status.success() && tally.failed == 0 {
        report::note(&format!("`{shown}` ended with {status}"));
        tally.failed = 1;
    }
    Ok(tally)
}

/// Copies lines until the end and adds up the summaries among them.
fn pass_on(from: Option<impl std::io::Read>, mut to: impl Write) -> Tally {
    let mut tally = Tally::default();
    let Some(from) = from else { return tally };
    let mut reader = BufReader::new(from);
    let mut line = Vec::new();
    while matches!(reader.read_until(b'\n', &mut line), Ok(length) if length > 0) {
        if to.write_all(&line).and_then(|()| to.flush()).is_err() {
            // Nobody reads our output any more; the counts still matter.
        }
        if let Some(counts) = Tally::of_summary(&String::from_utf8_lossy(&line)) {
            tally.add(counts);
        }
        line.clear();
    }
    tally
}

/// The cargo that runs us, or the one on the path.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments);
    command
}

/// Whether a program can be started at all.
pub(crate) fn is_here(program: &str, argument: &str) -> bool {
    Command::new(program)
        .arg(argument)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Whether we may install packages and become somebody else: files that we make belong to root.
pub(crate) fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0)
}

/// Installs Debian's packages; whether that could be done.
pub(crate) fn install(packages: &[&str]) -> bool {
    if !is_root() || !is_here("apt-get", "--version") {
        return false;
    }
    let mut apt = Command::new("apt-get");
    apt.args(["install", "--yes", "--no-install-recommends"])
        .args(packages)
        .env("DEBIAN_FRONTEND", "noninteractive");
    check(Path::new("/"), &mut apt).is_ok()
}

fn show(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let mut words = vec![
        program
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
    ];
    words.extend(command.get_args().map(|word| word.to_string_lossy().into_owned()));
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries_of_both_runners_are_counted() {
        let facts = [
            (
                "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured",
                Some((12, 0)),
            ),
            ("test result: FAILED. 3 passed; 2 failed; 0 ignored", Some((3, 2))),
            (
                "     Summary [   0.5s] 7 tests run: 7 passed, 0 skipped",
                Some((7, 0)),
            ),
            (
                "     Summary [  30.1s] 9 tests run: 6 passed (1 slow), 2 failed, 1 timed out, 0 skipped",
                Some((6, 3)),
            ),
            ("    test result: FAILED. 0 passed; 1 failed; 0 ignored", None),
            ("test tidy::passed ... ok", None),
        ];
        for (line, expected) in facts {
            let counted = Tally::of_summary(line).map(|tally| (tally.passed, tally.failed));
            assert_eq!(counted, expected, "{line}");
        }
    }
}
