//! `jeton credential-helper install`: the lines that a consumer needs, written whole or not at all.
use super::Kind;
use super::kind;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::session::Session;
use jeton::Secret;
use jeton_agent::consumer::host;
use jeton_agent::token_file::{Layout, TokenFile};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// The rights of a new file: configurations of these consumers often hold secrets.
const MODE: u32 = 0o600;

/// What is to be done.
enum Change {
    /// This file gets this text.
    File(PathBuf, String),
    /// A person has to put this line where it belongs.
    Line(&'static str, String),
}

pub(super) fn run(
    session: &Session,
    words: &[String],
    profile: Option<&str>,
    dry: bool,
) -> Result<Exit, Failure> {
    let (name, named) = match words {
        [name] => (name, None),
        [name, named] => (name, Some(named.as_str())),
        _ => {
            return Err(Failure::usage("install: which kind, and for which host?")
                .with_hint("write it like `jeton credential-helper install git github.com`"));
        }
    };
    let change = change(session, kind(name)?, named, profile)?;
    match change {
        Change::Line(place, line) => {
            session.output.note(&format!("{place}:"));
            session.output.line(&line)?;
        }
        Change::File(path, text) if dry => {
            session.output.note(&format!("would write {}:", path.display()));
            session.output.data(&text)?;
        }
        Change::File(path, text) => {
            write(&path, text)?;
            session.output.line(&path.display().to_string())?;
        }
    }
    Ok(Exit::Done)
}

fn change(
    session: &Session,
    kind: Kind,
    named: Option<&str>,
    profile: Option<&str>,
) -> Result<Change, Failure> {
    let needed = || {
        let host = named.and_then(host::canonical);
        host.ok_or_else(|| Failure::usage("install: a host name is wanted for this kind"))
    };
    let home = |path: &str| {
        let home = session
            .env
            .home()
            .ok_or_else(|| Failure::usage("install: HOME is not set"))?;
        Ok::<PathBuf, Failure>(home.join(path))
    };
    let folder = |variable: &str, usual: &str| match session.env.get(variable) {
        Some(folder) => Ok(PathBuf::from(folder)),
        None => home(usual),
    };
    Ok(match kind {
        Kind::Git => {
            let path = folder("GIT_CONFIG_GLOBAL", ".gitconfig")?;
            let section = format!("[credential \"https://{}\"]", needed()?);
            // The empty value takes back the helpers of wider sections: they would be asked, and told, too.
            let text = format!("{section}\n\thelper =\n\thelper = !jeton credential-helper git\n");
            appended(path, &section, &text)?
        }
        Kind::Docker => {
            let path = folder("DOCKER_CONFIG", ".docker")?.join("config.json");
            let host = needed()?;
            changed_json(path, |config| {
                config["credHelpers"][host.as_str()] = json!("jeton");
            })?
        }
        Kind::Aws => {
            let path = folder("AWS_CONFIG_FILE", ".aws/config")?;
            let name = named.unwrap_or("default");
            let section = if name == "default" {
                "[default]".to_owned()
            } else {
                format!("[profile {name}]")
            };
            let whose = plain(profile.unwrap_or(name))?;
            let text = format!("{section}\ncredential_process = jeton credential-helper aws {whose}\n");
            plain(name)?;
            appended(path, &section, &text)?
        }
        Kind::Cargo => {
            let path = folder("CARGO_HOME", ".cargo")?.join("config.toml");
            let name = plain(named.ok_or_else(|| Failure::usage("install: the registry's name is wanted"))?)?;
            let section = format!("[registries.{name}]");
            let text = format!("{section}\ncredential-provider = [\"jeton\"]\n");
            appended(path, &section, &text)?
        }
        Kind::Terraform => {
            let path = folder("TF_CLI_CONFIG_FILE", ".terraformrc")?;
            let text = "credentials_helper \"jeton\" {\n}\n";
            appended(path, "credentials_helper ", text)?
        }
        Kind::Bazel => {
            let host = needed()?;
            let line = format!("common --credential_helper={host}=%workspace%/jeton-credential-helper");
            let place = "bazel takes a program without arguments; let that be a script of two lines, \
                         `#!/bin/sh` and `exec jeton credential-helper bazel \"$@\"`, and add to .bazelrc";
            Change::Line(place, line)
        }
        Kind::Goauth => Change::Line(
            "set for go",
            "GOAUTH=jeton credential-helper goauth".to_owned(),
        ),
        Kind::Netrc => Change::Line(
            "a netrc holds tokens that end; make it when it is needed",
            format!("jeton credential-helper netrc {} > FILE", named.unwrap_or_default()),
        ),
        Kind::Kubectl => Change::Line(
            "run",
            format!(
                "kubectl config set-credentials {} --exec-api-version=client.authentication.k8s.io/v1 \
                 --exec-command=jeton --exec-arg=credential-helper --exec-arg=kubectl --exec-arg={}",
                plain(named.unwrap_or("jeton"))?,
                plain(profile.unwrap_or("ambient"))?
            ),
        ),
        Kind::Gcp => Change::Line(
            "in the external_account file",
            json!({ "credential_source": { "executable": {
                "command": format!("jeton credential-helper gcp {}", plain(profile.or(named).unwrap_or("ambient"))?),
                "timeout_millis": 30000
            } } })
            .to_string(),
        ),
    })
}

/// A word that needs no quotes anywhere.
fn plain(word: &str) -> Result<&str, Failure> {
    let is_plain = !word.is_empty()
        && !word.starts_with('-')
        && word
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    if is_plain {
        return Ok(word);
    }
    Err(Failure::usage(
        "install: a name of letters, digits, `-`, `_` and `.` is wanted",
    ))
}

fn read(path: &Path) -> Result<String, Failure> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(text),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(e) => Err(Failure::new(Exit::Other, format!("{}: {e}", path.display()))),
    }
}

