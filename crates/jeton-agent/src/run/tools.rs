//! git and gh inside a run: they ask for the credential when they need it, so that a rotation reaches a program that
//! runs already.
use super::credential::Credential;
use super::outfit::host;
use super::provider::Provider;
use crate::token_file::{Layout, TokenFile};
use jeton::{Env, Error, Secret};
use jeton_core::Class;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

/// The folder of the programs, below the run's.
pub const PROGRAMS: &str = "bin";
/// The rights of a program that is written for one run.
pub const PROGRAM_MODE: u32 = 0o700;
/// The name of the socket at which a run's credentials are asked for, below the run's folder.
pub const SOCKET: &str = "run.sock";
/// The variable that names that socket to `jeton credential-helper`.
pub const SOCKET_VARIABLE: &str = "JETON_RUN";
/// The name of git's credential helper, below [`PROGRAMS`].
const HELPER: &str = "git-credential-run";
/// The host of GitHub itself.
const GITHUB: &str = "github.com";
/// The host of GitHub's own API.
const GITHUB_API: &str = "api.github.com";
/// The host of GitLab itself.
const GITLAB: &str = "gitlab.com";

/// What a host is offered over https.
#[derive(Clone)]
pub struct Door {
    /// The host, with its port where it is not the usual one.
    pub host: String,
    /// The user name.
    pub username: String,
    /// The password or token.
    pub password: Secret,
}

/// The hosts that a credential opens to git.
#[must_use]
pub fn doors(credential: &Credential) -> Vec<Door> {
    let one = |host: String, username: &str| {
        vec![Door {
            host,
            username: username.to_owned(),
            password: credential.secret.clone(),
        }]
    };
    match credential.provider {
        Provider::Github => one(github_host(credential), "x-access-token"),
        Provider::Gitlab => one(
            host(credential.url.as_deref()).unwrap_or_else(|| GITLAB.to_owned()),
            "oauth2",
        ),
        Provider::Gerrit => {
            let instances = credential.instances.iter();
            let doors = instances.filter_map(|instance| {
                Some(Door {
                    host: host(Some(&instance.url))?,
                    username: instance.username.clone(),
                    password: instance.password.clone(),
                })
            });
            doors.collect()
        }
        _ => Vec::new(),
    }
}

/// The host of GitHub or of an Enterprise server; a credential's URL may be that of its API.
fn github_host(credential: &Credential) -> String {
    match host(credential.url.as_deref()) {
        Some(host) if host != GITHUB_API => host,
        _ => GITHUB.to_owned(),
    }
}

/// Writes the programs of a run below `folder`; `jeton` is this program.
///
/// # Errors
/// `Class::Other` when they cannot be written.
pub fn install(credentials: &[&Credential], folder: &Path, jeton: &Path) -> Result<(), Error> {
    let ask = format!(
        "{SOCKET_VARIABLE}={} {} credential-helper git",
        quoted(&folder.join(SOCKET)),
        quoted(jeton)
    );
    let programs = folder.join(PROGRAMS);
    let helper = Secret::new(format!("#!/bin/sh\n{ask} \"$@\"\n"));
    write(&programs.join(HELPER), &helper, PROGRAM_MODE)?;
    let github = credentials.iter().find(|c| c.provider == Provider::Github);
    match github {
        Some(github) => {
            let text = gh(&ask, &github_host(github), &programs);
            write(&programs.join("gh"), &Secret::new(text), PROGRAM_MODE)
        }
        None => Ok(()),
    }
}

/// Writes a file whole, in a folder of this user's own.
pub(super) fn write(path: &Path, content: &Secret, mode: u32) -> Result<(), Error> {
    if let Some(folder) = path.parent() {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(|e| Error::new(Class::Other, format!("{}: {e}", folder.display())))?;
    }
    let file = TokenFile {
        path: path.to_path_buf(),
        mode,
        layout: Layout::Plain,
    };
    file.write(content)
}

/// `gh`, with a token that is asked for at each call; the real one is the next of that name on the PATH.
fn gh(ask: &str, host: &str, own: &Path) -> String {
    let (token, name) = match host {
        GITHUB => ("GH_TOKEN", String::new()),
        other => ("GH_ENTERPRISE_TOKEN", format!("export GH_HOST='{other}'\n")),
    };
    format!(
        r#"#!/bin/sh
token=$(printf 'protocol=https\nhost={host}\nusername=x-access-token\n\n' | {ask} get | sed -n 's/^password=//p')
if [ -n "$token" ]; then
  export {token}="$token"
  {name}fi
own={own}
set -f
IFS=:
for folder in $PATH; do
  if [ "$folder" != "$own" ] && [ -x "${{folder:-.}}/gh" ] && [ ! -d "${{folder:-.}}/gh" ]; then
    unset IFS
    exec "${{folder:-.}}/gh" "$@"
  fi
done
echo 'gh: not found' >&2
exit 127
"#,
        own = quoted(own)
    )
}

/// The variables by which git and the shell find the programs, and by which commits are this account's.
#[must_use]
pub fn variables(env: &Env, credentials: &[&Credential], folder: &Path) -> Vec<(String, String)> {
    let programs = folder.join(PROGRAMS);
    let usual = "/usr/local/bin:/usr/bin:/bin";
    let path = format!("{}:{}", programs.display(), env.get("PATH").unwrap_or(usual));
    let mut variables = vec![("PATH".to_owned(), path)];
    let mut settings = Vec::new();
    let helper = quoted(&programs.join(HELPER));
    for door in credentials.iter().flat_map(|credential| doors(credential)) {
        let key = format!("credential.https://{}.helper", door.host);
        // The empty value forgets helpers that somebody else configured: they would answer first, with what they kept.
        settings.push((key.clone(), String::new()));
        settings.push((key, format!("!{helper}")));
    }
    if let Some((name, email)) = identity(credentials) {
        for role in ["AUTHOR", "COMMITTER"] {
            variables.push((format!("GIT_{role}_NAME"), name.clone()));
            variables.push((format!("GIT_{role}_EMAIL"), email.clone()));
        }
        settings.push(("user.name".to_owned(), name));
        settings.push(("user.email".to_owned(), email));
    }
    variables.extend(numbered(env, settings));
    variables
}

/// Settings of git, after those that the environment has already (git-config(1), `GIT_CONFIG_COUNT`).
fn numbered(env: &Env, settings: Vec<(String, String)>) -> Vec<(String, String)> {
    if settings.is_empty() {
        return Vec::new();
    }
    let before = env.get("GIT_CONFIG_COUNT").and_then(|count| count.parse().ok());
    let before: usize = before.unwrap_or(0);
    let count = (
        "GIT_CONFIG_COUNT".to_owned(),
        (before + settings.len()).to_string(),
    );
    let pairs = settings.into_iter().enumerate().flat_map(|(at, (key, value))| {
        let number = before + at;
        [
            (format!("GIT_CONFIG_KEY_{number}"), key),
            (format!("GIT_CONFIG_VALUE_{number}"), value),
        ]
    });
    std::iter::once(count).chain(pairs).collect()
}

/// Whose commits they are: the GitHub account's, else the GitLab account's.
fn identity(credentials: &[&Credential]) -> Option<(String, String)> {
    [Provider::Github, Provider::Gitlab]
        .into_iter()
        .find_map(|provider| {
            let credential = credentials.iter().find(|c| c.provider == provider)?;
            Some((credential.user.clone()?, credential.email.clone()?))
        })
}

/// A path as a word of a shell.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', "'\\''"))
}
