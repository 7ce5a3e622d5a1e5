//! The checks: what was found, and the mend where something should be done.
use crate::command::explain::{offset, relation};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::rfc3339;
use crate::session::Session;
use crate::settings::Layers;
use crate::settings::variable::{CA_FILE, OWN, SETTINGS};
use jeton::chain::{Report, Status};
use jeton::{Env, TokenRequest, duration};
use serde_json::{Value, json};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;
use url::Url;

/// A clock that is off by more than this, in milliseconds, is warned about: verifiers mostly allow for a minute.
const CLOCK_WARNING: u64 = 30_000;
/// The bits of a mode that give anybody else anything.
const OTHERS: u32 = 0o077;

/// One line of the report.
pub(super) struct Check {
    name: &'static str,
    detail: String,
    verdict: Verdict,
}

enum Verdict {
    Ok,
    Warn(String),
    Fail(Exit, String),
}

impl Check {
    pub(super) fn ok(name: &'static str, detail: impl Into<String>) -> Self {
        Self {
            name,
            detail: detail.into(),
            verdict: Verdict::Ok,
        }
    }

    pub(super) fn warn(name: &'static str, detail: impl Into<String>, mend: impl Into<String>) -> Self {
        Self {
            name,
            detail: detail.into(),
            verdict: Verdict::Warn(mend.into()),
        }
    }

    pub(super) fn fail(
        name: &'static str,
        exit: Exit,
        detail: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        Self {
            name,
            detail: detail.into(),
            verdict: Verdict::Fail(exit, mend.into()),
        }
    }

    pub(super) fn from_failure(name: &'static str, failure: &Failure) -> Self {
        Self::fail(
            name,
            failure.exit,
            &failure.message,
            failure.hint.clone().unwrap_or_default(),
        )
    }

    /// The code of a failure.
    pub(super) fn failed(&self) -> Option<Exit> {
        match self.verdict {
            Verdict::Fail(exit, _) => Some(exit),
            Verdict::Ok | Verdict::Warn(_) => None,
        }
    }

    fn status(&self) -> &'static str {
        match self.verdict {
            Verdict::Ok => "ok",
            Verdict::Warn(_) => "warn",
            Verdict::Fail(..) => "fail",
        }
    }

    fn mend(&self) -> Option<&str> {
        match &self.verdict {
            Verdict::Ok => None,
            Verdict::Warn(mend) | Verdict::Fail(_, mend) => {
                Some(mend).filter(|mend| !mend.is_empty()).map(String::as_str)
            }
        }
    }

    pub(super) fn to_json(&self) -> Value {
        json!({"check": self.name, "status": self.status(), "detail": self.detail, "mend": self.mend()})
    }

    pub(super) fn to_row(&self) -> [String; 3] {
        let mend = self.mend().map_or_else(String::new, |mend| format!("; {mend}"));
        [
            self.status().to_owned(),
            self.name.to_owned(),
            format!("{}{mend}", self.detail),
        ]
    }
}

pub(super) fn configuration(session: &Session) -> Check {
    match session.config() {
        Err(failure) => Check::from_failure("configuration", &failure),
        Ok(config) => match &config.path {
            None => Check::ok("configuration", "no config.toml, defaults alone"),
            Some(path) => {
                let profiles = config.profiles.len();
                Check::ok(
                    "configuration",
                    format!("{}, {profiles} profiles", path.display()),
                )
            }
        },
    }
}

/// A variable with a slip in its name sets nothing, in silence.
pub(super) fn variables(session: &Session) -> Check {
    let known: Vec<String> = SETTINGS
        .iter()
        .map(crate::settings::Setting::variable)
        .chain(OWN.iter().map(|variable| variable.name.to_owned()))
        .collect();
    let names = session
        .env
        .iter()
        .map(|(name, _)| name)
        .filter(|name| name.starts_with("JETON_"));
    let mut set: Vec<&str> = names.collect();
    set.sort_unstable();
    let unknown = set.iter().find(|name| !known.iter().any(|known| known == *name));
    match unknown {
        Some(name) => {
            let shown = jeton::core::redact::foreign(name, &[]);
            let meant = jeton::config::nearest::nearest(name, known.iter().map(String::as_str));
            let mend = meant.map_or_else(
                || "see `jeton help environment`".to_owned(),
                |m| format!("did you mean {m}?"),
            );
            Check::warn("variables", format!("{shown} is set, and nothing reads it"), mend)
        }
        None if set.is_empty() => Check::ok("variables", "no JETON_ variable is set"),
        None => Check::ok("variables", set.join(", ")),
    }
}

