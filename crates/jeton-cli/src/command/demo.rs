//! `jeton demo`: the five-minute-token story, in seconds.
use super::Command;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::session::Session;
use anstyle::{AnsiColor, Style};
use jeton::core::verify::{Expectations, verify};
use jeton::core::{Audience, Issuer as Name, KeySet, Rejection};
use jeton::{Chain, Context, Env, Jeton, Token, TokenRequest};
use jeton_issuer::{Algorithm, Issuer, Options, RunningIssuer};
use std::time::Duration;

pub(super) const COMMAND: Command = Command {
    name: "demo",
    define: <Arguments as clap::Args>::augment_args,
    run: |session, matches| run(session, &super::arguments(matches)?),
};

const EXAMPLES: &str = "\
Examples:
  jeton demo

Needs no network and no account: a development issuer runs in the same process.";

/// Play the five-minute-token story in seconds, offline
///
/// A release job asks its CI platform for a token, builds, and publishes. The token lives five minutes and the build
/// takes eight. Here a minute is a fraction of a second.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {}

/// For whom the tokens are.
const AUDIENCE: &str = "registry.example.com";
/// What stands for the five minutes that a token lives.
const TOKEN_LIFE: Duration = Duration::from_secs(2);
/// What stands for the eight minutes that the build takes.
const BUILD: Duration = Duration::from_secs(3);
/// The claims that are shown.
const SHOWN: [&str; 6] = ["iss", "sub", "aud", "repository", "ref", "exp"];

fn run(session: &Session, _: &Arguments) -> Result<Exit, Failure> {
    let (cx, progress) = session.context(&Env::default());
    session.run(&progress, play(session, cx))?;
    Ok(Exit::Done)
}

/// A registry that verifies what it is shown, as it should, with no second of leeway.
struct Registry {
    keys: KeySet,
    expect: Expectations,
}

impl Registry {
    fn of(issuer: &RunningIssuer) -> Result<Self, Failure> {
        let keys = KeySet::parse(issuer.jwks().to_string().as_bytes()).map_err(|e| broken(&e))?;
        let name = Name::parse(issuer.url()).map_err(|e| broken(&e))?;
        let audience = Audience::parse(AUDIENCE).map_err(|e| broken(&e))?;
        let expect = Expectations::new(name, audience).leeway(Duration::ZERO);
        Ok(Self { keys, expect })
    }

    /// 200 with the claims, or 401 with the reason.
    fn publish(&self, session: &Session, token: &Token) -> Result<Vec<(&'static str, String)>, Rejection> {
        let now = session.clock.now().wall;
        let claims = verify(token.value.reveal(), &self.keys, &self.expect, now)?;
        let shown = SHOWN.map(|name| {
            (
                name,
                claims.get(name).map(|claim| claim.to_text()).unwrap_or_default(),
            )
        });
        Ok(shown.to_vec())
    }
}

fn broken(error: &dyn std::fmt::Display) -> Failure {
    Failure::new(Exit::Other, format!("the demonstration is broken: {error}"))
}

async fn play(session: &Session, cx: Context) -> Result<(), Failure> {
    let stage = Stage { session };
    let clock = session.clock.clone();
    let mut options = Options::new(move || clock.now().wall).with_algorithm(Algorithm::Es256);
    options.token_life = TOKEN_LIFE;
    let issuer = Issuer::start(options).await.map_err(|e| broken(&e))?;
    let registry = Registry::of(&issuer)?;
    let jeton = jeton(cx, &issuer)?;

    stage.title("A release job on a CI platform whose tokens live five minutes (here: two seconds)")?;
    stage.title("\n1. The eager way: token first, then the build, then publish")?;
    let token = mint(&stage, &jeton).await?;
    build(&stage).await?;
    match registry.publish(session, &token) {
        Err(rejection) => stage.bad(&format!("publish: 401 Unauthorized ({rejection})"))?,
        Ok(_) => return Err(broken(&"a dead token was accepted")),
    }

    stage.title("\n2. The late way: the build, then the token, at the moment it is used")?;
    build(&stage).await?;
    let token = mint(&stage, &jeton).await?;
    let claims = registry.publish(session, &token).map_err(|e| broken(&e))?;
    stage.good("publish: 200 OK, published")?;

    stage.title("\nWhat the registry saw, verified against the issuer's keys")?;
    for (name, value) in claims {
        stage.line(&format!("   {name:<11} {value}"))?;
    }
    stage.title("\nThe same on your platform: `jeton token -a AUDIENCE`, where the token is used")?;
    issuer.stop().await;
    Ok(())
}

/// The library, taking the issuer for GitHub Actions.
fn jeton(cx: Context, issuer: &RunningIssuer) -> Result<Jeton, Failure> {
    let variables = issuer.environment("github").map_err(|e| broken(&e))?;
    let env: Env = variables.into_iter().collect();
    let mut here = Context::new(env, cx.clock.clone());
    here.observer = cx.observer;
    let chain = Chain::named(vec![jeton::source::named("github")?]);
    Ok(Jeton::builder(here, chain)
        .no_disk_cache()
        .cache_ttl(Some(Duration::ZERO))
        .build())
}

async fn mint(stage: &Stage<'_>, jeton: &Jeton) -> Result<Token, Failure> {
    let token = jeton
        .token(&TokenRequest::audience(AUDIENCE).min_validity(Duration::ZERO))
        .await?;
    let life = token
        .life
        .map(|life| life.left_at_receipt.as_secs())
        .unwrap_or_default();
    stage.line(&format!("   token from {}, lives {life} s", token.source))?;
    Ok(token)
}

async fn build(stage: &Stage<'_>) -> Result<(), Failure> {
    stage.line(&format!(
        "   building for eight minutes (here: {} s)",
        BUILD.as_secs()
    ))?;
    tokio::time::sleep(BUILD).await;
    Ok(())
}

/// Where the story is told: in colour on a terminal, plain through a pipe.
struct Stage<'a> {
    session: &'a Session,
}

impl Stage<'_> {
    fn line(&self, text: &str) -> Result<(), Failure> {
        Ok(self.session.output.line(text)?)
    }

    fn title(&self, text: &str) -> Result<(), Failure> {
        self.styled("", text, Style::new().bold())
    }

    fn good(&self, text: &str) -> Result<(), Failure> {
        self.styled("   ", text, Style::new().fg_color(Some(AnsiColor::Green.into())))
    }

    fn bad(&self, text: &str) -> Result<(), Failure> {
        self.styled("   ", text, Style::new().fg_color(Some(AnsiColor::Red.into())))
    }

    fn styled(&self, indent: &str, text: &str, style: Style) -> Result<(), Failure> {
        if self.session.output.is_colourful() {
            return self.line(&format!("{indent}{style}{text}{style:#}"));
        }
        self.line(&format!("{indent}{text}"))
    }
}
