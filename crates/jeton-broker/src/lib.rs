//! The broker: verifies who asks, decides, hands out a credential or exchanges a token, and writes down that it did.
//!
//! ```text
//! connection -> service -> dispatch: route -> who -> permission -> handler -> store, audit -> answer
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`config`] | `broker.toml` and `JETON_BROKER_…` |
//! | [`broker`] | the state that every request is handed: store, keyring, issuers, settings that can be read again |
//! | [`route`] | **the** table of routes: path, method, who may, handler. The router, the authorization matrix and the OpenAPI document are all made from it; a route cannot be written without saying who may |
//! | [`dispatch`] | the way of one request: authentication, permission, body, handler, answer |
//! | [`principal`], [`issuers`] | who asks: a token of a configured issuer, verified |
//! | [`permission`] | may he: the bindings that cover the object, decided by `jeton_core::access` |
//! | `handler` | what each route does, one file for each kind of object |
//! | [`provider`] | what a credential of each provider holds, and what it releases |
//! | [`store`] | one schema in SQLite or PostgreSQL, one SQL text for both |
//! | [`keyring`], [`key_service`], [`rotation`] | encryption at rest, who keeps the key to the keys, and re-encryption while serving |
//! | [`audit`] | the chain of records; nothing is released before its record is there |
//! | [`session`] | agents' sessions: what they resolve to, their leases, their own tokens |
//! | [`token_endpoint`], [`policy`], [`policy_file`] | token exchange, and who may exchange for what |
//! | [`own_issuer`] | the broker as an issuer: keys, discovery, tokens of its own |
//! | [`minting`], [`shapes`] | credentials that are made on demand; the forms that older clients read |
//! | [`openapi`], [`metrics`], [`limits`] | the document of the routes; what is counted; how much is too much |
//! | [`problem`], [`answer`], [`fields`], [`listing`] | what is answered and how requests are read |
//! | [`service`], [`reload`] | listening, stopping, settings that change while it runs |
//! | [`upkeep`] | what is swept away |
//! | `trace` | with the feature `otel`: a span for each request, to a collector |
//! | [`setup`], [`dump`] | what `init` writes; backup and restore |
pub mod answer;
pub mod audit;
pub mod binding;
pub mod broker;
pub mod call;
pub mod config;
pub mod credential;
pub mod dispatch;
pub mod dump;
pub mod fields;
mod handler;
pub mod id;
pub mod issuers;
pub mod key_service;
pub mod keyring;
pub mod limits;
pub mod listing;
pub mod metrics;
pub mod minting;
pub mod openapi;
pub mod own_issuer;
pub mod permission;
pub mod policy;
pub mod policy_file;
pub mod principal;
pub mod problem;
pub mod provider;
pub mod reload;
pub mod remembered;
pub mod replay;
pub mod rotation;
pub mod route;
pub mod service;
pub mod session;
pub mod setup;
pub mod shapes;
pub mod store;
pub mod token_endpoint;
#[cfg(feature = "otel")]
pub mod trace;
pub mod upkeep;

pub use broker::{Broker, Log};
pub use config::Config;
pub use problem::Problem;
