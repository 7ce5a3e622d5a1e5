//! How things are timed: the best of several rounds, because a busy machine only ever adds.

pub mod load;

use std::future::Future;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Rounds of which the best counts.
const ROUNDS: usize = 7;

/// The audience of every token here.
pub const AUDIENCE: &str = "https://registry.example.com";

/// One line of the result: what, how much, in which unit.
pub fn report(what: &str, value: f64, unit: &str) {
    println!("{what}\t{value:.3}\t{unit}");
}

/// Nanoseconds that one call of `work` takes.
pub fn nanoseconds(calls: u32, mut work: impl FnMut()) -> f64 {
    let round = |work: &mut dyn FnMut()| {
        let started = Instant::now();
        for _ in 0..calls {
            work();
        }
        started.elapsed().as_secs_f64() * 1e9 / f64::from(calls)
    };
    (0..ROUNDS).map(|_| round(&mut work)).fold(f64::INFINITY, f64::min)
}

/// The same for futures.
pub async fn nanoseconds_async<F: Future<Output = ()>>(calls: u32, mut work: impl FnMut() -> F) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        let started = Instant::now();
        for _ in 0..calls {
            work().await;
        }
        best = best.min(started.elapsed().as_secs_f64() * 1e9 / f64::from(calls));
    }
    best
}

/// An issuer on loopback.
pub fn issuer() -> jeton_issuer::RunningIssuer {
    let now = || {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        jeton_core::UnixTime::from_seconds(i64::try_from(since.as_secs()).unwrap_or(0))
    };
    jeton_issuer::Issuer::in_thread(jeton_issuer::Options::new(now)).expect("the issuer starts")
}

/// Ours, asking `platform` at `issuer`, with nothing on disk.
pub fn jeton(issuer: &jeton_issuer::RunningIssuer, platform: &str) -> jeton::Jeton {
    let variables = issuer.environment(platform).expect("the issuer knows the platform");
    let cx = jeton::Context::new(variables.into_iter().collect(), jeton::Clock::system());
    let chain = jeton::Chain::ambient(jeton::source::ambient_order());
    jeton::Jeton::builder(cx, chain).no_disk_cache().build()
}
