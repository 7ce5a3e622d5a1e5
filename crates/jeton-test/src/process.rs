//! One process: its environment is exactly what the test says.
use crate::Run;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A test that hangs ends here rather than never.
const LONGEST: Duration = Duration::from_secs(90);
/// How often a process is asked whether it has ended.
const GLANCE: Duration = Duration::from_millis(2);

/// A process that is about to be started.
pub struct Command {
    inner: std::process::Command,
    input: Vec<u8>,
}

impl Command {
    pub(crate) fn new(binary: &Path, folder: &Path) -> Self {
        let mut inner = std::process::Command::new(binary);
        inner.env_clear().current_dir(folder);
        Self {
            inner,
            input: Vec::new(),
        }
    }

    /// One more argument.
    #[must_use]
    pub fn arg(mut self, argument: &str) -> Self {
        self.inner.arg(argument);
        self
    }

    /// A variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.inner.env(name, value);
        self
    }

    /// Several variables.
    #[must_use]
    pub fn envs(mut self, variables: &[(String, String)]) -> Self {
        self.inner.envs(variables.iter().cloned());
        self
    }

    /// Without this variable.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.inner.env_remove(name);
        self
    }

    /// What it reads on standard input; nothing when nothing is said.
    #[must_use]
    pub fn input(mut self, text: &str) -> Self {
        self.input = text.as_bytes().to_vec();
        self
    }

    /// Runs it to its end.
    pub fn run(self) -> Run {
        self.start().wait()
    }

    /// Starts it.
    #[must_use]
    pub fn start(self) -> Running {
        self.launch(|_| ()).0
    }

    /// Starts a server, and gives the line that it prints when it is ready.
    #[must_use]
    pub fn serve(self) -> (Running, String) {
        let (running, line) = self.launch(|stdout| {
            let mut line = String::new();
            stdout.read_line(&mut line).expect("its first line");
            line
        });
        (running, line.trim().to_owned())
    }

    fn launch<T>(mut self, first: impl FnOnce(&mut BufReader<ChildStdout>) -> T) -> (Running, T) {
        let started = Instant::now();
        self.inner
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = self.inner.spawn().expect("the binary starts");
        let mut stdin = child.stdin.take().expect("piped");
        let input = std::mem::take(&mut self.input);
        // Whoever does not read its input closes the pipe; that is no error of the test.
        let feed = std::thread::spawn(move || drop(stdin.write_all(&input)));
        let stderr = collect(child.stderr.take().expect("piped"));
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        let first = first(&mut stdout);
        let running = Running {
            child,
            started,
            stdout: collect(stdout),
            stderr,
            _feed: feed,
        };
        (running, first)
    }
}

fn collect(mut stream: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        bytes
    })
}

/// A process that runs.
pub struct Running {
    child: Child,
    started: Instant,
    stdout: JoinHandle<Vec<u8>>,
    stderr: JoinHandle<Vec<u8>>,
    _feed: JoinHandle<()>,
}

impl Running {
    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal by name: `INT`, `TERM`, `KILL`.
    pub fn signal(&self, name: &str) {
        let id = self.id().to_string();
        let status = std::process::Command::new("kill")
            .args([&format!("-{name}"), &id])
            .status();
        assert!(status.expect("kill runs").success(), "no signal was sent");
    }

    /// Waits for its end.
    #[must_use]
    pub fn wait(mut self) -> Run {
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("the process can be waited for") {
                break status;
            }
            if self.started.elapsed() > LONGEST {
                let _ = self.child.kill();
            }
            std::thread::sleep(GLANCE);
        };
        let elapsed = self.started.elapsed();
        let text = |thread: JoinHandle<Vec<u8>>| {
            String::from_utf8_lossy(&thread.join().unwrap_or_default()).into_owned()
        };
        Run {
            code: status.code(),
            signal: status.signal(),
            stdout: text(self.stdout),
            stderr: text(self.stderr),
            elapsed,
        }
    }
}
