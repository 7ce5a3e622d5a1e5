//! `jeton issuer`: a development issuer, never for production.
use super::Command;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::session::{Session, signal};
use crate::settings::{Origin, Setting, Written, unparsable};
use jeton::{Clock, duration};
use jeton_issuer::{Algorithm, Client, Issuer, Options, RunningIssuer, TlsMode, faults, platforms};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(super) const COMMAND: Command = Command {
    name: "issuer",
    define: <Arguments as clap::Args>::augment_args,
    run: |session, matches| run(session, &super::arguments(matches)?),
};

const EXAMPLES: &str = "\
Examples:
  jeton issuer --listen 127.0.0.1:8080 -v           prints its URL; -v says how to look like each platform
  jeton issuer --listen 127.0.0.1:0 --url-file url --token-life 5s
  curl -d '{\"sub\":\"me\",\"aud\":\"api\"}' $(cat url)/token
  jeton issuer --listen 127.0.0.1:0 --faults faults.toml

A file of faults says what goes wrong, where, and how often:
  [[rule]]
  fault = \"s503-ra2-x1\"
  route = \"github\"

Never for production: whoever reaches it gets any token from it.";

/// Run a development issuer: a real OpenID provider that misbehaves on script
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// The address to listen on; port 0 takes any free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Write the URL into this file when it is ready
    #[arg(long, value_name = "FILE")]
    url_file: Option<PathBuf>,
    /// What goes wrong, as TOML or JSON
    #[arg(long, value_name = "FILE")]
    faults: Option<PathBuf>,
    /// Listen beyond loopback, where anybody who can reach the port gets any token
    #[arg(long)]
    force: bool,
    /// The path of the issuer URL
    #[arg(long, value_name = "PATH", default_value = "")]
    path: String,
    /// The algorithm of its keys: RS256, ES256 or EdDSA
    #[arg(long, value_name = "ALG", default_value = "RS256")]
    algorithm: String,
    /// How long identity tokens live [default: 5m]
    #[arg(long, value_name = "D")]
    token_life: Option<String>,
    /// How long access tokens live [default: 1h]
    #[arg(long, value_name = "D")]
    access_life: Option<String>,
    /// Speak TLS, with a certificate that is ok, expired, wrong-host or self-signed
    #[arg(long, value_name = "MODE")]
    tls: Option<String>,
    /// Write the authority that signed the certificate into this file, as PEM
    #[arg(long, value_name = "FILE", requires = "tls")]
    ca_out: Option<PathBuf>,
    /// Listen on this unix socket too
    #[arg(long, value_name = "PATH")]
    unix_socket: Option<PathBuf>,
    /// A folder for the files that some platforms give a program
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// A client that the token endpoint knows, as ID or ID:SECRET (repeatable); without any, all are welcome
    #[arg(long, value_name = "ID[:SECRET]")]
    client: Vec<String>,
    /// What a platform's client must show; made up when nothing is said
    #[arg(long, value_name = "TOKEN")]
    request_token: Option<String>,
    /// Approve devices without waiting for anybody
    #[arg(long)]
    approve_devices: bool,
    /// How often a device client may poll [default: 5s]
    #[arg(long, value_name = "D")]
    device_interval: Option<String>,
    /// How long a device may wait for approval [default: 10m]
    #[arg(long, value_name = "D")]
    device_life: Option<String>,
    /// Give the same refresh token back at each refresh
    #[arg(long)]
    keep_refresh: bool,
    /// Trust this issuer's assertions too, with the JWK set in FILE (repeatable)
    #[arg(long, value_name = "ISSUER=FILE")]
    trust: Vec<String>,
}

fn run(session: &Session, arguments: &Arguments) -> Result<Exit, Failure> {
    let options = options(session, arguments)?;
    session
        .output
        .warning("a development issuer, not for production: whoever reaches it gets any token from it");
    if options.force && !options.listen.ip().is_loopback() {
        session.output.warning(&format!(
            "LISTENING BEYOND THIS MACHINE on {}: anybody who can reach this port can be anybody",
            options.listen
        ));
    }
    let running = async {
        let signal = signal()?;
        let issuer = Issuer::start(options)
            .await
            .map_err(|e| Failure::usage(e.to_string()))?;
        ready(session, arguments, &issuer)?;
        let end = signal.await;
        session.output.detail(&end.message);
        issuer.stop().await;
        Ok(Exit::Done)
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| Failure::new(Exit::Other, format!("cannot start: {e}")))?;
    runtime.block_on(running)
}

