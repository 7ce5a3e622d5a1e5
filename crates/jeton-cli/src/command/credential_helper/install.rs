//! `jeton credential-helper install`: the lines that a consumer needs, written whole or not at all.
use super::{Arguments, Doors, Kind, kind};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::session::Session;
use jeton::Secret;
use jeton_agent::consumer::{self, Offer, Vault, host};
use jeton_agent::token_file::{Layout, TokenFile};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

mod kubeconfig;

/// The rights of a new file: configurations of these consumers often hold secrets.
const MODE: u32 = 0o600;
/// The rights of a new program.
const PROGRAM_MODE: u32 = 0o700;

/// A file, and the text that it gets.
struct Change {
    path: PathBuf,
    text: String,
    mode: u32,
    /// What still has to be done, or to be known.
    note: Option<String>,
}

impl Change {
    fn new(path: PathBuf, text: String) -> Self {
        Self {
            path,
            text,
            mode: MODE,
            note: None,
        }
    }

    fn noting(self, note: impl Into<String>) -> Self {
        Self {
            note: Some(note.into()),
            ..self
        }
    }
}

/// For whom something is installed.
struct Asked<'a> {
    session: &'a Session,
    kind: Kind,
    /// A host, or what the consumer calls its entry.
    named: Option<&'a str>,
    profile: Option<&'a str>,
    audience: &'a [String],
    dry: bool,
}

pub(super) fn run(session: &Session, arguments: &Arguments) -> Result<Exit, Failure> {
    let (name, named) = match arguments.words.as_slice() {
        [name] => (name, None),
        [name, named] => (name, Some(named.as_str())),
        _ => {
            return Err(Failure::usage("install: which kind, and for which host?")
                .with_hint("write it like `jeton credential-helper install git github.com`"));
        }
    };
    let asked = Asked {
        session,
        kind: kind(name)?,
        named,
        profile: arguments.profile.as_deref(),
        audience: &arguments.audience,
        dry: arguments.dry_run,
    };
    for change in asked.changes(arguments)? {
        if asked.dry {
            session
                .output
                .note(&format!("would write {}:", change.path.display()));
            session.output.data(&change.text)?;
        } else {
            write(&change)?;
            session.output.line(&change.path.display().to_string())?;
        }
        if let Some(note) = change.note {
            session.output.note(&note);
        }
    }
    asked.missing_host()?;
    Ok(Exit::Done)
}

