//! Logging in, logging out, and who is logged in.
use super::Profiles;
use crate::Error;
use crate::cache;
use crate::config::{Grant, Input, Profile};
use crate::grant::{self, Authority, Client, Granted, code, device, identity, random_id};
use crate::session::{RefreshToken, Session};
use jeton_core::{Class, Secret, TokenRequest, UnixTime};
use url::Url;

/// How a person logs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginFlow {
    /// Authorization code by way of a browser.
    Browser,
    /// Device code.
    Device,
}

/// What a person has to be shown.
#[derive(Clone, Debug)]
pub enum Prompted<'a> {
    /// Visit this page.
    Browser(&'a Url),
    /// Confirm this code.
    Device(&'a device::Prompt),
}

/// Shows a person what he has to do.
pub trait LoginPrompt {
    /// Called once, before the wait.
    fn show(&self, what: &Prompted<'_>);
}

/// A finished login.
#[derive(Clone, Debug)]
pub struct Login {
    /// The profile.
    pub profile: String,
    /// Who logged in, where an ID token said so.
    pub subject: Option<String>,
    /// Whether the login lasts: the issuer gave a refresh token.
    pub lasting: bool,
}

impl Profiles {
    /// The flow of a profile when nobody says otherwise.
    ///
    /// # Errors
    /// `Class::Config` for a profile that needs no login.
    pub fn flow(&self, name: &str) -> Result<LoginFlow, Error> {
        let profile = self.profile(name)?;
        match profile.grant {
            Grant::Browser => Ok(LoginFlow::Browser),
            Grant::Device => Ok(LoginFlow::Device),
            _ => {
                let error = Error::new(
                    Class::Config,
                    format!(
                        "profile \"{name}\" needs no login (its grant is \"{}\")",
                        profile.grant.name()
                    ),
                );
                Err(match self.login_of(profile) {
                    Ok(login) if login.name != name => {
                        error.with_hint(format!("it stands on \"{0}\": run `jeton login {0}`", login.name))
                    }
                    _ => error.with_hint("a profile logs in when its grant is \"device\" or \"browser\""),
                })
            }
        }
    }

    /// Logs in: what was kept of an earlier login of this profile, and of whatever stands on it, is forgotten first.
    ///
    /// # Errors
    /// `Class::Refused` when the person or the server said no, `Class::Timeout` when nobody answered in time,
    /// `Class::Trust` for an ID token that does not verify.
    pub async fn login(&self, name: &str, flow: LoginFlow, prompt: &dyn LoginPrompt) -> Result<Login, Error> {
        let profile = self.profile(name)?;
        self.flow(name)?;
        let what = format!("login \"{name}\"");
        let key = self.session_key(profile)?;
        self.sessions.prepare(&self.cx, &key, profile.store).await?;
        let (authority, client) = self.party(profile)?;
        let party = (&authority, &client);
        let (granted, subject) = self.granted(profile, party, flow, prompt, &what).await?;
        let session = Session {
            key,
            subject: subject.clone(),
            generation: random_id()?,
            since: self.cx.clock.now().wall,
            refresh_token: granted.answer.refresh_token.clone().map(RefreshToken::Known),
            scopes: granted
                .answer
                .scopes
                .clone()
                .unwrap_or_else(|| profile.scopes.clone()),
            store: profile.store,
        };
        // Whoever still refreshes the earlier login ends first: what he leaves behind is forgotten too.
        let held = self.sessions.hold(&self.cx, &session.key).await?;
        if let Err(e) = self.sessions.remove(&self.cx, |key| key.profile == name).await {
            let left = format!("what was kept of an earlier login is still there: {e}");
            self.cx.observer.warning(&left);
        }
        self.forget(name);
        held.write(&self.cx, &session).await?;
        drop(held);
        let lasting = session.refresh_token.is_some();
        self.keep(profile, &granted).await?;
        Ok(Login {
            profile: name.to_owned(),
            subject,
            lasting,
        })
    }

    /// What was granted, and to whom: the ID token is verified before anybody is told that all is well.
    async fn granted(
        &self,
        profile: &Profile,
        party @ (authority, client): (&Authority, &Client),
        flow: LoginFlow,
        prompt: &dyn LoginPrompt,
        what: &str,
    ) -> Result<(Granted, Option<String>), Error> {
        let request = self.request(&profile.name, TokenRequest::default())?;
        match flow {
            LoginFlow::Device => {
                let show = |p: &device::Prompt| prompt.show(&Prompted::Device(p));
                let granted = device::login(&self.cx, what, authority, client, &request, show).await?;
                let subject = self.subject(profile, party, &granted, None, what).await?;
                Ok((granted, subject))
            }
            LoginFlow::Browser => {
                let login = code::Login::start(&self.cx, what, authority, client, &request).await?;
                prompt.show(&Prompted::Browser(login.url()));
                let check = async |done: &code::LoggedIn| {
                    self.subject(profile, party, &done.granted, Some(&done.nonce), what)
                        .await
                };
                let (done, subject) = login.finish_with(&self.cx, check).await?;
                Ok((done.granted, subject))
            }
        }
    }

    /// Who logged in: the ID token's subject, verified. A login that asked for `openid` must bring one.
    async fn subject(
        &self,
        profile: &Profile,
        (authority, client): (&Authority, &Client),
        granted: &Granted,
        nonce: Option<&str>,
        what: &str,
    ) -> Result<Option<String>, Error> {
        let Some(id_token) = &granted.answer.id_token else {
            if profile.scopes.iter().any(|s| s == "openid") {
                return Err(Error::new(
                    Class::Protocol,
                    format!("{what}: `openid` was asked for and no ID token came"),
                ));
            }
            return Ok(None);
        };
        let access_token = &granted.answer.access_token;
        let claims =
            identity::verify(&self.cx, what, authority, client, id_token, access_token, nonce).await?;
        Ok(claims.subject().map(ToOwned::to_owned))
    }

    /// The access token of a login goes straight into the cache: the next command needs no network.
    async fn keep(&self, profile: &Profile, granted: &Granted) -> Result<(), Error> {
        let request = self.request(&profile.name, TokenRequest::default())?;
        let what = format!("login \"{}\"", profile.name);
        // A token that cannot be used is not kept; the next command asks anew and says why.
        let Ok(token) = granted.into_token(&self.cx, profile.grant.name(), &request, &what) else {
            return Ok(());
        };
        let kept = self.open(&profile.name)?.keep(&token, &request).await;
        kept.or_else(|e| {
            self.cx
                .observer
                .warning(&format!("the login's own token is not kept: {e}"));
            Ok(())
        })
    }

    /// The login without which a profile has no token: the one at the foot of its ladder, when nobody is logged in
    /// there. `None`: the profile needs none, or has one.
    #[must_use]
    pub fn missing_login(&self, name: &str) -> Option<&Profile> {
        let login = self.foot(self.config.profiles.get(name)?)?;
        if !matches!(login.grant, Grant::Device | Grant::Browser) {
            return None;
        }
        let key = self.session_key(login).ok()?;
        let session = self.sessions.read(&self.cx, &key);
        session
            .is_none_or(|session| session.refresh_token.is_none())
            .then_some(login)
    }

    async fn revoke_session(&self, login: &Profile, token: &Secret) -> Result<(), Error> {
        let (authority, client) = self.party(login)?;
        if authority.issuer.is_empty() {
            return Ok(());
        }
        let what = format!("logout \"{}\"", login.name);
        grant::revocation::revoke(&self.cx, &what, &authority, &client, token).await
    }

    /// The profile whose session a ladder stands on, however far down.
    fn foot<'a>(&'a self, profile: &'a Profile) -> Option<&'a Profile> {
        match (&profile.grant, &profile.from) {
            (Grant::Device | Grant::Browser, _) => Some(profile),
            (_, Some(Input::Profile(name))) => self.foot(self.config.profiles.get(name)?),
            (Grant::Refresh, _) => Some(profile),
            _ => None,
        }
    }

    /// Forgets the cached tokens of a profile and of everything that stands on it.
    fn forget(&self, name: &str) {
        let Some(disk) = cache::locate(&self.cx.env).map(cache::Disk::at) else {
            return;
        };
        for profile in self.standing_on(name) {
            let _removed = disk.clear(Some(&profile));
        }
    }

    /// A profile and, however far up, everything that stands on it.
    fn standing_on(&self, name: &str) -> Vec<String> {
        let mut names = vec![name.to_owned()];
        let mut at = 0;
        while let Some(lower) = names.get(at).cloned() {
            for profile in self.config.profiles.values() {
                let stands = matches!(&profile.from, Some(Input::Profile(from)) if *from == lower);
                if stands && !names.contains(&profile.name) {
                    names.push(profile.name.clone());
                }
            }
            at += 1;
        }
        names
    }
}

/// Logs out: revokes the session's refresh token where the issuer has an endpoint for it (RFC 7009), and removes every
/// trace of the profile and of what stands on it. Returns whether there was anything.
///
/// # Errors
/// The revocation's failure; what is on this machine is gone all the same.
pub async fn logout(profiles: &Profiles, name: &str) -> Result<bool, Error> {
    let profile = profiles.profile(name)?;
    let login = profiles.login_of(profile).unwrap_or(profile);
    let key = profiles.session_key(login)?;
    let held = profiles.sessions.hold(&profiles.cx, &key).await?;
    profiles.forget(&login.name);
    let session = held.read(&profiles.cx).await?;
    // Sessions of issuers and clients that the profile had before are traces too.
    let removed = profiles
        .sessions
        .remove(&profiles.cx, |key| key.profile == login.name);
    removed.await?;
    drop(held);
    let Some(token) = session.as_ref().and_then(Session::known_token) else {
        return Ok(session.is_some());
    };
    profiles.revoke_session(login, token).await?;
    Ok(true)
}

/// Removes every trace of every login and every cached token, also of profiles that the configuration no longer names.
/// Nothing is revoked: [`logout`] does that, profile by profile.
///
/// # Errors
/// What a keyring says that does not let go; everything else is gone by then.
pub async fn forget_everything(profiles: &Profiles) -> Result<(), Error> {
    let removed = profiles.sessions.remove(&profiles.cx, |_| true).await;
    if let Some(path) = cache::locate(&profiles.cx.env) {
        let _removed = cache::Disk::at(path).clear(None);
    }
    removed
}

/// A cached token, for people: what it is for and how long it lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CachedToken {
    /// Its audiences.
    pub audience: Vec<String>,
    /// When it ends.
    pub expires_at: Option<UnixTime>,
}

/// How a profile stands.
#[derive(Clone, Debug)]
pub struct Standing {
    /// The profile.
    pub profile: String,
    /// Its grant, as the configuration names it.
    pub grant: String,
    /// Its issuer.
    pub issuer: Option<String>,
    /// Who is logged in.
    pub subject: Option<String>,
    /// Whether a command would work without a new login.
    pub logged_in: bool,
    /// When the newest cached token ends.
    pub expires_at: Option<UnixTime>,
    /// Its cached tokens.
    pub cached: Vec<CachedToken>,
    /// Where its login is kept: `file`, `keyring`, or nothing for a profile that has none.
    pub store: Option<&'static str>,
}

/// How every profile stands. Sends nothing.
#[must_use]
pub fn status(profiles: &Profiles) -> Vec<Standing> {
    let listed = cache::locate(&profiles.cx.env)
        .map(|path| cache::Disk::at(path).list(profiles.cx.clock.now()))
        .unwrap_or_default();
    let stand = |profile: &Profile| {
        let cached: Vec<CachedToken> = listed
            .iter()
            .filter(|entry| entry.profile == profile.name)
            .map(|entry| CachedToken {
                audience: entry.audience.clone(),
                expires_at: entry.expires_at,
            })
            .collect();
        let login = profiles.foot(profile);
        let session = login.and_then(|l| profiles.session_key(l).ok());
        let session = session.and_then(|key| profiles.sessions.read(&profiles.cx, &key));
        let alive = session.as_ref().is_some_and(|s| s.refresh_token.is_some());
        let starts = login.is_some_and(|l| l.refresh_token.is_some());
        Standing {
            profile: profile.name.clone(),
            grant: profile.grant.name().to_owned(),
            issuer: profile
                .issuer
                .clone()
                .or_else(|| login.and_then(|l| l.issuer.clone())),
            subject: session.as_ref().and_then(|s| s.subject.clone()),
            logged_in: alive || login.is_none() || starts || !cached.is_empty(),
            expires_at: cached.iter().filter_map(|c| c.expires_at).max(),
            cached,
            store: session.map(|s| s.store.name()),
        }
    };
    profiles.config.profiles.values().map(stand).collect()
}
