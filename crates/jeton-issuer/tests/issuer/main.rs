//! The issuer from outside: bytes on real connections.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on should say where"
)]
#![allow(
    clippy::type_complexity,
    reason = "a table's row is a tuple, and its head says what is in it"
)]
mod client;
mod faults;
mod grants;
mod platforms;
mod provider;
mod proxy;
#[cfg(feature = "spiffe")]
mod spiffe;
mod tls;
