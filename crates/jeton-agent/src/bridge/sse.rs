//! Server-sent events (HTML Living Standard, section 9.2.6): what a stream's events carry.
use super::LARGEST;

/// Decodes a stream as it comes in.
#[derive(Default)]
pub(super) struct Events {
    line: Vec<u8>,
    data: Option<String>,
    /// The last byte was a carriage return: a line feed after it belongs to the same line's end.
    returned: bool,
}

impl Events {
    /// The data of every event that is whole after these bytes.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<Vec<String>, String> {
        let mut whole = Vec::new();
        for &byte in bytes {
            let after_return = std::mem::replace(&mut self.returned, byte == b'\r');
            match byte {
                b'\n' if after_return => {}
                b'\r' | b'\n' => whole.extend(self.end_line()?),
                other => self.line.push(other),
            }
            if self.line.len() + self.data.as_ref().map_or(0, String::len) > LARGEST {
                return Err("an event of the server is larger than 10 MiB".to_owned());
            }
        }
        Ok(whole)
    }

    fn end_line(&mut self) -> Result<Option<String>, String> {
        let line = std::mem::take(&mut self.line);
        let line = String::from_utf8(line).map_err(|_| "the server's events are no UTF-8".to_owned())?;
        if line.is_empty() {
            // An event without data (one that only says how to resume) carries nothing.
            return Ok(self.data.take().filter(|data| !data.is_empty()));
        }
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        if field.trim_start_matches('\u{feff}') == "data" {
            let value = value.strip_prefix(' ').unwrap_or(value);
            match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => self.data = Some(value.to_owned()),
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c15_events_are_decoded_however_they_are_cut() {
        let stream = ": hello\r\nid: 1\nevent: message\ndata: {\"a\":\ndata: 1}\n\nid: 2\ndata:\n\ndata:{}\r\r\ndata: cut";
        for size in [1, 2, 3, 7, stream.len()] {
            let mut events = Events::default();
            let mut all = Vec::new();
            for chunk in stream.as_bytes().chunks(size) {
                all.extend(events.push(chunk).expect("small"));
            }
            assert_eq!(all, ["{\"a\":\n1}", "{}"], "{size}");
        }
    }

    #[test]
    fn c15_an_event_without_end_is_refused() {
        let mut events = Events::default();
        let chunk = vec![b'x'; LARGEST / 4 + 1];
        let pushed: Vec<bool> = (0..4).map(|_| events.push(&chunk).is_ok()).collect();
        assert_eq!(pushed, [true, true, true, false]);
    }
}
