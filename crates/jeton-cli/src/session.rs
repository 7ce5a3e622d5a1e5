//! What every command is handed: environment, clock, output, configuration, and a runtime when it is needed.
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{LogFormat, Manner, Output};
use crate::progress::Progress;
use crate::settings::variable::{CONFIG, LOG_FORMAT, QUIET, VERBOSE};
use crate::settings::{Layers, Origin, Written, unparsable};
use jeton::config::Config;
use jeton::{Clock, Context, Env};
use std::cell::OnceCell;
use std::path::PathBuf;
use std::sync::Arc;

/// How many threads look names up and write files for a server of one user. Each takes memory of its own that is not
/// given back, and a hundred profiles would start as many at once.
const BLOCKING_THREADS: usize = 8;

/// After how many steps of tasks a server of one user looks who else has something to say. A stream always has a next
/// step of some hundred KiB: at tokio's usual 61, everybody beside it waits for as many of them, several times a request.
const EVENT_INTERVAL: u32 = 8;

// The arguments that every command takes. (No doc comment: it would become the help page's heading.)
#[derive(clap::Args, Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Globals {
    /// Explain on stderr what happens (never a token)
    #[arg(short, long, global = true, help_heading = "Everywhere")]
    pub(crate) verbose: bool,
    /// Say nothing but errors
    #[arg(
        short,
        long,
        global = true,
        conflicts_with = "verbose",
        help_heading = "Everywhere"
    )]
    pub(crate) quiet: bool,
    /// How stderr is written: text or json
    #[arg(long, global = true, value_name = "FORMAT", help_heading = "Everywhere")]
    pub(crate) log_format: Option<String>,
    /// The configuration file [default: $XDG_CONFIG_HOME/jeton/config.toml]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Everywhere")]
    pub(crate) config: Option<String>,
    /// More certificate authorities to trust, as PEM
    #[arg(long, global = true, value_name = "FILE", help_heading = "Everywhere")]
    pub(crate) ca_file: Option<String>,
}

/// What every command is handed.
pub(crate) struct Session {
    pub(crate) env: Env,
    pub(crate) clock: Clock,
    pub(crate) output: Arc<Output>,
    globals: Globals,
    config: OnceCell<Config>,
}

impl Session {
    /// Settles how messages are written. Even when that fails there is a way to say so.
    pub(crate) fn new(env: Env, globals: Globals) -> (Self, Result<(), Failure>) {
        let settled = manner(&env, &globals);
        let (manner, result) = match settled {
            Ok(manner) => (manner, Ok(())),
            Err(failure) => (Manner::default(), Err(failure)),
        };
        let env = match &globals.ca_file {
            Some(path) => env.with("JETON_CA_FILE", path),
            None => env,
        };
        let session = Self {
            output: Arc::new(Output::new(&env, manner, || Clock::system().now().wall)),
            env,
            clock: Clock::system(),
            globals,
            config: OnceCell::new(),
        };
        (session, result)
    }

    /// The configuration, read and checked when it is first asked for.
    pub(crate) fn config(&self) -> Result<&Config, Failure> {
        if let Some(config) = self.config.get() {
            return Ok(config);
        }
        let config = self.read_config()?;
        Ok(self.config.get_or_init(|| config))
    }

    /// The configuration as it is in its file now.
    pub(crate) fn read_config(&self) -> Result<Config, Failure> {
        let layers = Layers {
            env: &self.env,
            config: &Config::default(),
        };
        let flag = self.globals.config.as_ref();
        let named = layers.text(&CONFIG, flag)?;
        let config = Config::load(&self.env, named.map(PathBuf::from).as_deref());
        let config = config.map_err(|error| {
            let failure = Failure::from(error);
            match layers.written(&CONFIG, flag.map_or(&[], std::slice::from_ref)) {
                Some(written) if failure.exit == Exit::NotFound => failure.said_at(&written.origin),
                _ => failure,
            }
        })?;
        if let Some(path) = &config.path {
            self.output.detail(&format!("configuration: {}", path.display()));
        }
        Ok(config)
    }

