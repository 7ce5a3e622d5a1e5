//! What a connection did last: the difference between a peer that is silent and one that drips.
use super::Fault;
use jeton_core::Failure;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// A peer whose last byte is younger than this part of the time it had was slow, not silent.
const DRIPPING_PART: u32 = 2;

/// What an attempt is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Resolving,
    Connecting,
    Tunnel,
    Handshake,
    Head,
    Body,
}

impl Phase {
    const fn waiting_for(self) -> &'static str {
        match self {
            Self::Resolving => "the name to resolve",
            Self::Connecting => "the connection",
            Self::Tunnel => "the proxy",
            Self::Handshake => "the TLS handshake",
            Self::Head => "the answer",
            Self::Body => "the rest of the answer",
        }
    }
}

/// How far an attempt came. Shared with the stream, which tells it of every byte.
#[derive(Clone)]
pub(super) struct Progress(Arc<Mutex<State>>);

struct State {
    phase: Phase,
    last_byte: Option<Instant>,
}

impl Default for Progress {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(State {
            phase: Phase::Resolving,
            last_byte: None,
        })))
    }
}

impl Progress {
    fn with<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The attempt goes on to `phase`, in which nothing was received yet.
    pub(super) fn enter(&self, phase: Phase) {
        self.with(|state| {
            *state = State {
                phase,
                last_byte: None,
            }
        });
    }

    /// The fault of an attempt whose own time, `limit`, is up.
    pub(super) fn timed_out(&self, limit: Duration) -> Fault {
        let (phase, last_byte) = self.with(|state| (state.phase, state.last_byte));
        let dripping = last_byte.is_some_and(|at| at.elapsed() < limit / DRIPPING_PART);
        let failure = match phase {
            Phase::Resolving => Failure::Dns,
            Phase::Connecting => Failure::ConnectTimeout,
            Phase::Head | Phase::Body if dripping => Failure::Slow,
            Phase::Tunnel | Phase::Handshake | Phase::Head | Phase::Body => Failure::Stalled,
        };
        let manner = if failure == Failure::Slow {
            "it comes too slowly"
        } else {
            "timed out"
        };
        let mut fault = Fault::new(failure, format!("waited for {}: {manner}", phase.waiting_for()));
        fault.unsent = !matches!(phase, Phase::Head | Phase::Body);
        fault
    }

    /// The fault of an attempt in the middle of which the deadline for everything passed.
    pub(super) fn overdue(&self) -> Fault {
        let phase = self.with(|state| state.phase);
        let mut fault = Fault::new(
            Failure::Stalled,
            format!("still waited for {}", phase.waiting_for()),
        );
        fault.overdue = true;
        fault
    }
}

/// A two-way stream of bytes: TCP, a unix socket, TLS over either, TLS in a tunnel.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// Any of them.
pub(super) type Stream = Box<dyn Duplex>;

/// A stream that tells [`Progress`] when bytes arrive.
pub(super) struct Watched<S> {
    pub(super) inner: S,
    pub(super) progress: Progress,
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.progress.with(|state| state.last_byte = Some(Instant::now()));
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
