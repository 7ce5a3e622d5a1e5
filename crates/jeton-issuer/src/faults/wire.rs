//! Faults below HTTP: what goes over the connection in the place of an answer.
use super::Effect::{Cut, Wire};
use super::{Entry, Play, entry};
use crate::answer::Answer;
use crate::script::{Script, Step};
use bytes::Bytes;
use std::time::Duration;

/// Between the bytes of an answer and the reset that follows them: time to arrive, since a reset throws away the rest.
const BEFORE_RESET: Duration = Duration::from_millis(50);
/// The pause of a slow answer when it is not given.
const SLOW_MILLIS: u64 = 200;
/// How much longer than the truth a length says that is too long.
const TOO_LONG_BY: usize = 1000;
const MEBIBYTE: usize = 1024 * 1024;
/// The size of a giant body when it is not given.
const BIG_MEBIBYTES: usize = 64;
/// How many interim answers there are when it is not given.
const INTERIM_ANSWERS: i64 = 1000;
/// How many fields there are when it is not given.
const MANY_FIELDS: i64 = 10_000;

pub(super) const TABLE: &[Entry] = &[
    entry(
        "stall",
        Cut(|_| vec![Step::Hold]),
        "nothing comes back, the connection stays open",
    ),
    entry("stallhead", Wire(stall_after_head), "the head, then nothing"),
    entry(
        "stallmidhead",
        Wire(stall_in_head),
        "half of the head, then nothing",
    ),
    entry("stallbody", Wire(stall_in_body), "half of the body, then nothing"),
    entry(
        "slowbody",
        Wire(slow_body),
        "the body byte by byte, -msN between them",
    ),
    entry(
        "slowhead",
        Wire(slow_head),
        "the head byte by byte, -msN between them",
    ),
    entry("delay", Wire(delay), "the answer after -msN"),
    entry("rst", Cut(|_| vec![Step::Reset]), "a reset before the answer"),
    entry("rsthead", Wire(reset_after_head), "the head, then a reset"),
    entry("rstbody", Wire(reset_in_body), "half of the body, then a reset"),
    entry("fin", Cut(|_| Vec::new()), "a close before the answer"),
    entry(
        "lostrst",
        Wire(|_, _| vec![Step::Reset]),
        "carried out, then a reset before the answer",
    ),
    entry(
        "lostfin",
        Wire(|_, _| Vec::new()),
        "carried out, then a close before the answer",
    ),
    entry(
        "loststall",
        Wire(|_, _| vec![Step::Hold]),
        "carried out, then nothing",
    ),
    entry(
        "keepclose",
        Wire(keep_then_close),
        "the answer with keep-alive, then a close",
    ),
    entry(
        "trunc",
        Wire(truncated),
        "a Content-Length that is too long, then a close",
    ),
    entry(
        "chunktrunc",
        Wire(chunks_cut),
        "chunks without the last one, then a close",
    ),
    entry(
        "chunkbad",
        Wire(|_, a| chunked(a, "zz\r\n")),
        "a chunk size that is none",
    ),
    entry(
        "chunkhuge",
        Wire(|_, a| chunked(a, "ffffffffffffffffff\r\n")),
        "a chunk size beyond 64 bits",
    ),
    entry(
        "cldup",
        Wire(|_, a| framed(a, &lengths(a, 5))),
        "two Content-Length that differ",
    ),
    entry(
        "clsame",
        Wire(|_, a| framed(a, &lengths(a, 0))),
        "two Content-Length that are equal",
    ),
    entry(
        "clte",
        Wire(length_and_chunks),
        "Content-Length and Transfer-Encoding",
    ),
    entry(
        "teunk",
        Wire(|_, a| framed(a, "transfer-encoding: banana\r\n")),
        "an unknown Transfer-Encoding",
    ),
    entry(
        "clneg",
        Wire(|_, a| framed(a, "content-length: -1\r\n")),
        "a negative Content-Length",
    ),
    entry(
        "clplus",
        Wire(|_, a| framed(a, &signed(a))),
        "a Content-Length with a plus sign",
    ),
    entry(
        "clshort",
        Wire(longer_than_said),
        "a body longer than its Content-Length, on a connection kept",
    ),
    entry(
        "unsolicited",
        Wire(unsolicited),
        "a second answer that nobody asked for, on a connection kept",
    ),
    entry(
        "http09",
        Wire(|_, a| once(a.bytes())),
        "the body alone, as HTTP/0.9 had it",
    ),
    entry("badstatus", Wire(bad_status), "a status line that is none"),
    entry(
        "garbage",
        Cut(|_| once(GARBAGE.repeat(16))),
        "bytes that are not HTTP",
    ),
    entry(
        "hdrnul",
        Wire(|_, a| headed(a, "x-nul: a\0b\r\n")),
        "a NUL in a field",
    ),
    entry(
        "hdrfold",
        Wire(|_, a| headed(a, "x-folded: a\r\n b\r\n")),
        "a folded field",
    ),
    entry(
        "hdrspace",
        Wire(|_, a| headed(a, "x-spaced : a\r\n")),
        "a space before the colon",
    ),
    entry(
        "hdrnocolon",
        Wire(|_, a| headed(a, "no colon here\r\n")),
        "a field without a colon",
    ),
    entry(
        "info100",
        Wire(|p, a| interim(p, a, "HTTP/1.1 100 Continue\r\n\r\n")),
        "N times 100, then the answer",
    ),
    entry("early103", Wire(early_hints), "103 Early Hints, then the answer"),
    entry("bighead", Wire(big_head), "a field of -mN mebibytes (1)"),
    entry("manyheads", Wire(many_heads), "N fields (10,000)"),
    entry("big", Cut(big), "a JSON string of -mN mebibytes (64)"),
    entry("bigchunk", Cut(|_| endless("[\"")), "JSON in chunks without end"),
    entry("endlesshead", Cut(endless_head), "fields without end"),
    entry("switch101", Cut(|_| once(SWITCHING)), "101 that nobody asked for"),
];

