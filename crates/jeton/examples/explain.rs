//! Which source would answer here, and why each other one would not: `cargo run --example explain`.
#![allow(clippy::print_stdout, reason = "an example shows something")]
use jeton::{Chain, Clock, Context, Env, Jeton, TokenRequest, source};

fn main() {
    let cx = Context::new(Env::from_process(), Clock::system());
    let jeton = Jeton::builder(cx, Chain::ambient(source::ambient_order())).build();

    let report = jeton.explain(&TokenRequest::audience("https://example.com"));
    for row in &report.rows {
        println!("{:<16} {:<8} {}", row.source, row.status.as_str(), row.reason);
    }
    println!("chosen: {}", report.chosen.as_deref().unwrap_or("none"));
}
