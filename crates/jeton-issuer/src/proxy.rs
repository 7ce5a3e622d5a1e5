//! A small forward proxy.
/// A forward proxy for tests.
#[derive(Debug)]
pub struct Proxy;
