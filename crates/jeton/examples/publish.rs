//! A release, published: `cargo run --example publish -- API_URL NAME VERSION FILE [--error-on-conflict] [--dest-dir DIR]`.
//!
//! Four steps, and an upload between them that takes as long as it takes. No token is held across a step: each request
//! gets one that is fresh at that moment, and a 401 costs one more token and one more try. With --dest-dir the release
//! is only put there: nothing is asked of anybody.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "an example shows something, and annotations are written to standard error"
)]
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use jeton::http::{Request, Response};
use jeton::{Chain, Clock, Context, Env, Jeton, RetryPolicy, TokenRequest, source};
use std::io::Write as _;
use std::time::Duration;
use url::Url;

/// How long one step may take; an upload is the longest.
const STEP_TIME: Duration = Duration::from_secs(600);

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

struct Publisher {
    env: Env,
    jeton: Jeton,
    policy: RetryPolicy,
    api: Url,
    audience: TokenRequest,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let error_on_conflict = arguments.iter().any(|a| a == "--error-on-conflict");
    let [api, name, version, file] = arguments.get(..4).ok_or("API_URL NAME VERSION FILE are needed")? else {
        return Err("API_URL NAME VERSION FILE are needed".into());
    };
    if let Some(at) = arguments.iter().position(|a| a == "--dest-dir") {
        let folder = arguments.get(at + 1).ok_or("--dest-dir wants a folder")?;
        std::fs::copy(
            file,
            std::path::Path::new(folder).join(format!("{name}-{version}.tar.gz")),
        )?;
        return Ok(());
    }
    let env = Env::from_process();
    let cx = Context::new(env.clone(), Clock::system());
    let api = Url::parse(api)?;
    let publisher = Publisher {
        jeton: Jeton::builder(cx, Chain::ambient(source::ambient_order())).build(),
        policy: RetryPolicy {
            attempt_timeout: STEP_TIME,
            ..RetryPolicy::default()
        },
        audience: TokenRequest::audience(api.host_str().ok_or("API_URL has no host")?),
        env,
        api,
    };
    publisher
        .publish(name, version, std::fs::read(file)?, error_on_conflict)
        .await
}