pub(super) fn source(report: &Report) -> Check {
    if let Some(row) = report
        .rows
        .iter()
        .find(|row| row.status == Status::Broken)
        .filter(|_| report.broken)
    {
        let detail = format!("{} is here but cannot work: {}", row.source, row.reason);
        return Check::fail(
            "source",
            Exit::Usage,
            detail,
            row.hint.clone().unwrap_or_default(),
        );
    }
    let Some(row) = report.chosen_row() else {
        let mend = "set JETON_TOKEN or JETON_TOKEN_FILE, or name one with --source";
        return Check::fail("source", Exit::NotFound, "no source is here", mend);
    };
    let detail = format!("{} ({})", row.source, row.reason);
    match report.warnings.first() {
        Some(warning) => Check::warn("source", detail, warning),
        None => Check::ok("source", detail),
    }
}

/// GitHub's request token ends with the job's time: when it is gone, no further token can be had.
pub(super) fn request_token(session: &Session, report: &Report, planned: Option<Duration>) -> Option<Check> {
    let name = "request token";
    report.chosen.as_deref().filter(|chosen| *chosen == "github")?;
    let token = session.env.get("ACTIONS_ID_TOKEN_REQUEST_TOKEN")?;
    let end = jeton::core::decode(token)
        .ok()
        .and_then(|claims| claims.peek().expires_at());
    let Some(end) = end else {
        return Some(Check::ok(name, "does not say when it ends"));
    };
    let left = end.since(session.clock.now().wall);
    let detail = format!("lives for {} more, until {}", seconds(left), rfc3339(end));
    Some(if left.is_zero() {
        Check::fail(
            name,
            Exit::Refused,
            "is dead",
            "the job is over; request tokens in the job that needs them",
        )
    } else if planned.is_some_and(|planned| planned > left) {
        Check::fail(
            name,
            Exit::Refused,
            detail,
            "no token can be had after that; split the job",
        )
    } else {
        Check::ok(name, detail)
    })
}

/// Permission, audience, life and clock, by a token that was fetched.
pub(super) fn token(
    session: &Session,
    report: &Report,
    request: &TokenRequest,
    planned: Option<Duration>,
) -> Vec<Check> {
    let Some(row) = report.chosen_row() else {
        return Vec::new();
    };
    if let Some(error) = &row.error {
        return vec![Check::from_failure("permission", &Failure::from(error.clone()))];
    }
    let Some(token) = &row.token else {
        return Vec::new();
    };
    let mut checks = vec![Check::ok(
        "permission",
        format!("{} gave a token in {} ms", row.source, row.elapsed.as_millis()),
    )];
    checks.push(match (request.audience.is_empty(), token.audience.is_empty()) {
        (true, _) => Check::warn(
            "audience",
            token.audience.join(", "),
            "name the one you need with -a",
        ),
        (false, true) => Check::warn(
            "audience",
            "the token does not say",
            "an opaque token cannot be checked",
        ),
        (false, false) => Check::ok("audience", format!("{} is accepted", request.audience.join(", "))),
    });
    if let Some(left) = token.life.map(|life| life.left(session.clock.now())) {
        let detail = format!("a token lives for {}", seconds(left));
        checks.push(match planned.filter(|planned| *planned > left) {
            Some(_) => Check::warn(
                "life",
                detail,
                "shorter than the job: ask for one when it is used, not before",
            ),
            None => Check::ok("life", detail),
        });
    }
    if let Some(millis) = offset(token) {
        let detail = match millis.unsigned_abs() {
            0..1000 => "agrees with the issuer's to the second".to_owned(),
            _ => format!("this machine's is {} the issuer's", relation(millis)),
        };
        checks.push(match millis.unsigned_abs() {
            ..=CLOCK_WARNING => Check::ok("clock", detail),
            _ => Check::warn(
                "clock",
                detail,
                "set it; some verifiers allow for no more than a minute",
            ),
        });
    }
    checks
}

