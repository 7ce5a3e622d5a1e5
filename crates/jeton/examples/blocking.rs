//! A token without `async`: `cargo run --example blocking --features blocking`.
#![allow(clippy::print_stdout, reason = "an example shows something")]
use jeton::blocking::Blocking;
use jeton::{Chain, Clock, Context, Env, Error, Jeton, TokenRequest, source};

fn main() -> Result<(), Error> {
    let cx = Context::new(Env::from_process(), Clock::system());
    let tokens = Blocking::new(Jeton::builder(cx, Chain::ambient(source::ambient_order())).build())?;

    let token = tokens.token(&TokenRequest::audience("https://example.com"))?;
    println!("{} gave a token for {}", token.source, token.audience.join(" "));
    Ok(())
}
