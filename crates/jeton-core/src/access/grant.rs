//! Who may give whom which role, and take it away again.
use super::{Binding, Object, Permission, Role, Scope, decide, level};
use alloc::string::String;

/// Where a new binding is to be placed, and what is known of the places it names.
#[derive(Clone, Debug)]
pub struct Placement<'a> {
    /// The role.
    pub role: Role,
    /// How far it is to reach.
    pub scope: Scope,
    /// The project it names.
    pub project: Option<&'a str>,
    /// The agent it names.
    pub agent: Option<&'a str>,
    /// The project that the named agent lies in; `None` when there is no such agent.
    pub agent_project: Option<&'a str>,
    /// The session it names.
    pub session: Option<&'a str>,
    /// The credential it names.
    pub credential: Option<&'a str>,
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub struct Granter<'a> {
    /// His bindings.
    pub bindings: &'a [Binding],
}

/// Why a binding is not made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GrantRefusal {
    /// The request makes no sense: this field is missing, superfluous or does not fit (400).
    Invalid(&'static str),
    /// It makes sense, but he may not (403).
    Forbidden(&'static str),
}

impl Granter<'_> {
    fn is_admin(self) -> bool {
        self.bindings
            .iter()
            .any(|b| b.role == Role::PlatformAdmin && b.scope == Scope::Global)
    }

    fn owns(self, credential: &str) -> bool {
        self.bindings.iter().any(|b| {
            b.role == Role::CredentialOwner
                && b.scope == Scope::Credential
                && b.credential.as_deref() == Some(credential)
        })
    }

    fn edits(self, project: &str) -> bool {
        let object = Object::project(project);
        self.bindings
            .iter()
            .any(|b| matches!(b.role, Role::ProjectOwner | Role::ProjectEditor) && b.covers(&object))
    }
}

/// Whether the binding may be made.
///
/// # Errors
/// [`GrantRefusal`], the first rule that says no.
pub fn may_grant(granter: Granter<'_>, placement: &Placement<'_>) -> Result<(), GrantRefusal> {
    shape(placement)?;
    match placement.scope {
        Scope::Global => admin_only(granter, "a global binding takes platform:admin"),
        Scope::Credential => credential_binding(granter, placement),
        Scope::Session => admin_only(granter, "a session's bindings are made by opening it"),
        Scope::Project | Scope::Agent => place_binding(granter, placement),
    }
}

fn admin_only(granter: Granter<'_>, why: &'static str) -> Result<(), GrantRefusal> {
    if granter.is_admin() {
        Ok(())
    } else {
        Err(GrantRefusal::Forbidden(why))
    }
}

/// The fields that a scope needs, and no others.
fn shape(p: &Placement<'_>) -> Result<(), GrantRefusal> {
    use GrantRefusal::Invalid;
    if !p.role.fits(p.scope) {
        return Err(Invalid("scope: the role cannot be bound in this scope"));
    }
    let wrong = match p.scope {
        Scope::Global if p.project.or(p.agent).or(p.session).or(p.credential).is_some() => {
            Some("scope: a global binding names no object")
        }
        Scope::Project if p.project.is_none() => Some("project_id: a project binding names its project"),
        Scope::Project if p.agent.or(p.session).or(p.credential).is_some() => {
            Some("scope: a project binding names only its project")
        }
        Scope::Agent if p.agent.is_none() => Some("agent_id: an agent binding names its agent"),
        Scope::Agent if p.session.or(p.credential).is_some() => {
            Some("scope: an agent binding names only its agent")
        }
        Scope::Session if p.session.is_none() => Some("session_id: a session binding names its session"),
        Scope::Credential if p.credential.is_none() => {
            Some("credential_id: a credential binding names its credential")
        }
        _ => None,
    };
    if let Some(wrong) = wrong {
        return Err(Invalid(wrong));
    }
    if p.agent.is_some() && p.agent_project.is_none() {
        return Err(Invalid("agent_id: there is no such agent"));
    }
    if p.agent.is_some() && p.project.is_some() && p.project != p.agent_project {
        return Err(Invalid("agent_id: the agent is not in this project"));
    }
    Ok(())
}

