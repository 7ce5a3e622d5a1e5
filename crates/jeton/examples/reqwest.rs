//! A request with a fresh token, sent once more after a 401: `cargo run --example reqwest --features reqwest -- URL`.
#![allow(clippy::print_stdout, reason = "an example shows something")]
use jeton::{Chain, Clock, Context, Env, Jeton, TokenRequest, source};
use std::error::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1).ok_or("URL is missing")?;
    let cx = Context::new(Env::from_process(), Clock::system());
    let jeton = Jeton::builder(cx, Chain::ambient(source::ambient_order())).build();

    let client = reqwest::Client::new();
    let wanted = TokenRequest::audience("https://example.com");
    let request = client.get(url).build()?;
    let response = jeton::reqwest::send(&jeton, &client, &wanted, request).await?;
    println!("status {}", response.status());
    Ok(())
}
