//! Verifies the tokens that callers bring: `cargo run --example verify -- ISSUER AUDIENCE < token`.
#![allow(clippy::print_stdout, reason = "an example shows something")]
use jeton::core::{Audience, Expectations, Issuer};
use jeton::{Clock, Context, Discovery, Env, RemoteKeys, Verifier};
use std::error::Error;
use std::io::Read;
use std::sync::Arc;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let issuer = arguments.next().ok_or("ISSUER is missing")?;
    let audience = arguments.next().ok_or("AUDIENCE is missing")?;
    let mut token = String::new();
    std::io::stdin().read_to_string(&mut token)?;

    // Once in the life of a server; keys are fetched when the first token comes, and kept within bounds.
    let keys = RemoteKeys::discovered(Arc::new(Discovery::new(issuer.as_str())));
    let expect = Expectations::new(Issuer::parse(&issuer)?, Audience::parse(&audience)?);
    let verifier = Verifier::new(keys, expect);

    let cx = Context::new(Env::from_process(), Clock::system());
    let claims = verifier.verify(&cx, token.trim()).await?;
    println!("subject  {}", claims.subject().unwrap_or("-"));
    println!("by       {}", claims.algorithm().name());
    Ok(())
}
