//! jeton-test
