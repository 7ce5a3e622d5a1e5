//! jeton
fn main() {}
