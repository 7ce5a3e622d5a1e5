//! Tokens in memory, read without a lock.
