//! A scrubbed process harness: runs the built binary from outside, as a stranger would.
//!
//! Every [`Sandbox`] has a temporary home of its own and an empty environment: nothing of the machine's configuration,
//! cache, proxies or CI reaches the binary, and nothing of the test reaches the machine. Tests run in parallel.
//!
//! ```no_run
//! use jeton_test::Sandbox;
//! let sandbox = Sandbox::new(env!("CARGO_PKG_NAME"));
//! let run = sandbox.command(["token", "--source", "env:X"]).env("X", "abc").run();
//! assert_eq!((run.code, run.stdout.as_str()), (Some(0), "abc\n"));
//! ```
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "this crate is test code: a test that cannot go on ends"
)]
mod issuer;
mod process;
mod publishing;
pub mod sigstore;
pub mod tuf;
mod upstream;

pub use issuer::IssuerProcess;
pub use process::{Command, Running};
pub use publishing::Publishing;
pub use upstream::{Received, Upstream};

use std::path::{Path, PathBuf};
use std::time::Duration;

/// A machine of its own, as far as the binary can see.
pub struct Sandbox {
    binary: PathBuf,
    folder: tempfile::TempDir,
}

/// How a process ended.
#[derive(Debug)]
pub struct Run {
    /// Its exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
    /// How long it took.
    pub elapsed: Duration,
}

impl Run {
    /// Standard output as JSON.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("no JSON: {e}\n{self:?}"))
    }

    /// The same run, of which it was made sure that it ended with `code`.
    #[allow(
        clippy::must_use_candidate,
        clippy::return_self_not_must_use,
        reason = "often the end is all that counts"
    )]
    pub fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }

    /// Standard output without the newline at its end.
    #[must_use]
    pub fn line(&self) -> &str {
        self.stdout
            .strip_suffix('\n')
            .unwrap_or_else(|| panic!("no whole line: {self:#?}"))
    }
}

impl Sandbox {
    /// A new one for the binary at this path: `env!("CARGO_BIN_EXE_jeton")`.
    #[must_use]
    pub fn new(binary: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["home", "config/jeton", "cache", "run"] {
            std::fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        Self {
            binary: binary.into(),
            folder,
        }
    }

    /// A path in it.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file in it, and gives its path.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Writes its `config.toml`.
    pub fn config(&self, text: &str) -> PathBuf {
        self.write("config/jeton/config.toml", text)
    }

    /// The cache folder of the binary; perhaps not there yet.
    #[must_use]
    pub fn cache(&self) -> PathBuf {
        self.path("cache/jeton")
    }

    /// The files with tokens in the cache folder: what is there but for locks.
    #[must_use]
    pub fn cached_files(&self) -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(self.cache()) else {
            return Vec::new();
        };
        let mut files: Vec<_> = entries
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.is_file() && path.extension() != Some("lock".as_ref()))
            .collect();
        files.sort();
        files
    }

    /// The binary with these arguments, this home and no other variables.
    pub fn command<I: IntoIterator<Item = A>, A: AsRef<str>>(&self, arguments: I) -> Command {
        let mut command = Command::new(&self.binary, self.folder.path());
        for (name, value) in self.variables() {
            command = command.env(name, &value.display().to_string());
        }
        arguments
            .into_iter()
            .fold(command, |command, argument| command.arg(argument.as_ref()))
    }

    /// Runs the binary with these arguments.
    pub fn run<I: IntoIterator<Item = A>, A: AsRef<str>>(&self, arguments: I) -> Run {
        self.command(arguments).run()
    }

    /// Starts a development issuer as a process of its own.
    #[must_use]
    pub fn issuer<I: IntoIterator<Item = A>, A: AsRef<str>>(&self, arguments: I) -> IssuerProcess {
        IssuerProcess::start(self, arguments)
    }

    fn variables(&self) -> [(&'static str, PathBuf); 4] {
        [
            ("HOME", self.path("home")),
            ("XDG_CONFIG_HOME", self.path("config")),
            ("XDG_CACHE_HOME", self.path("cache")),
            ("XDG_RUNTIME_DIR", self.path("run")),
        ]
    }

    /// Whether any file below `folder` holds `needle`.
    #[must_use]
    pub fn holds(folder: &Path, needle: &str) -> bool {
        let Ok(entries) = std::fs::read_dir(folder) else {
            return false;
        };
        entries.map(|entry| entry.unwrap().path()).any(|path| {
            if path.is_dir() {
                return Self::holds(&path, needle);
            }
            let bytes = std::fs::read(&path).unwrap_or_default();
            bytes
                .windows(needle.len())
                .any(|window| window == needle.as_bytes())
        })
    }
}
