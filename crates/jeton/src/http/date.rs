//! `Date` and `Retry-After` (RFC 9110 sections 6.6.1 and 10.2.3).
use ::http::HeaderMap;
use jeton_core::UnixTime;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use std::time::Duration;

/// The three spellings of a date (RFC 9110 section 5.6.7): IMF-fixdate, RFC 850, asctime.
const SPELLINGS: [&str; 3] = [
    "%a, %d %b %Y %H:%M:%S GMT",
    "%A, %d-%b-%y %H:%M:%S GMT",
    "%a %b %e %H:%M:%S %Y",
];

/// A date in any of the three spellings; `None` for everything else.
pub(super) fn parse(text: &str) -> Option<UnixTime> {
    let text = text.trim_matches([' ', '\t']);
    let civil = SPELLINGS
        .iter()
        .find_map(|spelling| DateTime::strptime(spelling, text).ok())?;
    let instant = civil.to_zoned(TimeZone::UTC).ok()?.timestamp();
    Some(UnixTime::from_seconds(instant.as_second()))
}

/// The `Date` of an answer, if it has one that can be read.
pub(super) fn of(headers: &HeaderMap) -> Option<UnixTime> {
    parse(headers.get("date")?.to_str().ok()?)
}

/// How long `Retry-After: text` asks to wait, when it is `present` at the other side. Digits of any length are a wait,
/// perhaps one beyond every budget; a date that is past, and everything else, is nothing.
pub(crate) fn retry_after(text: &str, present: UnixTime) -> Option<Duration> {
    let text = text.trim_matches([' ', '\t']);
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return Some(text.parse().map_or(Duration::MAX, Duration::from_secs));
    }
    Some(parse(text)?.since(present)).filter(|wait| !wait.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 9110's own example time.
    const EXAMPLE: i64 = 784_111_777;

    #[test]
    fn a_date_has_three_spellings() {
        let rows = [
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(EXAMPLE)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(EXAMPLE)),
            ("Sun Nov  6 08:49:37 1994", Some(EXAMPLE)),
            ("Sun, 06 Nov 1994 08:49:37", None),
            ("Sun, 06 Nov 1994 08:49:37 +0000", None),
            ("1994-11-06T08:49:37Z", None),
            ("", None),
        ];
        for (text, seconds) in rows {
            assert_eq!(parse(text).map(UnixTime::seconds), seconds, "{text}");
        }
    }

    #[test]
    fn b5_retry_after_is_seconds_or_a_date_and_everything_else_is_nothing() {
        let seconds = |n| Some(Duration::from_secs(n));
        let rows = [
            ("2", seconds(2)),
            ("0", seconds(0)),
            (" 7 ", seconds(7)),
            ("99999", seconds(99_999)),
            ("99999999999999999999999999", Some(Duration::MAX)),
            ("Sun, 06 Nov 1994 08:49:47 GMT", seconds(10)),
            ("Sunday, 06-Nov-94 08:49:47 GMT", seconds(10)),
            ("Sun, 06 Nov 1994 08:49:27 GMT", None),
            ("Sun, 06 Nov 1994 08:49:37 GMT", None),
            ("-1", None),
            ("+5", None),
            ("1.5", None),
            ("1e3", None),
            ("0x10", None),
            ("", None),
            ("soon", None),
            ("5s", None),
            ("5, 5", None),
        ];
        for (text, wait) in rows {
            assert_eq!(
                retry_after(text, UnixTime::from_seconds(EXAMPLE)),
                wait,
                "{text:?}"
            );
        }
    }
}
