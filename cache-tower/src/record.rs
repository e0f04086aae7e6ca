//! Bodies that are to be kept: read once, for the client that asked and for others that wait for the same.

use std::{
    collections::HashMap,
    pin::{Pin, pin},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::{Buf, Bytes};
use http::HeaderMap;
use http_body::{Body, Frame};
use tokio::{
    sync::Notify,
    time::{Instant, timeout},
};

use crate::clock::instant;

/// For how long a body is read that nobody reads along.
pub(crate) const UNREAD: Duration = Duration::from_secs(60);

/// What a body turned out to be.
pub(crate) enum Recorded {
    /// All of it.
    Whole { chunks: Vec<Bytes>, trailers: Option<HeaderMap> },
    /// Larger than what is kept, or of another kind: the rest went on to the client that asked.
    Oversized,
    /// It failed, and so it did for all who read along; or it took too long with nobody there to read it.
    Failed,
}

/// Reads a body that is to be kept, while clients read along. Reads as fast as the body gives, up to a limit of bytes: a
/// client that reads slowly holds up nobody.
pub(crate) struct Recorder<B: Body> {
    shared: Arc<Shared<B>>,
    limit: usize,
    /// For how long nobody need read along.
    unread: Duration,
}

/// Where others can begin to read along, for as long as there is something to read.
pub(crate) struct Recording<B: Body> {
    shared: Arc<Shared<B>>,
    /// How long the body is said to be.
    length: u64,
}

/// One who reads along, at his own pace.
pub(crate) struct Reader<B: Body> {
    shared: Arc<Shared<B>>,
    at: usize,
    kind: Kind,
    is_done: bool,
}

#[derive(Clone, Copy)]
enum Kind {
    /// Whose request it was: the body is his, and so is its error, and what of it is not kept.
    First,
    /// One who was given its head, and the length in it: so much has to come still, and nothing else is a whole.
    Follower { number: u64, left: u64 },
}

struct Shared<B: Body> {
    state: Mutex<State<B>>,
    /// How many read along has changed.
    readers: Notify,
}

struct State<B: Body> {
    chunks: Vec<Bytes>,
    end: End<B>,
    first: Option<Waker>,
    followers: HashMap<u64, Waker>,
    readers: usize,
    /// The number of the next follower.
    next: u64,
    /// When the last chunk came.
    came: Instant,
}

enum End<B: Body> {
    /// It is being read.
    Open,
    Whole(Option<HeaderMap>),
    /// For the first reader, until he takes it.
    Rest(Option<Pin<Box<B>>>),
    /// The same.
    Failed(Option<B::Error>),
    /// It panicked while it was read, or is read no more.
    Lost,
}

/// What comes next.
pub(crate) enum Next<B: Body> {
    Frame(Frame<Bytes>),
    /// The rest of the body itself.
    Rest(Pin<Box<B>>),
    /// The body's own error.
    Failed(B::Error),
    /// It ends before its end.
    Cut,
    End,
}

// === impl Recorder ===

impl<B: Body> Recorder<B> {
    /// A recorder of as many bytes as `limit`, and the one whose request it is. It goes on by itself for as long as `unread`.
    pub(crate) fn new(limit: usize, unread: Duration) -> (Self, Reader<B>) {
        let state = State {
            chunks: Vec::new(),
            end: End::Open,
            first: None,
            followers: HashMap::new(),
            readers: 1,
            next: 0,
            came: instant(),
        };
        let shared = Arc::new(Shared { state: Mutex::new(state), readers: Notify::new() });
        let first = Reader { shared: Arc::clone(&shared), at: 0, kind: Kind::First, is_done: false };
        (Self { shared, limit, unread }, first)
    }

    /// Where others can begin to read along what is said to be as long as this; nothing where it would not be kept.
    pub(crate) fn recording(&self, length: Option<u64>) -> Option<Recording<B>> {
        let length = length.filter(|length| *length <= self.limit as u64)?;
        Some(Recording { shared: Arc::clone(&self.shared), length })
    }

    /// Reads `body` to its end, or to the limit. `slow` is called once, when it is to be waited for.
    pub(crate) async fn record(self, body: B, slow: impl FnOnce()) -> Recorded {
        self.record_while(body, |_| true, slow).await
    }

    /// The same, or until a chunk is not `wanted`.
    pub(crate) async fn record_while(
        self,
        body: B,
        mut wanted: impl FnMut(&[u8]) -> bool,
        slow: impl FnOnce(),
    ) -> Recorded {
        let (mut body, mut slow) = (Box::pin(body), Some(slow));
        let (mut length, mut trailers) = (0, None);
        let mut unread = pin!(self.shared.unread(self.unread));
        loop {
            let frame = std::future::poll_fn(|cx| {
                let frame = body.as_mut().poll_frame(cx);
                if frame.is_pending()
                    && let Some(slow) = slow.take()
                {
                    slow();
                }
                frame
            });
            let frame = tokio::select! {
                biased;
                frame = frame => frame,
                () = &mut unread => return Recorded::Failed,
            };
            match frame {
                Some(Ok(frame)) => match as_bytes(frame).into_data() {
                    Ok(chunk) => {
                        length += chunk.len();
                        let is_wanted = wanted(&chunk);
                        self.shared.change(|state| {
                            state.chunks.push(chunk);
                            state.came = instant();
                        });
                        if length > self.limit || !is_wanted {
                            self.shared.change(|state| state.end = End::Rest(Some(body)));
                            return Recorded::Oversized;
                        }
                    }
                    Err(frame) => trailers = frame.into_trailers().ok().or(trailers),
                },
                Some(Err(error)) => {
                    self.shared.change(|state| state.end = End::Failed(Some(error)));
                    return Recorded::Failed;
                }
                None => {
                    let chunks = self.shared.change(|state| {
                        state.end = End::Whole(trailers.clone());
                        state.chunks.clone()
                    });
                    return Recorded::Whole { chunks, trailers };
                }
            }
        }
    }
}

impl<B: Body> Drop for Recorder<B> {
    fn drop(&mut self) {
        self.shared.change(|state| {
            if matches!(state.end, End::Open) {
                state.end = End::Lost;
            }
        });
    }
}

// === impl Recording ===

impl<B: Body> Recording<B> {
    /// One more reader, from the beginning; nothing if it is known that the end will not come, or if nothing came for longer than
    /// `patience`.
    pub(crate) fn follow(&self, patience: Duration) -> Option<Reader<B>> {
        let number = {
            let mut state = self.shared.lock();
            let goes_on = match state.end {
                End::Open => state.came.elapsed() <= patience,
                End::Whole(_) => true,
                _ => false,
            };
            if !goes_on {
                return None;
            }
            state.readers += 1;
            state.next += 1;
            state.next
        };
        self.shared.readers.notify_one();
        let kind = Kind::Follower { number, left: self.length };
        Some(Reader { shared: Arc::clone(&self.shared), at: 0, kind, is_done: false })
    }

    /// How long the body is said to be.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }
}

// === impl Reader ===

impl<B: Body> Reader<B> {
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Next<B>> {
        if self.is_done {
            return Poll::Ready(Next::End);
        }
        let mut state = self.shared.lock();
        if let Some(chunk) = state.chunks.get(self.at) {
            self.at += 1;
            if let Kind::Follower { left, .. } = &mut self.kind {
                let Some(rest) = left.checked_sub(chunk.len() as u64) else {
                    self.is_done = true;
                    return Poll::Ready(Next::Cut);
                };
                *left = rest;
            }
            return Poll::Ready(Next::Frame(Frame::data(chunk.clone())));
        }
        if matches!(state.end, End::Open) {
            match self.kind {
                Kind::First => state.first = Some(cx.waker().clone()),
                Kind::Follower { number, .. } => drop(state.followers.insert(number, cx.waker().clone())),
            }
            return Poll::Pending;
        }
        self.is_done = true;
        Poll::Ready(match (&mut state.end, self.kind) {
            (End::Whole(trailers), Kind::First | Kind::Follower { left: 0, .. }) => {
                trailers.clone().map_or(Next::End, |trailers| Next::Frame(Frame::trailers(trailers)))
            }
            (End::Rest(rest), Kind::First) => {
                let rest = rest.take();
                state.chunks = Vec::new();
                rest.map_or(Next::End, Next::Rest)
            }
            (End::Failed(error), Kind::First) => error.take().map_or(Next::End, Next::Failed),
            // What was sent so far must not look whole.
            _ => Next::Cut,
        })
    }
}

impl<B: Body> Drop for Reader<B> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.readers -= 1;
        match self.kind {
            Kind::First => state.first = None,
            Kind::Follower { number, .. } => drop(state.followers.remove(&number)),
        }
        drop(state);
        self.shared.readers.notify_one();
    }
}

// === impl Shared ===

impl<B: Body> Shared<B> {
    fn lock(&self) -> MutexGuard<'_, State<B>> {
        // Nothing can panic while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<R>(&self, change: impl FnOnce(&mut State<B>) -> R) -> R {
        let mut state = self.lock();
        let result = change(&mut state);
        let first = state.first.take();
        let followers: Vec<Waker> = state.followers.drain().map(|(_, waker)| waker).collect();
        drop(state);
        first.into_iter().chain(followers).for_each(Waker::wake);
        result
    }

    /// Returns when nobody has read along for this time; from then on nobody can.
    async fn unread(&self, longest: Duration) {
        loop {
            let changed = self.readers.notified();
            if self.lock().readers > 0 {
                changed.await;
            } else if timeout(longest, changed).await.is_err() {
                let mut state = self.lock();
                if state.readers == 0 {
                    state.end = End::Lost;
                    return;
                }
            }
        }
    }
}

pub(crate) fn as_bytes<D: Buf>(frame: Frame<D>) -> Frame<Bytes> {
    frame.map_data(|mut data| data.copy_to_bytes(data.remaining()))
}

#[cfg(test)]
mod tests;
