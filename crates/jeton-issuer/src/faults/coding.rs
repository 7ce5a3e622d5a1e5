//! Faults of what an answer says about itself: content type and coding, date, cache.
use super::Effect::Answer as Change;
use super::{Entry, Play, entry};
use crate::answer::{Answer, Body};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;

const MEBIBYTE: usize = 1024 * 1024;
/// The size of a bomb when it is not given: a thousand times what goes over the wire, about.
const BOMB_MEBIBYTES: usize = 256;

pub(super) const TABLE: &[Entry] = &[
    entry(
        "textct",
        Change(|_, a| a.set("content-type", "text/plain")),
        "called text/plain",
    ),
    entry(
        "htmlct",
        Change(|_, a| a.set("content-type", "text/html")),
        "called text/html",
    ),
    entry("noct", Change(|_, a| a.unset("content-type")), "no Content-Type"),
    entry("dupct", Change(two_types), "two Content-Type that differ"),
    entry(
        "charset",
        Change(charset),
        "called application/json; charset=utf-16",
    ),
    entry(
        "badct",
        Change(|_, a| a.set("content-type", ";;")),
        "a Content-Type that is none",
    ),
    entry("header", Change(header), "the field in `value`, as `name: value`"),
    entry("gzip", Change(|_, a| zip(a, 1)), "gzip that nobody asked for"),
    entry("gzip2", Change(|_, a| zip(a, 2)), "gzip twice"),
    entry("gzipbomb", Change(bomb), "gzip of -mN mebibytes (256) of blanks"),
    entry(
        "badcoding",
        Change(|_, a| a.set("content-encoding", "gzip")),
        "called gzip, but plain",
    ),
    entry(
        "unkcoding",
        Change(|_, a| a.set("content-encoding", "banana")),
        "an unknown coding",
    ),
    entry("nodate", Change(|_, a| a.undated = true), "no Date"),
    entry(
        "baddate",
        Change(|_, a| a.set("date", "yesterday")),
        "a Date that is none",
    ),
    entry("date", Change(date), "the Date in `value`, the clock is right"),
    entry(
        "cache",
        Change(|p, a| a.set("cache-control", p.args.value_or("no-store"))),
        "the Cache-Control in `value`",
    ),
    entry(
        "etag",
        Change(etag),
        "the ETag in `value`, and 304 to those who have it",
    ),
];

fn two_types(_: &Play<'_>, answer: &mut Answer) {
    answer.headers.push(("content-type".into(), "text/html".into()));
}

fn charset(_: &Play<'_>, answer: &mut Answer) {
    answer.set("content-type", "application/json; charset=utf-16");
}

fn header(play: &Play<'_>, answer: &mut Answer) {
    if let Some((name, value)) = play.args.value_or("x-fault: header").split_once(':') {
        answer.set(name.trim(), value.trim());
    }
}

fn date(play: &Play<'_>, answer: &mut Answer) {
    answer.set("date", play.args.value_or("Sun, 06 Nov 1994 08:49:37 GMT"));
}

fn etag(play: &Play<'_>, answer: &mut Answer) {
    let tag = play.args.value_or("\"v1\"");
    if play.call.header("if-none-match") == Some(tag) {
        *answer = Answer::empty(304);
    }
    answer.set("etag", tag);
}

fn zip(answer: &mut Answer, times: usize) {
    let mut body = answer.bytes();
    for _ in 0..times {
        body = zipped(|zip| zip.write_all(&body));
    }
    answer.body = Body::Bytes(body);
    answer.set("content-encoding", vec!["gzip"; times].join(", "));
}

fn bomb(play: &Play<'_>, answer: &mut Answer) {
    let mebibytes = play.args.mebibytes.unwrap_or(BOMB_MEBIBYTES);
    let start = answer.bytes();
    let blanks = vec![b' '; MEBIBYTE];
    answer.body = Body::Bytes(zipped(|zip| {
        (0..mebibytes).try_for_each(|_| zip.write_all(&blanks))?;
        zip.write_all(&start)
    }));
    answer.set("content-encoding", "gzip");
}

/// Writing into memory does not fail.
fn zipped(fill: impl FnOnce(&mut GzEncoder<Vec<u8>>) -> std::io::Result<()>) -> Vec<u8> {
    let mut zip = GzEncoder::new(Vec::new(), Compression::best());
    let filled = fill(&mut zip);
    filled.and_then(|()| zip.finish()).unwrap_or_default()
}
