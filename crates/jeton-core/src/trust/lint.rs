//! What is wrong with a policy although it can be read: refused when it is written, or warned about.
use super::TrustPolicy;
use crate::pattern::Pattern;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The policy works, and is wider or weaker than it looks.
    Warning,
    /// The policy is not accepted.
    Refused,
}

/// Something a policy should not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// A stable name.
    pub code: &'static str,
    /// The field.
    pub field: String,
    /// What is wrong, and what to write instead.
    pub reason: String,
}

/// Claims whose value can be given to somebody else later, and the id claims that cannot.
const MUTABLE: [(&str, &str); 8] = [
    ("repository", "repository_id"),
    ("repository_owner", "repository_owner_id"),
    ("project_path", "project_id"),
    ("namespace_path", "namespace_id"),
    ("user_login", "user_id"),
    ("actor", "actor_id"),
    ("organization_slug", "organization_id"),
    ("pipeline_slug", "pipeline_id"),
];

/// Issuers that everybody shares, and the claims that say whose the token is.
const SHARED: [(&str, &[&str]); 4] = [
    (
        "https://token.actions.githubusercontent.com",
        &["repository_owner_id", "repository_id", "enterprise_id"],
    ),
    ("https://gitlab.com", &["namespace_id", "project_id"]),
    (
        "https://agent.buildkite.com",
        &["organization_id", "organization_slug", "pipeline_id"],
    ),
    (
        "https://oidc.circleci.com",
        &["oidc.circleci.com/project-id", "oidc.circleci.com/org-id"],
    ),
];

/// Everything there is to say about a policy, worst first.
#[must_use]
pub fn lint(policy: &TrustPolicy) -> Vec<Finding> {
    let mut findings = Vec::new();
    let fields = patterns(policy);
    for (field, pattern) in &fields {
        shape(field, pattern, &mut findings);
    }
    mutable_names(policy, &mut findings);
    shared_issuer(policy, &mut findings);
    hopeless(policy, &mut findings);
    gives_nothing(policy, &mut findings);
    findings.sort_by_key(|finding| core::cmp::Reverse(finding.severity));
    findings
}

fn patterns(policy: &TrustPolicy) -> Vec<(String, &Pattern)> {
    let subject = policy.subject.iter().map(|p| ("subject_pattern".to_string(), p));
    let claims = policy
        .claims
        .iter()
        .map(|(name, p)| (format!("claim_pattern.{name}"), p));
    subject.chain(claims).collect()
}

fn finding(severity: Severity, code: &'static str, field: &str, reason: impl Into<String>) -> Finding {
    Finding {
        severity,
        code,
        field: field.to_string(),
        reason: reason.into(),
    }
}

/// What can be seen of a pattern alone.
fn shape(field: &str, pattern: &Pattern, findings: &mut Vec<Finding>) {
    use Severity::{Refused, Warning};
    if matches_everything(pattern) {
        findings.push(finding(
            Refused,
            "matches-everything",
            field,
            "matches every value: name what is meant",
        ));
        return;
    }
    if let Some(regex) = pattern.as_regex() {
        if has_bare_alternation(regex) {
            let reason = "an alternation outside of a group: elsewhere it would be anchored on one side only; \
                          write `re:(?:a|b)`";
            findings.push(finding(Warning, "unanchored-alternation", field, reason));
        }
        if has_bare_dot(regex) {
            let reason = "a dot stands for any character here; write `\\.` for a dot";
            findings.push(finding(Warning, "dot-as-wildcard", field, reason));
        }
    }
    if pattern.may_cross_slash() && !is_enumeration(pattern) {
        let severity = if field == "subject_pattern" && pattern.starts_open() {
            Refused
        } else {
            Warning
        };
        let reason = "a wildcard here runs across `/` and `:`, so that a name chosen by somebody else can fill it; \
                      `*` does not";
        findings.push(finding(severity, "crosses-slash", field, reason));
    }
    if wildcard_inside_owner(pattern) {
        let reason = "a star right after an owner's name also matches longer names of other owners; end the name \
                      with `/` before the star";
        findings.push(finding(Refused, "owner-prefix", field, reason));
    }
}

/// Whether there is no value that it does not cover.
fn matches_everything(pattern: &Pattern) -> bool {
    let source = pattern.source();
    let stars = !source.is_empty() && source.chars().all(|c| c == '*') && source.len() > 1;
    stars
        || matches!(
            pattern.as_regex(),
            Some(".*" | ".+" | "^.*$" | "^.+$" | "(.*)" | "(?s).*")
        )
}

