//! Who gets what for a token that was proved.
use super::{TokenError, TokenRequest, act};
use jeton_core::json::Json;
use jeton_core::trust::{Mode, TrustPolicy, decide};
use jeton_core::{Claims, UnixTime};
use std::time::Duration;

/// The shortest life that is worth a signature.
const SHORTEST_LIFE: Duration = Duration::from_secs(1);

/// Whose token is exchanged.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// His proved claims.
    pub claims: &'a Claims,
    /// Whether we signed them: then what they give can only shrink.
    pub own: bool,
}

/// What is given.
#[derive(Clone, Debug)]
pub struct Given {
    /// The claims to sign; issuer, times and id are the signer's.
    pub claims: Json,
    /// How long the token lives.
    pub life: Duration,
    /// The credential that is handed out instead of a token of ours.
    pub credential: Option<String>,
    /// The scopes that were granted.
    pub scopes: Vec<String>,
}

/// A judgement, with everything the record wants to know.
#[derive(Clone, Debug)]
pub struct Judged {
    /// What is given, or the error for the caller.
    pub outcome: Result<Given, TokenError>,
    /// The policy that decided.
    pub rule: Option<String>,
    /// Policies in report mode that would have allowed it.
    pub reported: Vec<String>,
    /// Line by line, for the policies' owner.
    pub why: Vec<String>,
}

/// Decides. `broker` is our own name: the audience of a token that is for nobody else.
#[must_use]
pub fn judge(
    policies: &[TrustPolicy],
    subject: Subject<'_>,
    actor: Option<&Claims>,
    request: &TokenRequest,
    broker: &str,
    now: UnixTime,
) -> Judged {
    let ask = Ask {
        request,
        subject,
        broker,
    };
    let verdict = decide(policies, subject.claims, |policy| {
        ask.targets_fit(policy) && ask.scopes_fit(policy)
    });
    let outcome = match verdict.allowed_by {
        Some(policy) => act::chain(subject.claims, actor).and_then(|act| ask.give(policy, act, now)),
        None => Err(ask.refusal(policies)),
    };
    Judged {
        outcome,
        rule: verdict.allowed_by.map(|policy| policy.name.clone()),
        reported: verdict.reported.iter().map(ToString::to_string).collect(),
        why: verdict.explain(),
    }
}

struct Ask<'a> {
    request: &'a TokenRequest,
    subject: Subject<'a>,
    broker: &'a str,
}

impl Ask<'_> {
    /// The audiences that a policy may give. One without any gives tokens for ourselves.
    fn audiences<'p>(&'p self, policy: &'p TrustPolicy) -> Vec<&'p str> {
        let named = policy.audience.iter().map(String::as_str);
        match (&policy.credential, policy.audience.is_empty()) {
            (None, true) => vec![self.broker],
            _ => named.chain(policy.credential.as_deref()).collect(),
        }
    }

    fn targets_fit(&self, policy: &TrustPolicy) -> bool {
        let allowed = self.audiences(policy);
        let named = &self.request.targets;
        // Where nothing is named there must be nothing to choose: a token for several can be replayed among them.
        let clear = !named.is_empty() || allowed.len() == 1 || policy.credential.is_some();
        clear && named.iter().all(|target| allowed.contains(&target.as_str()))
    }

    fn scopes_fit(&self, policy: &TrustPolicy) -> bool {
        let allowed = self.scopes(policy);
        let asked = self.request.scopes.as_deref().unwrap_or_default();
        asked.iter().all(|scope| allowed.contains(scope))
    }

    /// The scopes that a policy may give to this subject.
    fn scopes(&self, policy: &TrustPolicy) -> Vec<String> {
        let held = self.subject.claims.text("scope").unwrap_or_default();
        let holds = |scope: &String| held.split(' ').any(|h| h == scope);
        let all = policy.scope.iter().cloned();
        all.filter(|scope| !self.subject.own || holds(scope)).collect()
    }

    fn roles(&self, policy: &TrustPolicy) -> Vec<String> {
        let held = self.subject.claims.get("roles").and_then(Json::as_array);
        let holds = |role: &String| held.unwrap_or_default().iter().any(|h| h.as_str() == Some(role));
        let all = policy.roles.iter().cloned();
        all.filter(|role| !self.subject.own || holds(role)).collect()
    }

    fn give(&self, policy: &TrustPolicy, act: Option<Json>, now: UnixTime) -> Result<Given, TokenError> {
        let scopes = match &self.request.scopes {
            Some(asked) => asked.clone(),
            None => self.scopes(policy),
        };
        let mut claims = Json::object([("sub", Json::from(self.subject.claims.subject()))]);
        claims.set("aud", self.audience(policy));
        claims.set("trust_policy", policy.name.as_str());
        claims.set("subject_issuer", self.origin());
        if !scopes.is_empty() {
            claims.set("scope", scopes.join(" "));
        }
        let roles = self.roles(policy);
        if !roles.is_empty() {
            claims.set("roles", roles);
        }
        if let Some(act) = act {
            claims.set("act", act);
        }
        Ok(Given {
            claims,
            life: self.life(policy, now).ok_or(self.request.grant.refused())?,
            credential: policy.credential.clone(),
            scopes,
        })
    }

    fn audience(&self, policy: &TrustPolicy) -> Json {
        let mut named: Vec<&str> = self.request.targets.iter().map(String::as_str).collect();
        named.dedup();
        let audiences = if named.is_empty() {
            self.audiences(policy)
        } else {
            named
        };
        match audiences[..] {
            [one] => Json::from(one),
            ref several => Json::from(several),
        }
    }

    /// Who first said who the subject is: kept through every exchange of ours.
    fn origin(&self) -> Option<&str> {
        let claims = self.subject.claims;
        let kept = claims.text("subject_issuer").filter(|_| self.subject.own);
        kept.or_else(|| claims.issuer())
    }

    /// The policy's, and for a token of ours never longer than the token itself: a chain of exchanges has an end.
    fn life(&self, policy: &TrustPolicy, now: UnixTime) -> Option<Duration> {
        let left = self.subject.claims.expires_at().map(|end| end.since(now));
        let life = match left {
            Some(left) if self.subject.own => policy.ttl.min(left),
            _ => policy.ttl,
        };
        (life >= SHORTEST_LIFE).then_some(life)
    }

    /// Only who is let in by some policy learns what he may not ask for.
    fn refusal(&self, policies: &[TrustPolicy]) -> TokenError {
        let enforced = policies.iter().filter(|p| p.mode == Mode::Enforce);
        let mut matching = enforced
            .filter(|p| p.matches(self.subject.claims).is_ok())
            .peekable();
        if matching.peek().is_none() {
            return self.request.grant.refused();
        }
        if matching.any(|policy| self.targets_fit(policy)) {
            return TokenError::new("invalid_scope", "a scope is not given, or not any more");
        }
        TokenError::new(
            "invalid_target",
            "no token is given for this audience or resource",
        )
    }
}
