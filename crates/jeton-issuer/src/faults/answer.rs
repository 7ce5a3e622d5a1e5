//! Faults of whole answers: statuses, redirects, bodies that are no token.
use super::Effect::{Answer as Change, Instead};
use super::{Entry, Play, entry};
use crate::answer::{Answer, Body};
use serde_json::{Value, json};

/// What a gateway shows in the place of an answer.
const PAGE: &str = "<!DOCTYPE html><html><head><title>Gateway</title></head><body><h1>Sign in to the network</h1></body></html>\n";
/// A wait no command can have time for.
const HUGE_WAIT: &str = "99999999999999999999";
/// How deep the deep answer nests when it is not given.
const DEEP: i64 = 100_000;
const MEBIBYTE: usize = 1024 * 1024;
/// How GitHub's endpoint says that it is too early: a 403 that passes.
const PENDING: &str = "Can't issue ID_TOKEN for job in 'Pending' state";

pub(super) const TABLE: &[Entry] = &[
    entry(
        "sNNN",
        Instead(status),
        "this status; -raN or `value` is its Retry-After",
    ),
    entry(
        "pending403",
        Instead(pending),
        "GitHub's 403 of a job that is still pending",
    ),
    entry(
        "delayed403",
        Instead(delayed),
        "GitHub's 403 of a job that is delayed",
    ),
    entry(
        "proxy407",
        Instead(proxy),
        "407 with a challenge, as from a proxy",
    ),
    entry(
        "ra99999",
        Instead(|_, a| wait(a, "99999")),
        "503 with Retry-After: 99999",
    ),
    entry(
        "rahuge",
        Instead(|_, a| wait(a, HUGE_WAIT)),
        "503 with a Retry-After beyond 64 bits",
    ),
    entry("raneg", Instead(|_, a| wait(a, "-1")), "503 with Retry-After: -1"),
    entry(
        "rafrac",
        Instead(|_, a| wait(a, "1.5")),
        "503 with Retry-After: 1.5",
    ),
    entry(
        "raempty",
        Instead(|_, a| wait(a, "")),
        "503 with an empty Retry-After",
    ),
    entry(
        "rabad",
        Instead(|_, a| wait(a, "soon")),
        "503 with Retry-After: soon",
    ),
    entry(
        "rapast",
        Instead(|_, a| wait(a, "Sun, 06 Nov 1994 08:49:37 GMT")),
        "503, Retry-After in the past",
    ),
    entry(
        "radate",
        Instead(retry_date),
        "503 with a Retry-After date N seconds (2) after the answer's Date",
    ),
    entry(
        "redirect",
        Instead(redirect),
        "302 (or N) to `value`, or to the same path with ?again",
    ),
    entry("redirloop", Instead(redirect_loop), "302 to itself"),
    entry(
        "redirother",
        Instead(redirect_other),
        "302 to the same path on another host name (localhost)",
    ),
    entry(
        "redirhost",
        Instead(|p, a| location(p, a, p.args.value_or("https://elsewhere.example.com/"))),
        "302 to `value`, or to a host that does not exist",
    ),
    entry(
        "redirfile",
        Instead(|p, a| location(p, a, "file:///etc/passwd")),
        "302 to a file",
    ),
    entry(
        "redirdata",
        Instead(|p, a| location(p, a, "data:text/plain,x")),
        "302 to a data: URL",
    ),
    entry(
        "redirmeta",
        Instead(|p, a| location(p, a, METADATA)),
        "302 to the metadata address",
    ),
    entry(
        "redirnone",
        Instead(redirect_nowhere),
        "302 (or N) without Location",
    ),
    entry(
        "empty200",
        Instead(|_, a| text(a, 200, "text/plain", "")),
        "200 and no body",
    ),
    entry(
        "html200",
        Instead(|_, a| text(a, 200, "text/html", PAGE)),
        "200 and a gateway's page",
    ),
    entry(
        "htmljson",
        Instead(|_, a| text(a, 200, "application/json", PAGE)),
        "the page, called JSON",
    ),
    entry(
        "body",
        Instead(|p, a| text(a, 200, "application/json", p.args.value_or("{}"))),
        "200 and `value`",
    ),
    entry("truncjson", Change(cut), "half of the JSON, in a complete answer"),
    entry("jsonarray", Change(|_, a| replace(a, json!(["x"]))), "an array"),
    entry("jsonstring", Change(|_, a| replace(a, json!("x"))), "a string"),
    entry("jsonnull", Change(|_, a| replace(a, Value::Null)), "null"),
    entry("jsonnumber", Change(|_, a| replace(a, json!(1))), "a number"),
    entry(
        "jsonempty",
        Change(|_, a| replace(a, json!({}))),
        "an empty object",
    ),
    entry(
        "valmissing",
        Change(value_missing),
        "the token's member is missing",
    ),
    entry(
        "valnull",
        Change(|_, a| value(a, |_| Value::Null)),
        "the token is null",
    ),
    entry(
        "valempty",
        Change(|_, a| value(a, |_| json!(""))),
        "the token is empty",
    ),
    entry(
        "valnumber",
        Change(|_, a| value(a, |_| json!(7))),
        "the token is a number",
    ),
    entry(
        "valobject",
        Change(|_, a| value(a, |t| json!({"token": t}))),
        "the token is in an object",
    ),
    entry(
        "valarray",
        Change(|_, a| value(a, |t| json!([t]))),
        "the token is in an array",
    ),
    entry(
        "notjwt",
        Change(|_, a| value(a, |_| json!("opaque-and-no-jwt"))),
        "the token is no JWT",
    ),
    entry(
        "seg2",
        Change(|_, a| value(a, two_segments)),
        "the token has two segments",
    ),
    entry(
        "jwe",
        Change(|_, a| value(a, |t| json!(format!("{t}.x.y")))),
        "the token has five segments",
    ),
    entry(
        "bearer",
        Change(|_, a| value(a, |t| json!(format!("Bearer {t}")))),
        "`Bearer ` before the token",
    ),
    entry(
        "newline",
        Change(|_, a| value(a, |t| json!(format!("{t}\n")))),
        "a newline after the token",
    ),
    entry(
        "valcrlf",
        Change(|_, a| value(a, |t| json!(format!("{t}\r\nx-evil: 1")))),
        "CR LF in the token",
    ),
    entry("valbig", Change(big_value), "a token of -mN mebibytes (1)"),
    entry("dup", Change(duplicate), "the token's member twice"),
    entry("deep", Change(deep), "arrays N deep (100,000)"),
    entry(
        "bom",
        Change(byte_order_mark),
        "a byte order mark before the body",
    ),
    entry(
        "latin1",
        Change(|_, a| raw(a, b"{\"value\":\"\xe9\xff\"}")),
        "a body that is not UTF-8",
    ),
];