/// Whether a regular expression only lists texts: no wildcard, no class, no repetition.
fn is_enumeration(pattern: &Pattern) -> bool {
    pattern.as_regex().is_some_and(|e| {
        !e.replace("\\.", "")
            .replace("(?:", "(")
            .contains(['.', '[', '+', '*', '?', '{', '\\'])
    })
}

/// `repo:octo*`: the star continues a name instead of starting a new one.
fn wildcard_inside_owner(pattern: &Pattern) -> bool {
    let text = pattern.source();
    if pattern.as_regex().is_some() || pattern.as_literal().is_some() {
        return false;
    }
    let Some(star) = text.find('*') else { return false };
    let before = &text[..star];
    let owner = before
        .strip_prefix("repo:")
        .or_else(|| before.strip_prefix("project_path:"));
    owner.is_some_and(|owner| !owner.is_empty() && !owner.contains('/'))
}

fn has_bare_alternation(regex: &str) -> bool {
    depth_scan(regex, |c, depth| c == '|' && depth == 0)
}

/// A dot that is neither escaped, in a class, nor before a repetition that shows that any character is meant.
fn has_bare_dot(regex: &str) -> bool {
    let mut chars = regex.chars().peekable();
    let (mut escaped, mut class) = (false, false);
    while let Some(c) = chars.next() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '[' => class = true,
            ']' => class = false,
            '.' if !class && !matches!(chars.peek(), Some('*' | '+' | '?' | '{')) => return true,
            _ => {}
        }
    }
    false
}

fn depth_scan(regex: &str, found: impl Fn(char, u32) -> bool) -> bool {
    let (mut depth, mut escaped, mut class) = (0u32, false, false);
    for c in regex.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '[' => class = true,
            ']' => class = false,
            _ if class => {}
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            c if found(c, depth) => return true,
            _ => {}
        }
    }
    false
}

fn mutable_names(policy: &TrustPolicy, findings: &mut Vec<Finding>) {
    for (name, id) in MUTABLE {
        let bound = |claim: &str| policy.claims.iter().any(|(name, _)| name == claim);
        if bound(name) && !bound(id) {
            let reason = format!("{name} can be renamed and taken by somebody else; bind {id} as well");
            findings.push(finding(
                Severity::Warning,
                "mutable-name",
                &format!("claim_pattern.{name}"),
                reason,
            ));
        }
    }
}

fn shared_issuer(policy: &TrustPolicy, findings: &mut Vec<Finding>) {
    let Some((_, claims)) = SHARED.iter().find(|(issuer, _)| *issuer == policy.issuer) else {
        return;
    };
    if policy
        .claims
        .iter()
        .any(|(name, p)| claims.contains(&name.as_str()) && p.as_literal().is_some())
    {
        return;
    }
    // GitHub's immutable subjects carry the ids themselves.
    let ids_in_subject = policy
        .subject
        .as_ref()
        .is_some_and(|p| p.fixed_start().contains('@'));
    if !ids_in_subject {
        let reason = format!(
            "everybody shares this issuer; bind whose token it is by one of: {}",
            claims.join(", ")
        );
        findings.push(finding(Severity::Warning, "shared-issuer", "issuer", reason));
    }
}

/// A rule that can never match.
fn hopeless(policy: &TrustPolicy, findings: &mut Vec<Finding>) {
    for (name, pattern) in &policy.claims {
        let field = format!("claim_pattern.{name}");
        let other = match name.as_str() {
            "iss" => Some(policy.issuer.as_str()),
            "sub" => policy.subject.as_ref().and_then(Pattern::as_literal),
            _ => None,
        };
        if other.is_some_and(|value| !pattern.matches(value)) {
            let reason = format!("never matches: it contradicts the policy's own {name}");
            findings.push(finding(Severity::Refused, "never-matches", &field, reason));
        }
        if matches!(name.as_str(), "exp" | "iat" | "nbf") {
            let reason = "never matches: this claim is a number, and patterns match texts";
            findings.push(finding(Severity::Refused, "never-matches", &field, reason));
        }
    }
    for (field, pattern) in patterns(policy) {
        let text = pattern.source();
        if text.trim() != text || text.chars().any(char::is_control) {
            let reason = "never matches: white space at an end, or a control character";
            findings.push(finding(Severity::Refused, "never-matches", &field, reason));
        }
    }
}

fn gives_nothing(policy: &TrustPolicy, findings: &mut Vec<Finding>) {
    let gives = !policy.audience.is_empty() || policy.credential.is_some() || !policy.roles.is_empty();
    if !gives && policy.scope.is_empty() {
        let reason = "gives nothing: name an audience, a scope, a credential or roles";
        findings.push(finding(Severity::Warning, "gives-nothing", "audience", reason));
    }
}
