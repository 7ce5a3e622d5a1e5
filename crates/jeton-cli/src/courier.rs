//! `jeton courier`, which nobody types: a process of its own that finishes the refresh of a login when whoever asked
//! for it is killed. It speaks with its parent over pipes and has no terminal.
use crate::exit::Exit;
use crate::failure::Failure;
use jeton::session::{Courier, courier};
use jeton::{Clock, Env};
use std::ffi::OsString;
use std::path::PathBuf;

/// The one argument by which it is called.
const NAME: &str = "courier";
/// This very program, also when its file was replaced meanwhile.
const SELF: &str = "/proc/self/exe";

/// Who is sent; `None` where this program cannot be found. Where `/proc` is not mounted, sending him fails, and this
/// process does the errand itself: looking first would cost every start.
pub(crate) fn courier() -> Option<Courier> {
    let program = if cfg!(target_os = "linux") {
        PathBuf::from(SELF)
    } else {
        std::env::current_exe().ok()?
    };
    Some(Courier {
        program,
        arguments: vec![NAME.to_owned()],
    })
}

/// Whether these are the arguments of a courier.
pub(crate) fn is_called(arguments: &[OsString]) -> bool {
    matches!(arguments, [_, name] if name == NAME)
}

/// Does the errand.
pub(crate) fn run(env: Env) -> Result<Exit, Failure> {
    // First of all: whatever ends the parent's group or terminal from now on does not end us. Before this, nothing is
    // sent; it fails only for somebody who leads a group already, and then nobody's signal is meant for us either.
    let _ = rustix::process::setsid();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| Failure::new(Exit::Other, format!("cannot start: {e}")))?;
    let work = courier::carry(env, Clock::system(), std::io::stdin(), std::io::stdout());
    runtime.block_on(work);
    runtime.shutdown_background();
    Ok(Exit::Done)
}
