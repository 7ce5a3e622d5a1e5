//! `jeton agent status` and `stop`: asked of the agent that runs.
use crate::exit::Exit;
use crate::failure::Failure;
use crate::session::Session;
use crate::table;
use jeton::Error;
use jeton::fetch::success;
use jeton::http::{Request, Route};
use serde_json::Value;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;
use url::Url;

/// How long a stopping agent is waited for: it lets requests end first.
const STOP_TIME: Duration = Duration::from_secs(8);
/// How often is looked whether it is gone.
const GLANCE: Duration = Duration::from_millis(20);

pub(super) fn status(session: &Session, socket: &Path, json: bool) -> Result<Exit, Failure> {
    find(socket)?;
    let url = url("http://localhost/v1/status")?;
    let body = ask(session, socket, Request::get(url))?;
    let status: Value = serde_json::from_slice(&body)
        .map_err(|_| Failure::new(Exit::Protocol, "the agent's answer is no JSON"))?;
    if json {
        session.output.json(&status)?;
    } else {
        session.output.data(&page(&status, socket))?;
    }
    Ok(Exit::Done)
}

pub(super) fn stop(session: &Session, socket: &Path) -> Result<Exit, Failure> {
    find(socket)?;
    let url = url("http://localhost/v1/stop")?;
    ask(session, socket, Request::json(url, "{}".to_owned()))?;
    let (_, progress) = session.context(&session.env);
    session.run(&progress, async {
        let gone = async {
            while UnixStream::connect(socket).is_ok() {
                tokio::time::sleep(GLANCE).await;
            }
        };
        tokio::time::timeout(STOP_TIME, gone)
            .await
            .map_err(|_| Failure::new(Exit::Timeout, "the agent still runs"))
    })?;
    Ok(Exit::Done)
}

fn find(socket: &Path) -> Result<(), Failure> {
    match UnixStream::connect(socket) {
        Ok(_) => Ok(()),
        Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied => {
            Err(Failure::new(Exit::Refused, format!("{}: {e}", socket.display())))
        }
        Err(_) => Err(Failure::new(
            Exit::NotFound,
            format!("no agent listens at {}", socket.display()),
        )
        .with_hint("start `jeton agent`, or say where it is with --socket")),
    }
}

fn url(text: &str) -> Result<Url, Failure> {
    Url::parse(text).map_err(|e| Failure::new(Exit::Other, e.to_string()))
}

fn ask(session: &Session, socket: &Path, mut request: Request) -> Result<Vec<u8>, Failure> {
    request.route = Route::Unix(socket.to_path_buf());
    let (mut cx, progress) = session.context(&session.env);
    cx.policy.max_attempts = 1;
    session.run(&progress, async {
        let answer = cx.fetch("agent", &request, |response| {
            if response.status != 204 {
                success(response)?;
            }
            Ok(response.body.to_vec())
        });
        answer.await.map_err(|e: Error| Failure::from(e))
    })
}

fn page(status: &Value, socket: &Path) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let list = |name: &str| status[name].as_array().cloned().unwrap_or_default();
    let mut page = format!(
        "agent {} at {} (process {})\n",
        text(&status["version"]),
        socket.display(),
        status["pid"]
    );
    if let Some(address) = status["facades"]["listen"].as_str() {
        let file = text(&status["facades"]["environment"]);
        page.push_str(&format!(
            "facades at http://{address}, for programs with {file}\n"
        ));
    }
    for proxy in list("proxies") {
        page.push_str(&format!(
            "proxy {} at {}\n",
            text(&proxy["name"]),
            text(&proxy["url"])
        ));
    }
    for file in list("files") {
        page.push_str(&format!(
            "file {} of {}\n",
            text(&file["path"]),
            text(&file["profile"])
        ));
    }
    let rows = list("kept").into_iter().map(|kept| {
        let audience = kept["audience"].as_array().cloned().unwrap_or_default();
        let audience: Vec<_> = audience.iter().map(text).collect();
        let due = kept["refresh_in"].as_u64().map(Duration::from_secs);
        [
            text(&kept["profile"]),
            audience.join(" "),
            due.map_or_else(String::new, |due| format!("in {}", jeton::duration::show(due))),
        ]
    });
    let rows: Vec<_> = rows.collect();
    if !rows.is_empty() {
        page.push_str(&table::columns(["PROFILE", "AUDIENCE", "NEW ONE"], rows));
        page.push('\n');
    }
    page
}
