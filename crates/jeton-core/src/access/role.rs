//! The roles: a table. What a role's list does not name it may not do.

/// Something that can be done: a kind of object and a verb, `credential:fetch_token`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Permission {
    /// The kind of object.
    pub kind: &'static str,
    /// The verb.
    pub verb: &'static str,
}

impl Permission {
    /// `kind:verb`.
    #[must_use]
    pub const fn new(kind: &'static str, verb: &'static str) -> Self {
        Self { kind, verb }
    }
}

/// A role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Everything, everywhere.
    PlatformAdmin,
    /// A project and what is in it.
    ProjectOwner,
    /// A credential.
    CredentialOwner,
    /// Sees everything, fetches nothing.
    PlatformViewer,
    /// Works in a project.
    ProjectEditor,
    /// Runs an agent.
    AgentOperator,
    /// Changes an agent.
    AgentEditor,
    /// Sees a credential, never its secret.
    CredentialViewer,
    /// Fetches a credential's token, and nothing else.
    CredentialTokenReader,
    /// Sees a project.
    ProjectViewer,
    /// Sees an agent.
    AgentObserver,
}

struct Row {
    role: Role,
    name: &'static str,
    level: u8,
    internal: bool,
    permissions: &'static [&'static str],
}

const fn row(role: Role, name: &'static str, level: u8, permissions: &'static [&'static str]) -> Row {
    Row {
        role,
        name,
        level,
        internal: false,
        permissions,
    }
}

const ROWS: [Row; 11] = [
    row(Role::PlatformAdmin, "platform:admin", 0, &["*:*"]),
    row(
        Role::ProjectOwner,
        "project:owner",
        1,
        &[
            "project:read",
            "project:list",
            "project:update",
            "project:delete",
            "agent:*",
            "session:*",
            "role_binding:*",
        ],
    ),
    row(
        Role::CredentialOwner,
        "credential:owner",
        1,
        &[
            "credential:create",
            "credential:read",
            "credential:update",
            "credential:delete",
            "credential:list",
            "credential:fetch_token",
            "role_binding:create",
            "role_binding:read",
            "role_binding:list",
            "role_binding:delete",
        ],
    ),
    row(
        Role::PlatformViewer,
        "platform:viewer",
        2,
        &[
            "project:read",
            "project:list",
            "agent:read",
            "agent:list",
            "session:read",
            "session:list",
            "credential:read",
            "credential:list",
            "role_binding:read",
            "role_binding:list",
            "trust_policy:read",
            "trust_policy:list",
        ],
    ),
    row(
        Role::ProjectEditor,
        "project:editor",
        2,
        &[
            "project:read",
            "project:list",
            "agent:create",
            "agent:read",
            "agent:update",
            "agent:list",
            "agent:start",
            "session:create",
            "session:read",
            "session:update",
            "session:list",
            "role_binding:read",
            "role_binding:list",
            "role_binding:delete",
        ],
    ),
    row(
        Role::AgentOperator,
        "agent:operator",
        2,
        &[
            "agent:read",
            "agent:update",
            "agent:start",
            "agent:list",
            "session:read",
            "session:list",
        ],
    ),
    row(
        Role::AgentEditor,
        "agent:editor",
        2,
        &["agent:read", "agent:list", "agent:update"],
    ),
    row(
        Role::CredentialViewer,
        "credential:viewer",
        2,
        &["credential:read", "credential:list"],
    ),
    Row {
        role: Role::CredentialTokenReader,
        name: "credential:token-reader",
        level: 2,
        internal: true,
        permissions: &["credential:fetch_token"],
    },
    row(
        Role::ProjectViewer,
        "project:viewer",
        3,
        &[
            "project:read",
            "project:list",
            "agent:read",
            "agent:list",
            "session:read",
            "session:list",
        ],
    ),
    row(
        Role::AgentObserver,
        "agent:observer",
        3,
        &["agent:read", "agent:list", "session:read", "session:list"],
    ),
];

impl Role {
    /// Every role, strongest first.
    pub fn all() -> impl Iterator<Item = Self> {
        ROWS.iter().map(|row| row.role)
    }

    const fn row(self) -> &'static Row {
        // The table stands in the order of the variants; a test holds it to that.
        &ROWS[self as usize]
    }

    /// Its name in the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.row().name
    }

    /// The role of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::all().find(|role| role.name() == name)
    }

    /// Its level; 0 is the strongest.
    #[must_use]
    pub const fn level(self) -> u8 {
        self.row().level
    }

    /// Whether it is granted by sessions, the credential's owner or an admin only.
    #[must_use]
    pub const fn is_internal(self) -> bool {
        self.row().internal
    }

    /// What it may do, as `kind:verb`, with `*` for any.
    #[must_use]
    pub const fn permissions(self) -> &'static [&'static str] {
        self.row().permissions
    }

    /// Whether it may do this.
    #[must_use]
    pub fn permits(self, permission: Permission) -> bool {
        self.permissions()
            .iter()
            .filter_map(|p| p.split_once(':'))
            .any(|(kind, verb)| {
                (kind == "*" || kind == permission.kind) && (verb == "*" || verb == permission.verb)
            })
    }

    /// The narrowest scope it makes sense in; it may be bound there or more widely.
    #[must_use]
    pub fn scope(self) -> super::Scope {
        use super::Scope;
        match self.name().split(':').next() {
            Some("project") => Scope::Project,
            Some("agent") => Scope::Agent,
            Some("credential") => Scope::Credential,
            _ => Scope::Global,
        }
    }

    /// Whether it may be bound in this scope.
    #[must_use]
    pub fn fits(self, scope: super::Scope) -> bool {
        use super::Scope;
        match self.scope() {
            Scope::Global => scope == Scope::Global,
            Scope::Project => matches!(scope, Scope::Global | Scope::Project),
            Scope::Agent => matches!(scope, Scope::Global | Scope::Project | Scope::Agent),
            // A session's grant is a token-reader bound to the session's own principal on exactly one credential.
            Scope::Credential => matches!(scope, Scope::Global | Scope::Credential),
            Scope::Session => scope == Scope::Session,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_stands_in_the_order_of_the_roles() {
        for (index, row) in ROWS.iter().enumerate() {
            assert_eq!(row.role as usize, index, "{}", row.name);
        }
    }

    #[test]
    fn d8_only_three_roles_fetch() {
        let fetch = Permission::new("credential", "fetch_token");
        let names: alloc::vec::Vec<_> = Role::all().filter(|r| r.permits(fetch)).map(Role::name).collect();
        assert_eq!(
            names,
            ["platform:admin", "credential:owner", "credential:token-reader"]
        );
    }
}
