//! A token for one audience, from wherever this program runs: `cargo run --example token -- AUDIENCE`.
#![allow(clippy::print_stdout, reason = "an example shows something")]
use jeton::{Chain, Clock, Context, Env, Error, Jeton, TokenRequest, source};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let audience = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "https://example.com".to_owned());
    let cx = Context::new(Env::from_process(), Clock::system());
    let jeton = Jeton::builder(cx, Chain::ambient(source::ambient_order())).build();

    let token = jeton.token(&TokenRequest::audience(audience)).await?;
    println!("source   {}", token.source);
    println!("issuer   {}", token.issuer.as_deref().unwrap_or("-"));
    println!("subject  {}", token.subject.as_deref().unwrap_or("-"));
    println!("audience {}", token.audience.join(" "));
    println!("cached   {}", token.cached);
    Ok(())
}
