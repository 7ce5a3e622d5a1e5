//! Whom a run asks, with which tokens, for which credentials; and what becomes of it when one cannot be had.
use super::{Arguments, Asked, EVERY, Keep};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::plan::{self, Plan};
use crate::session::Session;
use crate::settings::Setting;
use crate::settings::variable as setting;
use jeton::source::spec;
use jeton::{Context, Error, Secret, Source, UnixTime};
use jeton_agent::run::api::{Api, allowed_url};
use jeton_agent::run::bearer::{Bearers, Mint, Minted};
use jeton_agent::run::control_plane::ControlPlane;
use jeton_agent::run::desk::Desk;
use jeton_agent::run::provider::{Provider, Wanted};
use jeton_agent::run::session::{Contents, Identity, Opening, Session as BrokerSession};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The session's own token, as its opener was answered it.
const SESSION_TOKEN: &str = "JETON_SESSION_TOKEN";
/// Where the Ambient platform puts the runner's token.
const BOT_TOKEN_FILE: &str = "/var/run/secrets/ambient/bot-token";
/// What the older scheme is asked for when nobody says: whoever is not there is answered 404.
const OLDER: [Provider; 7] = [
    Provider::Google,
    Provider::Jira,
    Provider::Gitlab,
    Provider::Github,
    Provider::Coderabbit,
    Provider::Gerrit,
    Provider::Kubeconfig,
];
/// How long a session's token lives when its broker does not say.
const SESSION_LIFE: Duration = Duration::from_secs(5 * 60);
/// The shortest time between two questions for the same credential that nobody uses.
const SHORTEST_ROUND: Duration = Duration::from_millis(100);
/// The shortest wait between two looks at the session's token.
const SHORTEST_LOOK: Duration = Duration::from_secs(1);
/// How long the end of a session may take: the broker ends it by itself when it is not renewed.
const END_TIME: Duration = Duration::from_secs(5);

/// Everything that was said, settled.
pub(super) struct Whole {
    target: Target,
    plan: Plan,
    caller: Option<Arc<dyn Source>>,
    bearers: Vec<Arc<dyn Source>>,
    credentials: Vec<Wanted>,
    user: Option<String>,
    /// How often credentials are asked for again.
    pub(super) every: Duration,
}

enum Target {
    /// A session of a broker that is open already.
    Known(Api, String),
    /// One that is opened.
    New(Api, Opening),
    Ambient(Api, Option<ControlPlane>),
}

/// A run that has its session.
pub(super) struct Opened {
    pub(super) desk: Arc<Desk>,
    cx: Context,
    session: Option<Arc<BrokerSession>>,
    /// Whether it ends with us.
    is_ours: bool,
}

pub(super) fn settle(session: &Session, arguments: &Arguments) -> Result<Whole, Failure> {
    let layers = session.layers()?;
    let text = |setting: &Setting, flag: &Option<String>| layers.text(setting, flag.as_ref());
    let env = |name: &str| session.env.get(name).map(str::to_owned);
    let api = text(&setting::API, &arguments.api)?;
    let is_ambient = match api.as_deref() {
        None | Some("broker") => false,
        Some("ambient") => true,
        Some(other) => {
            let shown = jeton::core::redact::foreign(other, &[]);
            return Err(Failure::usage(format!(
                "--api {shown}: neither broker nor ambient"
            )));
        }
    };
    let url = text(&setting::BROKER, &arguments.broker)?;
    let url = url.or_else(|| env("BACKEND_API_URL").filter(|_| is_ambient));
    let url = url.ok_or_else(|| Failure::usage("run: which broker? say --broker URL"))?;
    let id = text(&setting::SESSION, &arguments.session)?;
    let project = text(&setting::PROJECT, &arguments.project)?;
    let target = if is_ambient {
        let id = id
            .or_else(|| env("AGENTIC_SESSION_NAME"))
            .or_else(|| env("SESSION_ID"));
        let project = project
            .or_else(|| env("PROJECT_NAME"))
            .or_else(|| env("AGENTIC_SESSION_NAMESPACE"));
        let plane = control_plane(session, id.clone(), &arguments.allow_host)?;
        Target::Ambient(Api::ambient(&url, &arguments.allow_host, project, id)?, plane)
    } else {
        match (id, project, &arguments.agent) {
            (Some(id), project, None) => Target::Known(Api::broker(&url, project)?, id),
            (None, Some(project), Some(agent)) => Target::New(
                Api::broker(&url, None)?,
                Opening {
                    project,
                    agent: agent.clone(),
                    user: text(&setting::USER, &arguments.user)?,
                    providers: arguments.provider.clone(),
                },
            ),
            (Some(_), _, Some(_)) => {
                return Err(
                    Failure::usage("run: a session that is open has its agent already")
                        .with_hint("leave out --agent, or --session"),
                );
            }
            _ => {
                return Err(Failure::usage("run: which session?")
                    .with_hint("say --session ID, or --project ID and --agent ID to open one"));
            }
        }
    };
    for listed in arguments.provider.iter().chain(&arguments.optional) {
        if listed != "all" && Wanted::parse(listed).is_none() {
            let known = Provider::ALL.map(|(_, name)| name).join(", ");
            return Err(Failure::usage(format!("{listed}: there is no such provider"))
                .with_hint(format!("one of {known}")));
        }
    }
    let every = layers.duration(&setting::EVERY, arguments.every.as_ref())?;
    if every.is_some_and(|every| every < SHORTEST_ROUND) {
        return Err(Failure::usage("--every: shorter than 100ms is no wait"));
    }
    Ok(Whole {
        plan: identity(session, arguments, &url)?,
        caller: arguments.caller.as_deref().map(spec::parse).transpose()?,
        bearers: bearers(session, arguments, is_ambient)?,
        credentials: credentials(session, arguments, is_ambient)?,
        user: text(&setting::USER, &arguments.user)?,
        every: every.unwrap_or(EVERY),
        target,
    })
}

