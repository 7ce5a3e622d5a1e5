//! A token as it is written, and what is checked when it is read again.
