//! Tokens that were verified before: the signature is not checked twice, everything else is.
use super::{NotVerified, RemoteKeys};
use crate::Context;
use jeton_core::verify::{Expectations, Unproved, Verified, still_fits, token_digest};
use jeton_core::{Claims, UnixTime};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// How many verified tokens are remembered: two generations of this many.
const MOST_VERIFIED: usize = 8192;
/// Independent parts, so that threads seldom wait for each other.
const PARTS: usize = 16;

/// The keys of an issuer, what is expected of its tokens, and the tokens that were verified lately.
pub struct Verifier {
    keys: RemoteKeys,
    expect: Expectations,
    parts: [Mutex<Part>; PARTS],
}

/// Two generations: when the young one is full it becomes the old one, and what was not used meanwhile is gone.
#[derive(Default)]
struct Part {
    young: HashMap<[u8; 32], Seen>,
    old: HashMap<[u8; 32], Seen>,
}

#[derive(Clone)]
struct Seen {
    verified: Arc<Verified<Claims>>,
    generation: u64,
    expires_at: UnixTime,
}

impl Verifier {
    /// Verifies tokens of one issuer for one purpose.
    #[must_use]
    pub fn new(keys: RemoteKeys, expect: Expectations) -> Self {
        Self {
            keys,
            expect,
            parts: Default::default(),
        }
    }

    /// Verifies `token`; one that was verified before, with a key that is still there, is not computed again.
    ///
    /// # Errors
    /// [`NotVerified`].
    pub async fn verify(&self, cx: &Context, token: &str) -> Result<Arc<Verified<Claims>>, NotVerified> {
        let digest = token_digest(token);
        match self.recalled(cx, &digest) {
            Some(verified) => Ok(verified),
            None => self.verify_new(cx, &mut Unproved::read(token)?, digest).await,
        }
    }

    /// What is known of the token with this digest ([`token_digest`]), if it was verified before and is still good.
    #[must_use]
    pub fn recalled(&self, cx: &Context, digest: &[u8; 32]) -> Option<Arc<Verified<Claims>>> {
        self.recall(digest, cx.clock.now().wall)
    }

    /// Verifies a token of which nothing is known, and remembers it by its digest.
    ///
    /// # Errors
    /// [`NotVerified`].
    pub async fn verify_new(
        &self,
        cx: &Context,
        token: &mut Unproved<'_>,
        digest: [u8; 32],
    ) -> Result<Arc<Verified<Claims>>, NotVerified> {
        let (verified, generation) = self.keys.check(cx, token, &self.expect).await?;
        let verified = Arc::new(verified);
        if let Some(expires_at) = verified.expires_at() {
            let seen = Seen {
                verified: Arc::clone(&verified),
                generation,
                expires_at,
            };
            self.part(&digest).remember(digest, seen);
        }
        Ok(verified)
    }

    /// What is known of a token: never past its end, never when a key has gone, and all claims judged anew.
    fn recall(&self, digest: &[u8; 32], now: UnixTime) -> Option<Arc<Verified<Claims>>> {
        let generation = self.keys.generation()?;
        let seen = self.part(digest).recall(digest)?;
        let holds = seen.generation == generation
            && now < seen.expires_at
            && still_fits(&seen.verified, &self.expect, now).is_ok();
        holds.then_some(seen.verified)
    }

    fn part(&self, digest: &[u8; 32]) -> std::sync::MutexGuard<'_, Part> {
        let part = &self.parts[usize::from(digest[0]) % PARTS];
        part.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(crate) fn remembered(&self) -> usize {
        let count = |part: &Mutex<Part>| part.lock().map_or(0, |p| p.young.len() + p.old.len());
        self.parts.iter().map(count).sum()
    }
}

impl Part {
    fn recall(&mut self, digest: &[u8; 32]) -> Option<Seen> {
        if let Some(seen) = self.young.get(digest) {
            return Some(seen.clone());
        }
        let seen = self.old.remove(digest)?;
        self.remember(*digest, seen.clone());
        Some(seen)
    }

    fn remember(&mut self, digest: [u8; 32], seen: Seen) {
        if self.young.len() >= MOST_VERIFIED / PARTS {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(digest, seen);
    }
}
