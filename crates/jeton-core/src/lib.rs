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
//! | [`json`] | which bytes are one JSON value, with no member twice |
//! | [`issuer`], [`audience`], [`claims`] | what a token says, in types that exist only in valid form |
//! | [`mod@decode`] | what can be read out of a token without proof |
//! | [`jose`], [`jwk`] | which headers, algorithms and keys there are for us |
//! | [`signing`] | how a token is signed |
//! | [`oauth`] | what an OAuth endpoint answered, and when to poll again |
//! | [`verify`] | whether a token is what it says, and for us |
//! | [`pattern`] | which claim values are covered by a pattern |
//! | [`trust`] | who may exchange a token for what, and what is wrong with a policy |
//! | [`rejection`] | why a token was not accepted |
#![no_std]
extern crate alloc;

pub mod access;
pub mod audience;
pub mod claims;
pub mod decode;
pub mod expiry;
pub mod issuer;
pub mod jose;
pub mod json;
pub mod jwk;
pub mod oauth;
pub mod pattern;
pub mod redact;
pub mod rejection;
pub mod request;
pub mod retry;
pub mod secret;
pub mod signing;
pub mod time;
pub mod token;
pub mod trust;
pub mod verify;

pub use audience::Audience;
pub use claims::Claims;
pub use decode::{Unverified, decode};
pub use expiry::Life;
pub use issuer::Issuer;
pub use jose::{Algorithm, AlgorithmSet};
pub use json::{Json, JsonError};
pub use jwk::KeySet;
pub use pattern::Pattern;
pub use rejection::Rejection;
pub use request::TokenRequest;
pub use retry::{Class, Failure, RetryPolicy, Step};
pub use secret::Secret;
pub use signing::SigningKey;
pub use time::{Moment, UnixTime};
pub use token::Token;
pub use verify::{Expectations, Verified};