/// The file with these lines at its end. A section that is there already is a person's: it is not touched.
fn appended(path: PathBuf, section: &str, lines: &str) -> Result<Change, Failure> {
    let mut text = read(&path)?;
    if text.contains(lines) {
        return Ok(Change::File(path, text));
    }
    if text.lines().any(|line| line.trim().starts_with(section.trim())) {
        return Err(
            Failure::usage(format!("{} has {} already", path.display(), section.trim())).with_hint(format!(
                "put this there yourself: {}",
                lines.trim().replace('\n', " / ")
            )),
        );
    }
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text.push_str(lines);
    Ok(Change::File(path, text))
}

fn changed_json(path: PathBuf, change: impl FnOnce(&mut Value)) -> Result<Change, Failure> {
    let text = read(&path)?;
    let mut config = match text.trim() {
        "" => json!({}),
        text => serde_json::from_str(text).map_err(|e| Failure::usage(format!("{}: {e}", path.display())))?,
    };
    if !config.is_object() || !matches!(config["credHelpers"], Value::Null | Value::Object(_)) {
        return Err(Failure::usage(format!(
            "{}: not what docker writes",
            path.display()
        )));
    }
    change(&mut config);
    let text = serde_json::to_string_pretty(&config)
        .map_err(|e| Failure::new(Exit::Other, format!("{}: {e}", path.display())))?;
    Ok(Change::File(path, text + "\n"))
}

/// Written whole, where the name leads: a link to a file that is kept elsewhere stays a link.
fn write(path: &Path, text: String) -> Result<(), Failure> {
    use std::os::unix::fs::PermissionsExt;
    let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let wrong = |e: std::io::Error| Failure::new(Exit::Other, format!("{}: {e}", path.display()));
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(wrong)?;
    }
    let mode = std::fs::metadata(&path).map_or(MODE, |meta| meta.permissions().mode() & 0o777);
    let file = TokenFile {
        path: path.clone(),
        mode,
        layout: Layout::Plain,
    };
    file.write(&Secret::new(text)).map_err(Failure::from)
}
