//! From arguments to what the library is asked for: the chain, the request, the pace.
use crate::failure::Failure;
use crate::progress::Progress;
use crate::session::Session;
use crate::settings::variable as setting;
use crate::settings::{Layers, Setting};
use jeton::config::{AMBIENT, Config, Grant, Profile};
use jeton::context::DEFAULT_TIMEOUT;
use jeton::core::request::DEFAULT_MIN_VALIDITY;
use jeton::profiles::{Profiles, Wishes};
use jeton::{Chain, Context, Env, Error, Jeton, RetryPolicy, Source, Token, TokenRequest};
use std::sync::Arc;
use std::time::Duration;

// What is asked for, and of whom. (No doc comment: it would become the command's.)
#[derive(clap::Args, Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    /// A profile of config.toml; without one, the ambient chain
    #[arg(value_name = "PROFILE")]
    pub(crate) profile: Option<String>,
    /// The audience the token must have (repeatable) [default: the profile's, or the source's own]
    #[arg(short, long, value_name = "AUD")]
    pub(crate) audience: Vec<String>,
    /// Try exactly these, in this order (repeatable): a name such as github, or env:VAR, file:PATH, stdin:,
    /// command:CMD ARG…, issuer:URL [default: the built-in order]
    #[arg(long, value_name = "SPEC")]
    pub(crate) source: Vec<String>,
    /// A scope, for grants (repeatable) [default: the profile's]
    #[arg(long, value_name = "S")]
    pub(crate) scope: Vec<String>,
    /// The resource, for grants [default: the profile's]
    #[arg(long, value_name = "URI")]
    pub(crate) resource: Option<String>,
    /// The service account, for the source kubernetes [default: the projected token's own]
    #[arg(long, value_name = "NS/NAME")]
    pub(crate) service_account: Option<String>,
}

// How often and how long.
#[derive(clap::Args, Clone, Debug, Default, PartialEq, Eq)]
#[command(next_help_heading = "Time and attempts")]
pub(crate) struct Pace {
    /// The time for everything together [default: 60s]
    #[arg(long, value_name = "D")]
    pub(crate) timeout: Option<String>,
    /// How many requests are sent at most [default: 5]
    #[arg(long, value_name = "N")]
    pub(crate) max_attempts: Option<String>,
    /// The wait before the second attempt; none is shorter than this, and at most half as long again [default: 250ms]
    #[arg(long, value_name = "D")]
    pub(crate) backoff: Option<String>,
    /// What each further wait is multiplied by [default: 2]
    #[arg(long, value_name = "F")]
    pub(crate) backoff_factor: Option<String>,
    /// The longest wait between attempts [default: 8s]
    #[arg(long, value_name = "D")]
    pub(crate) max_backoff: Option<String>,
    /// The time for a connection [default: 3s]
    #[arg(long, value_name = "D")]
    pub(crate) connect_timeout: Option<String>,
    /// The time for each attempt [default: 10s]
    #[arg(long, value_name = "D")]
    pub(crate) attempt_timeout: Option<String>,
}

// How long it must live, and what is kept.
#[derive(clap::Args, Clone, Debug, Default, PartialEq, Eq)]
#[command(next_help_heading = "Life and cache")]
pub(crate) struct Keep {
    /// The token must live at least this long; when none lives so long, the longest is printed, with a warning
    /// [default: 30s]
    #[arg(long, value_name = "D")]
    pub(crate) min_validity: Option<String>,
    /// Exit 8 instead of that warning
    #[arg(long)]
    pub(crate) strict: bool,
    /// The longest time a cached token is re-used; 0 = neither read nor written [default: the token's own life]
    #[arg(long, value_name = "D")]
    pub(crate) cache_ttl: Option<String>,
    /// Neither read nor write the cache
    #[arg(long)]
    pub(crate) no_cache: bool,
    /// Ignore what is cached but store the new token
    #[arg(long, conflicts_with = "no_cache")]
    pub(crate) refresh: bool,
}

/// What the library is asked for.
pub(crate) struct Plan {
    pub(crate) jeton: Jeton,
    pub(crate) request: TokenRequest,
    pub(crate) progress: Progress,
    pub(crate) timeout: Duration,
}

impl Plan {
    /// A token: from a cache at once, else by way of a runtime.
    pub(crate) fn token(&self, session: &Session) -> Result<Token, Failure> {
        if let Some(token) = self.jeton.token_now(&self.request) {
            return Ok(token);
        }
        self.progress.within(self.timeout);
        session.run(&self.progress, async {
            self.jeton.token(&self.request).await.map_err(Failure::from)
        })
    }
}

