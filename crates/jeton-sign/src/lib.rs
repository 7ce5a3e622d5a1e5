//! Keyless signing: the token minted for each signature, and verification of exactly the identity that is named.