impl Asked<'_> {
    fn changes(&self, arguments: &Arguments) -> Result<Vec<Change>, Failure> {
        let one = match self.kind {
            Kind::Git => self.git()?,
            Kind::Docker => self.docker()?,
            Kind::Aws => self.aws()?,
            Kind::Cargo => self.cargo()?,
            Kind::Terraform => self.terraform()?,
            Kind::Bazel => return self.bazel(),
            Kind::Goauth => self.goauth()?,
            Kind::Netrc => self.netrc(arguments)?,
            Kind::Kubectl => kubeconfig::change(self)?,
            Kind::Gcp => self.gcp()?,
        };
        Ok(vec![one])
    }

    /// The host that was named.
    fn host(&self) -> Result<String, Failure> {
        let host = self.named.and_then(host::canonical);
        host.ok_or_else(|| Failure::usage("install: a host name is wanted for this kind"))
    }

    fn home(&self, path: &str) -> Result<PathBuf, Failure> {
        let home = self.session.env.home();
        let home = home.ok_or_else(|| Failure::usage("install: HOME is not set"))?;
        Ok(home.join(path))
    }

    /// The place that a variable names, or the usual one below the home folder.
    fn place(&self, variable: &str, usual: &str) -> Result<PathBuf, Failure> {
        match self.session.env.get(variable) {
            Some(place) => Ok(PathBuf::from(place)),
            None => self.home(usual),
        }
    }

    /// Says so when nothing is offered to the host yet.
    fn missing_host(&self) -> Result<(), Failure> {
        let by_host = !matches!(self.kind, Kind::Aws | Kind::Gcp | Kind::Kubectl | Kind::Cargo);
        let Some(named) = self.named.filter(|_| by_host).and_then(host::canonical) else {
            return Ok(());
        };
        let hosts = &self.session.config()?.hosts;
        if !hosts
            .keys()
            .any(|known| host::canonical(known).as_ref() == Some(&named))
        {
            let note = format!("nothing is offered to it yet: config.toml has no [hosts.\"{named}\"]");
            self.session.output.note(&note);
        }
        Ok(())
    }

    fn git(&self) -> Result<Change, Failure> {
        let path = self.place("GIT_CONFIG_GLOBAL", ".gitconfig")?;
        let section = format!("[credential \"https://{}\"]", self.host()?);
        // The empty value takes back the helpers of wider sections: they would be asked, and told, too.
        let text = format!("{section}\n\thelper =\n\thelper = !jeton credential-helper git\n");
        appended(path, &section, &text)
    }

    fn docker(&self) -> Result<Change, Failure> {
        let path = self.place("DOCKER_CONFIG", ".docker")?.join("config.json");
        let host = self.host()?;
        let mut config = json_object(&path)?;
        if !matches!(config["credHelpers"], Value::Null | Value::Object(_)) {
            return Err(Failure::usage(format!(
                "{}: not what docker writes",
                path.display()
            )));
        }
        config["credHelpers"][host.as_str()] = json!("jeton");
        Ok(Change::new(path, pretty(&config)?))
    }

    fn aws(&self) -> Result<Change, Failure> {
        let path = self.place("AWS_CONFIG_FILE", ".aws/config")?;
        let name = plain(self.named.unwrap_or("default"))?;
        let section = match name {
            "default" => "[default]".to_owned(),
            name => format!("[profile {name}]"),
        };
        let whose = plain(self.profile.unwrap_or(name))?;
        let text = format!("{section}\ncredential_process = jeton credential-helper aws {whose}\n");
        appended(path, &section, &text)
    }

    fn cargo(&self) -> Result<Change, Failure> {
        let path = self.place("CARGO_HOME", ".cargo")?.join("config.toml");
        let named = self.named;
        let name = plain(named.ok_or_else(|| Failure::usage("install: the registry's name is wanted"))?)?;
        let section = format!("[registries.{name}]");
        let text = format!("{section}\ncredential-provider = [\"jeton\"]\n");
        appended(path, &section, &text)
    }

    /// Terraform has one helper for all hosts; those that it is for are its arguments.
    fn terraform(&self) -> Result<Change, Failure> {
        const START: &str = "credentials_helper \"jeton\" {\n  args = [";
        const END: &str = "]\n}\n";
        let path = self.place("TF_CLI_CONFIG_FILE", ".terraformrc")?;
        let host = format!("\"{}\"", self.host()?);
        let text = read(&path)?;
        let ours = text.split_once(START).and_then(|(before, rest)| {
            let (hosts, after) = rest.split_once(END)?;
            Some((before, hosts, after))
        });
        let Some((before, hosts, after)) = ours else {
            return appended(path, "credentials_helper ", &format!("{START}{host}{END}"));
        };
        if hosts.split(", ").any(|known| known == host) {
            return Ok(Change::new(path, text));
        }
        let text = format!("{before}{START}{hosts}, {host}{END}{after}");
        Ok(Change::new(path, text))
    }

    /// Bazel takes a program without arguments, so there is one.
    fn bazel(&self) -> Result<Vec<Change>, Failure> {
        let host = self.host()?;
        let program = self.place("XDG_DATA_HOME", ".local/share")?;
        let program = program.join("jeton/bazel-credential-helper");
        let line = format!("common --credential_helper={host}={}\n", program.display());
        let setting = format!("common --credential_helper={host}=");
        let script = "#!/bin/sh\nexec jeton credential-helper bazel \"$@\"\n".to_owned();
        let script = Change {
            mode: PROGRAM_MODE,
            ..Change::new(program, script)
        };
        Ok(vec![script, appended(self.home(".bazelrc")?, &setting, &line)?])
    }

    fn goauth(&self) -> Result<Change, Failure> {
        const OURS: &str = "jeton credential-helper goauth";
        let usual = self.place("XDG_CONFIG_HOME", ".config")?.join("go/env");
        let path = match self.session.env.get("GOENV") {
            Some("off") => return Err(Failure::usage("install: GOENV=off: go reads no file then")),
            Some(path) => PathBuf::from(path),
            None => usual,
        };
        let text = read(&path)?;
        // What go does when nothing is set comes after ours; what a person has set stays before it.
        let line = match text.lines().find_map(|line| line.strip_prefix("GOAUTH=")) {
            None => format!("GOAUTH={OURS}; netrc"),
            Some(set) if set.contains(OURS) => return Ok(Change::new(path, text)),
            Some(set) => format!("GOAUTH={set}; {OURS}"),
        };
        let others = text.lines().filter(|line| !line.starts_with("GOAUTH="));
        let lines: Vec<&str> = others.chain([line.as_str()]).collect();
        Ok(Change::new(path, lines.join("\n") + "\n"))
    }

    /// A netrc holds the token itself.
    fn netrc(&self, arguments: &Arguments) -> Result<Change, Failure> {
        let path = self.place("NETRC", ".netrc")?;
        let host = self.host()?;
        let (line, note) = if self.dry {
            (format!("machine {host} login … password …\n"), None)
        } else {
            let mut doors = Doors::open(self.session, self.kind, arguments)?;
            let offer = doors.offer(&host)?;
            let ends = offer.as_ref().and_then(Offer::ends_text);
            let line = consumer::netrc::answer(Some(&host), &mut doors)?.output;
            let ends = ends.unwrap_or_else(|| "a time that is not known".to_owned());
            (
                line,
                Some(format!(
                    "the token in it ends at {ends}; write it again before that"
                )),
            )
        };
        if line.is_empty() {
            let why = format!("{host}: nothing is offered to this host");
            return Err(Failure::new(Exit::NotFound, why).with_hint(format!(
                "add [hosts.\"{host}\"] to config.toml, or say --audience"
            )));
        }
        let text = read(&path)?;
        let ours = |line: &&str| line.split_whitespace().take(2).eq(["machine", host.as_str()]);
        if let Some(theirs) = text
            .lines()
            .find(ours)
            .filter(|line| !line.contains(" password "))
        {
            return Err(Failure::usage(format!(
                "{} has `{theirs}` over several lines already: remove it first",
                path.display()
            )));
        }
        let mut kept: String = text
            .lines()
            .filter(|line| !ours(line))
            .map(|line| format!("{line}\n"))
            .collect();
        kept.push_str(&line);
        let change = Change::new(path, kept);
        Ok(match note {
            Some(note) => change.noting(note),
            None => change,
        })
    }

    fn gcp(&self) -> Result<Change, Failure> {
        const ALLOWED: &str =
            "Google's libraries run it only with GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES=1";
        let usual = self.place("CLOUDSDK_CONFIG", ".config/gcloud")?;
        let usual = usual.join("application_default_credentials.json");
        let named = self.session.env.get("GOOGLE_APPLICATION_CREDENTIALS");
        let path = named.map_or(usual, PathBuf::from);
        let whose = plain(self.profile.or(self.named).unwrap_or("ambient"))?;
        let mut account = json_object(&path)?;
        match account["type"].as_str() {
            None | Some("external_account") => {}
            Some(_) => {
                let why = format!("{}: another kind of account is there already", path.display());
                return Err(Failure::usage(why)
                    .with_hint("move it away, or name another file with GOOGLE_APPLICATION_CREDENTIALS"));
            }
        }
        account["type"] = json!("external_account");
        if let [audience] = self.audience {
            account["audience"] = json!(audience);
        }
        if !account["audience"].is_string() {
            return Err(Failure::usage("install: for which workload identity provider?").with_hint(
                "say --audience //iam.googleapis.com/projects/N/locations/global/workloadIdentityPools/P/providers/R",
            ));
        }
        for (name, usual) in [
            ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"),
            ("token_url", "https://sts.googleapis.com/v1/token"),
        ] {
            if account[name].is_null() {
                account[name] = json!(usual);
            }
        }
        let command = format!("jeton credential-helper gcp {whose}");
        account["credential_source"] =
            json!({ "executable": { "command": command, "timeout_millis": 30_000 } });
        Ok(Change::new(path, pretty(&account)?).noting(ALLOWED))
    }
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
        return Ok(Change::new(path, text));
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
    Ok(Change::new(path, text))
}