/// The identity that opens sessions: for the broker's origin when nobody says otherwise.
fn identity(session: &Session, arguments: &Arguments, url: &str) -> Result<Plan, Failure> {
    let asked = Asked {
        profile: arguments.profile.clone(),
        audience: arguments.audience.clone(),
        source: arguments.source.clone(),
        ..Asked::default()
    };
    let mut plan = plan::settle(session, &asked, &arguments.pace, &Keep::default())?;
    if plan.request.audience.is_empty()
        && let Ok(url) = url::Url::parse(url)
    {
        plan.request.audience = vec![url.origin().ascii_serialization()];
    }
    Ok(plan)
}

fn control_plane(
    session: &Session,
    id: Option<String>,
    allowed: &[String],
) -> Result<Option<ControlPlane>, Failure> {
    let env = |name: &str| session.env.get(name);
    let (Some(url), Some(key)) = (env("AMBIENT_CP_TOKEN_URL"), env("AMBIENT_CP_TOKEN_PUBLIC_KEY")) else {
        return Ok(None);
    };
    let id = env("SESSION_ID").map(str::to_owned).or(id);
    let id = id.ok_or_else(|| {
        Failure::usage("AMBIENT_CP_TOKEN_URL is set, but nothing says which session this is")
    })?;
    let url = allowed_url(url, "AMBIENT_CP_TOKEN_URL", allowed)?;
    Ok(Some(ControlPlane::new(url, key, id)?))
}

/// The named tokens; where the platform has its own places, those, the file first.
fn bearers(
    session: &Session,
    arguments: &Arguments,
    is_ambient: bool,
) -> Result<Vec<Arc<dyn Source>>, Failure> {
    let mut specs = arguments.bearer.clone();
    if is_ambient && specs.is_empty() {
        let file = session.env.well_known(BOT_TOKEN_FILE);
        if file.exists() {
            specs.push(format!("file:{}", file.display()));
        }
        if session.env.get("BOT_TOKEN").is_some() {
            specs.push("env:BOT_TOKEN".to_owned());
        }
    }
    let parse = |spec: &String| spec::parse(spec).map_err(Failure::from);
    specs.iter().map(parse).collect()
}

/// The credentials that were named by their ids, or, of the older scheme, by their providers.
fn credentials(session: &Session, arguments: &Arguments, is_ambient: bool) -> Result<Vec<Wanted>, Failure> {
    let mut found = Vec::new();
    for text in &arguments.credential {
        let wrong = || Failure::usage(format!("--credential {text}: write it like github=ID"));
        let (provider, id) = text.split_once('=').ok_or_else(wrong)?;
        let wanted = Wanted::parse(provider).ok_or_else(wrong)?;
        found.push(Wanted {
            id: Some(id.to_owned()),
            ..wanted
        });
    }
    if is_ambient {
        if found.is_empty() {
            found = named_ids(session)?;
        }
        let has = |found: &[Wanted], name: &String| found.iter().any(|wanted| wanted.is_meant_by(name));
        let named = arguments.provider.iter().filter(|name| !has(&found, name));
        let named: Vec<Wanted> = named.filter_map(|name| Wanted::parse(name)).collect();
        match found.is_empty() && named.is_empty() {
            true => found.extend(OLDER.map(Wanted::new)),
            false => found.extend(named),
        }
    }
    Ok(found)
}

