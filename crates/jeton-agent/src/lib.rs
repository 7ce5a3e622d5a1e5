//! Every tool's own door to fresh tokens, for programs that will never link a library.
//!
//! | module | opens |
//! |---|---|
//! | [`proxy`] | a local address in front of a server: every request goes on with a fresh token |
//! | [`peer`] | who is at the other end of a local connection |
pub mod peer;
pub mod proxy;
pub mod secret_file;
