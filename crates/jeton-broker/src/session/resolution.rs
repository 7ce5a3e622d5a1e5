//! Which credentials a session gets: the agent's, else the project's, else a global one; in a shared session each user
//! his own before those that are nobody's, and never another's.
use jeton_core::access::{Attachment, resolve};
use std::collections::{BTreeMap, BTreeSet};

/// Whose a credential is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner {
    /// The issuer that knows him.
    pub issuer: String,
    /// His name there.
    pub subject: String,
}

/// What is known where a session is opened.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// What is attached to the agent, its project, and everywhere. The provider of an MCP server's credential is
    /// `mcp/NAME`.
    pub attachments: Vec<Attachment>,
    /// The owners of each credential, by its id.
    pub owners: BTreeMap<String, Vec<Owner>>,
    /// The issuer of whoever opens the session: where a user's name is not said to be somebody else's, it is meant there.
    pub issuer: String,
}

/// A credential that a session may read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The user it is for, in a shared session.
    pub user: Option<String>,
    /// The provider; `mcp/NAME` for an MCP server's.
    pub provider: String,
    /// The credential.
    pub credential: String,
}

/// A provider for which there is nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unavailable {
    /// The user it would have been for.
    pub user: Option<String>,
    /// The provider.
    pub provider: String,
    /// Why.
    pub reason: &'static str,
}

/// Nothing is attached.
const NOTHING: &str = "no credential of this provider is attached to the agent, its project or everywhere";
/// Something is attached, but it is another user's.
const ANOTHERS: &str = "every credential of this provider that is attached here is another user's";

impl Known {
    /// What a session of one user gets (`shared` empty), or one of several; for the providers that are wanted, else for
    /// all that are attached.
    #[must_use]
    pub fn grants(&self, shared: &[String], wanted: Option<&[String]>) -> (Vec<Grant>, Vec<Unavailable>) {
        let (mut grants, mut unavailable) = (Vec::new(), Vec::new());
        for provider in self.providers(wanted) {
            let users: Vec<Option<&String>> = match shared {
                [] => vec![None],
                users => users.iter().map(Some).collect(),
            };
            for user in users {
                let found = match user {
                    None => resolve(&self.attachments, &provider),
                    Some(user) => self.for_user(&provider, user, shared),
                };
                let user = user.cloned();
                match found {
                    Some(attachment) => grants.push(Grant {
                        user,
                        provider: provider.clone(),
                        credential: attachment.credential.clone(),
                    }),
                    None => unavailable.push(Unavailable {
                        user,
                        reason: self.why_not(&provider),
                        provider: provider.clone(),
                    }),
                }
            }
        }
        (grants, unavailable)
    }

    /// The wanted providers; `mcp` means every MCP server that is attached.
    fn providers(&self, wanted: Option<&[String]>) -> BTreeSet<String> {
        let attached = || self.attachments.iter().map(|a| a.provider.clone());
        let Some(wanted) = wanted else {
            return attached().collect();
        };
        let mut all = BTreeSet::new();
        for name in wanted {
            let servers: Vec<String> = attached()
                .filter(|provider| name == "mcp" && provider.starts_with("mcp/"))
                .collect();
            match servers.is_empty() {
                true => all.extend([name.clone()]),
                false => all.extend(servers),
            }
        }
        all
    }

    fn for_user(&self, provider: &str, user: &str, users: &[String]) -> Option<&Attachment> {
        let of = |keep: &dyn Fn(&Attachment) -> bool| {
            let kept: Vec<Attachment> = self.attachments.iter().filter(|a| keep(a)).cloned().collect();
            let found = resolve(&kept, provider).map(|a| a.binding.clone())?;
            self.attachments.iter().find(|a| a.binding == found)
        };
        let his = |a: &Attachment| self.is_of(&a.credential, user);
        let nobodys = |a: &Attachment| !users.iter().any(|other| self.may_be_of(&a.credential, other));
        of(&his).or_else(|| of(&nobodys))
    }

    /// Whether the credential is this user's, and there is no doubt which user is meant.
    fn is_of(&self, credential: &str, user: &str) -> bool {
        let owners = self.owners.get(credential).map(Vec::as_slice).unwrap_or_default();
        let issuer = self.issuer_of(user);
        owners
            .iter()
            .any(|owner| owner.subject == user && Some(owner.issuer.as_str()) == issuer)
    }

    /// Whether it is of somebody of this name, whoever knows him.
    fn may_be_of(&self, credential: &str, user: &str) -> bool {
        let owners = self.owners.get(credential).map(Vec::as_slice).unwrap_or_default();
        owners.iter().any(|owner| owner.subject == user)
    }

