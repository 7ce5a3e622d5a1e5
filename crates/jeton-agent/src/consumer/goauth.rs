//! Go's `GOAUTH` command: sets of URLs and header fields, between blank lines.
use super::{Answer, Vault, host_of, line_token};
use jeton::Error;
use url::Url;

/// Answers for the URL that go was refused at; without one, for every host of the configuration.
///
/// # Errors
/// The source's.
pub fn answer(url: Option<&str>, vault: &mut dyn Vault) -> Result<Answer, Error> {
    let hosts = match url {
        Some(url) => Url::parse(url)
            .ok()
            .as_ref()
            .and_then(host_of)
            .into_iter()
            .collect(),
        None => vault
            .hosts()
            .into_iter()
            .map(|(host, _)| host)
            .collect::<Vec<_>>(),
    };
    let mut text = String::new();
    for host in hosts {
        if let Some(offer) = vault.offer(&host)? {
            let token = line_token(&offer)?;
            text.push_str(&format!("https://{host}\n\nAuthorization: Bearer {token}\n\n"));
        }
    }
    Ok(Answer::with(text))
}
