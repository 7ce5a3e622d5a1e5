//! The two messages of `FetchJWTSVID`, by hand: five fields, all of them texts (SPIFFE Workload API, `workload.proto`;
//! Protocol Buffers, "Encoding").
use jeton_core::Secret;

/// The wire type of texts, bytes and messages, the only one we write.
const LENGTH_DELIMITED: u64 = 2;
/// The gRPC prefix: one byte that says uncompressed, four of length.
const PREFIX: usize = 5;

/// What is asked for: `JWTSVIDRequest`.
pub(super) fn request(audience: &[String], spiffe_id: Option<&str>) -> Vec<u8> {
    let mut message = Vec::new();
    for audience in audience {
        field(&mut message, 1, audience.as_bytes());
    }
    if let Some(id) = spiffe_id {
        field(&mut message, 2, id.as_bytes());
    }
    message
}

/// One identity of the answer: `JWTSVID`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Svid {
    /// Field 1: whose it is.
    pub(super) spiffe_id: String,
    /// Field 2: the token.
    pub(super) token: Option<Secret>,
    /// Field 3: the operator's word for it.
    pub(super) hint: String,
}

/// The answer, `JWTSVIDResponse`; `None` when the bytes are none.
pub(super) fn response(message: &[u8]) -> Option<Vec<Svid>> {
    fields(message)?
        .into_iter()
        .filter(|(number, _)| *number == 1)
        .map(|(_, bytes)| svid(bytes))
        .collect()
}

fn svid(message: &[u8]) -> Option<Svid> {
    let mut svid = Svid::default();
    for (number, bytes) in fields(message)? {
        match number {
            1 => svid.spiffe_id = text(bytes)?,
            2 => svid.token = Some(Secret::new(text(bytes)?)),
            3 => svid.hint = text(bytes)?,
            _ => {}
        }
    }
    Some(svid)
}

fn text(bytes: &[u8]) -> Option<String> {
    String::from_utf8(bytes.to_vec()).ok()
}

/// The length-delimited fields of a message, in order; other kinds are passed over, as the format has it.
fn fields(mut rest: &[u8]) -> Option<Vec<(u64, &[u8])>> {
    let mut found = Vec::new();
    while !rest.is_empty() {
        let tag = varint(&mut rest)?;
        let length = match tag & 7 {
            0 => {
                varint(&mut rest)?;
                continue;
            }
            1 => 8,
            LENGTH_DELIMITED => usize::try_from(varint(&mut rest)?).ok()?,
            5 => 4,
            _ => return None,
        };
        let (bytes, after) = rest.split_at_checked(length)?;
        rest = after;
        if tag & 7 == LENGTH_DELIMITED {
            found.push((tag >> 3, bytes));
        }
    }
    Some(found)
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for place in 0..10 {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn field(message: &mut Vec<u8>, number: u64, bytes: &[u8]) {
    put_varint(message, number << 3 | LENGTH_DELIMITED);
    put_varint(message, bytes.len() as u64);
    message.extend_from_slice(bytes);
}

fn put_varint(message: &mut Vec<u8>, mut value: u64) {
    while value > 0x7f {
        message.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    message.push(value as u8);
}

/// A message in gRPC's envelope.
pub(super) fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let mut frame = vec![0];
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(message);
    frame
}

/// The message in an envelope that holds exactly one, uncompressed.
pub(super) fn unframed(frame: &[u8]) -> Option<&[u8]> {
    let (prefix, message) = frame.split_at_checked(PREFIX)?;
    let length = u32::from_be_bytes(prefix[1..].try_into().ok()?);
    (prefix[0] == 0 && usize::try_from(length).ok()? == message.len()).then_some(message)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// An answer, as a server writes it.
    pub(crate) fn answer(svids: &[(&str, &str, &str)]) -> Vec<u8> {
        let mut message = Vec::new();
        for (id, token, hint) in svids {
            let mut svid = Vec::new();
            for (number, text) in [(1, id), (2, token), (3, hint)] {
                if !text.is_empty() {
                    field(&mut svid, number, text.as_bytes());
                }
            }
            field(&mut message, 1, &svid);
        }
        message
    }

    /// The audiences and the identity of a request, as a server reads it.
    pub(crate) fn asked(message: &[u8]) -> (Vec<String>, Option<String>) {
        let all = fields(message).unwrap();
        let of = |wanted| {
            all.iter()
                .filter(move |(n, _)| *n == wanted)
                .map(|(_, b)| text(b).unwrap())
        };
        (of(1).collect(), of(2).next())
    }

    #[test]
    fn messages_have_the_bytes_that_the_format_says() {
        let message = request(&["a".into(), "bc".into()], Some("spiffe://t/w"));
        assert_eq!(message, b"\x0a\x01a\x0a\x02bc\x12\x0cspiffe://t/w");
        assert_eq!(framed(b"abc"), b"\0\0\0\0\x03abc");
        assert_eq!(unframed(b"\0\0\0\0\x03abc"), Some(b"abc".as_slice()));
        let long = "x".repeat(300);
        assert_eq!(&request(&[long], None)[..3], b"\x0a\xac\x02");
    }

    #[test]
    fn answers_are_read_and_what_is_unknown_is_passed_over() {
        let whole = answer(&[("spiffe://t/a", "eyJ", "one"), ("spiffe://t/b", "eyK", "")]);
        let read = response(&whole).unwrap();
        assert_eq!(read.len(), 2);
        assert_eq!(
            (read[0].spiffe_id.as_str(), read[0].hint.as_str()),
            ("spiffe://t/a", "one")
        );
        assert_eq!(read[1].token.as_ref().unwrap().reveal(), "eyK");
        // A number, a double, a float and a text nobody knows, before the answer.
        let mut strange =
            b"\x18\x96\x01\x21\x01\x02\x03\x04\x05\x06\x07\x08\x2d\x01\x02\x03\x04\x32\x01z".to_vec();
        strange.extend_from_slice(&whole);
        assert_eq!(response(&strange).unwrap(), read);
    }

    #[test]
    fn bytes_that_are_no_message_are_no_answer() {
        let whole = answer(&[("spiffe://t/a", "eyJ", "")]);
        for bad in [
            &whole[..whole.len() - 1],
            b"\x0a\xff\xff\xff\xff\x0f",
            b"\x0b",
            b"\x0a\x02\x0a\x05",
            b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        ] {
            assert_eq!(response(bad), None, "{bad:?}");
        }
        for bad in [
            b"".as_slice(),
            b"\0\0\0\0",
            b"\x01\0\0\0\0",
            b"\0\0\0\0\x02a",
            b"\0\0\0\0\x01ab",
        ] {
            assert_eq!(unframed(bad), None, "{bad:?}");
        }
    }
}
