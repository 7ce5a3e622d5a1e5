//! Identity tokens as pure functions: bytes and a moment go in, a decision comes out.
//!
//! Nothing here does I/O, reads a clock or an environment, or spawns a task. All hostile bytes (tokens, headers,
//! key sets, policies) are parsed here, so all of them can be fuzzed, and nothing can leak by I/O.
//!
//! | module | decides |
//! |---|---|
//! | [`time`] | what "now" is: a wall-clock time and a monotonic reading that belong together |
//! | [`secret`], [`redact`] | how a secret is held, and how foreign text is made fit to show |
//! | [`token`], [`request`] | what is asked for and what was got |
//! | [`expiry`] | how long a token lives from the moment it was received, and when to renew it |
//! | [`access`] | who may do what: roles, bindings, resolution |
//! | [`retry`] | what to do after a failed attempt |
#![no_std]
extern crate alloc;

pub mod access;
pub mod expiry;
pub mod redact;
pub mod request;
pub mod retry;
pub mod secret;
pub mod time;
pub mod token;

pub use expiry::Life;
pub use request::TokenRequest;
pub use retry::{Class, Failure, RetryPolicy, Step};
pub use secret::Secret;
pub use time::{Moment, UnixTime};
pub use token::Token;