/// A role in a project or on an agent: its giver must stand strictly above it *there*.
fn place_binding(granter: Granter<'_>, p: &Placement<'_>) -> Result<(), GrantRefusal> {
    if granter.is_admin() {
        return Ok(());
    }
    if p.role.is_internal() {
        return Err(GrantRefusal::Forbidden(
            "an internal role is granted by sessions, owners and admins only",
        ));
    }
    let object = object_of(p);
    if !decide(
        granter.bindings,
        Permission::new("role_binding", "create"),
        &object,
    )
    .is_allow()
    {
        return Err(GrantRefusal::Forbidden("role_binding:create is needed there"));
    }
    match level(granter.bindings, &object) {
        Some(own) if own < p.role.level() => Ok(()),
        _ => Err(GrantRefusal::Forbidden("nobody grants at or above his own level")),
    }
}

fn object_of(p: &Placement<'_>) -> Object {
    match (p.scope, p.agent_project, p.agent, p.project) {
        (Scope::Agent, Some(project), Some(agent), _) => Object::agent(project, agent),
        (_, _, _, Some(project)) => Object::project(project),
        _ => Object::default(),
    }
}

/// A binding on a credential, or its attachment to a project or an agent: the credential's owner decides, and who
/// attaches it somewhere must be at work there.
fn credential_binding(granter: Granter<'_>, p: &Placement<'_>) -> Result<(), GrantRefusal> {
    if granter.is_admin() {
        return Ok(());
    }
    let credential = p.credential.unwrap_or_default();
    if !granter.owns(credential) {
        return Err(GrantRefusal::Forbidden(
            "a credential's bindings take credential:owner",
        ));
    }
    if p.role == Role::CredentialOwner {
        return Err(GrantRefusal::Forbidden("nobody grants at or above his own level"));
    }
    match p.project.or(p.agent_project) {
        Some(project) if !granter.edits(project) => Err(GrantRefusal::Forbidden(
            "attaching a credential there takes project:editor",
        )),
        _ => Ok(()),
    }
}

/// Whether a binding may be removed. That it is not an object's last owner is for the store to check, in the same
/// transaction.
///
/// # Errors
/// [`GrantRefusal::Forbidden`], the first rule that says no.
pub fn may_revoke(
    granter: Granter<'_>,
    binding: &Binding,
    agent_project: Option<&str>,
) -> Result<(), GrantRefusal> {
    if granter.is_admin() {
        return Ok(());
    }
    let object = match binding.scope {
        Scope::Credential => {
            let credential = binding.credential.as_deref().unwrap_or_default();
            let place = binding.project.as_deref().or(agent_project);
            if granter.owns(credential) || place.is_some_and(|p| granter.edits(p)) {
                return Ok(());
            }
            return Err(GrantRefusal::Forbidden(
                "a credential's bindings take credential:owner",
            ));
        }
        Scope::Project => Object {
            project: binding.project.clone(),
            ..Object::default()
        },
        Scope::Agent => Object {
            project: agent_project.map(String::from),
            agent: binding.agent.clone(),
            ..Object::default()
        },
        Scope::Global | Scope::Session => return Err(GrantRefusal::Forbidden("this takes platform:admin")),
    };
    if !decide(
        granter.bindings,
        Permission::new("role_binding", "delete"),
        &object,
    )
    .is_allow()
    {
        return Err(GrantRefusal::Forbidden("role_binding:delete is needed there"));
    }
    match level(granter.bindings, &object) {
        Some(own) if own <= binding.role.level() => Ok(()),
        _ => Err(GrantRefusal::Forbidden("nobody takes away what stands above him")),
    }
}