impl Publisher {
    async fn publish(&self, name: &str, version: &str, file: Vec<u8>, error_on_conflict: bool) -> Outcome {
        let status = self.ask(Method::GET, "token/status", None).await?;
        match status.status {
            200..=299 => {}
            400..=499 => {
                return self.failed("Registration required.", self.registration());
            }
            code => return self.failed("Unauthenticated", &format!("The service answered {code}.")),
        }
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &file);
        let sum = STANDARD.encode(digest);
        let mut path = vec!["upload", name, version];
        let length = file.len().to_string();
        path.extend([length.as_str(), sum.as_str()]);
        let staged = self.stage(&path, error_on_conflict).await?;
        if let Some((place, id)) = staged {
            self.upload(&place, &sum, file).await?;
            let answer = self.ask(Method::POST, &format!("publish/{id}"), None).await?;
            if !(200..300).contains(&answer.status) {
                return self.failed("Not published", &format!("publish answered {}", answer.status));
            }
        }
        self.outputs(name, version)
    }

    /// Where the upload goes; `None` when this version is there already.
    async fn stage(&self, path: &[&str], error_on_conflict: bool) -> Outcome<Option<(Url, String)>> {
        let mut url = self.api.clone();
        url.path_segments_mut()
            .map_err(|()| "API_URL has no path")?
            .pop_if_empty()
            .extend(path);
        let answer = self.send(Method::POST, url, Some("{}".to_owned())).await?;
        match answer.status {
            200..=299 => {
                let staged: serde_json::Value = serde_json::from_slice(&answer.body)?;
                let text = |name: &str| staged[name].as_str().ok_or(format!("the answer has no {name}"));
                Ok(Some((
                    Url::parse(text("s3_upload_url")?)?,
                    text("uuid")?.to_owned(),
                )))
            }
            409 if !error_on_conflict => {
                println!("released already");
                Ok(None)
            }
            409 => self
                .failed("Conflict", "This version is released already.")
                .map(|()| None),
            401 => self
                .failed("Unauthorized", "The service does not accept this identity.")
                .map(|()| None),
            400 => self
                .failed("Bad request", "The service does not accept this release.")
                .map(|()| None),
            code => Err(format!("stage answered {code}").into()),
        }
    }

    /// The upload carries no token: its URL is signed.
    async fn upload(&self, place: &Url, sum: &str, file: Vec<u8>) -> Outcome {
        let mut request = Request::new(Method::PUT, place.clone())
            .header("content-type", "application/gzip")
            .header("x-amz-checksum-sha256", sum);
        request.body = Some(file.into());
        let sent = self.jeton.context().http.send(&request, &self.policy, None).await;
        let answer = sent.map_err(|fault| fault.into_error("upload"))?;
        if !(200..300).contains(&answer.status) {
            return Err(format!("upload answered {}", answer.status).into());
        }
        Ok(())
    }

    async fn ask(&self, method: Method, path: &str, body: Option<String>) -> Outcome<Response> {
        let mut url = self.api.clone();
        let segments = path.split('/');
        url.path_segments_mut()
            .map_err(|()| "API_URL has no path")?
            .pop_if_empty()
            .extend(segments);
        self.send(method, url, body).await
    }

    /// One request with a fresh token; after a 401, one more with another.
    async fn send(&self, method: Method, url: Url, body: Option<String>) -> Outcome<Response> {
        let token = self.jeton.token(&self.audience).await?;
        let answer = self.send_with(&method, &url, body.as_deref(), &token).await?;
        if answer.status != 401 {
            return Ok(answer);
        }
        self.jeton.invalidate(&token);
        let fresh = self.jeton.token(&self.audience).await?;
        self.send_with(&method, &url, body.as_deref(), &fresh).await
    }

    async fn send_with(
        &self,
        method: &Method,
        url: &Url,
        body: Option<&str>,
        token: &jeton::Token,
    ) -> Outcome<Response> {
        let mut request = Request::new(method.clone(), url.clone())
            .header("content-type", "application/json")
            .bearer(&token.value);
        request.body = body.map(|body| body.to_owned().into());
        let sent = self.jeton.context().http.send(&request, &self.policy, None).await;
        Ok(sent.map_err(|fault| fault.into_error(url.path()))?)
    }

    /// Who has to register, by what the job knows of the repository's owner.
    fn registration(&self) -> &'static str {
        let context: Option<serde_json::Value> = self
            .env
            .get("GITHUB_CONTEXT")
            .and_then(|text| serde_json::from_str(text).ok());
        let context = context.unwrap_or_default();
        match context["event"]["repository"]["owner"]["type"].as_str() {
            Some("Organization") => "An owner of this organization has to register it with the service.",
            Some("User") => "Register your account with the service.",
            _ => "This repository is not registered with the service.",
        }
    }

    /// Ends with an annotation where GitHub shows one.
    fn failed(&self, title: &str, why: &str) -> Outcome {
        if self.env.get("GITHUB_ACTIONS").is_some() {
            eprintln!("::error title={title}::{why}");
        }
        Err(why.to_owned().into())
    }

    /// What later steps of the job may read.
    fn outputs(&self, name: &str, version: &str) -> Outcome {
        let Some(path) = self.env.get("GITHUB_OUTPUT") else {
            return Ok(());
        };
        let mut file = std::fs::File::options().append(true).create(true).open(path)?;
        let outputs = [
            ("flake_name", name.to_owned()),
            ("flake_version", version.to_owned()),
            ("flakeref_at_least", format!("{name}/{version}")),
            ("flakeref_exact", format!("{name}/={version}")),
        ];
        for (key, value) in outputs {
            writeln!(file, "{key}<<EOF_{key}\n{value}\nEOF_{key}")?;
        }
        Ok(())
    }
}
