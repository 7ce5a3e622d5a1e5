//! Whose identity signs: an identity token, a profile or what is ambient, a login; in that order.
use super::consent::Consent;
use super::{AUDIENCE, Signing};
use crate::command::login::Shown;
use crate::failure::Failure;
use crate::plan::{self, Asked, Keep, Plan};
use crate::progress::Progress;
use crate::session::Session;
use crate::settings::Layers;
use crate::settings::variable as setting;
use jeton::TokenRequest;
use jeton::config::Config;
use jeton::profiles::LoginFlow;
use jeton_sign::login::{Login, PUBLIC_CLIENT, PUBLIC_ISSUER};
use jeton_sign::{Services, Tokens};
use std::sync::Arc;
use std::time::Duration;

/// Where other tools look for an identity token.
const VARIABLES: [&str; 2] = ["SIGSTORE_ID_TOKEN", "COSIGN_IDENTITY_TOKEN"];
/// The places that an identity token may be named in. A token itself has no place in an argument list.
const PLACES: [&str; 3] = ["env:", "file:", "stdin:"];
/// The time a person gets to log in.
const PATIENCE: Duration = Duration::from_secs(300);

/// Where the identity will come from. No token has been asked for.
pub(super) enum Identity {
    /// A source, and whether a person is behind it.
    Source(Box<Plan>, String, bool),
    /// A login.
    Login(LoginFlow),
}

/// The first that is there.
pub(super) fn chosen(signing: &Signing, session: &Session) -> Result<Identity, Failure> {
    let layers = session.layers()?;
    if let Some(spec) = identity_token(signing, session, layers)? {
        let asked = asked(layers, None, vec![spec.clone()], signing)?;
        return Ok(Identity::Source(
            Box::new(settle(session, &asked, signing)?),
            spec,
            false,
        ));
    }
    let profile = layers.text(&setting::PROFILE, signing.profile.as_ref())?;
    let asked = asked(layers, profile.clone(), signing.source.clone(), signing)?;
    let plan = settle(session, &asked, signing)?;
    if let Some(name) = profile {
        let profile = layers.config.profile(&name)?;
        let is_a_person = profile.interactive || profile.grant.is_login();
        return Ok(Identity::Source(
            Box::new(plan),
            format!("profile {name}"),
            is_a_person,
        ));
    }
    let flow = match (signing.device, signing.browser) {
        (true, _) => Some(LoginFlow::Device),
        (_, true) => Some(LoginFlow::Browser),
        _ => None,
    };
    let report = plan.jeton.explain(&plan.request);
    match (report.chosen, flow) {
        (Some(source), _) if !report.broken => Ok(Identity::Source(Box::new(plan), source, false)),
        (_, Some(flow)) => Ok(Identity::Login(flow)),
        // What is missing, the chain says best itself when it is asked.
        (chosen, None) => {
            let source = chosen.unwrap_or_else(|| "the ambient source".to_owned());
            Ok(Identity::Source(Box::new(plan), source, false))
        }
    }
}

/// Where the identity token is, if one was named or left in a variable.
fn identity_token(
    signing: &Signing,
    session: &Session,
    layers: Layers<'_>,
) -> Result<Option<String>, Failure> {
    let said = layers.text(&setting::IDENTITY_TOKEN, signing.identity_token.as_ref())?;
    if let Some(spec) = said {
        if PLACES.iter().any(|place| spec.starts_with(place)) {
            return Ok(Some(spec));
        }
        // Not shown: it may be the token.
        return Err(
            Failure::usage("--identity-token: neither env:VAR nor file:PATH nor stdin:")
                .with_hint("name where the token is; in an argument everybody on this machine could read it"),
        );
    }
    let variable = VARIABLES.iter().find(|name| session.env.get(name).is_some());
    if let Some(name) = variable.filter(|_| signing.profile.is_some() || !signing.source.is_empty()) {
        let what = format!("{name} is set, and an identity token comes before --profile and --source");
        session.output.warning(&what);
    }
    Ok(variable.map(|name| format!("env:{name}")))
}