/// Tells where it is: on standard output, in the file, and with `-v` what makes a shell look like each platform.
fn ready(session: &Session, arguments: &Arguments, issuer: &RunningIssuer) -> Result<(), Failure> {
    if let (Some(path), Some(pem)) = (&arguments.ca_out, issuer.ca_pem()) {
        write(path, pem)?;
    }
    if let Some(path) = &arguments.url_file {
        write(path, &format!("{}\n", issuer.url()))?;
    }
    // The variables themselves hold tokens, which nothing but standard output ever shows.
    for name in platforms::names() {
        match issuer.environment(name) {
            Ok(_) => session.output.detail(&format!(
                "to look like {name}: eval \"$(curl -s {}/_environment/{name})\"",
                issuer.url()
            )),
            Err(error) => session.output.detail(&format!("to look like {name}: {error}")),
        }
    }
    session.output.line(issuer.url())?;
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let written = std::fs::write(path, text);
    written.map_err(|e| Failure::new(Exit::Other, format!("{}: {e}", path.display())))
}

fn options(session: &Session, arguments: &Arguments) -> Result<Options, Failure> {
    let clock: Clock = session.clock.clone();
    let mut options = Options::new(move || clock.now().wall);
    options.listen = arguments.listen;
    options.force = arguments.force;
    options.path.clone_from(&arguments.path);
    options.algorithm = algorithm(&arguments.algorithm)?;
    options.tls = arguments.tls.as_deref().map(tls).transpose()?;
    options.unix_socket.clone_from(&arguments.unix_socket);
    options.folder.clone_from(&arguments.folder);
    options.request_token.clone_from(&arguments.request_token);
    options.approve_devices = arguments.approve_devices;
    options.rotate_refresh = !arguments.keep_refresh;
    options.clients = arguments.client.iter().map(|text| client(text)).collect();
    options.trusted = arguments
        .trust
        .iter()
        .map(|text| trusted(text))
        .collect::<Result<_, _>>()?;
    for (flag, given, place) in [
        ("token-life", &arguments.token_life, &mut options.token_life),
        ("access-life", &arguments.access_life, &mut options.access_life),
        (
            "device-interval",
            &arguments.device_interval,
            &mut options.device_interval,
        ),
        ("device-life", &arguments.device_life, &mut options.device_life),
    ] {
        if let Some(text) = given {
            *place = span(flag, text)?;
        }
    }
    if let Some(path) = &arguments.faults {
        let text = read(path)?;
        let rules = faults::read(&text);
        options.faults = rules.map_err(|e| Failure::usage(format!("{}: {e}", path.display())))?;
    }
    Ok(options)
}

fn span(flag: &'static str, text: &str) -> Result<Duration, Failure> {
    let setting = Setting {
        flag,
        about: "",
        default: "",
    };
    let written = Written {
        values: Vec::new(),
        origin: Origin::Flag(flag),
    };
    let expected = "no duration; write `250ms`, `30s`, `5m` or `1h`";
    duration::parse(text).ok_or_else(|| unparsable(&setting, &written, text, expected))
}

fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|e| {
        let exit = match e.kind() {
            std::io::ErrorKind::NotFound => Exit::NotFound,
            _ => Exit::Other,
        };
        Failure::new(exit, format!("{}: {e}", path.display()))
    })
}

fn algorithm(text: &str) -> Result<Algorithm, Failure> {
    match text {
        "RS256" => Ok(Algorithm::Rs256),
        "ES256" => Ok(Algorithm::Es256),
        "EdDSA" => Ok(Algorithm::EdDsa),
        _ => Err(Failure::usage(format!(
            "algorithm: `{text}` is none of RS256, ES256, EdDSA (from the flag --algorithm)"
        ))),
    }
}

fn tls(text: &str) -> Result<TlsMode, Failure> {
    match text {
        "ok" => Ok(TlsMode::Ok),
        "expired" => Ok(TlsMode::Expired),
        "wrong-host" => Ok(TlsMode::WrongHost),
        "self-signed" => Ok(TlsMode::SelfSigned),
        _ => Err(Failure::usage(format!(
            "tls: `{text}` is none of ok, expired, wrong-host, self-signed (from the flag --tls)"
        ))),
    }
}

fn client(text: &str) -> Client {
    match text.split_once(':') {
        Some((id, secret)) => Client {
            id: id.to_owned(),
            secret: Some(secret.to_owned()),
        },
        None => Client {
            id: text.to_owned(),
            secret: None,
        },
    }
}

fn trusted(text: &str) -> Result<(String, serde_json::Value), Failure> {
    let Some((issuer, path)) = text.rsplit_once('=') else {
        return Err(Failure::usage(format!(
            "trust: `{text}` is no ISSUER=FILE (from the flag --trust)"
        )));
    };
    let keys = serde_json::from_str(&read(Path::new(path))?);
    let keys = keys.map_err(|e| Failure::usage(format!("{path}: {e}")))?;
    Ok((issuer.to_owned(), keys))
}
