//! `POST /token`: OAuth in form and errors (RFC 6749, 7523, 8693). Nobody learns more than that he was refused; why stands
//! in the record.
use super::credentials::{self, NotReleased};
use crate::answer::Answer;
use crate::audit::NotWritten;
use crate::call::{Access, Call};
use crate::credential::Credential;
use crate::metrics::Counter;
use crate::policy;
use crate::principal::{self, Principal};
use crate::problem::Problem;
use crate::token_endpoint::{Given, Grant, Judged, Subject, TokenError, TokenRequest, judge, parse};
use http::{HeaderValue, StatusCode, header};
use jeton_core::access::Object;
use jeton_core::oauth::scope_parameter;
use jeton_core::trust::TrustPolicy;
use jeton_core::{Secret, decode};
use serde_json::{Value, json};
use std::sync::Arc;

/// The media type of a form.
const FORM: &str = "application/x-www-form-urlencoded";

/// What is not given, and why: to the client as OAuth has it, or as a state of ours.
enum Refused {
    Client(TokenError),
    Server(Problem),
    /// What was decided on has changed meanwhile.
    Stale,
}

impl From<NotWritten> for Refused {
    fn from(why: NotWritten) -> Self {
        match why {
            NotWritten::Stale => Self::Stale,
            NotWritten::Store(error) => Self::Server(error.into()),
        }
    }
}

impl From<NotReleased> for Refused {
    fn from(why: NotReleased) -> Self {
        match why {
            NotReleased::Stale => Self::Stale,
            NotReleased::Problem(problem) => Self::Server(problem),
        }
    }
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self::Server(problem)
    }
}

impl From<TokenError> for Refused {
    fn from(error: TokenError) -> Self {
        Self::Client(error)
    }
}

pub(crate) async fn token(call: &Call) -> Result<Answer, Problem> {
    let (outcome, answer) = match asked(call).await {
        Ok(answer) => ("given", answer),
        Err(Refused::Client(error)) => {
            let answer = Answer::json(StatusCode::BAD_REQUEST, &error.body());
            match failed(call).await {
                Ok(()) => (error.code, answer),
                Err(problem) => ("limited", unavailable(call, &problem)),
            }
        }
        Err(Refused::Server(problem)) => ("unavailable", unavailable(call, &problem)),
        Err(Refused::Stale) => ("unavailable", unavailable(call, &Problem::unavailable("stale"))),
    };
    call.broker.metrics.count(Counter::Exchanges, outcome);
    Ok(answer.with(header::PRAGMA, HeaderValue::from_static("no-cache")))
}

/// Counts a refusal; what is too much is told to wait instead.
async fn failed(call: &Call) -> Result<(), Problem> {
    let limits = &call.live.config.limits;
    let now = call.broker.cx.clock.uptime();
    let issuer = claimed(call);
    let counted = call
        .broker
        .limits
        .failed(limits, call.from, issuer.as_deref(), now);
    counted.await.map_err(|wait| {
        call.broker.metrics.count(Counter::Limited, "failures");
        Problem::rate_limited(wait)
    })
}

/// Whose the refused token says that it is, if that is one of ours.
fn claimed(call: &Call) -> Option<String> {
    let grant = parse(&call.body).ok()?.grant;
    let (Grant::Exchange { subject: token, .. } | Grant::Assertion { assertion: token }) = grant;
    let claims = decode(token.reveal()).ok()?;
    let issuer = claims.peek().issuer()?;
    call.live.issuers.named(issuer).map(|_| issuer.to_owned())
}

/// Our own fault, in OAuth's words (RFC 6749 section 4.1.2.1): nothing is said of the token.
fn unavailable(call: &Call, problem: &Problem) -> Answer {
    if let Some(inside) = problem.inside() {
        call.broker.log.warning(&format!("{}: {inside}", call.operation));
    }
    let code = match problem.status() {
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => "temporarily_unavailable",
        _ => "server_error",
    };
    let body = json!({"error": code, "error_description": format!("not done; operation {}", call.operation)});
    problem.fields(Answer::json(problem.status(), &body))
}

