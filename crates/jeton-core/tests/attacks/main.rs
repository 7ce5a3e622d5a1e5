//! Every known attack on a JWT verifier, as tables of tokens with the exact outcome.
//!
//! The families follow RFC 8725 and the CVE numbers that stand beside the rows. Each family also holds rows that are
//! accepted, so that no table passes because everything is refused.
#[cfg(test)]
mod algorithms;
#[cfg(test)]
mod claims;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod headers;
#[cfg(test)]
mod keys;
#[cfg(test)]
mod signatures;
#[cfg(test)]
mod structure;
