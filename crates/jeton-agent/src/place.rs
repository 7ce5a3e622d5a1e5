//! A private folder for the time of one run: made for this user alone, and gone afterwards however the run ends.
//!
//! A process that is killed outright removes nothing. So a small shell waits at the end of a pipe: when the run's
//! process is gone, the pipe ends, and the shell ends the program that was started and removes the folder.
use crate::secret_file;
use jeton::{Env, Error};
use jeton_core::Class;
use std::fs::DirBuilder;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};

/// Where run-time folders are when no variable says.
const USUAL_BASE: &str = "/tmp";
/// The longest base, in bytes: a socket's whole path has at most 107.
const LONGEST_BASE: usize = 60;
/// How many random characters stand in the folder's name.
const RANDOM: usize = 12;
/// What the waiting shell does: `$1` is the folder. A line is the id of the program that was started, or `done`, which
/// is a good end; the end of the pipe without it is a bad one. Whoever is killed between a program's start and the word
/// of it leaves a program that nobody named: it is known by the folder in its environment.
const WATCH: &str = r#"
trap '' INT TERM HUP QUIT
program= found=
while read -r line; do
  case $line in done) exit 0 ;; esac
  program=$line
done
rm -rf -- "$1"
if [ -n "$program" ]; then
  kill -TERM "$program" 2>/dev/null
  exit
fi
for try in 1 2 3 4 5; do
  for place in /proc/[0-9]*; do
    grep -aqsF -- "$1" "$place/environ" && kill -TERM "${place#/proc/}" 2>/dev/null && found=1
  done
  [ -n "$found" ] && exit
  sleep 0.2
done
"#;

/// The folder.
pub struct Place {
    path: PathBuf,
    /// The waiting shell; `None` where there is none to be had.
    watcher: Mutex<Option<Child>>,
}

impl Place {
    /// Makes one, below `XDG_RUNTIME_DIR`, else `TMPDIR`, else `/tmp`.
    ///
    /// # Errors
    /// `Class::Other` when none of them lets us.
    pub fn new(env: &Env) -> Result<Self, Error> {
        let named = ["XDG_RUNTIME_DIR", "TMPDIR"]
            .iter()
            .filter_map(|name| env.get(name));
        let named = named.filter(|base| base.len() <= LONGEST_BASE && Path::new(base).is_absolute());
        let mut last = None;
        for base in named.chain([USUAL_BASE]) {
            match make(Path::new(base)) {
                Ok(path) => {
                    let watcher = Mutex::new(watcher(&path).ok());
                    return Ok(Self { path, watcher });
                }
                Err(e) => {
                    last = Some(Error::new(
                        Class::Other,
                        format!("{base}: no private folder: {e}"),
                    ))
                }
            }
        }
        Err(last.unwrap_or_else(|| Error::new(Class::Other, "no private folder")))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Has the program with this process id ended, too, when this process is killed.
    pub fn watch(&self, program: u32) {
        self.say(&program.to_string());
    }

    fn say(&self, line: &str) {
        let mut watcher = self.watcher.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pipe) = watcher.as_mut().and_then(|w| w.stdin.as_mut()) {
            // A watcher that has gone watches nothing; the run goes on without.
            let _ = writeln!(pipe, "{line}");
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Nothing of a token is left behind.
        let _ = std::fs::remove_dir_all(&self.path);
        self.say("done");
        let watcher = self.watcher.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(mut watcher) = watcher.take() {
            drop(watcher.stdin.take());
            let _ = watcher.wait();
        }
    }
}

/// Makes a folder that has the right mode from its first moment.
fn make(base: &Path) -> std::io::Result<PathBuf> {
    let random = secret_file::fresh().map_err(|e| std::io::Error::other(e.to_string()))?;
    let name: String = random.reveal().chars().take(RANDOM).collect();
    let path = base.join(format!("jeton-{name}"));
    DirBuilder::new().mode(0o700).create(&path)?;
    let mode = rustix::fs::stat(&path)?.st_mode & 0o777;
    if mode != 0o700 {
        let _ = std::fs::remove_dir(&path);
        return Err(ErrorKind::PermissionDenied.into());
    }
    Ok(path)
}

fn watcher(path: &Path) -> std::io::Result<Child> {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", WATCH, "jeton"]).arg(path);
    shell.env_clear().env("PATH", "/usr/bin:/bin").current_dir("/");
    shell
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    // Out of our process group: what the terminal sends to us is not meant for it.
    shell.process_group(0).spawn()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    #[test]
    fn d23_a_program_that_nobody_named_ends_with_a_run_that_was_killed() {
        let place = Place::new(&Env::default()).expect("a folder");
        let folder = place.path().to_path_buf();
        let mut program = Command::new("sleep")
            .arg("60")
            .env("JETON_RUN", folder.join("run.sock"))
            .spawn()
            .expect("a program");
        // What the shell sees of a process that is killed: the pipe ends, and nothing was said.
        let mut watcher = place.watcher.lock().expect("lock").take().expect("a shell");
        drop(watcher.stdin.take());
        let status = program.wait().expect("an end");
        assert_eq!(status.signal(), Some(15));
        watcher.wait().expect("an end");
        assert!(!folder.exists());
    }
}