/// `CREDENTIAL_IDS`: a JSON object of providers and ids.
fn named_ids(session: &Session) -> Result<Vec<Wanted>, Failure> {
    let Some(text) = session.env.get("CREDENTIAL_IDS") else {
        return Ok(Vec::new());
    };
    let wrong = |why: &str| Failure::usage(format!("CREDENTIAL_IDS: {why}"));
    let ids: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(text).map_err(|_| wrong("no JSON object of providers and ids"))?;
    let one = |(name, id): (&String, &serde_json::Value)| {
        let wanted = Wanted::parse(name).ok_or_else(|| wrong("it names a provider that is not known"))?;
        let id = id.as_str().ok_or_else(|| wrong("an id is no text"))?;
        Ok(Wanted {
            id: Some(id.to_owned()),
            ..wanted
        })
    };
    ids.iter().map(one).collect()
}

impl Whole {
    /// Opens the session, or finds out what an open one holds.
    pub(super) async fn open(
        &self,
        session: &Session,
        arguments: &Arguments,
        folder: PathBuf,
    ) -> Result<Opened, Failure> {
        let whole = self.plan.jeton.context().clone();
        // For the opening alone: what follows has its own time for each question.
        let cx = whole.within(self.plan.timeout);
        let identity = Identity {
            jeton: self.plan.jeton.clone(),
            request: self.plan.request.clone(),
        };
        let output = Arc::clone(&session.output);
        let tell = Box::new(move |why: &str| output.warning(why));
        let desk = |api: &Api, mint| {
            let bearers = Bearers::new(whole.clone(), self.caller.clone(), mint, self.bearers.clone());
            let (cx, user) = (whole.clone(), self.user.clone());
            let desk = Desk::new(cx, api.clone(), bearers, user, folder.clone(), tell);
            desk.patient(self.plan.timeout)
        };
        let (desk, known, contents, is_ours) = match &self.target {
            Target::Ambient(api, plane) => {
                let mint = plane.clone().map_or(Mint::Nobody, Mint::ControlPlane);
                (desk(api, mint), None, None, false)
            }
            Target::New(api, opening) => {
                let opened = BrokerSession::open(&cx, base(api)?, identity, opening).await?;
                let known = Arc::new(opened.0);
                session.output.detail(&format!("session {} is open", known.id()));
                (
                    desk(api, Mint::Broker(Arc::clone(&known))),
                    Some(known),
                    Some(opened.1),
                    true,
                )
            }
            Target::Known(api, id) => {
                let known = Arc::new(BrokerSession::known(
                    base(api)?,
                    id.clone(),
                    Some(identity),
                    self.user.clone(),
                ));
                let desk = desk(api, Mint::Broker(Arc::clone(&known)));
                if let Some(token) = session.env.get(SESSION_TOKEN) {
                    desk.bearers().hold(given(token)).await;
                }
                let contents = match self.credentials.is_empty() {
                    true => Some(look(&desk, &known, &cx).await?),
                    false => None,
                };
                (desk, Some(known), contents, false)
            }
        };
        let opened = Opened {
            desk: Arc::new(desk),
            cx: whole.clone(),
            session: known,
            is_ours,
        };
        let wanted = self.wanted(session, arguments, contents, &opened).await;
        match wanted {
            Ok(wanted) => Ok(opened.wanting(wanted)),
            Err(failure) => {
                opened.end(session).await;
                Err(failure)
            }
        }
    }

