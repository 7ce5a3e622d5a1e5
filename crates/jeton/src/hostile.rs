//! Parsers of hostile input that are nobody's interface, opened for the fuzz targets of this repository alone.
use crate::cache::entry::{self, Entry};
use crate::{discovery, http};
use jeton_core::{UnixTime, json};
use std::time::Duration;

/// How long a `Retry-After` asks to wait, at a fixed present.
#[must_use]
pub fn retry_after(text: &str) -> Option<Duration> {
    /// Some moment of 2027, in seconds.
    const PRESENT: i64 = 1_800_000_000;
    http::date::retry_after(text, UnixTime::from_seconds(PRESENT))
}

/// Whether a file is an entry of the token cache.
#[must_use]
pub fn is_cache_entry(file: &[u8]) -> bool {
    Entry::unseal(file).is_some()
}

/// The bytes as the body of a file whose sum is right, as whoever can write to the folder can make one.
#[must_use]
pub fn sealed(body: &[u8]) -> Vec<u8> {
    entry::seal(body)
}

/// Whether the bytes are the metadata of `issuer`.
#[must_use]
pub fn is_metadata_of(issuer: &str, bytes: &[u8]) -> bool {
    json::parse(bytes).is_ok_and(|document| discovery::own_document(issuer, document).is_ok())
}
