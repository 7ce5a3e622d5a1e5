//! The issuer from outside: bytes on real connections.
mod client;
mod faults;
mod provider;