    /// Which credentials it is about, and what is said of those that the session was not granted.
    async fn wanted(
        &self,
        session: &Session,
        arguments: &Arguments,
        contents: Option<Contents>,
        opened: &Opened,
    ) -> Result<Vec<Wanted>, Failure> {
        let mut wanted = self.credentials.clone();
        let mut missing = Vec::new();
        if let Some(contents) = contents {
            if let Some(token) = contents.token {
                opened.desk.bearers().hold(token).await;
            }
            if wanted.is_empty() {
                wanted = contents.credentials;
            }
            missing = contents.unavailable;
        }
        let named = &arguments.provider;
        if !named.is_empty() {
            wanted.retain(|wanted| named.iter().any(|name| wanted.is_meant_by(name)));
        }
        let optional = |name: &str| arguments.optional.iter().any(|o| o == "all" || o == name);
        for wanted in &mut wanted {
            wanted.required = !optional(wanted.provider.name()) && !optional(&wanted.to_string());
        }
        let mut refused = Vec::new();
        for name in named {
            let is_there = wanted.iter().any(|wanted| wanted.is_meant_by(name));
            if !is_there && !missing.iter().any(|(provider, _)| provider == name) {
                missing.push((name.clone(), "the session has no such credential".to_owned()));
            }
        }
        for (provider, reason) in missing {
            if named.contains(&provider) && !optional(&provider) {
                refused.push(format!("{provider}: {reason}"));
            } else {
                session.output.warning(&format!("{provider}: {reason}"));
            }
        }
        match refused.is_empty() {
            true => Ok(wanted),
            false => Err(Failure::new(Exit::NotFound, refused.join("; "))),
        }
    }
}

/// What an open session holds, by its own token.
async fn look(desk: &Desk, known: &BrokerSession, cx: &Context) -> Result<Contents, Error> {
    let first = desk.bearers().first().await?;
    match known.contents(cx, &first.value).await {
        Err(e) if matches!(e.status(), Some(401 | 403)) => match desk.bearers().after(&first).await {
            Some(next) => known.contents(cx, &next.value).await,
            None => Err(e),
        },
        other => other,
    }
}

/// A session's token out of the environment, with the end that it says itself.
fn given(token: &str) -> Minted {
    let claims = jeton::core::decode(token.trim()).ok();
    let ends: Option<UnixTime> = claims.and_then(|claims| claims.into_peeked().expires_at());
    Minted {
        value: Secret::new(token.trim()),
        ends,
    }
}

fn base(api: &Api) -> Result<url::Url, Failure> {
    match api {
        Api::Broker { base, .. } => Ok(base.clone()),
        Api::Ambient { .. } => Err(Failure::usage(
            "--api ambient: that platform opens its sessions itself",
        )),
    }
}

impl Opened {
    /// The same run, for these credentials.
    fn wanting(self, wanted: Vec<Wanted>) -> Self {
        let Self { desk, .. } = self;
        let desk = Arc::try_unwrap(desk).map_or_else(|shared| shared, |desk| Arc::new(desk.wanting(wanted)));
        Self { desk, ..self }
    }

    /// Keeps the session's own token alive until it is dropped.
    pub(super) async fn renew(&self, session: &Session) {
        if self.session.is_none() {
            return std::future::pending().await;
        }
        let mut said = None;
        loop {
            tokio::time::sleep((SESSION_LIFE / 10).max(SHORTEST_LOOK)).await;
            match self.desk.bearers().renew(SESSION_LIFE).await {
                Ok(()) => said = None,
                Err(e) => {
                    if said.replace(e.kind()) != Some(e.kind()) {
                        session
                            .output
                            .warning(&format!("the session cannot be renewed: {e}"));
                    }
                }
            }
        }
    }

    /// Ends the session, if it was opened here.
    pub(super) async fn end(&self, session: &Session) {
        let Some(known) = self.session.as_ref().filter(|_| self.is_ours) else {
            return;
        };
        let own = self.desk.bearers().first().await.ok().map(|bearer| bearer.value);
        let cx = self.cx.within(END_TIME);
        if let Err(e) = known.end(&cx, own).await {
            session
                .output
                .warning(&format!("the session {} was not ended: {e}", known.id()));
        }
    }
}

/// Fetches everything, and says by name what could not be had. What is required and missing ends the run.
pub(super) async fn judge(session: &Session, arguments: &Arguments, desk: &Desk) -> Result<(), Failure> {
    let mut worst = None;
    for (wanted, error) in desk.open().await {
        let is_named = wanted.id.is_some() || arguments.provider.iter().any(|name| wanted.is_meant_by(name));
        if error.status() == Some(404) && !is_named {
            session.output.detail(&format!("{wanted}: not there"));
        } else if wanted.required {
            let failure = Failure::from(error);
            session.output.failure(&failure);
            worst.get_or_insert(failure.exit);
        } else {
            session.output.warning(&format!("{error}; going on without it"));
        }
    }
    worst.map_or(Ok(()), |exit| Err(Failure::told(exit)))
}
