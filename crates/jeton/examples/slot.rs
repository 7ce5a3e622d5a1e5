//! A token on a hot path: one atomic read and one look at the clock each time, replaced before it ends.
#![allow(clippy::print_stdout, reason = "an example shows something")]
use jeton::{Chain, Clock, Context, Env, Error, Jeton, TokenRequest, source};
use tokio::time::Instant;

/// How often it is read.
const TIMES: u32 = 100_000;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let cx = Context::new(Env::from_process(), Clock::system());
    let jeton = Jeton::builder(cx, Chain::ambient(source::ambient_order())).build();
    let slot = jeton.slot(&TokenRequest::audience("https://example.com"));
    slot.token().await?;

    let started = Instant::now();
    let mut bytes = 0;
    for _ in 0..TIMES {
        match slot.current() {
            Some(token) => bytes += token.value.reveal().len(),
            // It ended and could not be replaced ahead: wait for a new one, or for the reason.
            None => bytes += slot.token().await?.value.reveal().len(),
        }
    }
    println!(
        "{TIMES} reads of {} bytes, {:?} each",
        bytes / TIMES as usize,
        started.elapsed() / TIMES
    );
    Ok(())
}