/// Settles every argument.
pub(crate) fn settle(session: &Session, asked: &Asked, pace: &Pace, keep: &Keep) -> Result<Plan, Failure> {
    let config = session.config()?;
    let layers = session.layers()?;
    let profile = match asked.profile.as_deref() {
        None | Some(AMBIENT) => None,
        Some(name) => Some(config.profile(name)?),
    };
    let env = match layers.text(&setting::SERVICE_ACCOUNT, asked.service_account.as_ref())? {
        Some(account) => session
            .env
            .clone()
            .with(setting::SERVICE_ACCOUNT.variable(), account),
        None => session.env.clone(),
    };
    let env = with_ca_file(layers, env)?;
    let request = request(layers, profile, asked, keep)?;
    let (mut cx, progress) = session.context(&env);
    let timeout;
    (cx.policy, timeout) = policy(layers, pace)?;
    let cache_ttl = cache_ttl(layers, profile, keep)?;
    let wishes = Wishes {
        timeout: Some(timeout),
        // Nothing kept is nothing kept on any rung, metadata included.
        no_cache: cache_ttl == Some(Duration::ZERO),
        ..Wishes::default()
    };
    let chain = chain(layers, profile, &asked.source, &cx, wishes)?;
    let jeton = Jeton::builder(cx, chain)
        .profile(profile.map_or("", |profile| profile.name.as_str()))
        .timeout(timeout)
        .cache_ttl(cache_ttl)
        .refresh(layers.switch(&setting::REFRESH, keep.refresh)?)
        .strict(layers.switch(&setting::STRICT, keep.strict)?);
    let jeton = match profile.and_then(|profile| profile.issuer.as_deref()) {
        Some(issuer) => jeton.issuer(issuer),
        None => jeton,
    };
    Ok(Plan {
        jeton: jeton.build(),
        request,
        progress,
        timeout,
    })
}

/// Puts a file of authorities from `config.toml` where the wire looks for it; flag and variable are there already.
pub(crate) fn with_ca_file(layers: Layers<'_>, env: Env) -> Result<Env, Failure> {
    Ok(match layers.text(&setting::CA_FILE, None)? {
        Some(path) => env.with(setting::CA_FILE.variable(), path),
        None => env,
    })
}

fn chain(
    layers: Layers<'_>,
    profile: Option<&Profile>,
    flag: &[String],
    cx: &Context,
    wishes: Wishes,
) -> Result<Chain, Failure> {
    let is_ambient = profile.is_none_or(|profile| profile.grant == Grant::Ambient);
    if let Some(profile) = profile.filter(|_| !is_ambient) {
        if !flag.is_empty() {
            let why = format!(
                "--source: the profile `{}` says itself where its token comes from",
                profile.name
            );
            return Err(Failure::usage(why).with_hint("leave out one of the two"));
        }
        let profiles = Profiles::new(Arc::new(layers.config.clone()), cx.clone(), wishes);
        return Ok(Chain::named(vec![profiles.source(profile)?]));
    }
    let named = layers.texts(&setting::SOURCE, flag)?;
    if let Some(written) = layers.written(&setting::SOURCE, flag) {
        let sources = sources(&named);
        let sources = sources.map_err(|error| Failure::from(error).said_at(&written.origin))?;
        return Ok(Chain::named(sources));
    }
    let disabled = layers.config.disable.clone();
    Ok(match &layers.config.order {
        Some(order) => Chain::named(sources(order)?).without(disabled),
        None => Chain::ambient(jeton::source::ambient_order()).without(disabled),
    })
}

fn sources(specs: &[String]) -> Result<Vec<Arc<dyn Source>>, Error> {
    specs
        .iter()
        .map(|spec| jeton::source::spec::parse(spec))
        .collect()
}

