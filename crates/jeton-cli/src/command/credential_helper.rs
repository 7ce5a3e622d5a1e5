//! `jeton credential-helper`: what git, docker, kubectl and others ask, in their own words.
use super::Command;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::plan::{self, Pace};
use crate::session::Session;
use jeton::config::AMBIENT;
use jeton::profiles::Profiles;
use jeton::{Class, Error, Secret, Token, TokenRequest};
use jeton_agent::consumer::{self, Answer, LARGEST, Offer, Vault};
use jeton_agent::run::offer;
use jeton_agent::run::tools::SOCKET_VARIABLE;
use jeton_agent::token_file::{Layout, TokenFile, USUAL_MODE};
use std::ffi::OsString;
use std::io::{BufRead, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

mod install;

pub(super) const COMMAND: Command = Command {
    name: NAME,
    define: <Arguments as clap::Args>::augment_args,
    run: |session, matches| run(session, &super::arguments(matches)?),
};

const NAME: &str = "credential-helper";

const EXAMPLES: &str = "\
Examples:
  git config --global credential.https://github.com.helper '!jeton credential-helper git'
  jeton credential-helper install git github.com      writes that line
  jeton credential-helper install docker ghcr.io --dry-run
  printf 'protocol=https\\nhost=github.com\\n\\n' | jeton credential-helper git get
  credential_process = jeton credential-helper aws PROFILE      in ~/.aws/config

KIND is git, docker, kubectl, aws, gcp, cargo, terraform, bazel, goauth or netrc. What a host is offered is its
`[hosts.\"HOST\"]` of config.toml: exactly that host, over https only; no entry, no offer, but for the ambient chain with
--audience. Called as git-credential-jeton, docker-credential-jeton or terraform-credentials-jeton it is that helper.";

/// Answer git, docker, kubectl, aws, gcp, cargo, terraform, bazel, go and netrc in their own protocols
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// Who asks; or `install`, to write that consumer's configuration
    #[arg(value_name = "KIND")]
    kind: String,
    /// What the consumer says on the command line: a verb, a host, a URL; for aws, kubectl and gcp a profile
    #[arg(value_name = "WORD")]
    words: Vec<String>,
    /// Offer the ambient chain's token for this audience (repeatable)
    #[arg(short, long, value_name = "AUD")]
    audience: Vec<String>,
    /// The profile, where no host says it
    #[arg(long, value_name = "PROFILE")]
    profile: Option<String>,
    /// With install: print what would be written, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Cargo says this
    #[arg(long, hide = true)]
    cargo_plugin: bool,
}

/// Whose protocol is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Git,
    Docker,
    Kubectl,
    Aws,
    Gcp,
    Cargo,
    Terraform,
    Bazel,
    Goauth,
    Netrc,
}

const KINDS: [(&str, Kind); 10] = [
    ("git", Kind::Git),
    ("docker", Kind::Docker),
    ("kubectl", Kind::Kubectl),
    ("aws", Kind::Aws),
    ("gcp", Kind::Gcp),
    ("cargo", Kind::Cargo),
    ("terraform", Kind::Terraform),
    ("bazel", Kind::Bazel),
    ("goauth", Kind::Goauth),
    ("netrc", Kind::Netrc),
];

/// The names under which consumers look for a helper of their own.
const CALLED: [(&str, &str); 3] = [
    ("git-credential-jeton", "git"),
    ("docker-credential-jeton", "docker"),
    ("terraform-credentials-jeton", "terraform"),
];

/// The words that are meant when the program is called by a consumer's name for it, or by cargo.
pub(crate) fn dispatched(words: Vec<OsString>) -> Vec<OsString> {
    let name = words.first().map(Path::new).and_then(Path::file_name);
    let called = CALLED.iter().find(|(called, _)| name == Some(called.as_ref()));
    let kind = match called {
        Some((_, kind)) => kind,
        None if words.get(1).is_some_and(|word| word == "--cargo-plugin") => "cargo",
        None => return words,
    };
    let head = [OsString::from("jeton"), NAME.into(), kind.into()];
    head.into_iter().chain(words.into_iter().skip(1)).collect()
}

fn kind(name: &str) -> Result<Kind, Failure> {
    if let Some((_, kind)) = KINDS.iter().find(|(known, _)| *known == name) {
        return Ok(*kind);
    }
    let known = KINDS.map(|(known, _)| known);
    let failure = Failure::usage(format!(
        "credential-helper: unknown kind {}",
        jeton::core::redact::foreign(name, &[])
    ));
    Err(match jeton::config::nearest::nearest(name, known) {
        Some(meant) => failure.with_hint(format!("did you mean `{meant}`?")),
        None => failure.with_hint(format!("one of {}", known.join(", "))),
    })
}

