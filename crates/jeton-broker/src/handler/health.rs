//! Alive, and ready: both tell the truth.
use crate::answer::Answer;
use crate::call::Call;
use crate::problem::Problem;
use http::StatusCode;
use serde_json::json;
use std::time::Duration;

/// How long the database may take to say that it is there.
const READY_TIME: Duration = Duration::from_secs(2);

pub(crate) async fn live(_: &Call) -> Result<Answer, Problem> {
    Ok(Answer::ok(&json!({"status": "ok"})))
}

/// Ready is who would write the record of a release now: a database that is full or gone is found here.
pub(crate) async fn ready(call: &Call) -> Result<Answer, Problem> {
    if call.broker.is_stopping() {
        return Ok(not_ready("stopping"));
    }
    let beat = "INSERT INTO meta (name, value) VALUES ('ready', $1) \
                ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    let now = crate::answer::time(call.broker.now());
    let asked = call.broker.store.execute(beat, vec![now.into()]);
    match tokio::time::timeout(READY_TIME, asked).await {
        Ok(Ok(_)) => Ok(Answer::ok(&json!({"status": "ready"}))),
        _ => Ok(not_ready("the database does not take writes")),
    }
}

fn not_ready(why: &str) -> Answer {
    let body = json!({"status": "not ready", "reason": why});
    Problem::unavailable("").fields(Answer::json(StatusCode::SERVICE_UNAVAILABLE, &body))
}