const GARBAGE: &[u8] = b"\x00\x01\xfe\xffnot http at all\r\n";
const SWITCHING: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nupgrade: nothing\r\nconnection: upgrade\r\n\r\n";

fn write(bytes: impl Into<Vec<u8>>) -> Step {
    Step::Write(Bytes::from(bytes.into()))
}

fn once(bytes: impl Into<Vec<u8>>) -> Script {
    vec![write(bytes)]
}

/// The head with a true length and the empty line.
fn full_head(answer: &Answer) -> String {
    format!(
        "{}content-length: {}\r\n\r\n",
        answer.head(),
        answer.bytes().len()
    )
}

/// The answer with these framing fields instead of its own.
fn framed(answer: &Answer, framing: &str) -> Script {
    let mut whole = format!("{}{framing}\r\n", answer.head()).into_bytes();
    whole.extend(answer.bytes());
    once(whole)
}

/// The answer with these lines in its head.
fn headed(answer: &Answer, lines: &str) -> Script {
    let length = answer.bytes().len();
    framed(answer, &format!("{lines}content-length: {length}\r\n"))
}

fn half(answer: &Answer) -> Vec<u8> {
    let body = answer.bytes();
    body.get(..body.len() / 2).unwrap_or_default().to_vec()
}

fn head_and_half(answer: &Answer) -> Step {
    let mut bytes = full_head(answer).into_bytes();
    bytes.extend(half(answer));
    write(bytes)
}

fn stall_after_head(_: &Play<'_>, answer: &Answer) -> Script {
    vec![write(full_head(answer)), Step::Hold]
}

fn stall_in_head(_: &Play<'_>, answer: &Answer) -> Script {
    vec![write(answer.head()), Step::Hold]
}

fn stall_in_body(_: &Play<'_>, answer: &Answer) -> Script {
    vec![head_and_half(answer), Step::Hold]
}

fn pause(play: &Play<'_>) -> Duration {
    Duration::from_millis(play.args.millis.unwrap_or(SLOW_MILLIS))
}

fn drip(bytes: &[u8], pause: Duration) -> Script {
    bytes
        .iter()
        .flat_map(|byte| [Step::Pause(pause), write([*byte])])
        .collect()
}

fn slow_body(play: &Play<'_>, answer: &Answer) -> Script {
    let mut script = once(full_head(answer));
    script.extend(drip(&answer.bytes(), pause(play)));
    script
}

fn slow_head(play: &Play<'_>, answer: &Answer) -> Script {
    let mut script = drip(full_head(answer).as_bytes(), pause(play));
    script.push(write(answer.bytes()));
    script
}

fn delay(play: &Play<'_>, answer: &Answer) -> Script {
    vec![Step::Pause(pause(play)), write(answer.wire()), Step::Resume]
}

fn reset_after_head(_: &Play<'_>, answer: &Answer) -> Script {
    vec![write(full_head(answer)), Step::Pause(BEFORE_RESET), Step::Reset]
}

fn reset_in_body(_: &Play<'_>, answer: &Answer) -> Script {
    vec![head_and_half(answer), Step::Pause(BEFORE_RESET), Step::Reset]
}

fn keep_then_close(_: &Play<'_>, answer: &Answer) -> Script {
    headed(answer, "connection: keep-alive\r\n")
}

