//! What each route does: one file for each kind of object.
pub(crate) mod agents;
pub(crate) mod audit_page;
pub(crate) mod credentials;
pub(crate) mod health;
pub(crate) mod issuer;
pub(crate) mod projects;
pub(crate) mod role_bindings;
pub(crate) mod roles;
pub(crate) mod session_credentials;
pub(crate) mod sessions;
pub(crate) mod token;
pub(crate) mod trust_policies;