/// The JSON object in a file; an empty one where there is no file.
fn json_object(path: &Path) -> Result<Value, Failure> {
    let wrong = |why: &str| Failure::usage(format!("{}: {why}", path.display()));
    match read(path)?.trim() {
        "" => Ok(json!({})),
        text => match serde_json::from_str(text) {
            Ok(object @ Value::Object(_)) => Ok(object),
            Ok(_) => Err(wrong("no JSON object")),
            Err(e) => Err(wrong(&e.to_string())),
        },
    }
}

fn pretty(value: &Value) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(value);
    let text = text.map_err(|e| Failure::new(Exit::Other, format!("cannot be written: {e}")))?;
    Ok(text + "\n")
}

/// Written whole, where the name leads: a link to a file that is kept elsewhere stays a link.
fn write(change: &Change) -> Result<(), Failure> {
    use std::os::unix::fs::PermissionsExt;
    let path = std::fs::canonicalize(&change.path).unwrap_or_else(|_| change.path.clone());
    let wrong = |e: std::io::Error| Failure::new(Exit::Other, format!("{}: {e}", path.display()));
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(wrong)?;
    }
    let mode = std::fs::metadata(&path).map_or(change.mode, |meta| meta.permissions().mode() & 0o777);
    let file = TokenFile {
        path: path.clone(),
        mode,
        layout: Layout::Plain,
    };
    file.write(&Secret::new(change.text.as_str()))
        .map_err(Failure::from)
}