fn run(session: &Session, arguments: &Arguments) -> Result<Exit, Failure> {
    if arguments.kind == "install" {
        return install::run(session, arguments);
    }
    let kind = kind(&arguments.kind)?;
    if arguments.dry_run {
        return Err(Failure::usage("--dry-run: only `install` writes anything"));
    }
    let word = arguments.words.first().map(String::as_str);
    match kind {
        Kind::Gcp => return gcp(session, arguments),
        Kind::Cargo => return cargo(session, arguments),
        _ => {}
    }
    let verb = word.unwrap_or("get");
    let mut doors = Doors::open(session, kind, arguments)?;
    let answer = match kind {
        Kind::Git => consumer::git::answer(verb, &input()?, &mut doors),
        Kind::Docker => consumer::docker::answer(verb, &input()?, &mut doors),
        Kind::Bazel => consumer::bazel::answer(verb, &input()?, &mut doors),
        Kind::Terraform => {
            // Before verb and host stand the arguments of Terraform's configuration: the hosts it is for.
            let words: Vec<&str> = arguments.words.iter().map(String::as_str).collect();
            let (hosts, rest) = words.split_at(words.len().saturating_sub(2));
            let host = rest.get(1).copied();
            let is_listed = hosts.is_empty() || host.is_some_and(|host| hosts.contains(&host));
            match is_listed {
                true => consumer::terraform::answer(rest.first().copied().unwrap_or("get"), host, &mut doors),
                false => Ok(Answer::with("{}\n")),
            }
        }
        Kind::Kubectl => consumer::kubectl::answer(&session.env, &mut doors),
        Kind::Goauth => consumer::goauth::answer(word, &mut doors),
        Kind::Netrc => consumer::netrc::answer(word, &mut doors),
        Kind::Aws | Kind::Gcp | Kind::Cargo => consumer::aws::answer(&mut doors),
    };
    match answer {
        Ok(answer) => say(session, &answer),
        Err(e) => {
            if kind == Kind::Docker {
                // Docker shows what is on standard output.
                session.output.line(&e.to_string())?;
            }
            Err(e.into())
        }
    }
}

fn say(session: &Session, answer: &Answer) -> Result<Exit, Failure> {
    session.output.data(&answer.output)?;
    Ok(if answer.code == 0 { Exit::Done } else { Exit::Other })
}

fn input() -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let most = u64::try_from(LARGEST).unwrap_or(u64::MAX).saturating_add(1);
    let read = std::io::stdin().lock().take(most).read_to_end(&mut bytes);
    read.map_err(|e| Failure::new(Exit::Other, format!("cannot read standard input: {e}")))?;
    Ok(bytes)
}

/// Not a word on standard error: Google's Python library reads it as part of the answer.
fn gcp(session: &Session, arguments: &Arguments) -> Result<Exit, Failure> {
    session.output.silence();
    let document = match Doors::open(session, Kind::Gcp, arguments) {
        Ok(mut doors) => consumer::gcp::answer(&session.env, &mut doors),
        Err(failure) => consumer::gcp::failure(&Error::new(Class::Config, failure.message)),
    };
    let text = document.json.to_string();
    if let Some(path) = document.file {
        let file = TokenFile {
            path: PathBuf::from(path),
            mode: USUAL_MODE,
            layout: Layout::Plain,
        };
        // The consumer asks again when it is not there.
        let _ = file.write(&Secret::new(text.clone()));
    }
    session.output.line(&text)?;
    Ok(Exit::Done)
}

fn cargo(session: &Session, arguments: &Arguments) -> Result<Exit, Failure> {
    session.output.data(&consumer::cargo::hello())?;
    let mut doors = Doors::open(session, Kind::Cargo, arguments)?;
    for line in std::io::stdin().lock().take(u64::MAX).lines() {
        let line = line.map_err(|e| Failure::new(Exit::Other, format!("cannot read standard input: {e}")))?;
        if !line.trim().is_empty() {
            session.output.data(&consumer::cargo::answer(&line, &mut doors))?;
        }
    }
    Ok(Exit::Done)
}

/// Whose token a host gets, by the configuration.
struct Doors<'s> {
    session: &'s Session,
    profiles: Profiles,
    /// The profile that was named for a consumer that names no host.
    named: Option<String>,
    audience: Vec<String>,
    /// The host that a consumer means who names none.
    usual: Option<&'static str>,
}

