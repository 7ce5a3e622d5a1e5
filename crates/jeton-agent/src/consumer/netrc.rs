//! Lines of a netrc file, as curl, pip, go and git read it.
use super::{Answer, Vault, host, wrong};
use jeton::Error;

/// The user name when the configuration says none.
const USUAL_USERNAME: &str = "oauth2";

/// Answers with a line for the host; without one, for every host of the configuration.
///
/// # Errors
/// `Class::Config` for a value that cannot stand in such a file, else the source's.
pub fn answer(name: Option<&str>, vault: &mut dyn Vault) -> Result<Answer, Error> {
    let hosts = match name {
        Some(name) => host::canonical(name).into_iter().collect(),
        None => vault
            .hosts()
            .into_iter()
            .map(|(host, _)| host)
            .collect::<Vec<_>>(),
    };
    let mut text = String::new();
    for host in hosts {
        let Some(offer) = vault.offer(&host)? else {
            continue;
        };
        let (user, password) = (
            offer.username.as_deref().unwrap_or(USUAL_USERNAME),
            offer.token.value.reveal(),
        );
        // The format has no escapes that all of its readers know.
        if [user, password]
            .iter()
            .any(|word| word.is_empty() || word.contains(|c: char| c.is_whitespace() || c == '"'))
        {
            return Err(wrong(format!("netrc: the credential of {host} has blanks in it")));
        }
        // Programs look for the name alone.
        let machine = host.rsplit_once(':').map_or(host.as_str(), |(name, _)| name);
        text.push_str(&format!("machine {machine} login {user} password {password}\n"));
    }
    Ok(Answer::with(text))
}
