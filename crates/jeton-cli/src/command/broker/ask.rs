//! Asking a running broker: its address, who asks, and what its answers mean.
use crate::exit::Exit;
use crate::failure::Failure;
use crate::plan::{self, Asked, Keep, Pace};
use crate::session::Session;
use crate::settings::variable as setting;
use jeton::config::Reference;
use jeton::core::redact;
use jeton::fetch::success;
use jeton::http::{Request, Url};
use jeton::{Context, Error, Secret};
use serde_json::Value;
use std::io::Read as _;

// Which broker, and who asks. (No doc comment: it would become the command's.)
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Which broker, and who asks")]
pub(super) struct Where {
    /// The broker's URL; without a path, its API is at /v1 [default: http://127.0.0.1:8420]
    #[arg(long, value_name = "URL")]
    broker: Option<String>,
    /// The profile of config.toml whose token asks; without one, the ambient chain
    #[arg(short, long, value_name = "PROFILE")]
    profile: Option<String>,
    /// The token that asks: env:VAR, file:PATH, command:CMD, or - for stdin
    #[arg(long, value_name = "SPEC", conflicts_with_all = ["profile", "audience", "source"])]
    token: Option<String>,
    /// The audience of that token [default: the broker's origin]
    #[arg(short, long, value_name = "AUD")]
    audience: Vec<String>,
    /// Try exactly these sources for that token, in this order (repeatable)
    #[arg(long, value_name = "SPEC")]
    source: Vec<String>,
    #[command(flatten)]
    pace: Pace,
}

/// Where a broker is when nobody says.
const USUAL: &str = "http://127.0.0.1:8420";
/// What its API stands under when the URL has no path.
const USUAL_BASE: &str = "/v1";
/// The largest token or secret that is read from standard input, in bytes.
const LARGEST_INPUT: u64 = 1024 * 1024;

/// A broker, and somebody who asks it.
pub(super) struct Client {
    base: Url,
    token: Secret,
    cx: Context,
    progress: crate::progress::Progress,
}

impl Client {
    pub(super) fn new(session: &Session, place: &Where) -> Result<Self, Failure> {
        let layers = session.layers()?;
        let text = layers.text(&setting::BROKER, place.broker.as_ref())?;
        let base = base(text.as_deref().unwrap_or(USUAL))?;
        let env = plan::with_ca_file(layers, session.env.clone())?;
        let (mut cx, progress) = session.context(&env);
        let (policy, timeout) = plan::policy(layers, &place.pace)?;
        cx.policy = policy;
        let cx = cx.within(timeout);
        let token = match &place.token {
            Some(spec) => token(session, &cx, &progress, spec)?,
            None => minted(session, place, &base)?,
        };
        Ok(Self {
            base,
            token,
            cx,
            progress,
        })
    }

