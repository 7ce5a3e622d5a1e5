//! Which credential a session gets for a provider: the agent's, else the project's, else a global one.
use crate::time::UnixTime;
use alloc::string::String;

/// Whose a credential is, when it belongs to a user.
pub type Owner = Option<String>;

/// How near an attachment is to the session; nearer wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Attached to the agent.
    Agent,
    /// Attached to the project.
    Project,
    /// Attached everywhere.
    Global,
}

/// A credential's attachment somewhere: a `credential:viewer` binding without a principal. Owner bindings are none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// The binding.
    pub binding: String,
    /// The credential.
    pub credential: String,
    /// The credential's provider.
    pub provider: String,
    /// Where it is attached.
    pub level: Level,
    /// When the attachment was made.
    pub created: UnixTime,
}

/// The attachment that wins for `provider`: the nearest, and among equals the earliest; then the smallest binding id,
/// so that the answer never depends on the order of rows.
#[must_use]
pub fn resolve<'a>(attachments: &'a [Attachment], provider: &str) -> Option<&'a Attachment> {
    attachments
        .iter()
        .filter(|a| a.provider == provider)
        .min_by(|a, b| (a.level, a.created, &a.binding).cmp(&(b.level, b.created, &b.binding)))
}
