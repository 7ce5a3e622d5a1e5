//! Whether a signature would be accepted, before a build is wasted on it.
use super::check::Check;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::plan::{self, Pace};
use crate::session::Session;
use crate::signing::{Flags, instance};
use jeton::{Class, Context, Error, Token};
use jeton_sign::Services;
use jeton_sign::preflight::{self, Acceptance};

const AUTHORITY: &str = "certificate authority";
const LOG: &str = "transparency log";
const STAMP: &str = "timestamp authority";

// What signing needs. (No doc comment: it would become the command's.)
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Signing")]
pub(super) struct Wanted {
    /// Check that signing would work: identity, certificate authority, log, timestamp authority, trust root
    #[arg(long)]
    pub(super) for_signing: bool,
    #[command(flatten)]
    flags: Flags,
}

/// The checks, if they were asked for.
pub(super) fn checks(
    session: &Session,
    arguments: &Wanted,
    pace: &Pace,
    token: Option<&Token>,
) -> Result<Vec<Check>, Failure> {
    if !arguments.for_signing {
        return match arguments.flags.are_given() {
            true => Err(Failure::usage(
                "the services are looked at with --for-signing alone",
            )),
            false => Ok(Vec::new()),
        };
    }
    let instance = match instance::named(&arguments.flags, session) {
        Ok(instance) => instance,
        Err(failure) => return Ok(vec![Check::from_failure("instance", &failure)]),
    };
    let layers = session.layers()?;
    let env = plan::with_ca_file(layers, session.env.clone())?;
    let (cx, progress) = session.context(&env);
    let (policy, timeout) = plan::policy(layers, pace)?;
    progress.within(timeout);
    session.run(&progress, async {
        let mut cx = cx.within(timeout);
        cx.policy = policy;
        let described = instance.describe();
        let (services, trust) = match instance.settled(&cx, &session.output).await {
            Ok(settled) => settled,
            Err(failure) => return Ok(vec![Check::from_failure("trust root", &failure)]),
        };
        let mut checks = vec![match trust {
            Some(_) => Check::ok("trust root", described),
            None => Check::warn(
                "trust root",
                described,
                "name it with --trusted-root FILE, or its repository with --tuf-url",
            ),
        }];
        checks.push(authority(&cx, &services, token).await);
        checks.push(answered(
            LOG,
            services.rekor.as_str(),
            preflight::log_answers(&cx, &services).await,
        ));
        checks.push(match &services.timestamp {
            Some(url) => answered(
                STAMP,
                url.as_str(),
                preflight::authority_stamps(&cx, &services).await,
            ),
            None => Check::ok(STAMP, "none; the log gives the time"),
        });
        Ok(checks)
    })
}

async fn authority(cx: &Context, services: &Services, token: Option<&Token>) -> Check {
    let url = services.fulcio.as_str();
    let Some(token) = token else {
        return Check::warn(
            AUTHORITY,
            url,
            "it cannot be asked about an identity that is not there",
        );
    };
    match preflight::acceptance(cx, services, token).await {
        Ok(Acceptance::Accepted) => Check::ok(AUTHORITY, format!("{url} takes this identity")),
        Ok(Acceptance::Unknown) => Check::warn(
            AUTHORITY,
            format!("{url} does not say whom it takes"),
            "the first signature will show it",
        ),
        Ok(Acceptance::Refused { why, mend }) => {
            Check::fail(AUTHORITY, Exit::Refused, format!("{url}: {why}"), mend)
        }
        Err(error) => failed(AUTHORITY, error),
    }
}

fn answered(name: &'static str, url: &str, answer: Result<(), Error>) -> Check {
    match answer {
        Ok(()) => Check::ok(name, url),
        Err(error) => failed(name, error),
    }
}

fn failed(name: &'static str, error: Error) -> Check {
    let mend = match error.kind() {
        Class::Unavailable | Class::Timeout | Class::Throttled => {
            "wait, or look at the service's status page"
        }
        _ => "correct the URL",
    };
    let error = match error.hint() {
        Some(_) => error,
        None => error.with_hint(mend),
    };
    Check::from_failure(name, &Failure::from(error))
}
