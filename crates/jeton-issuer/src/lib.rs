//! A real OpenID provider for laptops and tests, which misbehaves on script. **Never for production.**
//!
//! It signs real tokens with real keys, speaks every grant and every platform's own endpoint, records each request,
//! and plays any fault that is asked of it: a status, a reset, a stall, a body cut short, a wrong audience, a clock
//! that is off. Whoever can reach it can get any token from it and read every request it saw, tokens and
//! `Authorization` included; that is why it listens on loopback only unless it is forced.
//!
//! | module | holds |
//! |---|---|
//! | [`issuer`] | start, stop, and what a test asks of a running issuer |
//! | [`options`] | what can be chosen at start |
//! | [`faults`] | the script of faults: file format, rules, the vocabulary |
//! | [`record`] | what was asked, as it arrived |
//! | [`platforms`] | the platforms it can look like, and the environment a client needs for each |
//! | [`proxy`] | a forward proxy for tests of clients |
//!
//! ```
//! # fn clock() -> jeton_core::UnixTime { jeton_core::UnixTime::from_seconds(1_800_000_000) }
//! use jeton_issuer::{Algorithm, Issuer, Options};
//! # fn main() -> Result<(), jeton_issuer::Error> {
//! let options = Options::new(clock).with_algorithm(Algorithm::Es256);
//! let issuer = Issuer::in_thread(options)?;
//! issuer.fault("github", "s503-x1")?; // the first request fails, the second succeeds
//! let environment = issuer.environment("github")?;
//! assert_eq!(environment[0].0, "GITHUB_ACTIONS");
//! # Ok(())
//! # }
//! ```

mod answer;
mod call;
mod connection;
mod desk;
mod discovery;
mod error;
pub mod faults;
mod grants;
pub mod issuer;
mod keys;
mod listener;
mod mint;
pub mod options;
pub mod platforms;
pub mod proxy;
pub mod record;
mod routes;
mod script;
mod tls;
#[cfg(all(unix, feature = "spiffe"))]
mod workload_api;

pub use error::Error;
pub use faults::{Fault, Rule};
pub use issuer::{Issuer, RunningIssuer};
pub use jeton_core::Algorithm;
pub use options::{Client, Clock, Options, TlsMode};
pub use proxy::{Proxied, Proxy, ProxyMode};
pub use record::Recorded;
