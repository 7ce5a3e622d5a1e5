//! GitLab CI: tokens that the job's `id_tokens:` asked for stand in variables since the job's start.
//!
//! Nothing can be asked for at run time, so the token must be chosen: the one whose `aud` is what is asked for. The
//! variable's name is the author's choice; `<AUDIENCE>_ID_TOKEN` is a custom of clients, in two spellings where an
//! audience begins with a digit.
use super::candidate::{Candidate, only, placed, places};
use super::{Caching, Presence, Source};
use crate::{Context, Env, Error, Token, TokenRequest};
use futures_util::future::BoxFuture;
use jeton_core::Class;
use jeton_core::claims::Claims;

const NAME: &str = "gitlab";
/// The server of jobs that do not name one.
const GITLAB_COM: &str = "https://gitlab.com";
/// The name that tools which do not choose agreed on.
const PLAIN: &str = "GITLAB_JWT_ID_TOKEN";
/// The name that Sigstore's tools read.
const SIGSTORE: &str = "SIGSTORE_ID_TOKEN";
/// Longer values of variables are not looked at: no ID token of GitLab is near it, in bytes.
const LONGEST: usize = 64 * 1024;

/// The source `gitlab`.
#[derive(Clone, Copy, Debug)]
pub struct Gitlab;

impl Source for Gitlab {
    fn name(&self) -> &str {
        NAME
    }

    fn presence(&self, cx: &Context, request: &TokenRequest) -> Presence {
        if !is_here(&cx.env) {
            return Presence::absent("GITLAB_CI is not set");
        }
        match choose(&cx.env, request) {
            Ok(found) => Presence::ready(
                format!("GITLAB_CI is set, and {} holds a token", found.place),
                format!("{}\0{}", cx.env.get("CI_JOB_ID").unwrap_or_default(), found.place),
            ),
            Err(error) => Presence::from_error(&error),
        }
    }

    fn fetch<'a>(
        &'a self,
        cx: &'a Context,
        request: &'a TokenRequest,
    ) -> BoxFuture<'a, Result<Token, Error>> {
        Box::pin(async move {
            let found = choose(&cx.env, request)?;
            let token = placed(cx, NAME, &found.value?, request);
            token.map_err(|error| match error.hint() {
                None => error.with_hint(
                    "GitLab makes a job's tokens when the job starts and none later: give the job a longer \
                     `timeout`, from which their life follows, or do this earlier in the job",
                ),
                Some(_) => error,
            })
        })
    }

    fn caching(&self) -> Caching {
        Caching::Reread
    }

    fn default_audience(&self, cx: &Context) -> Option<String> {
        let found = choose(&cx.env, &TokenRequest::default()).ok()?;
        found.claims()?.audience().next().map(str::to_owned)
    }
}

fn is_here(env: &Env) -> bool {
    env.get("GITLAB_CI")
        .is_some_and(|value| !value.eq_ignore_ascii_case("false"))
}

/// The job's token for this request.
fn choose(env: &Env, request: &TokenRequest) -> Result<Candidate, Error> {
    let named = conventional(request);
    let named = named
        .iter()
        .filter_map(|name| Some(Candidate::variable(name, env.get(name)?)));
    let named: Vec<Candidate> = named.collect();
    let found = match request.audience.is_empty() {
        true => named.first().cloned().or_else(|| only(job_tokens(env))),
        false => {
            let all = named.iter().cloned().chain(job_tokens(env));
            all.into_iter()
                .find(|candidate| candidate.fits(request))
                .or_else(|| named.into_iter().find(Candidate::is_opaque))
        }
    };
    found.ok_or_else(|| nothing_fits(env, request))
}

/// The names that a token for this request has by custom.
fn conventional(request: &TokenRequest) -> Vec<String> {
    let mut names: Vec<String> = request.audience.iter().flat_map(|a| by_audience(a)).collect();
    names.push(PLAIN.to_owned());
    if !request.audience.is_empty() {
        names.push(SIGSTORE.to_owned());
    }
    names
}

/// `<AUDIENCE>_ID_TOKEN`, upper case, `_` for everything that no variable's name has; a leading digit stays in one
/// custom (ambient-id) and is a `_` in the other (id), or gets one before it, as the shell wants it.
fn by_audience(audience: &str) -> Vec<String> {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() {
            c.to_ascii_uppercase()
        } else {
            '_'
        }
    };
    let stem: String = audience.chars().map(plain).collect();
    let mut names = vec![format!("{stem}_ID_TOKEN")];
    if stem.starts_with(|c: char| c.is_ascii_digit()) {
        names.push(format!("_{}_ID_TOKEN", &stem[1..]));
        names.push(format!("_{stem}_ID_TOKEN"));
    }
    names
}

/// Every variable that holds a token of a GitLab job, by name.
fn job_tokens(env: &Env) -> Vec<Candidate> {
    let looks_right = |value: &str| value.starts_with("eyJ") && value.len() <= LONGEST;
    let mut found: Vec<Candidate> = env
        .iter()
        .filter(|(_, value)| looks_right(value))
        .map(|(name, value)| Candidate::variable(name, value))
        .filter(|candidate| candidate.claims().is_some_and(|claims| is_of_job(&claims, env)))
        .collect();
    found.sort_by(|a, b| a.place.cmp(&b.place));
    found
}

fn is_of_job(claims: &Claims, env: &Env) -> bool {
    let server = env.get("CI_SERVER_URL").unwrap_or(GITLAB_COM);
    let by_server = claims.issuer() == Some(server);
    by_server || (claims.get("project_path").is_some() && claims.get("job_id").is_some())
}

fn nothing_fits(env: &Env, request: &TokenRequest) -> Error {
    let there = job_tokens(env);
    let places = places(&there);
    if request.audience.is_empty() && !there.is_empty() {
        return Error::new(Class::Config, format!("this job has several ID tokens: {places}")).with_hint(
            "say which by its audience (`--audience`), or name its variable (`--source env:NAME`)",
        );
    }
    let asked: Vec<String> = request
        .audience
        .iter()
        .map(|a| a.escape_debug().to_string())
        .collect();
    let (wanted, name, aud) = match asked.first() {
        Some(audience) => (
            format!(" for {}", asked.join(" and ")),
            by_audience(audience),
            audience.as_str(),
        ),
        None => (
            "".to_owned(),
            vec![PLAIN.to_owned()],
            "https://service.example.com",
        ),
    };
    let name = name.last().cloned().unwrap_or_default();
    let has = if places.is_empty() {
        String::new()
    } else {
        format!(" (there are {places})")
    };
    Error::new(
        Class::Config,
        format!("no variable of this job holds a token{wanted}{has}: the job's `id_tokens` must ask for it"),
    )
    .with_hint(format!(
        r#"add to the job in .gitlab-ci.yml: `id_tokens: {{ {name}: {{ aud: "{aud}" }} }}`"#
    ))
}

#[cfg(test)]
mod tests;