async fn asked(call: &Call) -> Result<Answer, Refused> {
    let kind = call
        .headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    let kind = kind
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default()
        .trim();
    if !kind.eq_ignore_ascii_case(FORM) {
        return Err(TokenError::request("the body is no form").into());
    }
    let request = parse(&call.body)?;
    let (subject, actor) = match &request.grant {
        Grant::Exchange { subject, actor } => (subject, actor.as_ref()),
        Grant::Assertion { assertion } => (assertion, None),
    };
    let subject = proved(call, &request.grant, subject).await?;
    let actor = match actor {
        Some(actor) => Some(proved(call, &request.grant, actor).await?),
        None => None,
    };
    within_limits(call, &subject.issuer).await?;
    let asked = Asked {
        call,
        request: &request,
        subject: &subject,
        actor: actor.as_ref(),
    };
    if let Some(kept) = call.broker.remembered.policies(call.epoch, &subject.issuer) {
        match asked.decided(&kept, Some(call.epoch)).await {
            // The policies were changed meanwhile.
            Err(Refused::Stale) => (),
            decided => return decided,
        }
    }
    let all = Arc::new(policies(call, &subject.issuer).await?);
    let remembered = &call.broker.remembered;
    remembered.keep_policies(call.epoch, &subject.issuer, Arc::clone(&all));
    asked.decided(&all, None).await
}

/// The policies about tokens of an issuer: those in files, and those in the database that no file has.
async fn policies(call: &Call, issuer: &str) -> Result<Vec<TrustPolicy>, Problem> {
    let kept = policy::of_issuer(&call.broker.store, &call.live.keyring, issuer).await?;
    let files = &call.live.policies;
    let mut all: Vec<TrustPolicy> = kept.into_iter().map(|kept| kept.policy).collect();
    all.retain(|policy| files.iter().all(|file| file.policy.name != policy.name));
    all.extend(
        files
            .iter()
            .map(|file| &file.policy)
            .filter(|policy| policy.issuer == issuer)
            .cloned(),
    );
    Ok(all)
}

/// What is asked for, by whom.
struct Asked<'a> {
    call: &'a Call,
    request: &'a TokenRequest,
    subject: &'a Principal,
    actor: Option<&'a Principal>,
}

async fn proved(call: &Call, grant: &Grant, token: &Secret) -> Result<Principal, Refused> {
    let proved = principal::proved(&call.broker, &call.live, token.reveal()).await;
    proved.map_err(|problem| match problem.status() {
        StatusCode::UNAUTHORIZED => {
            call.broker.metrics.count(Counter::Rejections, problem.reason());
            Refused::Client(grant.refused())
        }
        _ => Refused::Server(problem),
    })
}

async fn within_limits(call: &Call, issuer: &str) -> Result<(), Problem> {
    let limits = &call.live.config.limits;
    let asked = call
        .broker
        .limits
        .request(limits, issuer, call.broker.cx.clock.uptime());
    asked.await.map_err(|wait| {
        call.broker.metrics.count(Counter::Limited, "issuer");
        Problem::rate_limited(wait)
    })
}