fn truncated(_: &Play<'_>, answer: &Answer) -> Script {
    let length = answer.bytes().len() + TOO_LONG_BY;
    framed(answer, &format!("content-length: {length}\r\n"))
}

/// The body as one chunk, and this in the place of the last one.
fn chunked(answer: &Answer, end: &str) -> Script {
    let body = answer.bytes();
    let head = format!(
        "{}transfer-encoding: chunked\r\n\r\n{:x}\r\n",
        answer.head(),
        body.len()
    );
    let mut whole = head.into_bytes();
    whole.extend(body);
    whole.extend_from_slice(b"\r\n");
    whole.extend_from_slice(end.as_bytes());
    once(whole)
}

fn chunks_cut(_: &Play<'_>, answer: &Answer) -> Script {
    chunked(answer, "")
}

fn lengths(answer: &Answer, more: usize) -> String {
    let length = answer.bytes().len();
    format!(
        "content-length: {length}\r\ncontent-length: {}\r\n",
        length + more
    )
}

fn length_and_chunks(_: &Play<'_>, answer: &Answer) -> Script {
    let mut both = answer.clone();
    both.set("content-length", answer.bytes().len().to_string());
    chunked(&both, "0\r\n\r\n")
}

fn signed(answer: &Answer) -> String {
    format!("content-length: +{}\r\n", answer.bytes().len())
}

fn longer_than_said(_: &Play<'_>, answer: &Answer) -> Script {
    let mut whole = answer.wire();
    whole.extend_from_slice(b"and this is beyond the length");
    vec![write(whole), Step::Resume]
}

fn unsolicited(_: &Play<'_>, answer: &Answer) -> Script {
    let mut whole = answer.wire();
    let poison = Answer::json(
        200,
        serde_json::json!({"value": "poison", "access_token": "poison"}),
    );
    whole.extend(poison.wire());
    vec![write(whole), Step::Resume]
}

fn bad_status(_: &Play<'_>, answer: &Answer) -> Script {
    let whole = String::from_utf8_lossy(&answer.wire()).replacen("HTTP/1.1 ", "HTTP/1.1 2OO ", 1);
    once(whole)
}

fn interim(play: &Play<'_>, answer: &Answer, one: &str) -> Script {
    let times = usize::try_from(play.args.number_or(INTERIM_ANSWERS)).unwrap_or_default();
    let mut whole = one.repeat(times).into_bytes();
    whole.extend(answer.wire());
    vec![write(whole), Step::Resume]
}

fn early_hints(play: &Play<'_>, answer: &Answer) -> Script {
    let times = play.args.number_or(1);
    let mut args = play.args.clone();
    args.number = Some(times);
    let hints = Play { args: &args, ..*play };
    interim(
        &hints,
        answer,
        "HTTP/1.1 103 Early Hints\r\nlink: </style.css>; rel=preload\r\n\r\n",
    )
}

fn big_head(play: &Play<'_>, answer: &Answer) -> Script {
    let size = play.args.mebibytes.unwrap_or(1) * MEBIBYTE;
    headed(answer, &format!("x-big: {}\r\n", "a".repeat(size)))
}

fn many_heads(play: &Play<'_>, answer: &Answer) -> Script {
    let lines: String = (0..play.args.number_or(MANY_FIELDS))
        .map(|n| format!("x-{n}: {n}\r\n"))
        .collect();
    headed(answer, &lines)
}

fn big(play: &Play<'_>) -> Script {
    let mebibytes = play.args.mebibytes.unwrap_or(BIG_MEBIBYTES);
    let (open, close) = (r#"{"value":""#, r#""}"#);
    let length = mebibytes * MEBIBYTE + open.len() + close.len();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{open}"
    );
    let times = u64::try_from(mebibytes).unwrap_or_default();
    let filling = Step::Repeat(Bytes::from(vec![b'a'; MEBIBYTE]), Some(times), Duration::ZERO);
    vec![write(head), filling, write(close)]
}

fn endless(open: &str) -> Script {
    const CHUNK: usize = 64 * 1024;
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    let first = format!("{head}{:x}\r\n{open}\r\n", open.len());
    let chunk = format!("{CHUNK:x}\r\n{}\r\n", "a".repeat(CHUNK));
    vec![
        write(first),
        Step::Repeat(Bytes::from(chunk), None, Duration::ZERO),
    ]
}

fn endless_head(_: &Play<'_>) -> Script {
    // Many at a time: a system call for each line would make the fault slow instead of large.
    let line = Bytes::from(b"x-more: and more\r\n".repeat(1000));
    vec![
        write("HTTP/1.1 200 OK\r\n"),
        Step::Repeat(line, None, Duration::ZERO),
    ]
}
