//! The rungs, as a `config.toml` would hold them.

/// The profile of the top rung: what the stack's own API takes.
pub(crate) const API: &str = "api";

/// Every rung, from the ground up.
pub(crate) const RUNGS: [&str; 4] = ["membership", "organization", "stack", API];

/// The ladder of a cloud whose members have organizations, whose organizations have stacks, and whose stacks have
/// token endpoints of their own: a login by device code; two refreshes of that login, each for its resource; and the
/// exchange of the stack's token at the stack (RFC 7523).
pub(crate) fn ladder(membership: &str, stack_api: &str, organization: &str, stack: &str) -> String {
    format!(
        r#"
[profiles.membership]
grant = "device"
issuer = "{membership}"
client_id = "fctl"
scopes = ["openid", "offline_access", "accesses", "on_behalf", "stack:Read", "stack:Write"]

[profiles.organization]
grant = "refresh"
from = "membership"
resource = "organization://{organization}"

[profiles.stack]
grant = "refresh"
from = "organization"
resource = "stack://{organization}/{stack}"
scopes = ["stack:Read", "stack:Write"]

[profiles.api]
grant = "jwt-bearer"
from = "stack"
issuer = "{stack_api}"
scopes = ["openid", "email"]
cache_ttl = "5m"
"#
    )
}