impl Asked<'_> {
    /// What these policies say; `epoch` is theirs, if they were remembered.
    async fn decided(&self, policies: &[TrustPolicy], epoch: Option<u64>) -> Result<Answer, Refused> {
        let call = self.call;
        let judged = judge(
            policies,
            Subject {
                claims: &self.subject.claims,
                own: self.subject.issuer == call.broker.own.name(),
            },
            self.actor.map(|actor| &**actor.claims),
            self.request,
            call.broker.own.name(),
            call.broker.now(),
        );
        self.note_reports(&judged, epoch).await?;
        match judged.outcome.clone() {
            Ok(given) => self.give(&judged, given, epoch).await,
            Err(error) => {
                let record = self.record(&judged, "deny").with("error", error.code);
                call.broker.audit.write_if(record, epoch).await?;
                Err(error.into())
            }
        }
    }

    fn record(&self, judged: &Judged, decision: &str) -> crate::audit::Record {
        let action = match self.request.grant {
            Grant::Exchange { .. } => "token.exchange",
            Grant::Assertion { .. } => "token.assertion",
        };
        let actor = self
            .actor
            .map(|actor| json!({"issuer": actor.issuer, "subject": actor.subject}));
        let shown = |text: &String| Value::from(jeton_core::redact::foreign(text, &[]));
        let targets: Vec<Value> = self.request.targets.iter().map(shown).collect();
        self.call
            .record(action, decision, self.subject)
            .with("actor", actor)
            .with("audience", targets)
            .with("rule", judged.rule.clone())
            .with("why", judged.why.clone())
    }

    /// What policies in report mode would have decided is written down, and decides nothing.
    async fn note_reports(&self, judged: &Judged, epoch: Option<u64>) -> Result<(), Refused> {
        for policy in &judged.reported {
            let record = self.call.record("trust_policy.report", "allow", self.subject);
            let record = record.with("rule", policy.as_str()).with("mode", "report");
            self.call.broker.audit.write_if(record, epoch).await?;
            self.call.broker.metrics.count(Counter::Reports, policy);
        }
        Ok(())
    }

    async fn give(&self, judged: &Judged, given: Given, epoch: Option<u64>) -> Result<Answer, Refused> {
        let call = self.call;
        let rule = judged.rule.as_deref().unwrap_or_default();
        let limits = &call.live.config.limits;
        let asked = call
            .broker
            .limits
            .exchange(limits, rule, call.broker.cx.clock.uptime());
        asked.await.map_err(|wait| {
            call.broker.metrics.count(Counter::Limited, "policy");
            Problem::rate_limited(wait)
        })?;
        if let Some(credential) = &given.credential {
            return self.hand_out(credential, rule, epoch).await;
        }
        let scopes = scope_parameter(&given.scopes);
        let token = call.broker.own.sign(given.claims, call.broker.now(), given.life);
        let token = token.map_err(|why| Problem::internal(why.to_string()))?;
        let record = self.record(judged, "allow");
        let record = record.with("scope", scopes.as_str()).issued(token.reveal());
        call.broker.audit.write_if(record, epoch).await?;
        Ok(issued(self.request, &token, Some(given.life.as_secs()), &scopes))
    }

    /// A policy that names a credential hands it out.
    async fn hand_out(&self, credential: &str, rule: &str, epoch: Option<u64>) -> Result<Answer, Refused> {
        let call = self.call;
        let found = Credential::find(&call.broker.store, credential, None)
            .await
            .map_err(Problem::from)?;
        let Some(found) = found else {
            let why = format!("trust policy {rule}: there is no credential {credential}");
            return Err(Problem::unavailable(why).into());
        };
        let access = Access {
            principal: self.subject.clone(),
            object: Object::credential(credential),
            bindings: Vec::new(),
            rule: format!("trust policy {rule}"),
        };
        let body = credentials::released(call, &access, &found, epoch).await?;
        let token = Secret::new(body.get("token").and_then(Value::as_str).unwrap_or_default());
        let ends = body.get("expires_at").and_then(Value::as_str);
        let ends = ends.and_then(|text| text.parse::<jiff::Timestamp>().ok());
        let left = ends.and_then(|end| u64::try_from(end.as_second() - call.broker.now().seconds()).ok());
        Ok(issued(self.request, &token, left, ""))
    }
}

fn issued(request: &TokenRequest, token: &Secret, expires_in: Option<u64>, scopes: &str) -> Answer {
    let mut body = json!({"access_token": token.reveal(), "token_type": "Bearer"});
    if matches!(request.grant, Grant::Exchange { .. }) {
        body["issued_token_type"] = request.issued_type.into();
    }
    if let Some(seconds) = expires_in {
        body["expires_in"] = seconds.into();
    }
    if !scopes.is_empty() {
        body["scope"] = scopes.into();
    }
    Answer::ok(&body)
}
