//! Durations as people write them: `250ms`, `30s`, `5m`, `1h`.
use std::time::Duration;

/// The units, the largest first, with their length in milliseconds.
const UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Reads a whole number with a unit; `0` alone needs none. `None` for everything else.
///
/// ```
/// use jeton::duration::parse;
/// use std::time::Duration;
/// assert_eq!(parse("250ms"), Some(Duration::from_millis(250)));
/// assert_eq!(parse("90"), None);
/// ```
#[must_use]
pub fn parse(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let (_, millis) = UNITS.iter().find(|(name, _)| *name == unit)?;
    let number: u64 = number.parse().ok()?;
    Some(Duration::from_millis(number.checked_mul(*millis)?))
}

/// Writes a duration in the largest unit that shows it exactly, to the millisecond.
#[must_use]
pub fn show(span: Duration) -> String {
    let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    if millis == 0 {
        return "0s".to_owned();
    }
    UNITS
        .iter()
        .find(|(_, unit)| millis % unit == 0)
        .map_or_else(String::new, |(name, unit)| format!("{}{name}", millis / unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_a_number_and_a_unit_and_nothing_else() {
        let rows = [
            ("250ms", Some(250)),
            ("30s", Some(30_000)),
            ("5m", Some(300_000)),
            ("1h", Some(3_600_000)),
            ("0", Some(0)),
            ("0s", Some(0)),
            ("", None),
            ("5", None),
            ("s", None),
            ("-1s", None),
            ("+1s", None),
            ("1.5s", None),
            ("1d", None),
            ("1 s", None),
            ("1S", None),
            ("99999999999999999999s", None),
            ("18446744073709551615h", None),
        ];
        for (text, millis) in rows {
            assert_eq!(parse(text), millis.map(Duration::from_millis), "{text}");
        }
        for text in ["250ms", "30s", "5m", "1h", "90s", "61m", "0s"] {
            assert_eq!(parse(text).map(show).as_deref(), Some(text));
        }
    }
}
