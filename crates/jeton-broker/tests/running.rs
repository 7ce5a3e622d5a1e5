//! A running broker, with the development issuer as identity provider: sessions, the token endpoint, trust policies,
//! credentials that are made on demand, limits.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on should say where"
)]
#![cfg(test)]

#[path = "running/bindings.rs"]
mod bindings;
#[path = "running/credentials.rs"]
mod credentials;
#[path = "running/documents.rs"]
mod documents;
#[path = "running/exchange.rs"]
mod exchange;
#[path = "running/faults.rs"]
mod faults;
#[path = "running/key_service.rs"]
mod key_service;
#[path = "running/matrix.rs"]
mod matrix;
#[path = "running/minting.rs"]
mod minting;
#[path = "running/policies.rs"]
mod policies;
#[path = "running/record.rs"]
mod record;
#[path = "running/remembered.rs"]
mod remembered;
#[path = "running/server.rs"]
mod server;
#[path = "running/sessions.rs"]
mod sessions;
#[path = "running/stopping.rs"]
mod stopping;
#[cfg(feature = "otel")]
#[path = "running/traces.rs"]
mod traces;
