//! What is played on a connection in the place of an answer, step by step, below HTTP.
use bytes::Bytes;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// One step of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// These bytes, as they are.
    Write(Bytes),
    /// These bytes again and again, with a pause before each; `None` for ever.
    Repeat(Bytes, Option<u64>, Duration),
    /// Nothing for a while.
    Pause(Duration),
    /// Nothing until the other side gives up.
    Hold,
    /// A reset: the connection is gone at once, and what was not sent is thrown away.
    Reset,
    /// HTTP goes on, on the same connection.
    Resume,
}

/// The steps; after the last one the connection is closed in the ordinary way.
pub(crate) type Script = Vec<Step>;

/// A connection below HTTP.
pub(crate) trait Wire: AsyncRead + AsyncWrite + Unpin + Send {
    /// Makes the close of this connection a reset. A unix socket has none and just closes.
    fn reset_on_close(&self);
}

/// How a script ended.
pub(crate) enum Played {
    /// The connection is used up.
    Over,
    /// HTTP may go on.
    Resume,
}

/// Plays the steps until one of them, or the other side, ends it.
pub(crate) async fn play<W: Wire + ?Sized>(wire: &mut W, script: Script) -> io::Result<Played> {
    for step in script {
        match step {
            Step::Write(bytes) => send(wire, &bytes).await?,
            Step::Repeat(bytes, times, pause) => repeat(wire, &bytes, times, pause).await?,
            Step::Pause(span) => tokio::time::sleep(span).await,
            Step::Hold => return hold(wire).await,
            Step::Reset => {
                wire.reset_on_close();
                return Ok(Played::Over);
            }
            Step::Resume => return Ok(Played::Resume),
        }
    }
    wire.shutdown().await?;
    Ok(Played::Over)
}

async fn send<W: Wire + ?Sized>(wire: &mut W, bytes: &[u8]) -> io::Result<()> {
    wire.write_all(bytes).await?;
    wire.flush().await
}

async fn repeat<W: Wire + ?Sized>(
    wire: &mut W,
    bytes: &[u8],
    times: Option<u64>,
    pause: Duration,
) -> io::Result<()> {
    let mut left = times;
    while left != Some(0) {
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        send(wire, bytes).await?;
        left = left.map(|n| n - 1);
    }
    Ok(())
}

async fn hold<W: Wire + ?Sized>(wire: &mut W) -> io::Result<Played> {
    let mut thrown_away = [0_u8; 1024];
    while wire.read(&mut thrown_away).await? > 0 {}
    Ok(Played::Over)
}
