//! What there is to say about each route beside what the table of routes says.

/// What there is to say about a route.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    /// The method, in capitals.
    pub method: &'static str,
    /// The pattern as the table of routes has it.
    pub pattern: &'static str,
    /// Its name for generated clients.
    pub id: &'static str,
    /// Its group.
    pub tag: &'static str,
    /// Its query parameters.
    pub query: &'static [&'static str],
    /// Header fields that it reads.
    pub fields: &'static [&'static str],
    /// The schema of its body.
    pub body: Option<&'static str>,
    /// The schema of what it answers when it is done; empty where that is no body, `text` where it is text.
    pub answer: &'static str,
    /// Whether it says 201 for what is new, and 200 for what was there.
    pub created: bool,
}

/// The parameters of lists.
const LIST: &[&str] = &["page", "size", "order_by", "search"];
/// How a request names the user of a shared session.
const USER: &[&str] = &["user"];
const USER_FIELD: &[&str] = &["X-Runner-Current-User"];

const fn op(
    method: &'static str,
    pattern: &'static str,
    id: &'static str,
    tag: &'static str,
    answer: &'static str,
) -> Operation {
    Operation {
        method,
        pattern,
        id,
        tag,
        query: &[],
        fields: &[],
        body: None,
        answer,
        created: false,
    }
}

impl Operation {
    const fn body(self, schema: &'static str) -> Self {
        Self {
            body: Some(schema),
            ..self
        }
    }

    const fn list(self) -> Self {
        Self { query: LIST, ..self }
    }

    const fn with_user(self) -> Self {
        Self {
            query: USER,
            fields: USER_FIELD,
            ..self
        }
    }

    const fn or_created(self) -> Self {
        Self {
            created: true,
            ..self
        }
    }
}

/// Every route, in the order of the contract.
#[rustfmt::skip]
pub const ALL: &[Operation] = &[
    op("POST", "/projects", "createProject", "projects", "Project").body("NewProject"),
    op("GET", "/projects", "listProjects", "projects", "ProjectList").list(),
    op("GET", "/projects/{project}", "getProject", "projects", "Project"),
    op("PATCH", "/projects/{project}", "updateProject", "projects", "Project").body("ProjectChange"),
    op("DELETE", "/projects/{project}", "deleteProject", "projects", ""),
    op("POST", "/projects/{project}/agents", "createAgent", "agents", "Agent").body("NewAgent"),
    op("GET", "/projects/{project}/agents", "listAgents", "agents", "AgentList").list(),
    op("GET", "/projects/{project}/agents/{agent}", "getAgent", "agents", "Agent"),
    op("PATCH", "/projects/{project}/agents/{agent}", "updateAgent", "agents", "Agent").body("AgentChange"),
    op("DELETE", "/projects/{project}/agents/{agent}", "deleteAgent", "agents", ""),
    op("POST", "/credentials", "createCredential", "credentials", "Credential").body("NewCredential"),
    op("GET", "/credentials", "listCredentials", "credentials", "CredentialList").list(),
    op("GET", "/credentials/{credential}", "getCredential", "credentials", "Credential"),
    op("PATCH", "/credentials/{credential}", "updateCredential", "credentials", "Credential").body("CredentialChange"),
    op("DELETE", "/credentials/{credential}", "deleteCredential", "credentials", ""),
    op("GET", "/credentials/{credential}/token", "fetchToken", "credentials", "TokenAnswer").with_user(),
    op("POST", "/projects/{project}/credentials", "createProjectCredential", "credentials", "Credential").body("NewCredential"),
    op("GET", "/projects/{project}/credentials", "listProjectCredentials", "credentials", "CredentialList").list(),
    op("GET", "/projects/{project}/credentials/{credential}", "getProjectCredential", "credentials", "Credential"),
    op("PATCH", "/projects/{project}/credentials/{credential}", "updateProjectCredential", "credentials", "Credential").body("CredentialChange"),
    op("DELETE", "/projects/{project}/credentials/{credential}", "deleteProjectCredential", "credentials", ""),
    op("GET", "/projects/{project}/credentials/{credential}/token", "fetchProjectToken", "credentials", "TokenAnswer").with_user(),
    op("GET", "/roles", "listRoles", "roles", "RoleList"),
    op("POST", "/role_bindings", "createBinding", "roles", "Binding").body("NewBinding"),
    op("GET", "/role_bindings", "listBindings", "roles", "BindingList").list(),
    op("GET", "/role_bindings/{binding}", "getBinding", "roles", "Binding"),
    op("DELETE", "/role_bindings/{binding}", "deleteBinding", "roles", ""),
    op("POST", "/sessions", "openSession", "sessions", "OpenedSession").body("NewSession"),
    op("GET", "/sessions/{session}", "getSession", "sessions", "Session"),
    op("DELETE", "/sessions/{session}", "endSession", "sessions", ""),
    op("POST", "/sessions/{session}/token", "renewSession", "sessions", "SessionToken"),
    op("GET", "/projects/{project}/agentic-sessions/{session}/credentials/{provider}", "fetchSessionCredential", "sessions", "Shape").with_user(),
    op("GET", "/projects/{project}/agentic-sessions/{session}/credentials/mcp/{name}", "fetchMcpCredential", "sessions", "McpFields").with_user(),
    op("POST", "/token", "token", "exchange", "IssuedToken").body("TokenRequest"),
    op("GET", "/trust_policies", "listPolicies", "exchange", "PolicyList").list(),
    op("GET", "/trust_policies/{name}", "getPolicy", "exchange", "Policy"),
    op("PUT", "/trust_policies/{name}", "putPolicy", "exchange", "Policy").body("NewPolicy").or_created(),
    op("DELETE", "/trust_policies/{name}", "deletePolicy", "exchange", ""),
    op("POST", "/trust_policies/{name}/test", "testPolicy", "exchange", "PolicyVerdict").body("Replay"),
    op("GET", "/audit", "listAudit", "audit", "AuditList").list(),
    op("GET", "/.well-known/openid-configuration", "discovery", "issuer", "Discovery"),
    op("GET", "/jwks", "jwks", "issuer", "KeySet"),
    op("GET", "/healthz", "health", "operation", "Health"),
    op("GET", "/readyz", "readiness", "operation", "Health"),
    op("GET", "/metrics", "metrics", "operation", "text"),
    op("GET", "/openapi.json", "openapi", "operation", "Document"),
];

/// What there is to say about this route.
pub(super) fn named(method: &str, pattern: &str) -> Option<&'static Operation> {
    ALL.iter()
        .find(|operation| operation.method == method && operation.pattern == pattern)
}
