//! Host names as they are compared: whole, in lower case.

/// `Name[:port]` in the form in which hosts are compared; `None` for what is no host.
#[must_use]
pub fn canonical(text: &str) -> Option<String> {
    let (name, port) = split(text)?;
    let is_name = !name.is_empty()
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'[' | b']' | b':'));
    let is_port = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
    if !is_name || !is_port || name.starts_with('.') {
        return None;
    }
    // One dot at the end makes a name absolute, not another one.
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    Some(match port {
        // The port of https says nothing.
        None | Some("443") => name,
        Some(port) => format!("{name}:{port}"),
    })
}

fn split(text: &str) -> Option<(&str, Option<&str>)> {
    if text.starts_with('[') {
        let end = text.find(']')?;
        let (name, rest) = text.split_at(end + 1);
        return match rest.strip_prefix(':') {
            Some(port) => Some((name, Some(port))),
            None => rest.is_empty().then_some((name, None)),
        };
    }
    match text.split_once(':') {
        Some((_, port)) if port.contains(':') => None,
        Some((name, port)) => Some((name, Some(port))),
        None => Some((text, None)),
    }
}
