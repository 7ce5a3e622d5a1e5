//! git's credential helper protocol (gitcredentials(7), git-credential(1)).
use super::{Answer, LARGEST, Offer, Vault, host, is_one_line, line_token, wrong};
use jeton::Error;

/// The user name for forges that take any, when the configuration says none.
const USUAL_USERNAME: &str = "x-access-token";

/// What git says of the credential it wants.
#[derive(Debug, Default)]
struct Question {
    protocol: Option<String>,
    host: Option<String>,
    username: Option<String>,
    bearer: bool,
}

/// Answers `get`, `store`, `erase` and `capability`. Verbs that would change something succeed and do nothing, and
/// so do verbs that are not known yet (gitcredentials(7) asks for that).
///
/// # Errors
/// `Class::Config` for input that is not of the protocol, else the source's.
pub fn answer(verb: &str, input: &[u8], vault: &mut dyn Vault) -> Result<Answer, Error> {
    match verb {
        "capability" => Ok(Answer::with("version 0\ncapability authtype\n")),
        "get" => get(&question(input)?, vault),
        _ => Ok(Answer::default()),
    }
}

fn get(question: &Question, vault: &mut dyn Vault) -> Result<Answer, Error> {
    if question.protocol.as_deref() != Some("https") {
        return Ok(Answer::default());
    }
    let Some(host) = question.host.as_deref().and_then(host::canonical) else {
        return Ok(Answer::default());
    };
    match vault.offer(&host)? {
        Some(offer) => credential(question, &offer).map(Answer::with),
        None => Ok(Answer::default()),
    }
}

fn credential(question: &Question, offer: &Offer) -> Result<String, Error> {
    let token = line_token(offer)?;
    let configured = offer.username.as_deref();
    // Bearer where git knows it (2.46) and nobody wants a user name; it must hear first that we know it too.
    let mut text = if question.bearer && configured.is_none() && question.username.is_none() {
        format!("capability[]=authtype\nauthtype=Bearer\ncredential={token}\nephemeral=1\n")
    } else {
        let username = question
            .username
            .as_deref()
            .or(configured)
            .unwrap_or(USUAL_USERNAME);
        if !is_one_line(username) {
            return Err(wrong("git: the user name has line ends in it"));
        }
        format!("username={username}\npassword={token}\n")
    };
    if let Some(ends) = offer.ends() {
        text.push_str(&format!("password_expiry_utc={ends}\n"));
    }
    text.push('\n');
    Ok(text)
}

/// Reads `key=value` lines up to a blank one. Keys that are not known are passed over; a value with a CR or a NUL in it
/// is how lines were smuggled in (CVE-2020-5260, CVE-2024-52006).
fn question(input: &[u8]) -> Result<Question, Error> {
    if input.len() > LARGEST {
        return Err(wrong("git: the question is larger than 1 MiB"));
    }
    let text = std::str::from_utf8(input).map_err(|_| wrong("git: the question is no UTF-8"))?;
    let mut question = Question::default();
    for line in text.split('\n') {
        if line.is_empty() {
            break;
        }
        if !is_one_line(line) {
            return Err(wrong("git: a value with a carriage return or a NUL in it"));
        }
        let (key, value) = line
            .split_once('=')
            .ok_or_else(|| wrong("git: a line without `=` in the question"))?;
        match key {
            "protocol" => once(&mut question.protocol, key, value)?,
            "host" => once(&mut question.host, key, value)?,
            "username" => question.username = Some(value.to_owned()),
            "capability[]" if value.is_empty() => question.bearer = false,
            "capability[]" if value == "authtype" => question.bearer = true,
            _ => {}
        }
    }
    Ok(question)
}

/// Which of two hosts is meant nobody can say.
fn once(place: &mut Option<String>, key: &str, value: &str) -> Result<(), Error> {
    if place.replace(value.to_owned()).is_some() {
        return Err(wrong(format!("git: `{key}` is said twice")));
    }
    Ok(())
}