    /// Which issuer's user of this name is meant: the opener's, or the only one there is.
    fn issuer_of(&self, user: &str) -> Option<&str> {
        let owners = self
            .owners
            .values()
            .flatten()
            .filter(|owner| owner.subject == user);
        let issuers: BTreeSet<&str> = owners.map(|owner| owner.issuer.as_str()).collect();
        match issuers.len() {
            1 => issuers.first().copied(),
            _ => issuers.get(self.issuer.as_str()).copied(),
        }
    }

    fn why_not(&self, provider: &str) -> &'static str {
        let attached = self.attachments.iter().any(|a| a.provider == provider);
        if attached { ANOTHERS } else { NOTHING }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jeton_core::UnixTime;
    use jeton_core::access::Level;

    /// Credential, provider, level, time of creation, owner.
    type Row<'a> = (&'a str, &'a str, Level, i64, (&'a str, &'a str));

    fn known(rows: &[Row<'_>]) -> Known {
        let mut known = Known {
            issuer: "i".to_owned(),
            ..Known::default()
        };
        for (credential, provider, level, created, (issuer, subject)) in rows {
            known.attachments.push(Attachment {
                binding: format!("binding of {credential}"),
                credential: (*credential).to_owned(),
                provider: (*provider).to_owned(),
                level: *level,
                created: UnixTime::from_seconds(*created),
            });
            let owner = Owner {
                issuer: (*issuer).to_owned(),
                subject: (*subject).to_owned(),
            };
            known
                .owners
                .entry((*credential).to_owned())
                .or_default()
                .push(owner);
        }
        known
    }

    fn found(known: &Known, users: &[&str], wanted: Option<&[&str]>) -> Vec<String> {
        let texts = |all: &[&str]| all.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        let wanted = wanted.map(texts);
        let (grants, unavailable) = known.grants(&texts(users), wanted.as_deref());
        let shown = |user: &Option<String>| user.clone().unwrap_or("-".to_owned());
        let grants = grants
            .iter()
            .map(|g| format!("{} {} {}", shown(&g.user), g.provider, g.credential));
        let none = unavailable
            .iter()
            .map(|u| format!("{} {} none", shown(&u.user), u.provider));
        grants.chain(none).collect()
    }

    #[test]
    fn d12_d13_a_session_gets_exactly_what_it_resolves_to_and_is_told_what_it_does_not_get() {
        let known = known(&[
            ("global", "github", Level::Global, 1, ("i", "admin")),
            ("late", "github", Level::Project, 3, ("i", "admin")),
            ("early", "github", Level::Project, 2, ("i", "admin")),
            ("agents", "gitlab", Level::Agent, 9, ("i", "alice")),
            ("m1", "mcp/one", Level::Project, 1, ("i", "admin")),
            ("m2", "mcp/two", Level::Project, 1, ("i", "admin")),
        ]);
        assert_eq!(
            found(&known, &[], None),
            [
                "- github early",
                "- gitlab agents",
                "- mcp/one m1",
                "- mcp/two m2"
            ]
        );
        assert_eq!(
            found(&known, &[], Some(&["github", "jira", "mcp"])),
            ["- github early", "- mcp/one m1", "- mcp/two m2", "- jira none"]
        );
        assert_eq!(found(&known, &[], Some(&["mcp/two"])), ["- mcp/two m2"]);
    }

    #[test]
    fn d18_in_a_shared_session_everybody_gets_his_own_and_never_anothers() {
        let rows = [
            ("alices", "github", Level::Project, 1, ("i", "alice")),
            ("bobs", "github", Level::Project, 2, ("i", "bob")),
        ];
        assert_eq!(
            found(&known(&rows), &["alice", "bob", "carol"], None),
            ["alice github alices", "bob github bobs", "carol github none"]
        );
        let team = [rows[0], ("team", "github", Level::Project, 9, ("i", "admin"))];
        assert_eq!(
            found(&known(&team), &["alice", "bob"], None),
            ["alice github alices", "bob github team"]
        );
        let only = [rows[0]];
        assert_eq!(
            found(&known(&only), &["alice", "bob"], None),
            ["alice github alices", "bob github none"]
        );
    }

    #[test]
    fn a_user_of_the_same_name_elsewhere_is_somebody_else() {
        let two = [
            ("theirs", "github", Level::Agent, 1, ("j", "alice")),
            ("ours", "github", Level::Project, 2, ("i", "alice")),
        ];
        assert_eq!(found(&known(&two), &["alice"], None), ["alice github ours"]);
        let elsewhere = [
            ("j's", "github", Level::Project, 1, ("j", "alice")),
            ("k's", "github", Level::Project, 2, ("k", "alice")),
        ];
        assert_eq!(found(&known(&elsewhere), &["alice"], None), ["alice github none"]);
        let one = [("sso", "github", Level::Project, 1, ("j", "alice"))];
        assert_eq!(found(&known(&one), &["alice"], None), ["alice github sso"]);
    }
}