impl<'s> Doors<'s> {
    fn open(session: &'s Session, kind: Kind, arguments: &Arguments) -> Result<Self, Failure> {
        let layers = session.layers()?;
        let env = plan::with_ca_file(layers, session.env.clone())?;
        let (mut cx, _) = session.context(&env);
        let timeout;
        (cx.policy, timeout) = plan::policy(layers, &Pace::default())?;
        let wishes = plan::wishes(layers, timeout)?;
        let takes_profile = matches!(kind, Kind::Aws | Kind::Kubectl | Kind::Gcp);
        let word = arguments.words.first().filter(|_| takes_profile);
        Ok(Self {
            session,
            profiles: Profiles::new(Arc::new(session.config()?.clone()), cx, wishes),
            named: arguments.profile.clone().or_else(|| word.cloned()),
            audience: arguments.audience.clone(),
            usual: match kind {
                Kind::Aws => Some("sts.amazonaws.com"),
                Kind::Gcp => Some("sts.googleapis.com"),
                _ => None,
            },
        })
    }

    fn fetch(&self, profile: &str, audience: Vec<String>) -> Result<Token, Error> {
        let jeton = self.profiles.open(profile)?;
        let asked = TokenRequest {
            audience,
            ..self.profiles.asking(profile)
        };
        let request = self.profiles.request(profile, asked)?;
        let token = match jeton.token_now(&request) {
            Some(token) => token,
            None => {
                let (_, progress) = self.session.context(&self.session.env);
                let fetched = self
                    .session
                    .run(&progress, async { Ok(jeton.token(&request).await) });
                fetched.map_err(|failure| Error::new(Class::Cancelled, failure.message))??
            }
        };
        self.session.output.mask(&token.value);
        Ok(token)
    }

    fn entry(&self, host: &str) -> Option<&jeton::config::Host> {
        let hosts = &self.profiles.config().hosts;
        hosts
            .iter()
            .find(|(name, _)| consumer::host::canonical(name).as_deref() == Some(host))
            .map(|(_, entry)| entry)
    }

    /// The audience of the command line, else another.
    fn audience_or<'a>(&self, other: impl IntoIterator<Item = &'a str>) -> Vec<String> {
        if self.audience.is_empty() {
            return other.into_iter().map(str::to_owned).collect();
        }
        self.audience.clone()
    }
}

impl Vault for Doors<'_> {
    fn offer(&mut self, host: &str) -> Result<Option<Offer>, Error> {
        if let Some(socket) = self.session.env.get(SOCKET_VARIABLE) {
            let socket = PathBuf::from(socket);
            let cx = self.profiles.context().clone();
            let (_, progress) = self.session.context(&self.session.env);
            let asked = async { Ok(offer::of_run(&cx, socket, host).await) };
            let offered = self.session.run(&progress, asked);
            let offered = offered.map_err(|failure| Error::new(Class::Cancelled, failure.message))??;
            if offered.is_some() {
                return Ok(offered);
            }
        }
        let (profile, username, audience) = match self.entry(host) {
            Some(entry) => (
                entry.profile.clone(),
                entry.username.clone(),
                self.audience_or(entry.audience.as_deref()),
            ),
            None if !self.audience.is_empty() => {
                let profile = self.named.clone().unwrap_or_else(|| AMBIENT.to_owned());
                (profile, None, self.audience.clone())
            }
            None => return Ok(None),
        };
        let token = self.fetch(&profile, audience)?;
        Ok(Some(Offer { token, username }))
    }

    fn token(&mut self, audience: Option<&str>) -> Result<Token, Error> {
        if let Some(profile) = &self.named {
            return self.fetch(profile, self.audience_or(audience));
        }
        if let Some(entry) = self.usual.and_then(|host| self.entry(host)) {
            return self.fetch(
                &entry.profile,
                self.audience_or(audience.or(entry.audience.as_deref())),
            );
        }
        let audience = self.audience_or(audience);
        if audience.is_empty() {
            return Err(
                Error::new(Class::NotFound, "nothing says whose token is offered here").with_hint(
                    "name a profile, or the audience of the ambient chain's token with --audience",
                ),
            );
        }
        self.fetch(AMBIENT, audience)
    }

    fn hosts(&self) -> Vec<(String, Option<String>)> {
        let hosts = self.profiles.config().hosts.iter();
        hosts
            .filter_map(|(name, entry)| Some((consumer::host::canonical(name)?, entry.username.clone())))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d15_the_name_it_is_called_by_says_which_helper_it_is() {
        let words = |text: &str| text.split(' ').map(OsString::from).collect::<Vec<_>>();
        let rows = [
            ("jeton token", "jeton token"),
            (
                "/usr/bin/git-credential-jeton get",
                "jeton credential-helper git get",
            ),
            (
                "docker-credential-jeton list",
                "jeton credential-helper docker list",
            ),
            (
                "terraform-credentials-jeton get app.example",
                "jeton credential-helper terraform get app.example",
            ),
            (
                "jeton --cargo-plugin",
                "jeton credential-helper cargo --cargo-plugin",
            ),
        ];
        for (called, meant) in rows {
            assert_eq!(dispatched(words(called)), words(meant));
        }
    }
}
