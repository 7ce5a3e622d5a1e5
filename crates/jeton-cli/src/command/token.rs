//! `jeton token`: prints one token.
use super::Command;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::rfc3339;
use crate::plan::{self, Asked, Keep, Pace};
use crate::session::Session;
use crate::settings::variable::{NAME, OUTPUT};
use jeton::{Moment, Token};
use serde_json::{Value, json};
use std::str::FromStr;

pub(super) const COMMAND: Command = Command {
    name: "token",
    define: <Arguments as clap::Args>::augment_args,
    run: |session, matches| run(session, &super::arguments(matches)?),
};

const EXAMPLES: &str = "\
Examples:
  jeton token -a https://api.example.com            from whatever platform this is
  jeton token prod -o json                          of the profile prod, with what is known of it
  jeton token -a sts.amazonaws.com > \"$AWS_WEB_IDENTITY_TOKEN_FILE\"
  jeton token -a api -o curl | curl -K - https://api.example.com/whoami
  eval \"export $(jeton token -a api -o env --name API_TOKEN)\"

Exit codes: 0 printed, 2 usage, 3 no source is here, 4 refused, 5 timeout, 6 unavailable,
7 rate limited, 8 protocol or trust. See `jeton help exit-codes`.";

/// Print one token
///
/// Prints one token and a newline on standard output, and nothing else there. It is taken from the cache when one
/// lives long enough, else from the first source that is here: the caller's own, an agent, the CI platform, the
/// cluster, the cloud.
///
/// Every flag is a variable too (JETON_MIN_VALIDITY=2m), and a key of [defaults] in config.toml (min_validity = "2m").
#[derive(clap::Args, Clone, Debug, Default, PartialEq, Eq)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) asked: Asked,
    /// How it is printed: token, json, header (Authorization: Bearer …), curl (a line for curl -K), env (NAME=…)
    /// [default: token]
    #[arg(short, long, value_name = "FORMAT")]
    pub(crate) output: Option<String>,
    /// The variable's name, for -o env
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) keep: Keep,
    #[command(flatten)]
    pub(crate) pace: Pace,
}

/// How a token is printed.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Format {
    Token,
    Json,
    Header,
    Curl,
    Env,
}

impl FromStr for Format {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Ok(match text {
            "token" => Self::Token,
            "json" => Self::Json,
            "header" => Self::Header,
            "curl" => Self::Curl,
            "env" => Self::Env,
            _ => return Err(()),
        })
    }
}

pub(crate) fn run(session: &Session, arguments: &Arguments) -> Result<Exit, Failure> {
    let (format, name) = format(session, arguments)?;
    let settle = || plan::settle(session, &arguments.asked, &arguments.pace, &arguments.keep);
    let token = match settle()?.token(session) {
        Err(failure) => {
            match super::login::log_in_where_asked(session, arguments.asked.profile.as_deref())? {
                true => settle()?.token(session),
                false => Err(failure),
            }
        }
        token => token,
    }?;
    session.output.mask(&token.value);
    let shown = shown(&token, &format, &name, session.clock.now())?;
    session.output.line(&shown)?;
    Ok(Exit::Done)
}

fn format(session: &Session, arguments: &Arguments) -> Result<(Format, String), Failure> {
    let layers = session.layers()?;
    let expected = "no format; write token, json, header, curl or env";
    let format = layers.value(&OUTPUT, arguments.output.as_ref(), expected, |_| true)?;
    let format = format.unwrap_or(Format::Token);
    if format != Format::Env {
        return match &arguments.name {
            None => Ok((format, String::new())),
            Some(_) => Err(Failure::usage("--name is for `--output env` alone")),
        };
    }
    let expected = "no name of a variable";
    match layers.value(&NAME, arguments.name.as_ref(), expected, |name: &String| {
        is_name(name)
    })? {
        Some(name) => Ok((format, name)),
        None => {
            Err(Failure::usage("--output env: whose value shall it be?")
                .with_hint("name it with `--name NAME`"))
        }
    }
}

/// Whether every shell takes it for a variable (POSIX.1-2024, XBD 3.216).
fn is_name(text: &str) -> bool {
    let starts = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    starts && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn shown(token: &Token, format: &Format, name: &str, now: Moment) -> Result<String, Failure> {
    let value = token.value.reveal();
    if *format != Format::Json && has_controls(value) {
        let what = "the token has control characters in it, and would not stay on its line";
        return Err(Failure::new(Exit::Protocol, what));
    }
    Ok(match format {
        Format::Token => value.to_owned(),
        Format::Json => json(token, now).to_string(),
        Format::Header => format!("Authorization: Bearer {value}"),
        Format::Curl => format!("header = \"Authorization: Bearer {}\"", curl_escaped(value)),
        Format::Env => format!("{name}={value}"),
    })
}

/// Whether a character would not stay on its line. Tokens are ASCII: their bytes are looked at all at once.
fn has_controls(value: &str) -> bool {
    let ascii = value
        .bytes()
        .fold(false, |found, byte| found | byte.is_ascii_control());
    ascii || !value.is_ascii() && value.chars().any(char::is_control)
}

/// A value in quotes of curl's configuration file.
fn curl_escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"")
}

/// What is known of a token; what is unknown is null.
fn json(token: &Token, now: Moment) -> Value {
    let left = token.life.map(|life| {
        if token.cached {
            life.left_at_least(now)
        } else {
            life.left(now)
        }
    });
    let known = |list: &[String]| (!list.is_empty()).then(|| list.to_vec());
    json!({
        "token": token.value.reveal(),
        "token_type": token.token_type,
        "expires_at": token.expires_at.map(rfc3339),
        "expires_in": left.map(|left| left.as_secs()),
        "issuer": token.issuer,
        "subject": token.subject,
        "audience": known(&token.audience),
        "scopes": known(&token.scopes),
        "source": token.source,
        "cached": token.cached,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use jeton::Secret;

    #[test]
    fn a_token_is_quoted_for_whoever_reads_it() {
        let token = |value: &str| Token {
            value: Secret::new(value),
            token_type: "Bearer".into(),
            issuer: None,
            subject: None,
            audience: Vec::new(),
            scopes: Vec::new(),
            source: "env:X".into(),
            expires_at: None,
            life: None,
            cached: false,
        };
        let now = jeton::Clock::manual(jeton::UnixTime::from_seconds(0)).now();
        let rows = [
            (Format::Token, "a.b", "a.b"),
            (Format::Header, "a.b", "Authorization: Bearer a.b"),
            (
                Format::Curl,
                r#"a"b\c"#,
                r#"header = "Authorization: Bearer a\"b\\c""#,
            ),
            (Format::Env, "a=b", "N=a=b"),
        ];
        for (format, value, line) in rows {
            assert_eq!(shown(&token(value), &format, "N", now).unwrap(), line);
            assert_eq!(
                shown(&token("a\nX=1"), &format, "N", now).unwrap_err().exit,
                Exit::Protocol
            );
        }
        let json = shown(&token("t"), &Format::Json, "", now).unwrap();
        let json: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["expires_at"], Value::Null);
        assert_eq!(json["audience"], Value::Null);
        assert_eq!(json.as_object().unwrap().len(), 10);
    }

    #[test]
    fn names_of_variables_are_what_shells_take() {
        for (text, fits) in [
            ("A", true),
            ("_a1", true),
            ("1a", false),
            ("a-b", false),
            ("", false),
            ("a b", false),
        ] {
            assert_eq!(is_name(text), fits, "{text}");
        }
    }
}
