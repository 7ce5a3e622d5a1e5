//! Who may do what: roles, bindings, and decisions over them (contract: the broker, "Roles").
//!
//! A *binding* gives a principal a role somewhere. A *decision* looks only at the bindings that cover the object in
//! question: the owner of one project is nobody in the next. Everything that no role names is denied.
use alloc::string::String;

mod grant;
mod resolve;
mod role;

pub use grant::{GrantRefusal, Granter, Placement, may_grant, may_revoke};
pub use resolve::{Attachment, Level, Owner, resolve};
pub use role::{Permission, Role};

/// How far a binding reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Everything.
    Global,
    /// One project, the agents and the sessions in it.
    Project,
    /// One agent, and its sessions.
    Agent,
    /// One session.
    Session,
    /// One credential.
    Credential,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 5] = [
        Self::Global,
        Self::Project,
        Self::Agent,
        Self::Session,
        Self::Credential,
    ];

    /// Its name in the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::Project => "project",
            Self::Agent => "agent",
            Self::Session => "session",
            Self::Credential => "credential",
        }
    }

    /// The scope of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.name() == name)
    }
}

/// A role, somewhere. Whose it is was already matched: a decision is handed one principal's bindings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Its id, for the record of why.
    pub id: String,
    /// What may be done.
    pub role: Role,
    /// How far it reaches.
    pub scope: Scope,
    /// The project it is about.
    pub project: Option<String>,
    /// The agent it is about.
    pub agent: Option<String>,
    /// The session it is about.
    pub session: Option<String>,
    /// The credential it is about.
    pub credential: Option<String>,
}

/// What is about to be touched, with the places it lies in: an agent names its project as well.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Object {
    /// The project, or the one it lies in.
    pub project: Option<String>,
    /// The agent, or the one it belongs to.
    pub agent: Option<String>,
    /// The session.
    pub session: Option<String>,
    /// The credential. A credential lies in no project: it is only attached to some.
    pub credential: Option<String>,
}

impl Object {
    /// A project.
    #[must_use]
    pub fn project(id: impl Into<String>) -> Self {
        Self {
            project: Some(id.into()),
            ..Self::default()
        }
    }

    /// A credential.
    #[must_use]
    pub fn credential(id: impl Into<String>) -> Self {
        Self {
            credential: Some(id.into()),
            ..Self::default()
        }
    }

    /// An agent of a project.
    #[must_use]
    pub fn agent(project: impl Into<String>, id: impl Into<String>) -> Self {
        Self {
            project: Some(project.into()),
            agent: Some(id.into()),
            ..Self::default()
        }
    }

    /// A session of an agent of a project.
    #[must_use]
    pub fn session(project: impl Into<String>, agent: impl Into<String>, id: impl Into<String>) -> Self {
        Self {
            session: Some(id.into()),
            ..Self::agent(project, agent)
        }
    }
}

/// The answer to "may he?".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision<'a> {
    /// Yes, because of this binding.
    Allow(&'a Binding),
    /// No binding that covers the object has a role that names it.
    Deny,
}

impl Decision<'_> {
    /// Whether it is yes.
    #[must_use]
    pub const fn is_allow(&self) -> bool {
        matches!(self, Self::Allow(_))
    }
}

impl Binding {
    /// Whether it is about this object.
    #[must_use]
    pub fn covers(&self, object: &Object) -> bool {
        let same = |mine: &Option<String>, theirs: &Option<String>| mine.is_some() && mine == theirs;
        match self.scope {
            Scope::Global => true,
            // An attached credential is no part of the project: reading it takes a binding on the credential itself.
            Scope::Project => same(&self.project, &object.project) && object.credential.is_none(),
            Scope::Agent => same(&self.agent, &object.agent) && object.credential.is_none(),
            Scope::Session => same(&self.session, &object.session),
            Scope::Credential => same(&self.credential, &object.credential),
        }
    }
}

/// Decides whether a principal with these bindings may do `permission` to `object`.
#[must_use]
pub fn decide<'a>(bindings: &'a [Binding], permission: Permission, object: &Object) -> Decision<'a> {
    bindings
        .iter()
        .find(|b| b.role.permits(permission) && b.covers(object))
        .map_or(Decision::Deny, Decision::Allow)
}

/// The strongest level a principal has on an object: the smallest number among the bindings that cover it.
#[must_use]
pub fn level(bindings: &[Binding], object: &Object) -> Option<u8> {
    bindings
        .iter()
        .filter(|b| b.covers(object))
        .map(|b| b.role.level())
        .min()
}

#[cfg(test)]
mod tests;
