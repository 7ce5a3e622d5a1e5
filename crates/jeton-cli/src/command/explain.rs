//! `jeton explain`: what the chain would do, and why.
use super::Command;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::rfc3339;
use crate::plan::{self, Asked, Keep, Pace, Plan};
use crate::session::Session;
use crate::table;
use jeton::chain::{Report, Row};
use jeton::{Token, duration};
use serde_json::{Value, json};
use std::time::Duration;

pub(super) const COMMAND: Command = Command {
    name: "explain",
    define: <Arguments as clap::Args>::augment_args,
    run: |session, matches| run(session, &super::arguments(matches)?),
};

const EXAMPLES: &str = "\
Examples:
  jeton explain                                     nothing is sent, no command is run
  jeton explain -a https://api.example.com --fetch  asks the chosen source, and shows what it gave
  jeton explain --json | jq -r .chosen

Exit codes: 0 one is chosen, 3 none is here, 2 one is here but broken, with --fetch the failure's own.";

/// Say which source would answer, and why not each other one
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    #[command(flatten)]
    asked: Asked,
    /// Ask the chosen source, past every cache
    #[arg(long)]
    fetch: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pace: Pace,
}

fn run(session: &Session, arguments: &Arguments) -> Result<Exit, Failure> {
    let plan = plan::settle(session, &arguments.asked, &arguments.pace, &Keep::default())?;
    let report = report(session, &plan, arguments.fetch)?;
    if arguments.json {
        session.output.json(&as_json(&report))?;
    } else {
        session.output.line(&as_table(session, &report))?;
        for warning in warnings(&report) {
            session.output.warning(&warning);
        }
    }
    end(&report)
}

/// What the chain would do, or did.
pub(super) fn report(session: &Session, plan: &Plan, fetch: bool) -> Result<Report, Failure> {
    if !fetch {
        return Ok(plan.jeton.explain(&plan.request));
    }
    plan.progress.within(plan.timeout);
    session.run(&plan.progress, async {
        Ok(plan.jeton.explain_fetched(&plan.request).await)
    })
}

fn end(report: &Report) -> Result<Exit, Failure> {
    if let Some(error) = report.chosen_row().and_then(|row| row.error.clone()) {
        return Err(error.into());
    }
    let broken = report
        .rows
        .iter()
        .find(|row| row.status == jeton::chain::Status::Broken);
    match (&report.chosen, broken) {
        (_, Some(row)) if report.broken => {
            let failure = Failure::usage(format!("{} is here but cannot work: {}", row.source, row.reason));
            Err(match &row.hint {
                Some(hint) => failure.with_hint(hint),
                None => failure,
            })
        }
        (Some(_), _) => Ok(Exit::Done),
        (None, _) => Err(Failure::new(Exit::NotFound, "no source is here")
            .with_hint("set JETON_TOKEN or JETON_TOKEN_FILE, or name one with --source")),
    }
}

/// The chain's warnings, and one about a clock that is off.
fn warnings(report: &Report) -> Vec<String> {
    let mut warnings = report.warnings.clone();
    let offset = report
        .chosen_row()
        .and_then(|row| row.token.as_ref())
        .and_then(offset);
    if let Some(offset) = offset.filter(|offset| offset.unsigned_abs() >= NOTABLE_OFFSET) {
        warnings.push(format!(
            "this machine's clock is {} the issuer's",
            relation(offset)
        ));
    }
    warnings
}

/// A clock may be off by this many milliseconds before it is worth a word.
const NOTABLE_OFFSET: u64 = 5_000;

/// The issuer's clock minus ours, in milliseconds.
pub(super) fn offset(token: &Token) -> Option<i64> {
    token.life.map(|life| life.clock_offset_millis)
}

/// In words: `3 s behind`.
pub(super) fn relation(offset_millis: i64) -> String {
    let seconds = offset_millis.unsigned_abs().div_ceil(1000);
    format!(
        "{seconds} s {}",
        if offset_millis > 0 { "behind" } else { "ahead of" }
    )
}

fn as_json(report: &Report) -> Value {
    let rows = report.rows.iter().map(|row| {
        json!({
            "source": row.source,
            "status": row.status.as_str(),
            "reason": row.reason,
            "hint": row.hint,
            "elapsed_ms": millis(row.elapsed),
            "token": row.token.as_ref().map(claims),
        })
    });
    json!({
        "chosen": report.chosen,
        "sources": rows.collect::<Vec<_>>(),
        "warnings": warnings(report),
    })
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// The claims of a token, unverified; what is known of it when it has none.
pub(super) fn claims(token: &Token) -> Value {
    match jeton::core::decode(token.value.reveal()) {
        Ok(claims) => super::inspect::value(claims.peek().all()),
        Err(_) => json!({"aud": token.audience, "exp": token.expires_at.map(|time| time.seconds())}),
    }
}

fn as_table(session: &Session, report: &Report) -> String {
    let rows = report.rows.iter().map(|row| {
        let mark = if report.chosen.as_deref() == Some(row.source.as_str()) {
            "*"
        } else {
            ""
        };
        [
            mark.to_owned(),
            row.source.clone(),
            row.status.as_str().to_owned(),
            row.reason.clone(),
        ]
    });
    let mut text = table::columns(["", "SOURCE", "STATUS", "REASON"], rows);
    for hint in report
        .rows
        .iter()
        .filter_map(|row| Some(format!("\n{}: {}", row.source, row.hint.as_ref()?)))
    {
        text.push_str(&hint);
    }
    if let Some((row, token)) = report
        .chosen_row()
        .and_then(|row| Some((row, row.token.as_ref()?)))
    {
        text.push_str(&facts(session, row, token));
    }
    text
}

/// What is known of the token that came.
fn facts(session: &Session, row: &Row, token: &Token) -> String {
    let left = token.life.map(|life| life.left(session.clock.now()));
    let mut rows = vec![
        ["issuer".to_owned(), token.issuer.clone().unwrap_or_default()],
        ["subject".to_owned(), token.subject.clone().unwrap_or_default()],
        ["audience".to_owned(), token.audience.join(", ")],
        [
            "expires".to_owned(),
            token.expires_at.map(rfc3339).unwrap_or_default(),
        ],
        [
            "left".to_owned(),
            left.map(|left| duration::show(Duration::from_secs(left.as_secs())))
                .unwrap_or_default(),
        ],
        ["took".to_owned(), format!("{} ms", millis(row.elapsed))],
    ];
    rows.extend(offset(token).filter(|offset| *offset != 0).map(|offset| {
        [
            "clock".to_owned(),
            format!("this machine's is {} the issuer's", relation(offset)),
        ]
    }));
    rows.retain(|[_, value]| !value.is_empty());
    format!("\n\n{}", table::columns(["TOKEN", "(unverified)"], rows))
}