    /// The place of a route: each piece of the path as it is, whatever characters it has.
    pub(super) fn url(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Url, Failure> {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .map_err(|()| Failure::usage("--broker: no place to ask"))?
            .pop_if_empty()
            .extend(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Ok(url)
    }

    /// Sends a request; what was answered.
    pub(super) fn ask(
        &self,
        session: &Session,
        method: &str,
        url: Url,
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        let method = http_method(method)?;
        let mut request = match body {
            Some(body) => Request::json(url, body.to_string()),
            None => Request::get(url),
        };
        request.repeatable = method == "GET";
        request.method = method;
        let request = request.bearer(&self.token);
        let (status, body) = session.run(&self.progress, async {
            let answer = self.cx.fetch("broker", &request, |response| {
                if matches!(response.status, 408 | 425 | 429 | 500..) {
                    success(response)?;
                }
                Ok((response.status, response.body.clone()))
            });
            answer.await.map_err(|e: Error| Failure::from(e))
        })?;
        if status == 204 {
            return Ok(Value::Null);
        }
        let answer: Value = serde_json::from_slice(&body)
            .map_err(|_| Failure::new(Exit::Protocol, "the broker's answer is no JSON"))?;
        if (200..300).contains(&status) {
            return Ok(answer);
        }
        Err(refused(status, &answer))
    }
}

fn http_method<M: std::str::FromStr>(name: &str) -> Result<M, Failure> {
    M::from_str(name).map_err(|_| Failure::new(Exit::Other, "no method"))
}

/// What a refusal means to whoever ran the command.
fn refused(status: u16, answer: &Value) -> Failure {
    let reason = answer["reason"].as_str().unwrap_or("no reason was given");
    let reason = redact::foreign(reason, &[]);
    let exit = match status {
        400 | 413 => Exit::Usage,
        404 => Exit::NotFound,
        _ => Exit::Refused,
    };
    let failure = Failure::new(exit, format!("the broker says {status}: {reason}"));
    match status {
        401 => failure.with_hint(
            "the broker accepts tokens of its configured issuers and audiences; see --profile, --audience",
        ),
        404 => failure.with_hint("it is not there, or this identity may not see it"),
        _ => failure,
    }
}

fn base(text: &str) -> Result<Url, Failure> {
    let wrong = |why: &str| Failure::usage(format!("--broker: {why}"));
    let mut url = jeton::http::checked_url(text, "broker").map_err(Failure::from)?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("a URL without a query"));
    }
    if matches!(url.path(), "" | "/") {
        url.set_path(USUAL_BASE);
    }
    Ok(url)
}

/// The token of the profile, or of the platform, for this broker.
fn minted(session: &Session, place: &Where, base: &Url) -> Result<Secret, Failure> {
    let origin = base.origin().ascii_serialization();
    let asked = Asked {
        profile: place.profile.clone(),
        audience: match (place.audience.is_empty(), &place.profile) {
            (true, None) => vec![origin],
            _ => place.audience.clone(),
        },
        source: place.source.clone(),
        ..Asked::default()
    };
    let plan = plan::settle(session, &asked, &place.pace, &Keep::default())?;
    let token = plan.token(session)?;
    Ok(token.value)
}

fn token(
    session: &Session,
    cx: &Context,
    progress: &crate::progress::Progress,
    spec: &str,
) -> Result<Secret, Failure> {
    if spec.starts_with("eyJ") {
        session
            .output
            .warning("a token on the command line can be seen by others: --token env:VAR, file:PATH or -");
        return Ok(Secret::new(spec));
    }
    read(session, cx, progress, "token", spec)
}

/// What a named place holds: `-` or `stdin:`, `env:VAR`, `file:PATH`, `command:…`.
fn read(
    session: &Session,
    cx: &Context,
    progress: &crate::progress::Progress,
    flag: &str,
    spec: &str,
) -> Result<Secret, Failure> {
    if matches!(spec, "-" | "stdin:") {
        return stdin(flag);
    }
    let reference = Reference::parse(spec).ok_or_else(|| {
        Failure::usage(format!(
            "--{flag}: name where it is: env:VAR, file:PATH, command:CMD, or - for stdin"
        ))
    })?;
    session.run(progress, async {
        reference.read(cx).await.map_err(Failure::from)
    })
}

/// Everything on standard input, without the newline at its end.
pub(super) fn stdin(flag: &str) -> Result<Secret, Failure> {
    let mut text = String::new();
    std::io::stdin()
        .take(LARGEST_INPUT)
        .read_to_string(&mut text)
        .map_err(|e| Failure::usage(format!("--{flag}: standard input: {e}")))?;
    let text = text.trim_end_matches(['\n', '\r']);
    if text.is_empty() {
        return Err(Failure::usage(format!(
            "--{flag}: there is nothing on standard input"
        )));
    }
    Ok(Secret::new(text))
}

impl Client {
    /// A secret that is to be stored.
    pub(super) fn secret(&self, session: &Session, spec: &str) -> Result<Secret, Failure> {
        read(session, &self.cx, &self.progress, "secret", spec)
    }
}
