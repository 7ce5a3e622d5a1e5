//! The right identity token, fresh at the moment it is used.
//!
//! ```text
//! TokenRequest -> memory cache -> disk cache -> lease -> chain -> source -> http -> checks -> Token
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`jeton`] | what programs hold: memory, disk, lease, chain and checks put together |
//! | [`chain`] | which source answers, and why not each other one |
//! | [`cache`] | tokens in memory and on disk, safe to trust |
//! | [`source`] | what a source is: [`Source`], [`Presence`], [`TokenSource`]; its children are the sources |
//! | [`context`] | what every call is handed: environment, clock, http, retry policy, deadline |
//! | [`discovery`], [`keys`] | an issuer's metadata and keys, fetched when needed, trusted no longer than they should be |
//! | [`fetch`] | the one loop that sends a request under the retry contract |
//! | [`http`] | the rules of the wire: caps, deadlines, redirects, proxies, trust |
//! | [`error`] | one opaque error with a class and a hint |
//! | [`config`] | `config.toml`: profiles, ladders, hosts, proxies, files, defaults |
//! | [`grant`] | token endpoints: every OAuth grant, exchange presets |
//! | [`profiles`], [`session`] | profiles as ladders of grants; logins that last |
//! | `blocking`, `reqwest`, `tower` | tokens without a runtime, on each request of a client, in a stack of services (features) |
//! | [`mod@env`], [`clock`] | environment and time as values |
pub mod answer;
pub mod bearer;
#[cfg(feature = "blocking")]
pub mod blocking;
pub mod cache;
pub mod chain;
pub mod clock;
pub mod config;
pub mod context;
pub mod discovery;
pub mod duration;
pub mod env;
pub mod error;
pub mod fetch;
mod flight;
pub mod grant;
#[cfg(feature = "fuzz")]
#[doc(hidden)]
pub mod hostile;
pub mod http;
pub mod jeton;
mod keyring;
pub mod keys;
pub mod profiles;
#[cfg(feature = "reqwest")]
pub mod reqwest;
pub mod session;
pub mod source;
#[cfg(feature = "tower")]
pub mod tower;

pub use chain::{Chain, Report};
pub use clock::Clock;
pub use context::Context;
pub use discovery::Discovery;
pub use env::Env;
pub use error::Error;
pub use jeton::Jeton;
pub use jeton_core::{Class, Moment, RetryPolicy, Secret, Token, TokenRequest, UnixTime};
pub use keys::{NotVerified, RemoteKeys, Verifier};
pub use source::{Presence, Source, TokenSource};

/// The core: types and decisions without I/O.
pub use jeton_core as core;