    /// What was given as `--config`, for commands whose configuration is another than `config.toml`.
    #[cfg(feature = "broker")]
    pub(crate) fn config_flag(&self) -> Option<&str> {
        self.globals.config.as_deref()
    }

    /// Variables and configuration.
    pub(crate) fn layers(&self) -> Result<Layers<'_>, Failure> {
        Ok(Layers {
            env: &self.env,
            config: self.config()?,
        })
    }

    /// Surroundings for the library, with somebody to tell what it does.
    pub(crate) fn context(&self, env: &Env) -> (Context, Progress) {
        let mut cx = Context::new(env.clone(), self.clock.clone());
        let progress = Progress::new(Arc::clone(&self.output));
        cx.observer = Arc::new(progress.clone());
        cx.courier = crate::courier::courier().map(Arc::new);
        (cx, progress)
    }

    /// Runs `future` to its end, or until somebody interrupts, showing what it waits for.
    pub(crate) fn run<T>(
        &self,
        progress: &Progress,
        future: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|e| Failure::new(Exit::Other, format!("cannot start: {e}")))?;
        let result = runtime.block_on(async {
            let signal = signal()?;
            tokio::select! {
                biased;
                failure = signal => Err(failure),
                result = future => result,
                never = progress.show() => match never {},
            }
        });
        // What still blocks (a read from a terminal, a name that is looked up) is not waited for.
        runtime.shutdown_background();
        result
    }

    /// Runs a server of one user until `future` says that it is over; what still runs then is dropped. It is one thread:
    /// a request is carried without waking another one, nothing wakes while there is nothing to do, and the memory of
    /// threads is not taken.
    pub(crate) fn serve<T>(&self, future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder
            .max_blocking_threads(BLOCKING_THREADS)
            .event_interval(EVENT_INTERVAL);
        finish(&mut builder, future)
    }

    /// Runs a server of many: on all cores.
    #[cfg(feature = "broker")]
    pub(crate) fn serve_many<T>(
        &self,
        future: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        finish(&mut tokio::runtime::Builder::new_multi_thread(), future)
    }
}

fn finish<T>(
    builder: &mut tokio::runtime::Builder,
    future: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let runtime = builder.enable_all().build();
    let runtime = runtime.map_err(|e| Failure::new(Exit::Other, format!("cannot start: {e}")))?;
    let result = runtime.block_on(future);
    runtime.shutdown_background();
    result
}

/// The end that a signal brings.
pub(crate) fn signal() -> Result<impl Future<Output = Failure>, Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let cannot = |e| Failure::new(Exit::Other, format!("cannot listen for signals: {e}"));
    let mut interrupt = signal(SignalKind::interrupt()).map_err(cannot)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(cannot)?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => Failure::new(Exit::Interrupted, "interrupted"),
            _ = terminate.recv() => Failure::new(Exit::Terminated, "terminated"),
        }
    })
}

fn manner(env: &Env, globals: &Globals) -> Result<Manner, Failure> {
    let layers = Layers {
        env,
        config: &Config::default(),
    };
    let format = layers.text(&LOG_FORMAT, globals.log_format.as_ref())?;
    let quiet = !globals.verbose && layers.switch(&QUIET, globals.quiet)?;
    Ok(Manner {
        quiet,
        verbose: !quiet && layers.switch(&VERBOSE, globals.verbose)?,
        format: match format.as_deref() {
            None | Some("text") => LogFormat::Text,
            Some("json") => LogFormat::Json,
            Some(other) => {
                let origin = match globals.log_format {
                    Some(_) => Origin::Flag(LOG_FORMAT.flag),
                    None => Origin::Variable(LOG_FORMAT.variable()),
                };
                let written = Written {
                    values: Vec::new(),
                    origin,
                };
                return Err(unparsable(&LOG_FORMAT, &written, other, "neither text nor json"));
            }
        },
    })
}