fn asked(
    layers: Layers<'_>,
    profile: Option<String>,
    source: Vec<String>,
    signing: &Signing,
) -> Result<Asked, Failure> {
    // `[defaults] audience` is for tokens; a signature has its own default.
    let above = Layers {
        env: layers.env,
        config: &Config::default(),
    };
    let said = above.text(&setting::AUDIENCE, signing.audience.as_ref())?;
    let of_profile = match &profile {
        Some(name) => layers.config.profile(name)?.audience.clone(),
        None => Vec::new(),
    };
    let audience = match said {
        Some(audience) => vec![audience],
        None if !of_profile.is_empty() => of_profile,
        None => vec![AUDIENCE.to_owned()],
    };
    Ok(Asked {
        profile,
        audience,
        source,
        ..Asked::default()
    })
}

/// Each signature has a token of its own: nothing is taken from a cache.
fn settle(session: &Session, asked: &Asked, signing: &Signing) -> Result<Plan, Failure> {
    let keep = Keep {
        min_validity: Some("0s".to_owned()),
        no_cache: true,
        ..Keep::default()
    };
    plan::settle(session, asked, &signing.pace, &keep)
}

impl Identity {
    /// What is said of it to people.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Source(_, name, _) => format!("what {name} says"),
            Self::Login(LoginFlow::Device) => "whoever confirms the device code".to_owned(),
            Self::Login(LoginFlow::Browser) => "whoever logs in in the browser".to_owned(),
        }
    }

    /// Where the signer asks for tokens.
    pub(super) fn settled(
        self,
        session: &Session,
        services: &Services,
        progress: &Progress,
        signing: &Signing,
    ) -> Result<Tokens, Failure> {
        let layers = session.layers()?;
        let consent = || -> Result<Arc<Consent>, Failure> {
            let yes = layers.switch(&setting::YES, signing.yes)?;
            Ok(Arc::new(Consent::new(
                Arc::clone(&session.output),
                services.rekor.to_string(),
                yes,
            )))
        };
        Ok(match self {
            Self::Source(plan, _, false) => Tokens::ambient(Arc::new(plan.jeton), plan.request),
            Self::Source(plan, _, true) => {
                Tokens::interactive(Arc::new(plan.jeton), plan.request, consent()?)
            }
            Self::Login(flow) => {
                let login = login(session, services, progress, signing, flow)?;
                Tokens::interactive(Arc::new(login), TokenRequest::default(), consent()?)
            }
        })
    }
}

/// A login at the issuer that was named, else at the instance's own.
fn login(
    session: &Session,
    services: &Services,
    progress: &Progress,
    signing: &Signing,
    flow: LoginFlow,
) -> Result<Login<Shown>, Failure> {
    let layers = session.layers()?;
    let issuer = layers.text(&setting::OIDC_ISSUER, signing.oidc_issuer.as_ref())?;
    let own = services.issuer.clone();
    let is_private = signing.is_private(layers)?;
    let issuer = match issuer.or(own) {
        Some(issuer) => issuer,
        None if is_private => {
            return Err(Failure::usage(
                "where do people of this instance log in? The public issuer is not asked",
            )
            .with_hint("say --oidc-issuer URL"));
        }
        None => PUBLIC_ISSUER.to_owned(),
    };
    let client = layers.text(&setting::OIDC_CLIENT_ID, signing.oidc_client_id.as_ref())?;
    let env = plan::with_ca_file(layers, session.env.clone())?;
    let (mut cx, _) = session.context(&env);
    cx.policy = plan::policy(layers, &signing.pace)?.0;
    Ok(Login {
        cx,
        issuer,
        client_id: client.unwrap_or_else(|| PUBLIC_CLIENT.to_owned()),
        flow,
        patience: PATIENCE,
        prompt: Shown::new(session, progress, true, PATIENCE),
    })
}
