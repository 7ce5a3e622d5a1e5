//! How much is too much: failures by source and by issuer, successes where the configuration says so.
//!
//! A bucket holds as many as a second allows and fills up again within one. Nobody's good requests pay for somebody
//! else's bad ones: what failed too often is answered 429 *instead of* its failure. Never is `sub` a key: whoever can
//! make subjects could make buckets. Memory is bounded whatever comes.
//!
//! This process' own buckets decide first. What they let through is held against the rows that replicas share
//! ([`window`]): a flood is stopped here, and no more than a rate of it ever reaches the database.
use crate::config;
use crate::store::Store;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

pub mod window;

use window::Windows;

/// Failures a second for each source and each issuer, when nobody says.
pub const FAILURES: u32 = 100;

/// How many sources are remembered at most: some five megabytes.
const MOST_SOURCES: usize = 65_536;

/// What a bucket is filled up in.
const SECOND: Duration = Duration::from_secs(1);

/// A share of one second.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// How much is in it, in requests.
    level: f64,
    /// The uptime at which that was so.
    at: Duration,
}

impl Bucket {
    fn full(rate: u32, now: Duration) -> Self {
        Self {
            level: f64::from(rate),
            at: now,
        }
    }

    /// Takes one out, or says how long until there is one.
    fn take(&mut self, rate: u32, now: Duration) -> Result<(), Duration> {
        let rate = f64::from(rate);
        let passed = now.saturating_sub(self.at).as_secs_f64();
        self.level = (self.level + passed * rate).min(rate);
        self.at = now;
        if self.level >= 1.0 {
            self.level -= 1.0;
            return Ok(());
        }
        let missing = (1.0 - self.level) / rate.max(f64::MIN_POSITIVE);
        Err(Duration::from_secs_f64(missing.min(SECOND.as_secs_f64())))
    }

    fn is_full(&self, now: Duration) -> bool {
        now.saturating_sub(self.at) >= SECOND
    }
}

/// The buckets of one kind.
struct Buckets<K>(Mutex<HashMap<K, Bucket>>);

impl<K> Default for Buckets<K> {
    fn default() -> Self {
        Self(Mutex::new(HashMap::new()))
    }
}

impl<K: std::hash::Hash + Eq> Buckets<K> {
    fn take(&self, key: K, rate: u32, now: Duration) -> Result<(), Duration> {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= MOST_SOURCES && !buckets.contains_key(&key) {
            // Who was quiet for a second has a full bucket again: nothing is forgotten with it.
            buckets.retain(|_, bucket| !bucket.is_full(now));
            if buckets.len() >= MOST_SOURCES {
                buckets.clear();
            }
        }
        buckets
            .entry(key)
            .or_insert_with(|| Bucket::full(rate, now))
            .take(rate, now)
    }
}

/// The limits of a broker.
#[derive(Default)]
pub struct Limits {
    /// What replicas share, where there can be any.
    shared: Option<Windows>,
    failed_sources: Buckets<IpAddr>,
    failed_issuers: Buckets<String>,
    issuers: Buckets<String>,
    policies: Buckets<String>,
}

impl Limits {
    /// Those of one of the replicas on this database.
    #[must_use]
    pub fn new(store: &Store) -> Self {
        Self {
            shared: store.is_postgres().then(|| Windows::start(store.clone())),
            ..Self::default()
        }
    }

    /// Counts a failure; how long to wait when there were too many. `issuer` is a configured one, or nobody.
    ///
    /// # Errors
    /// How long until the next is answered.
    pub async fn failed(
        &self,
        limits: &config::Limits,
        source: IpAddr,
        issuer: Option<&str>,
        now: Duration,
    ) -> Result<(), Duration> {
        let rate = limits.failures.unwrap_or(FAILURES);
        let source = network(source);
        let by_source = self.failed_sources.take(source, rate, now);
        let by_issuer = issuer.map_or(Ok(()), |issuer| {
            self.failed_issuers.take(issuer.to_owned(), rate, now)
        });
        by_source.and(by_issuer)?;
        let source = self.share(|| format!("failed source {source}"), rate);
        let issuer = async {
            match issuer {
                Some(issuer) => self.share(|| format!("failed issuer {issuer}"), rate).await,
                None => Ok(()),
            }
        };
        let (by_source, by_issuer) = tokio::join!(source, issuer);
        by_source.and(by_issuer)
    }

