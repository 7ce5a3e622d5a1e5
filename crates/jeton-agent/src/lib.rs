//! Every tool's own door to fresh tokens, for programs that will never link a library.
//!
//! | module | opens |
//! |---|---|
//! | [`agent`] | a socket that only this user can open: tokens of every profile, kept fresh ahead of need |
//! | [`facade`] | local endpoints that speak platforms' own protocols |
//! | [`run`] | a program with a session's credentials from a broker, followed through every rotation |
//! | [`proxy`] | a local address in front of a server: every request goes on with a fresh token |
//! | [`bridge`] | an MCP server on HTTP to a client that speaks lines |
//! | [`child`] | another program, with the means to get tokens late |
//! | [`redaction`] | a stream without the secrets in it |
//! | [`token_file`] | a file that always holds a fresh token |
//! | [`place`] | a private folder for the time of one run |
//! | [`consumer`] | the credential protocols of git, docker, kubectl and others |
//! | [`alarm`] | sleep that a suspended machine does not stretch |
//! | [`hardening`], [`systemd`] | what the process takes from itself, and the service manager it tells |
//! | [`service`], [`socket`], [`peer`], [`secret_file`] | what listens, where, for whom, and under which secret |
pub mod agent;
pub mod alarm;
pub mod bridge;
pub mod child;
pub mod consumer;
pub mod facade;
pub mod hardening;
pub mod peer;
pub mod place;
pub mod proxy;
pub mod redaction;
pub mod run;
pub mod secret_file;
pub mod service;
pub mod socket;
pub mod systemd;
pub mod token_file;
