//! A program with a session's credentials: variables and files for what reads them, and doors for what asks late.
//!
//! | module | holds |
//! |---|---|
//! | [`api`] | where credentials are asked for: a broker, or the Ambient platform's two schemes |
//! | [`bearer`] | who asks: the order of tokens, and what follows a refusal |
//! | [`session`], [`control_plane`] | who mints the session's own token |
//! | [`provider`], [`credential`] | which credential is meant, and what an answer says |
//! | [`outfit`], [`tools`] | what a program finds: variables, files, git and gh |
//! | [`offer`] | how the helpers of git and gh ask for it |
//! | [`desk`] | the credentials as they are now: fetched, followed, cleared |
pub mod api;
pub mod bearer;
pub mod control_plane;
pub mod credential;
pub mod desk;
pub mod offer;
pub mod outfit;
pub mod provider;
pub mod session;
pub mod tools;