    /// Counts a request of an issuer's principal, where that is limited.
    ///
    /// # Errors
    /// How long until the next is done.
    pub async fn request(
        &self,
        limits: &config::Limits,
        issuer: &str,
        now: Duration,
    ) -> Result<(), Duration> {
        let Some(rate) = limits.per_issuer else {
            return Ok(());
        };
        self.issuers.take(issuer.to_owned(), rate, now)?;
        self.share(|| format!("issuer {issuer}"), rate).await
    }

    /// Counts an exchange under a policy, where that is limited.
    ///
    /// # Errors
    /// How long until the next is done.
    pub async fn exchange(
        &self,
        limits: &config::Limits,
        policy: &str,
        now: Duration,
    ) -> Result<(), Duration> {
        let Some(rate) = limits.per_policy else {
            return Ok(());
        };
        self.policies.take(policy.to_owned(), rate, now)?;
        self.share(|| format!("policy {policy}"), rate).await
    }

    async fn share(&self, name: impl FnOnce() -> String, rate: u32) -> Result<(), Duration> {
        match &self.shared {
            Some(shared) => shared.take(name(), rate).await,
            None => Ok(()),
        }
    }
}

/// A source: an IPv4 address, or the network of an IPv6 one, which a single customer has at least.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => {
            const NETWORK: u128 = u128::MAX << 64;
            IpAddr::V6((u128::from(v6) & NETWORK).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const B: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    #[tokio::test]
    async fn a_hundred_failures_a_second_for_each_source_and_each_issuer_and_then_a_time_to_wait() {
        let (limits, config) = (Limits::default(), config::Limits::default());
        let mut now = Duration::from_secs(1000);
        for n in 0..100 {
            assert_eq!(limits.failed(&config, A, None, now).await, Ok(()), "{n}");
        }
        assert_eq!(
            limits.failed(&config, A, None, now).await,
            Err(Duration::from_millis(10))
        );
        assert_eq!(
            limits.failed(&config, B, None, now).await,
            Ok(()),
            "another source"
        );
        now += Duration::from_millis(10);
        assert_eq!(limits.failed(&config, A, None, now).await, Ok(()));
        assert!(limits.failed(&config, A, None, now).await.is_err());
        now += Duration::from_secs(5);
        let sources = (0..200).map(|n| IpAddr::from([192, 0, 2, n]));
        let mut answered = 0;
        for source in sources {
            answered += u32::from(limits.failed(&config, source, Some("i"), now).await.is_ok());
        }
        assert_eq!(answered, 100, "one issuer from many sources");
    }

    #[tokio::test]
    async fn successes_are_limited_only_where_the_configuration_says_so() {
        let limits = Limits::default();
        let now = Duration::from_secs(1000);
        let free = config::Limits::default();
        for _ in 0..1000 {
            assert!(limits.request(&free, "i", now).await.is_ok());
            assert!(limits.exchange(&free, "p", now).await.is_ok());
        }
        let some = config::Limits {
            per_issuer: Some(2),
            per_policy: Some(1),
            ..config::Limits::default()
        };
        for (issuer, answered) in [("i", true), ("i", true), ("i", false), ("j", true)] {
            assert_eq!(
                limits.request(&some, issuer, now).await.is_ok(),
                answered,
                "{issuer}"
            );
        }
        assert!(limits.exchange(&some, "p", now).await.is_ok());
        assert!(limits.exchange(&some, "p", now).await.is_err());
    }

    #[tokio::test]
    async fn memory_is_bounded_and_a_network_is_one_source() {
        let (limits, config) = (Limits::default(), config::Limits::default());
        let now = Duration::from_secs(1000);
        for n in 0..200_000_u32 {
            let _ = limits.failed(&config, IpAddr::V4(n.into()), None, now).await;
        }
        let kept = limits.failed_sources.0.lock().expect("lock").len();
        assert!(kept <= MOST_SOURCES, "{kept}");
        let one = |text: &str| network(text.parse().expect("address"));
        assert_eq!(one("2001:db8::1"), one("2001:db8::2"));
        assert_ne!(one("2001:db8:0:1::1"), one("2001:db8::1"));
        assert_eq!(one("::ffff:192.0.2.1"), A);
    }
}
