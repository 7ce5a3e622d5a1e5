//! Profiles come to life: a name in `config.toml` becomes a [`Jeton`] that can be asked for tokens.
//!
//! A profile that stands on another (a *ladder*) holds the other as its input: each rung is a token request of its own
//! with its own caches, so that a rung whose token is good never touches what is below it.
use crate::cache::Wanted;
use crate::config::{AMBIENT, Config, Grant, Input, Profile};
use crate::grant::{Authority, Client};
use crate::session::{SessionKey, SessionStore};
use crate::{Chain, Context, Error, Jeton, Source, source};
use jeton_core::{Class, Token, TokenRequest};
use std::sync::Arc;
use std::time::Duration;

mod login;
mod parts;
mod rung;
mod target;

pub use login::{CachedToken, Standing};
pub use login::{Login, LoginFlow, LoginPrompt, Prompted, forget_everything, logout, status};

/// What a call says beside the profile's name; `None` leaves the profile's own.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    /// For everything together.
    pub timeout: Option<Duration>,
    /// The longest re-use of a cached token.
    pub cache_ttl: Option<Duration>,
    /// The longest re-use of a cached token, for profiles that say none themselves.
    pub usual_cache_ttl: Option<Duration>,
    /// How long a token must live when its caller says nothing, whatever profiles say.
    pub min_validity: Option<Duration>,
    /// The same for profiles that say nothing either.
    pub usual_min_validity: Option<Duration>,
    /// Ignore what is cached but store the new one.
    pub refresh: bool,
    /// Neither read nor write a cache.
    pub no_cache: bool,
    /// Fail where a token lives shorter than asked for.
    pub strict: bool,
    /// The account whose token `kubernetes` asks for, `NS/NAME`.
    pub service_account: Option<String>,
}

/// A configuration and the surroundings in which its profiles live. Cheap to clone.
#[derive(Clone)]
pub struct Profiles {
    config: Arc<Config>,
    cx: Context,
    wishes: Wishes,
    sessions: SessionStore,
}