const METADATA: &str = "http://169.254.169.254/latest/meta-data/iam/security-credentials/";

fn text(answer: &mut Answer, status: u16, content_type: &str, body: &str) {
    *answer = Answer::typed(status, content_type, body);
}

fn raw(answer: &mut Answer, body: &[u8]) {
    answer.body = Body::Bytes(body.to_vec());
}

fn replace(answer: &mut Answer, body: Value) {
    answer.body = Body::Json(body);
}

fn status(play: &Play<'_>, answer: &mut Answer) {
    let status = play.args.status;
    let body = json!({"error": "fault", "message": format!("this is status {status}, as the script of faults has it")});
    *answer = match status {
        204 | 304 => Answer::empty(status),
        200..=299 => {
            answer.status = status;
            return;
        }
        _ => Answer::json(status, body),
    };
    let wait = play
        .args
        .value
        .clone()
        .or(play.args.retry_after.map(|wait| wait.to_string()));
    if let Some(wait) = wait {
        answer.set("retry-after", wait);
    }
}

fn wait(answer: &mut Answer, spelling: &str) {
    text(answer, 503, "text/plain", "not now\n");
    answer.set("retry-after", spelling);
}

fn retry_date(play: &Play<'_>, answer: &mut Answer) {
    /// Two seconds: longer than an ordinary back-off, short enough for a test.
    const AHEAD_SECONDS: i64 = 2;
    text(answer, 503, "text/plain", "not now\n");
    answer.retry_date_seconds = Some(play.args.number_or(AHEAD_SECONDS));
}