/// The layers above the profile's own word: flags and variables.
fn above(
    layers: Layers<'_>,
    empty: &Config,
    read: impl Fn(Layers<'_>) -> Result<Vec<String>, Failure>,
) -> Result<Vec<String>, Failure> {
    read(Layers {
        env: layers.env,
        config: empty,
    })
}

fn request(
    layers: Layers<'_>,
    profile: Option<&Profile>,
    asked: &Asked,
    keep: &Keep,
) -> Result<TokenRequest, Failure> {
    let empty = Config::default();
    let texts = |setting: &Setting, flag: &[String], own: fn(&Profile) -> &Vec<String>| {
        let said = above(layers, &empty, |layers| layers.texts(setting, flag))?;
        match profile.map(own).filter(|own| !own.is_empty()) {
            _ if !said.is_empty() => Ok(said),
            Some(own) => Ok(own.clone()),
            None => layers.texts(setting, flag),
        }
    };
    let resource = asked.resource.as_slice();
    Ok(TokenRequest {
        audience: texts(&setting::AUDIENCE, &asked.audience, |p| &p.audience)?,
        scopes: texts(&setting::SCOPE, &asked.scope, |p| &p.scopes)?,
        resource: texts(&setting::RESOURCE, resource, |p| &p.resource)?,
        min_validity: profiled(
            layers,
            &setting::MIN_VALIDITY,
            keep.min_validity.as_ref(),
            profile,
            |p| p.min_validity,
        )?
        .unwrap_or(DEFAULT_MIN_VALIDITY),
    })
}

/// A duration that a profile may set.
fn profiled(
    layers: Layers<'_>,
    setting: &Setting,
    flag: Option<&String>,
    profile: Option<&Profile>,
    own: fn(&Profile) -> Option<Duration>,
) -> Result<Option<Duration>, Failure> {
    let empty = Config::default();
    let said = Layers {
        env: layers.env,
        config: &empty,
    }
    .duration(setting, flag)?;
    match said.or_else(|| profile.and_then(own)) {
        Some(span) => Ok(Some(span)),
        None => layers.duration(setting, flag),
    }
}

fn cache_ttl(
    layers: Layers<'_>,
    profile: Option<&Profile>,
    keep: &Keep,
) -> Result<Option<Duration>, Failure> {
    if layers.switch(&setting::NO_CACHE, keep.no_cache)? {
        return Ok(Some(Duration::ZERO));
    }
    profiled(
        layers,
        &setting::CACHE_TTL,
        keep.cache_ttl.as_ref(),
        profile,
        |p| p.cache_ttl,
    )
}

/// What profiles are asked where no flag speaks for one of them: variables speak before a profile, `[defaults]` after.
pub(crate) fn wishes(layers: Layers<'_>, timeout: Duration) -> Result<Wishes, Failure> {
    let empty = Config::default();
    let variables = Layers {
        env: layers.env,
        config: &empty,
    };
    Ok(Wishes {
        timeout: Some(timeout),
        no_cache: layers.switch(&setting::NO_CACHE, false)?,
        cache_ttl: variables.duration(&setting::CACHE_TTL, None)?,
        min_validity: variables.duration(&setting::MIN_VALIDITY, None)?,
        usual_cache_ttl: layers.duration(&setting::CACHE_TTL, None)?,
        usual_min_validity: layers.duration(&setting::MIN_VALIDITY, None)?,
        ..Wishes::default()
    })
}

/// The retry policy and the time for everything together.
pub(crate) fn policy(layers: Layers<'_>, pace: &Pace) -> Result<(RetryPolicy, Duration), Failure> {
    let usual = RetryPolicy::default();
    let span = |setting: &Setting, flag: &Option<String>, usual| {
        let some = layers.duration(setting, flag.as_ref())?;
        Ok::<Duration, Failure>(some.unwrap_or(usual))
    };
    let attempts = layers.value(
        &setting::MAX_ATTEMPTS,
        pace.max_attempts.as_ref(),
        "no number of attempts; write 1 or more",
        |n: &u32| *n > 0,
    )?;
    let factor = layers.value(
        &setting::BACKOFF_FACTOR,
        pace.backoff_factor.as_ref(),
        "no factor; write a number of 1 or more",
        |factor: &f64| factor.is_finite() && *factor >= 1.0,
    )?;
    let policy = RetryPolicy {
        max_attempts: attempts.unwrap_or(usual.max_attempts),
        backoff: span(&setting::BACKOFF, &pace.backoff, usual.backoff)?,
        factor: factor.unwrap_or(usual.factor),
        max_backoff: span(&setting::MAX_BACKOFF, &pace.max_backoff, usual.max_backoff)?,
        connect_timeout: span(
            &setting::CONNECT_TIMEOUT,
            &pace.connect_timeout,
            usual.connect_timeout,
        )?,
        attempt_timeout: span(
            &setting::ATTEMPT_TIMEOUT,
            &pace.attempt_timeout,
            usual.attempt_timeout,
        )?,
    };
    Ok((policy, span(&setting::TIMEOUT, &pace.timeout, DEFAULT_TIMEOUT)?))
}
