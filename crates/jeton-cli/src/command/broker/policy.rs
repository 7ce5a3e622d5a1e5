//! `jeton broker policy`: trust policies in files, before they decide anything.
use crate::exit::Exit;
use crate::failure::Failure;
use crate::session::Session;
use jeton::core::json;
use jeton::core::trust::{self, Severity, TrustPolicy};
use jeton::core::{Claims, Json, decode};
use jeton_broker::policy_file::{self, Draft, FileError, Written};
use serde_json::json;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The largest file of claims that is read, in bytes: the largest token, decoded.
const LARGEST_CLAIMS: u64 = 64 * 1024;

/// What to do with policies
#[derive(clap::Subcommand, Clone, Debug)]
pub(super) enum Action {
    /// Say what is wrong with policies; exit 4 when one would not be accepted
    Lint {
        /// Files of TOML, YAML or JSON, or folders of them
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Say what policies decide about recorded claims: exit 0 when one allows, else 4
    Test {
        /// A file of TOML, YAML or JSON, or a folder of them
        file: PathBuf,
        /// The claims as JSON, or a token, whose signature is not looked at; - reads standard input
        #[arg(long, value_name = "FILE")]
        claims: PathBuf,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Write a first policy that lets in exactly the caller of recorded claims
    Generate {
        /// The claims as JSON, or a token, whose signature is not looked at; - reads standard input
        #[arg(long, value_name = "FILE")]
        claims: PathBuf,
        /// What the policy is called
        #[arg(long)]
        name: Option<String>,
        /// An audience that tokens may have; may be repeated
        #[arg(short, long, value_name = "AUDIENCE")]
        audience: Vec<String>,
        /// A scope that may be asked for; may be repeated
        #[arg(short, long)]
        scope: Vec<String>,
        /// The id of the credential that is handed out
        #[arg(long, value_name = "ID")]
        credential: Option<String>,
        /// How long what is given lives
        #[arg(long, value_name = "SPAN", value_parser = span)]
        ttl: Option<Duration>,
    },
}

pub(super) fn run(session: &Session, action: &Action) -> Result<Exit, Failure> {
    match action {
        Action::Lint { files, json } => lint(session, files, *json),
        Action::Test { file, claims, json } => test(session, file, claims, *json),
        Action::Generate {
            claims,
            name,
            audience,
            scope,
            credential,
            ttl,
        } => {
            let gives = Draft {
                name: name.clone(),
                audience: audience.clone(),
                scope: scope.clone(),
                credential: credential.clone(),
                ttl: *ttl,
            };
            let drafted = policy_file::draft(&read_claims(claims)?, &gives).map_err(Failure::usage)?;
            session.output.data(&drafted)?;
            Ok(Exit::Done)
        }
    }
}

fn span(text: &str) -> Result<Duration, String> {
    let span = jeton::duration::parse(text).filter(|span| span.as_secs() > 0 && *span <= trust::LONGEST_TTL);
    span.ok_or_else(|| "a duration such as `5m`, of a second at least and 12 hours at most".to_owned())
}

fn unreadable(error: &FileError) -> Failure {
    let exit = if error.path.exists() {
        Exit::Usage
    } else {
        Exit::NotFound
    };
    Failure::new(exit, error.to_string())
}

fn lint(session: &Session, files: &[PathBuf], as_json: bool) -> Result<Exit, Failure> {
    let mut all: Vec<Written> = Vec::new();
    for file in files {
        all.extend(policy_file::read(file).map_err(|error| unreadable(&error))?);
    }
    let findings = all.iter().flat_map(|written| {
        written
            .findings()
            .into_iter()
            .map(move |found| (&written.name, found))
    });
    if as_json {
        let listed: Vec<_> = findings
            .map(|(policy, found)| {
                json!({
                    "policy": policy,
                    "severity": severity(found.severity),
                    "code": found.code,
                    "field": found.field,
                    "reason": found.reason,
                })
            })
            .collect();
        session.output.json(&listed.into())?;
    } else {
        for (policy, found) in findings {
            let (severity, field) = (severity(found.severity), &found.field);
            let line = format!("{policy}: {severity}: {field}: {} [{}]", found.reason, found.code);
            session.output.line(&line)?;
        }
    }
    let refused = all.iter().filter(|written| !written.is_accepted()).count();
    session
        .output
        .note(&format!("{} policies, {refused} refused", all.len()));
    Ok(if refused == 0 { Exit::Done } else { Exit::Refused })
}

const fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Warning => "warning",
        Severity::Refused => "refused",
    }
}

fn test(session: &Session, file: &Path, claims: &Path, as_json: bool) -> Result<Exit, Failure> {
    let written = policy_file::read(file).map_err(|error| unreadable(&error))?;
    let policies: Result<Vec<TrustPolicy>, Failure> = written
        .into_iter()
        .map(|written| {
            let name = written.name;
            written
                .policy
                .map_err(|error| Failure::usage(format!("{}: {name}: {error}", file.display())))
        })
        .collect();
    let policies = policies?;
    let claims = read_claims(claims)?;
    let verdict = trust::decide(&policies, &claims, |_| true);
    let rule = verdict.allowed_by.map(|policy| policy.name.as_str());
    let decision = if rule.is_some() { "allow" } else { "deny" };
    if as_json {
        let shown = json!({"decision": decision, "rule": rule, "why": verdict.explain()});
        session.output.json(&shown)?;
    } else {
        session.output.line(decision)?;
        for line in verdict.explain() {
            session.output.line(&format!("  {line}"))?;
        }
    }
    Ok(if rule.is_some() { Exit::Done } else { Exit::Refused })
}

/// Claims from a file of JSON, or out of a token.
fn read_claims(file: &Path) -> Result<Claims, Failure> {
    let shown = file.display();
    let failed = |error: std::io::Error| {
        let missing = error.kind() == std::io::ErrorKind::NotFound;
        let exit = if missing { Exit::NotFound } else { Exit::Usage };
        Failure::new(exit, format!("--claims {shown}: {error}"))
    };
    let mut text = String::new();
    if file == Path::new("-") {
        let input = std::io::stdin();
        input
            .lock()
            .take(LARGEST_CLAIMS)
            .read_to_string(&mut text)
            .map_err(failed)?;
    } else {
        let input = std::fs::File::open(file).map_err(failed)?;
        input
            .take(LARGEST_CLAIMS)
            .read_to_string(&mut text)
            .map_err(failed)?;
    }
    let refused = |why: String| Failure::usage(format!("--claims {shown}: {why}"));
    if !text.trim_start().starts_with('{') {
        let unverified = decode(text.trim()).map_err(|rejection| refused(rejection.to_string()))?;
        return Ok(unverified.into_peeked());
    }
    let mut body = json::parse(text.as_bytes()).map_err(|error| refused(error.to_string()))?;
    // The body of a replay over the API is taken as well.
    let is_replay = body.as_object().is_some_and(|members| members.len() == 1);
    let inside = if is_replay { body.take("claims") } else { None };
    let claims: Json = inside.unwrap_or(body);
    Claims::strict(claims).map_err(|rejection| refused(rejection.to_string()))
}