fn pending(_: &Play<'_>, answer: &mut Answer) {
    *answer = crate::platforms::github::refusal(403, PENDING);
}

fn delayed(_: &Play<'_>, answer: &mut Answer) {
    *answer = crate::platforms::github::refusal(403, &PENDING.replace("Pending", "Delayed"));
}

fn proxy(_: &Play<'_>, answer: &mut Answer) {
    text(answer, 407, "text/html", PAGE);
    answer.set("proxy-authenticate", "Basic realm=\"proxy\"");
}

fn location(play: &Play<'_>, answer: &mut Answer, to: &str) {
    redirect_nowhere(play, answer);
    answer.set("location", to);
}

fn redirect_nowhere(play: &Play<'_>, answer: &mut Answer) {
    let status = u16::try_from(play.args.number_or(302)).unwrap_or(302);
    text(answer, status, "text/plain", "elsewhere\n");
}

fn here(play: &Play<'_>) -> String {
    format!("{}{}", play.url, play.call.path)
}

fn redirect(play: &Play<'_>, answer: &mut Answer) {
    let again = format!("{}?again&{}", here(play), play.call.query);
    location(play, answer, play.args.value_or(&again));
}

fn redirect_loop(play: &Play<'_>, answer: &mut Answer) {
    location(play, answer, &format!("{}?{}", here(play), play.call.query));
}

fn redirect_other(play: &Play<'_>, answer: &mut Answer) {
    let other = here(play).replacen("127.0.0.1", "localhost", 1);
    location(play, answer, play.args.value_or(&other));
}

fn cut(_: &Play<'_>, answer: &mut Answer) {
    let body = answer.bytes();
    raw(answer, body.get(..body.len() / 2).unwrap_or_default());
}

/// Changes the token where the answer has one; a text body can hold only a string.
fn value(answer: &mut Answer, change: impl Fn(&str) -> Value) {
    match (&mut answer.body, answer.token_at) {
        (Body::Json(body), Some(pointer)) => {
            if let Some(token) = body.pointer_mut(pointer) {
                let changed = change(token.as_str().unwrap_or_default());
                *token = changed;
            }
        }
        (Body::Bytes(body), Some(_)) => {
            let changed = change(&String::from_utf8_lossy(body));
            let text = changed
                .as_str()
                .map_or_else(|| changed.to_string(), str::to_owned);
            *body = text.into_bytes();
        }
        _ => {}
    }
}

fn value_missing(_: &Play<'_>, answer: &mut Answer) {
    let Some((parent, name)) = answer.token_at.and_then(|pointer| pointer.rsplit_once('/')) else {
        return raw(answer, b"");
    };
    if let Body::Json(body) = &mut answer.body
        && let Some(Value::Object(members)) = body.pointer_mut(parent)
    {
        members.remove(name);
    }
}

fn two_segments(token: &str) -> Value {
    json!(token.rsplit_once('.').map_or(token, |(start, _)| start))
}

fn big_value(play: &Play<'_>, answer: &mut Answer) {
    let size = play.args.mebibytes.unwrap_or(1) * MEBIBYTE;
    value(answer, |token| {
        let (head, rest) = token.split_once('.').unwrap_or((token, ""));
        json!(format!("{head}.{}{rest}", "A".repeat(size)))
    });
}

fn duplicate(_: &Play<'_>, answer: &mut Answer) {
    let body = String::from_utf8_lossy(&answer.bytes()).into_owned();
    let name = answer
        .token_at
        .and_then(|pointer| pointer.rsplit_once('/'))
        .map_or("issuer", |(_, name)| name);
    let doubled = body.replacen('{', &format!("{{\"{name}\":\"first\","), 1);
    raw(answer, doubled.as_bytes());
}

fn deep(play: &Play<'_>, answer: &mut Answer) {
    let depth = usize::try_from(play.args.number_or(DEEP)).unwrap_or_default();
    let body = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    raw(answer, body.as_bytes());
}

fn byte_order_mark(_: &Play<'_>, answer: &mut Answer) {
    let mut body = b"\xef\xbb\xbf".to_vec();
    body.extend(answer.bytes());
    raw(answer, &body);
}
