//! A cloud's command line in small: log in once, climb from one token to the next, repeat nothing that is still good.
//!
//! `cargo run --example ladder -- MEMBERSHIP_URL STACK_API_URL ORGANIZATION STACK`
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "an example shows something, and a person is asked on standard error"
)]
mod profiles;

use jeton::config::Config;
use jeton::profiles::{LoginFlow, LoginPrompt, Profiles, Prompted, Wishes};
use jeton::{Clock, Context, Env, TokenRequest};
use std::sync::Arc;

/// Shows a person where to confirm which code.
struct Shown;

impl LoginPrompt for Shown {
    fn show(&self, what: &Prompted<'_>) {
        if let Prompted::Device(device) = what {
            eprintln!(
                "visit {} and confirm {}",
                device.verification_uri, device.user_code
            );
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [membership, stack_api, organization, stack] = &arguments[..] else {
        return Err("MEMBERSHIP_URL STACK_API_URL ORGANIZATION STACK are needed".into());
    };
    let text = profiles::ladder(membership, stack_api, organization, stack);
    let config = Config::parse(&text, "the ladder")?;
    let cx = Context::new(Env::from_process(), Clock::system());
    let ladder = Profiles::new(Arc::new(config), cx, Wishes::default());
    if let Some(login) = ladder.missing_login(profiles::API) {
        ladder.login(&login.name, LoginFlow::Device, &Shown).await?;
    }
    // The top rung is all that a program asks for: it climbs by itself.
    for rung in profiles::RUNGS.into_iter().rev() {
        let request = ladder.request(rung, TokenRequest::default())?;
        let token = ladder.open(rung)?.token(&request).await?;
        let subject = token.subject.as_deref().unwrap_or("-");
        println!("{rung:<12} {subject} cached={}", token.cached);
    }
    Ok(())
}