impl Profiles {
    /// The profiles of `config`.
    #[must_use]
    pub fn new(config: Arc<Config>, cx: Context, wishes: Wishes) -> Self {
        let sessions = SessionStore::new(&cx);
        Self {
            config,
            cx,
            wishes,
            sessions,
        }
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The surroundings.
    #[must_use]
    pub fn context(&self) -> &Context {
        &self.cx
    }

    /// The profile of this name as it is written.
    ///
    /// # Errors
    /// `Class::NotFound`, naming the nearest.
    pub fn profile(&self, name: &str) -> Result<&Profile, Error> {
        self.config.profiles.get(name).ok_or_else(|| {
            let known = self.config.profiles.keys().map(String::as_str);
            let shown = jeton_core::redact::foreign(name, &[]);
            let error = Error::new(Class::NotFound, format!("there is no profile \"{shown}\""));
            match crate::config::nearest::nearest(name, known) {
                Some(meant) => error.with_hint(format!("did you mean \"{meant}\"?")),
                None => error.with_hint("profiles are the `[profiles.NAME]` tables of config.toml"),
            }
        })
    }

    /// The profile as something that can be asked; [`AMBIENT`] is the ambient chain.
    ///
    /// # Errors
    /// `Class::NotFound` for a name that is none, `Class::Config` for a profile that cannot work.
    pub fn open(&self, name: &str) -> Result<Jeton, Error> {
        if name == AMBIENT {
            return Ok(self
                .wished(Jeton::builder(self.cx.clone(), self.ambient()?))
                .build());
        }
        let profile = self.profile(name)?;
        let chain = Chain::named(vec![self.source(profile)?]);
        let mut builder = self.wished(Jeton::builder(self.cx.clone(), chain)).profile(name);
        if self.wishes.cache_ttl.is_none() {
            builder = builder.cache_ttl(profile.cache_ttl.or(self.wishes.usual_cache_ttl));
        }
        Ok(builder.build())
    }

    /// What a caller who says nothing asks of a profile: how long its token must live is the profile's word, else the
    /// configuration's.
    #[must_use]
    pub fn asking(&self, name: &str) -> TokenRequest {
        let own = self
            .config
            .profiles
            .get(name)
            .and_then(|profile| profile.min_validity);
        let usual = TokenRequest::default();
        let said = self
            .wishes
            .min_validity
            .or(own)
            .or(self.wishes.usual_min_validity);
        let span = said.unwrap_or(usual.min_validity);
        usual.min_validity(span)
    }

    /// What a caller asks of a profile: his own wishes first, the profile's for what he leaves open.
    ///
    /// # Errors
    /// `Class::NotFound` for a name that is none.
    pub fn request(&self, name: &str, mut asked: TokenRequest) -> Result<TokenRequest, Error> {
        if name == AMBIENT {
            return Ok(asked);
        }
        let profile = self.profile(name)?;
        let fill = |asked: &mut Vec<String>, own: &Vec<String>| {
            if asked.is_empty() {
                asked.clone_from(own);
            }
        };
        fill(&mut asked.audience, &profile.audience);
        fill(&mut asked.scopes, &profile.scopes);
        fill(&mut asked.resource, &profile.resource);
        Ok(asked)
    }

    /// The ambient chain as the configuration orders it.
    ///
    /// # Errors
    /// `Class::Config` for a source name that is none.
    pub fn ambient(&self) -> Result<Chain, Error> {
        let chain = match &self.config.order {
            Some(order) => Chain::named(
                order
                    .iter()
                    .map(|spec| source::spec::parse(spec))
                    .collect::<Result<_, _>>()?,
            ),
            None => Chain::ambient(source::ambient_order()),
        };
        Ok(chain.without(self.config.disable.iter().cloned()))
    }

    fn wished(&self, mut builder: crate::jeton::Builder) -> crate::jeton::Builder {
        if let Some(timeout) = self.wishes.timeout {
            builder = builder.timeout(timeout);
        }
        if self.wishes.no_cache {
            builder = builder.cache_ttl(Some(Duration::ZERO));
        } else if let Some(ttl) = self.wishes.cache_ttl.or(self.wishes.usual_cache_ttl) {
            builder = builder.cache_ttl(Some(ttl));
        }
        builder.refresh(self.wishes.refresh).strict(self.wishes.strict)
    }

    /// The profile's one source.
    ///
    /// # Errors
    /// `Class::Config` for a profile that cannot work.
    pub fn source(&self, profile: &Profile) -> Result<Arc<dyn Source>, Error> {
        Ok(match &profile.grant {
            Grant::Ambient => Arc::new(parts::Ambient::new(profile, self.ambient()?)),
            Grant::Place(spec) => source::spec::parse(spec)?,
            _ => Arc::new(rung::Rung::new(self, profile)?),
        })
    }

    /// Refreshes the session that a profile lives on, or takes what somebody else's refresh has left in the cache
    /// meanwhile, if it is `wanted`; what is got is in the cache before the session's lease is let go.
    pub(crate) async fn refresh_session(
        &self,
        name: &str,
        request: &TokenRequest,
        wanted: Option<Wanted>,
    ) -> Result<Token, Error> {
        let rung = rung::Rung::new(self, self.profile(name)?)?;
        let jeton = self.open(name)?;
        let held = rung.hold(&self.cx).await?;
        if let Some(token) = wanted.and_then(|wanted| jeton.kept(request, &wanted)) {
            return Ok(token);
        }
        let token = rung.refreshed(&self.cx, &held, request).await?;
        if wanted.is_some() {
            jeton.keep(&token, request).await?;
        }
        Ok(token)
    }

    /// Gives a token of a profile back before its time, where its target takes it; elsewhere nothing is to be done.
    ///
    /// # Errors
    /// As [`Context::fetch`].
    pub async fn revoke(&self, name: &str, token: &Token) -> Result<(), Error> {
        if name == AMBIENT {
            return Ok(());
        }
        let profile = self.profile(name)?;
        if profile.preset.is_none() {
            return Ok(());
        }
        let what = format!("profile \"{name}\": revocation");
        target::Exchanged::new(profile, &self.cx, &what)?
            .revoke(&self.cx, &what, &token.value)
            .await
    }

    /// What a rung takes its input from.
    fn input(&self, profile: &Profile) -> Result<Option<Jeton>, Error> {
        // A lower rung is asked under the caches' ordinary rules: `--refresh` is about the token that was asked for.
        let below = Self {
            wishes: Wishes {
                refresh: false,
                strict: false,
                cache_ttl: None,
                ..self.wishes.clone()
            },
            ..self.clone()
        };
        Ok(match &profile.from {
            None => None,
            Some(Input::Ambient) => Some(below.open(AMBIENT)?),
            Some(Input::Profile(name)) => Some(below.open(name)?),
            Some(Input::Place(spec)) => {
                let chain = Chain::named(vec![source::spec::parse(spec)?]);
                Some(below.wished(Jeton::builder(self.cx.clone(), chain)).build())
            }
        })
    }

    /// What a rung asks of its input: what the input's own profile says, and for the ambient chain a token for whoever
    /// takes it (RFC 7523 section 3: the audience identifies the authorization server).
    fn input_request(&self, profile: &Profile) -> Result<TokenRequest, Error> {
        let mut wanted = TokenRequest {
            audience: profile.input_audience.clone(),
            ..TokenRequest::default()
        };
        match &profile.from {
            Some(Input::Profile(name)) => self.request(name, wanted),
            Some(Input::Ambient) => {
                if wanted.audience.is_empty() && profile.preset.is_none() {
                    wanted.audience.extend(profile.issuer.clone());
                }
                Ok(wanted)
            }
            Some(Input::Place(_)) | None => Ok(wanted),
        }
    }

    /// The login at the bottom of a ladder of refreshes: whose session they all use.
    fn login_of<'a>(&'a self, profile: &'a Profile) -> Result<&'a Profile, Error> {
        match (&profile.grant, &profile.from) {
            (Grant::Refresh, Some(Input::Profile(name))) => self.login_of(self.profile(name)?),
            (Grant::Device | Grant::Browser | Grant::Refresh, _) => Ok(profile),
            _ => Err(Error::new(
                Class::Config,
                format!("profile \"{}\": a refresh cannot stand on `grant = \"{}\"`", profile.name, profile.grant.name()),
            )
            .with_hint("let it stand on a profile that logs in: device, browser, or refresh with a token to start from")),
        }
    }

    /// The authority and the client of a profile; the authority's metadata is shared between processes.
    fn party(&self, profile: &Profile) -> Result<(Authority, Client), Error> {
        let (authority, client) = parts::party(profile)?;
        if self.wishes.no_cache {
            return Ok((authority, client));
        }
        let disk = crate::cache::locate(&self.cx.env).map(crate::cache::Disk::at);
        Ok((authority.kept_on(disk), client))
    }

    fn session_key(&self, login: &Profile) -> Result<SessionKey, Error> {
        Ok(SessionKey {
            profile: login.name.clone(),
            issuer: login
                .issuer
                .clone()
                .or_else(|| login.endpoint.as_ref().map(ToString::to_string))
                .unwrap_or_default(),
            client_id: login.client_id.clone().unwrap_or_default(),
        })
    }
}

/// Part of every rung's fingerprint: fields that must not run into each other.
fn fingerprint(fields: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for field in fields {
        bytes.extend(u64::try_from(field.len()).unwrap_or(u64::MAX).to_be_bytes());
        bytes.extend_from_slice(field);
    }
    bytes
}
