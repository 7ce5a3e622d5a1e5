//! A request's body on its way through, and a copy of it as long as it is small enough to be sent again.
use super::answer::{Body, whole};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Frame, Incoming, SizeHint};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::Instant;

/// The largest request body that is kept to be sent again after a 401, in bytes.
const KEPT_BODY: usize = 1024 * 1024;
/// How long the rest of a body may take when the server said 401 before it was through.
const REST_TIME: Duration = Duration::from_secs(5);

/// One body, shared by the connection that sends it and by whoever may have to send it again.
#[derive(Clone)]
pub(crate) struct Passage(Arc<Mutex<State>>);

struct State {
    body: Incoming,
    /// What went through; `None` once it was too much to keep.
    copy: Option<BytesMut>,
    is_whole: bool,
    is_broken: bool,
    moved: Instant,
}

impl Passage {
    pub(crate) fn new(body: Incoming) -> Self {
        use hyper::body::Body as _;
        let is_small = body.size_hint().lower() <= KEPT_BODY as u64;
        Self(Arc::new(Mutex::new(State {
            is_whole: body.is_end_stream(),
            is_broken: false,
            copy: is_small.then(BytesMut::new),
            moved: Instant::now(),
            body,
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The body, as the client sends it.
    pub(crate) fn first(&self) -> Body {
        if self.state().is_whole {
            return whole("");
        }
        self.clone().boxed()
    }

    /// The body once more, if there is all of it: none, or one that was small enough to be kept.
    pub(crate) async fn again(&self) -> Option<Body> {
        let rest = async {
            let mut rest = self.clone();
            while self.state().is_wanting() {
                rest.frame().await?.ok()?;
            }
            Some(())
        };
        let _ = tokio::time::timeout(REST_TIME, rest).await;
        let state = self.state();
        let copy = state.copy.as_ref().filter(|_| state.is_whole)?;
        Some(whole(copy.clone().freeze()))
    }

    /// Whether it broke off, or was framed as nothing can be.
    pub(crate) fn is_broken(&self) -> bool {
        self.state().is_broken
    }

    /// When a part of it last went through.
    pub(crate) fn moved(&self) -> Instant {
        self.state().moved
    }
}

impl State {
    const fn is_wanting(&self) -> bool {
        !self.is_whole && self.copy.is_some()
    }

    fn keep(&mut self, bytes: &Bytes) {
        self.moved = Instant::now();
        match &mut self.copy {
            Some(copy) if copy.len() + bytes.len() <= KEPT_BODY => copy.extend_from_slice(bytes),
            copy => *copy = None,
        }
    }
}

impl hyper::body::Body for Passage {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let mut state = self.state();
        loop {
            match ready!(Pin::new(&mut state.body).poll_frame(cx)) {
                // Trailers end here: merged into the head they would be fields that nobody has looked at.
                Some(Ok(frame)) => {
                    if let Ok(bytes) = frame.into_data() {
                        state.keep(&bytes);
                        return Poll::Ready(Some(Ok(Frame::data(bytes))));
                    }
                }
                Some(Err(e)) => {
                    state.is_broken = true;
                    return Poll::Ready(Some(Err(e)));
                }
                None => {
                    state.is_whole = true;
                    state.moved = Instant::now();
                    return Poll::Ready(None);
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.state().body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.state().body.size_hint()
    }
}
