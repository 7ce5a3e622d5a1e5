//! jeton-issuer
