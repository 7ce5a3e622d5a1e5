//! Tokens in memory, read without a lock and without a shared count.
use crate::flight::Flight;
use arc_swap::ArcSwap;
use jeton_core::{Moment, Secret, Token, TokenRequest, UnixTime};
use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// How many different requests one process keeps tokens for; the one that was used longest ago makes room.
pub(crate) const MOST_SLOTS: usize = 1024;
/// A slot that nobody used for this long is dropped when another one is made.
pub(crate) const IDLE: Duration = Duration::from_secs(60 * 60);

/// A token in memory, and until when it may be given to whom.
pub(crate) struct Kept {
    pub(crate) token: Token,
    /// Uptime at which it ends.
    pub(crate) ends: Duration,
    /// Uptime until which it may be re-used: its end, or that of the longest re-use.
    pub(crate) reusable_until: Duration,
    /// Uptime from which it is replaced ahead of need.
    pub(crate) refresh_from: Duration,
    /// When it was received.
    pub(crate) received: Moment,
}

impl Kept {
    /// A token that was received at `now`, or found on disk then; `None` when nobody said when it ends.
    pub(crate) fn of(token: &Token, ttl: Option<Duration>, minting: Duration, now: Moment) -> Option<Self> {
        let life = token.life?;
        let left = life.left_at_least(now);
        let age = now.since_at_most(life.received);
        let ends = now.uptime + left;
        let margin = life.refresh_margin(minting);
        let reusable = ttl.map_or(ends, |ttl| ends.min(now.uptime + ttl.saturating_sub(age)));
        Some(Self {
            token: Token {
                cached: true,
                ..token.clone()
            },
            ends,
            reusable_until: reusable,
            refresh_from: ends.saturating_sub(margin),
            received: life.received,
        })
    }

    /// The place of a token that is not there: it serves nobody.
    pub(crate) fn nothing() -> Self {
        Self {
            token: Token {
                value: Secret::new(""),
                token_type: String::new(),
                issuer: None,
                subject: None,
                audience: Vec::new(),
                scopes: Vec::new(),
                source: String::new(),
                expires_at: None,
                life: None,
                cached: true,
            },
            ends: Duration::ZERO,
            reusable_until: Duration::ZERO,
            refresh_from: Duration::ZERO,
            received: Moment {
                wall: UnixTime::from_seconds(0),
                uptime: Duration::ZERO,
            },
        }
    }

    /// Whether there is a token, alive or not.
    pub(crate) fn is_token(&self) -> bool {
        !self.token.value.is_empty()
    }

    /// Whether it may be given at `uptime` to somebody who needs it for `need`.
    pub(crate) fn serves(&self, uptime: Duration, need: Duration) -> bool {
        uptime < self.reusable_until && uptime + need <= self.ends && uptime < self.ends
    }
}

/// Everything there is for one request.
pub(crate) struct Slot {
    /// What it is for; the minimum validity is the caller's own and not part of it.
    pub(crate) request: TokenRequest,
    pub(crate) kept: ArcSwap<Kept>,
    pub(crate) flight: Flight<Arc<Token>>,
    /// Whoever follows the token is told when it is another one.
    pub(crate) changed: Notify,
    /// What the last fetch took, in milliseconds.
    minting: AtomicU64,
    /// Uptime of the last use, in seconds: coarse, so that readers seldom write to it.
    used: AtomicU64,
}

impl Slot {
    fn new(request: TokenRequest, uptime: Duration) -> Self {
        Self {
            request,
            kept: ArcSwap::from_pointee(Kept::nothing()),
            flight: Flight::default(),
            changed: Notify::new(),
            minting: AtomicU64::new(0),
            used: AtomicU64::new(uptime.as_secs()),
        }
    }

    /// Keeps a token in place of what was kept.
    pub(crate) fn keep(&self, kept: Arc<Kept>) {
        self.kept.store(kept);
        self.changed.notify_waiters();
    }

    /// Notes that it was used.
    pub(crate) fn touch(&self, uptime: Duration) {
        let seconds = uptime.as_secs();
        if self.used.load(Ordering::Relaxed) != seconds {
            self.used.store(seconds, Ordering::Relaxed);
        }
    }

    /// What the last fetch took.
    pub(crate) fn minting(&self) -> Duration {
        Duration::from_millis(self.minting.load(Ordering::Relaxed))
    }

    /// Notes what a fetch took.
    pub(crate) fn minted_in(&self, span: Duration) {
        let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        self.minting.store(millis, Ordering::Relaxed);
    }

    fn is_for(&self, request: &TokenRequest) -> bool {
        self.request.audience == request.audience
            && self.request.scopes == request.scopes
            && self.request.resource == request.resource
    }
}

type Slots = HashMap<u64, Vec<Arc<Slot>>>;

/// The slots of one process. Readers never wait; the few who add a slot wait for each other.
#[derive(Default)]
pub(crate) struct Memory {
    slots: ArcSwap<Slots>,
    hasher: RandomState,
    adding: Mutex<()>,
}

impl Memory {
    fn hash(&self, request: &TokenRequest) -> u64 {
        self.hasher
            .hash_one((&request.audience, &request.scopes, &request.resource))
    }

    /// Looks at the slot for a request, if there is one.
    pub(crate) fn peek<T>(&self, request: &TokenRequest, look: impl FnOnce(&Arc<Slot>) -> T) -> Option<T> {
        let slots = self.slots.load();
        let slot = slots
            .get(&self.hash(request))?
            .iter()
            .find(|s| s.is_for(request))?;
        Some(look(slot))
    }

    /// The slot for a request, made where there is none.
    pub(crate) fn slot(&self, request: &TokenRequest, uptime: Duration) -> Arc<Slot> {
        if let Some(slot) = self.peek(request, Arc::clone) {
            slot.touch(uptime);
            return slot;
        }
        let _adding = self.adding.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = self.peek(request, Arc::clone) {
            return slot;
        }
        let slot = Arc::new(Slot::new(request.clone(), uptime));
        let mut slots = Slots::clone(&self.slots.load());
        make_room(&mut slots, uptime);
        slots
            .entry(self.hash(request))
            .or_default()
            .push(Arc::clone(&slot));
        self.slots.store(Arc::new(slots));
        slot
    }

    /// Every slot.
    pub(crate) fn each(&self, mut visit: impl FnMut(&Arc<Slot>)) {
        self.slots.load().values().flatten().for_each(&mut visit);
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.slots.load().values().map(Vec::len).sum()
    }
}

/// Drops what nobody used for long, and then the oldest, until one more fits.
fn make_room(slots: &mut Slots, uptime: Duration) {
    let idle = uptime.as_secs().saturating_sub(IDLE.as_secs());
    let used = |slot: &Arc<Slot>| slot.used.load(Ordering::Relaxed);
    slots.retain(|_, list| {
        list.retain(|slot| used(slot) >= idle);
        !list.is_empty()
    });
    while slots.values().map(Vec::len).sum::<usize>() >= MOST_SLOTS {
        let Some(oldest) = slots
            .iter()
            .min_by_key(|(_, list)| list.iter().map(used).min())
            .map(|(h, _)| *h)
        else {
            return;
        };
        slots.remove(&oldest);
    }
}
