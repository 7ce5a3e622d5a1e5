//! The routes that steer the issuer: its record, its faults, its clock, and what a client's environment must be.
use super::{Reach, Route, route};
use crate::answer::Answer;
use crate::call::Call;
use crate::desk::{Desk, lock};
use crate::faults;
use crate::grants;
use crate::platforms;
use crate::record::Recorded;
use http::Method;
use serde_json::{Map, Value, json};
use std::sync::atomic::Ordering;

pub(super) const ROUTES: &[Route] = &[
    route("requests", Method::GET, "/_requests", Reach::Steering, requests),
    route("requests", Method::DELETE, "/_requests", Reach::Steering, forget),
    route("faults", Method::GET, "/_faults", Reach::Steering, rules),
    route("faults", Method::PUT, "/_faults", Reach::Steering, replace_rules),
    route("faults", Method::POST, "/_faults", Reach::Steering, add_rules),
    route("faults", Method::DELETE, "/_faults", Reach::Steering, drop_rules),
    route(
        "vocabulary",
        Method::GET,
        "/_vocabulary",
        Reach::Steering,
        vocabulary,
    ),
    route("clock", Method::PUT, "/_clock", Reach::Steering, clock),
    route(
        "refresh-token",
        Method::POST,
        "/_refresh_token",
        Reach::Steering,
        refresh_token,
    ),
    route(
        "environment",
        Method::GET,
        "/_environment/{platform}",
        Reach::Steering,
        environment,
    ),
];

fn requests(desk: &Desk<'_>, call: &Call) -> Answer {
    let record = lock(&desk.provider.record);
    let wanted = call.query_value("route");
    let fits = |one: &&Recorded| wanted.as_ref().is_none_or(|route| *route == one.route);
    let shown: Vec<_> = record.iter().filter(fits).map(Recorded::to_json).collect();
    let connections = desk.provider.connections.load(Ordering::Relaxed);
    Answer::json(
        200,
        json!({"count": shown.len(), "connections": connections, "requests": shown}),
    )
}

fn forget(desk: &Desk<'_>, _: &Call) -> Answer {
    lock(&desk.provider.record).clear();
    Answer::empty(204)
}

fn rules(desk: &Desk<'_>, _: &Call) -> Answer {
    let rules = lock(&desk.provider.faults).to_json();
    Answer::json(200, json!({ "rule": rules }))
}

fn replace_rules(desk: &Desk<'_>, call: &Call) -> Answer {
    match read(call) {
        Ok(rules) => {
            *lock(&desk.provider.faults) = faults::Board::new(rules);
            self::rules(desk, call)
        }
        Err(answer) => answer,
    }
}

fn add_rules(desk: &Desk<'_>, call: &Call) -> Answer {
    match read(call) {
        Ok(rules) => {
            lock(&desk.provider.faults).add(rules);
            self::rules(desk, call)
        }
        Err(answer) => answer,
    }
}

fn drop_rules(desk: &Desk<'_>, _: &Call) -> Answer {
    *lock(&desk.provider.faults) = faults::Board::default();
    Answer::empty(204)
}

fn read(call: &Call) -> Result<Vec<faults::Rule>, Answer> {
    let text = str::from_utf8(&call.body).map_err(|_| Answer::text(400, "the faults are not UTF-8\n"))?;
    faults::read(text).map_err(|error| Answer::text(400, format!("{error}\n")))
}

fn vocabulary(_: &Desk<'_>, _: &Call) -> Answer {
    let lines: Map<_, _> = faults::vocabulary()
        .map(|(name, says)| (name.to_owned(), json!(says)))
        .collect();
    Answer::json(200, Value::Object(lines))
}

/// `{"offset_seconds": 120}` puts the issuer's clock two minutes ahead.
fn clock(desk: &Desk<'_>, call: &Call) -> Answer {
    match call.json().and_then(|body| body.get("offset_seconds")?.as_i64()) {
        Some(seconds) => {
            desk.provider.offset_seconds.store(seconds, Ordering::Relaxed);
            Answer::empty(204)
        }
        None => Answer::text(400, "the body is {\"offset_seconds\": N}\n"),
    }
}

/// As lines for `eval`, or with `?format=json` as an object.
fn environment(desk: &Desk<'_>, call: &Call) -> Answer {
    let variables = match platforms::environment(desk, call.piece(0)) {
        Ok(variables) => variables,
        Err(error) => return Answer::text(404, format!("{error}\n")),
    };
    if call.query_value("format").as_deref() == Some("json") {
        let members: Map<_, _> = variables
            .into_iter()
            .map(|(name, value)| (name, json!(value)))
            .collect();
        return Answer::json(200, Value::Object(members));
    }
    let line =
        |(name, value): (String, String)| format!("export {name}='{}'\n", value.replace('\'', "'\\''"));
    Answer::text(200, variables.into_iter().map(line).collect::<String>())
}

/// A refresh token as if somebody had logged in: a form of `client_id`, `subject` and `scope`.
fn refresh_token(desk: &Desk<'_>, call: &Call) -> Answer {
    let form = call.form();
    let one = |name, default: &str| form.one(name).unwrap_or_else(|| default.to_owned());
    let (client, subject) = (one("client_id", ""), one("subject", "user"));
    let token = grants::plant_refresh_token(desk, &client, &subject, &one("scope", "openid offline_access"));
    Answer::json(200, json!({ "refresh_token": token }))
}
