//! What a profile's keys become: an authority, a client, a chain.
use crate::config::{self, Profile};
use crate::grant::{Authority, Client, ClientAuth};
use crate::{Chain, Context, Error, Presence, Source};
use futures_util::future::BoxFuture;
use jeton_core::{Class, Token, TokenRequest};

/// The authority and the client of a profile.
///
/// # Errors
/// `Class::Config` for a client that is to prove itself and has nothing to do it with.
pub(super) fn party(profile: &Profile) -> Result<(Authority, Client), Error> {
    let mut authority = Authority::new(profile.issuer.clone().unwrap_or_default());
    authority.token_endpoint = profile.endpoint.as_ref().map(ToString::to_string);
    let client = Client {
        id: profile.client_id.clone().unwrap_or_default(),
        auth: client_auth(profile)?,
    };
    Ok((authority, client))
}

fn client_auth(profile: &Profile) -> Result<ClientAuth, Error> {
    let missing = |key: &str| {
        Error::new(
            Class::Config,
            format!("profile \"{}\": `client_auth` needs `{key}`", profile.name),
        )
        .with_hint(format!("set `{key} = \"env:VAR\"` or `\"file:PATH\"`"))
    };
    let secret = || {
        profile
            .client_secret
            .clone()
            .ok_or_else(|| missing("client_secret"))
    };
    let key = || profile.client_key.clone().ok_or_else(|| missing("client_key"));
    Ok(match profile.client_auth {
        Some(config::ClientAuth::Basic) => ClientAuth::Basic(secret()?),
        Some(config::ClientAuth::Post) => ClientAuth::Post(secret()?),
        Some(config::ClientAuth::PrivateKeyJwt) => ClientAuth::PrivateKeyJwt {
            key: key()?,
            key_id: profile.client_key_id.clone(),
        },
        Some(config::ClientAuth::None) => ClientAuth::None,
        // As its credentials suggest: a key signs, a secret goes into the header (RFC 6749 section 2.3.1).
        None if profile.client_key.is_some() => ClientAuth::PrivateKeyJwt {
            key: key()?,
            key_id: profile.client_key_id.clone(),
        },
        None if profile.client_secret.is_some() => ClientAuth::Basic(secret()?),
        None => ClientAuth::None,
    })
}

/// The ambient chain under a profile's name.
pub(super) struct Ambient {
    name: String,
    chain: Chain,
}

impl Ambient {
    pub(super) fn new(profile: &Profile, chain: Chain) -> Self {
        Self {
            name: profile.name.clone(),
            chain,
        }
    }
}

impl Source for Ambient {
    fn name(&self) -> &str {
        &self.name
    }

    fn presence(&self, cx: &Context, request: &TokenRequest) -> Presence {
        match self.chain.choose(cx, request) {
            Ok(choices) => match choices.first() {
                Some(choice) => Presence::ready(
                    format!("the ambient source {}", choice.source.name()),
                    super::fingerprint(&[choice.source.name().as_bytes(), &choice.fingerprint]),
                ),
                None => Presence::absent("no ambient source is here"),
            },
            Err(e) if e.kind() == Class::NotFound => Presence::absent(e.to_string()),
            Err(e) => Presence::broken(e.to_string(), e.hint().unwrap_or_default()),
        }
    }

    fn fetch<'a>(
        &'a self,
        cx: &'a Context,
        request: &'a TokenRequest,
    ) -> BoxFuture<'a, Result<Token, Error>> {
        Box::pin(async move {
            let mut last = Error::new(Class::NotFound, "no ambient source is here");
            for choice in self.chain.choose(cx, request)? {
                match choice.source.fetch(cx, request).await {
                    Err(e) if e.kind() == Class::NotFound => last = e,
                    other => return other,
                }
            }
            Err(last)
        })
    }
}
