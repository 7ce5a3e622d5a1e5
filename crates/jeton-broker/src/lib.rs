//! The broker: verifies who asks, decides, hands out a credential or exchanges a token, and writes down that it did.