/// The proxies that the environment names.
pub(super) fn proxy(env: &Env) -> Check {
    const NAMES: [&str; 6] = [
        "HTTPS_PROXY",
        "https_proxy",
        "ALL_PROXY",
        "all_proxy",
        "HTTP_PROXY",
        "http_proxy",
    ];
    let mut found = Vec::new();
    for (name, value) in NAMES.iter().filter_map(|name| Some((name, env.get(name)?))) {
        let text = if value.contains("://") {
            value.to_owned()
        } else {
            format!("http://{value}")
        };
        match Url::parse(&text)
            .ok()
            .and_then(|url| url.host_str().map(str::to_owned))
        {
            Some(host) => found.push(format!("{name} is {host}")),
            None => {
                return Check::fail(
                    "proxy",
                    Exit::Usage,
                    format!("{name} is no URL"),
                    "correct or unset it",
                );
            }
        }
    }
    match (
        found.is_empty(),
        env.get("NO_PROXY").or_else(|| env.get("no_proxy")),
    ) {
        (true, _) => Check::ok("proxy", "none"),
        (false, None) => Check::ok("proxy", found.join(", ")),
        (false, Some(except)) => {
            let except = jeton::core::redact::foreign(except, &[]);
            Check::ok("proxy", format!("{}, but not for {except}", found.join(", ")))
        }
    }
}

/// The file of certificate authorities that was named, if any.
pub(super) fn trust(session: &Session) -> Check {
    let config = session.config().cloned().unwrap_or_default();
    let layers = Layers {
        env: &session.env,
        config: &config,
    };
    let file = layers.text(&CA_FILE, None).ok().flatten();
    let file = file.or_else(|| session.env.get("SSL_CERT_FILE").map(str::to_owned));
    match file.map(|file| (std::fs::metadata(&file), file)) {
        None => Check::ok("trust", "the system's certificate authorities"),
        Some((Ok(_), file)) => Check::ok("trust", file),
        Some((Err(e), file)) => Check::fail(
            "trust",
            Exit::Usage,
            format!("{file}: {e}"),
            "correct or unset it",
        ),
    }
}

/// The cache folder and its rights.
pub(super) fn cache(env: &Env) -> Check {
    let mend = "every command fetches anew; set JETON_CACHE_DIR to a folder of yours";
    let Some(path) = jeton::cache::locate(env) else {
        return Check::warn("cache", "there is nowhere to keep tokens", mend);
    };
    let shown = path.display().to_string();
    match std::fs::symlink_metadata(&path) {
        Ok(meta) if !meta.is_dir() => Check::warn("cache", format!("{shown} is no folder"), mend),
        Ok(meta) if meta.uid() != me() => {
            Check::warn("cache", format!("{shown} belongs to another user"), mend)
        }
        Ok(meta) if meta.permissions().mode() & OTHERS != 0 => Check::warn(
            "cache",
            format!("{shown} is open to other users"),
            format!("chmod 700 {shown}"),
        ),
        Ok(_) if !is_writable(&path) => Check::warn("cache", format!("{shown} cannot be written to"), mend),
        Ok(_) => Check::ok("cache", shown),
        Err(_) => match path.ancestors().find(|folder| folder.is_dir()) {
            Some(folder) if is_writable(folder) => {
                Check::ok("cache", format!("{shown}, made when it is needed"))
            }
            _ => Check::warn("cache", format!("{shown} cannot be made"), mend),
        },
    }
}

fn me() -> u32 {
    rustix::process::geteuid().as_raw()
}

fn is_writable(folder: &Path) -> bool {
    use rustix::fs::Access;
    rustix::fs::access(folder, Access::WRITE_OK | Access::EXEC_OK).is_ok()
}

fn seconds(span: Duration) -> String {
    duration::show(Duration::from_secs(span.as_secs()))
}
