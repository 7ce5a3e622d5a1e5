//! The issuer from outside: bytes on real connections.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on should say where"
)]
mod client;
mod faults;
mod grants;
mod platforms;
mod provider;
