//! As much of DER as certificates and timestamps are made of.

/// An element of any length up to 64 KiB.
pub(super) fn element(tag: u8, value: &[u8]) -> Vec<u8> {
    let length = value.len();
    let mut bytes = vec![tag];
    match length {
        0..128 => bytes.push(length as u8),
        128..256 => bytes.extend([0x81, length as u8]),
        _ => bytes.extend([0x82, (length >> 8) as u8, length as u8]),
    }
    bytes.extend(value);
    bytes
}

/// A sequence of elements.
pub(super) fn sequence(elements: &[&[u8]]) -> Vec<u8> {
    element(0x30, &elements.concat())
}

/// A text.
pub(super) fn text(text: &str) -> Vec<u8> {
    element(12, text.as_bytes())
}

/// The value of the first element, and the element whole.
pub(super) fn value(der: &[u8]) -> (&[u8], &[u8]) {
    let (header, length) = match der[1] {
        short @ 0..=127 => (2, usize::from(short)),
        0x81 => (3, usize::from(der[2])),
        _ => (4, usize::from(der[2]) << 8 | usize::from(der[3])),
    };
    (&der[header..header + length], &der[..header + length])
}

/// The elements that stand one after another.
pub(super) fn elements(mut der: &[u8]) -> Vec<&[u8]> {
    let mut found = Vec::new();
    while !der.is_empty() {
        let (_, whole) = value(der);
        found.push(whole);
        der = &der[whole.len()..];
    }
    found
}
