//! Settings: flag, then variable (`JETON_` and the flag in capitals), then `config.toml`, then default.
//!
//! Arguments are kept as they were typed until every layer is known; then each value is parsed once, and an error
//! says which setting it was and where the value came from.
use crate::failure::Failure;
use jeton::config::{Config, DefaultValue};
use jeton::{Env, duration};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

pub(crate) mod variable;

/// One setting: its spellings follow from the flag.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    /// The flag without its dashes.
    pub(crate) flag: &'static str,
    /// What it sets, for the table of variables.
    pub(crate) about: &'static str,
    /// What is written when nobody says.
    pub(crate) default: &'static str,
}

impl Setting {
    /// The variable: `JETON_MIN_VALIDITY`.
    pub(crate) fn variable(&self) -> String {
        let capitals = self.flag.bytes().map(|byte| char::from(capital(byte)));
        PREFIX.chars().chain(capitals).collect()
    }

    /// The key of `[defaults]`: `min_validity`.
    fn key(&self) -> String {
        self.flag.replace('-', "_")
    }

    /// The setting as it is spelled in flags, or in the file if it was read there.
    pub(crate) fn name_in(&self, origin: &Origin) -> String {
        match origin {
            Origin::File(..) => self.key(),
            Origin::Flag(_) | Origin::Variable(_) => self.flag.to_owned(),
        }
    }
}

/// What every variable of ours begins with.
const PREFIX: &str = "JETON_";

/// A letter of a flag as it is in its variable.
fn capital(byte: u8) -> u8 {
    match byte {
        b'-' => b'_',
        byte => byte.to_ascii_uppercase(),
    }
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Flag(&'static str),
    Variable(String),
    File(PathBuf, usize),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "from the flag --{flag}"),
            Self::Variable(name) => write!(f, "from the variable {name}"),
            Self::File(path, line) => write!(f, "from {}:{line}", path.display()),
        }
    }
}

/// The values of one setting, as written, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) values: Vec<String>,
    pub(crate) origin: Origin,
}

/// Every layer below the flags.
#[derive(Clone, Copy)]
pub(crate) struct Layers<'a> {
    pub(crate) env: &'a Env,
    pub(crate) config: &'a Config,
}

/// Words that mean yes and no.
const YES: [&str; 4] = ["true", "1", "yes", "on"];
const NO: [&str; 4] = ["false", "0", "no", "off"];

impl Layers<'_> {
    /// What the first layer that says anything says.
    pub(crate) fn written(&self, setting: &Setting, flag: &[String]) -> Option<Written> {
        if !flag.is_empty() {
            return Some(Written {
                values: flag.to_vec(),
                origin: Origin::Flag(setting.flag),
            });
        }
        self.variable(setting).or_else(|| self.file(setting))
    }

    fn variable(&self, setting: &Setting) -> Option<Written> {
        // Thirty settings are asked for, and rarely one of them is set: nothing is spelled out before it is.
        let spelled = |rest: &str| rest.bytes().eq(setting.flag.bytes().map(capital));
        let (_, value) = self.env.below(PREFIX).find(|(rest, _)| spelled(rest))?;
        (!value.is_empty()).then(|| Written {
            values: vec![value.to_owned()],
            origin: Origin::Variable(setting.variable()),
        })
    }

    fn file(&self, setting: &Setting) -> Option<Written> {
        if self.config.defaults.is_empty() {
            return None;
        }
        let DefaultValue { values, line } = self.config.defaults.get(setting.key().as_str())?;
        let path = self.config.path.clone().unwrap_or_default();
        Some(Written {
            values: values.clone(),
            origin: Origin::File(path, *line),
        })
    }

    /// A text.
    pub(crate) fn text(&self, setting: &Setting, flag: Option<&String>) -> Result<Option<String>, Failure> {
        let Some(written) = self.written(setting, flag.map_or(&[], std::slice::from_ref)) else {
            return Ok(None);
        };
        Ok(Some(single(setting, &written)?.to_owned()))
    }

    /// Several texts. In a variable they are separated by commas; a `command:` takes the rest.
    pub(crate) fn texts(&self, setting: &Setting, flag: &[String]) -> Result<Vec<String>, Failure> {
        let Some(written) = self.written(setting, flag) else {
            return Ok(Vec::new());
        };
        let values = match written.origin {
            Origin::Variable(_) => split(&written.values.concat()),
            _ => written.values.clone(),
        };
        match values.iter().all(|value| !value.trim().is_empty()) {
            true if !values.is_empty() => Ok(values),
            _ => Err(unparsable(setting, &written, "", "empty")),
        }
    }

    /// Anything that can be parsed.
    pub(crate) fn value<T: FromStr>(
        &self,
        setting: &Setting,
        flag: Option<&String>,
        expected: &str,
        fits: impl Fn(&T) -> bool,
    ) -> Result<Option<T>, Failure> {
        let Some(written) = self.written(setting, flag.map_or(&[], std::slice::from_ref)) else {
            return Ok(None);
        };
        let text = single(setting, &written)?;
        let parsed = text.parse().ok().filter(|value| fits(value));
        parsed
            .map(Some)
            .ok_or_else(|| unparsable(setting, &written, text, expected))
    }

    /// A duration.
    pub(crate) fn duration(
        &self,
        setting: &Setting,
        flag: Option<&String>,
    ) -> Result<Option<Duration>, Failure> {
        let parsed: Option<Span> = self.value(
            setting,
            flag,
            "no duration; write `250ms`, `30s`, `5m` or `1h`",
            |_| true,
        )?;
        Ok(parsed.map(|Span(span)| span))
    }

    /// Yes or no.
    pub(crate) fn switch(&self, setting: &Setting, flag: bool) -> Result<bool, Failure> {
        if flag {
            return Ok(true);
        }
        let parsed: Option<Switch> = self.value(setting, None, "neither true nor false", |_| true)?;
        Ok(parsed.is_some_and(|Switch(on)| on))
    }
}

struct Span(Duration);

impl FromStr for Span {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        duration::parse(text).map(Self).ok_or(())
    }
}

struct Switch(bool);

impl FromStr for Switch {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        let is = |words: [&str; 4]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
        match (is(YES), is(NO)) {
            (true, _) => Ok(Self(true)),
            (_, true) => Ok(Self(false)),
            _ => Err(()),
        }
    }
}

fn single<'w>(setting: &Setting, written: &'w Written) -> Result<&'w str, Failure> {
    match written.values.as_slice() {
        [one] => Ok(one),
        _ => Err(unparsable(
            setting,
            written,
            "",
            "a list, and one value is wanted",
        )),
    }
}

/// An unparsable value: which setting, what is wrong, where it came from.
pub(crate) fn unparsable(setting: &Setting, written: &Written, text: &str, what: &str) -> Failure {
    let value = match text {
        "" => String::new(),
        text => format!("`{}` is ", jeton::core::redact::foreign(text, &[])),
    };
    let name = setting.name_in(&written.origin);
    Failure::usage(format!("{name}: {value}{what} ({})", written.origin))
}

fn split(text: &str) -> Vec<String> {
    let mut values = Vec::new();
    let mut rest = text;
    loop {
        let is_command = rest.trim_start().starts_with("command:");
        match rest.split_once(',') {
            Some((value, more)) if !is_command => {
                values.push(value.trim().to_owned());
                rest = more;
            }
            _ => {
                values.push(rest.trim().to_owned());
                return values;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Setting = Setting {
        flag: "min-validity",
        about: "",
        default: "30s",
    };

    #[test]
    fn c5_flag_beats_variable_beats_file() {
        let config = Config::parse("[defaults]\nmin_validity = \"1s\"", "c.toml").unwrap();
        let none = Env::default();
        let env = Env::default().with("JETON_MIN_VALIDITY", "2s");
        let flag = "3s".to_owned();
        let rows = [
            (&none, None, Some(1)),
            (&env, None, Some(2)),
            (&env, Some(&flag), Some(3)),
        ];
        for (env, flag, seconds) in rows {
            let layers = Layers { env, config: &config };
            let found = layers.duration(&TIMEOUT, flag).unwrap();
            assert_eq!(found.map(|d| d.as_secs()), seconds);
        }
    }

    #[test]
    fn a_bad_value_names_the_setting_and_where_it_came_from() {
        let mut config = Config::parse("[defaults]\n\nmin_validity = \"soon\"", "c.toml").unwrap();
        config.path = Some("c.toml".into());
        let none = Env::default();
        let env = Env::default().with("JETON_MIN_VALIDITY", "5");
        let flag = "-1s".to_owned();
        let what = "no duration; write `250ms`, `30s`, `5m` or `1h`";
        let rows = [
            (
                &none,
                None,
                format!("min_validity: `soon` is {what} (from c.toml:3)"),
            ),
            (
                &env,
                None,
                format!("min-validity: `5` is {what} (from the variable JETON_MIN_VALIDITY)"),
            ),
            (
                &env,
                Some(&flag),
                format!("min-validity: `-1s` is {what} (from the flag --min-validity)"),
            ),
        ];
        for (env, flag, message) in rows {
            let failure = Layers { env, config: &config }
                .duration(&TIMEOUT, flag)
                .unwrap_err();
            assert_eq!(failure.message, message);
        }
    }

    #[test]
    fn lists_in_variables_are_separated_by_commas_and_a_command_takes_the_rest() {
        assert_eq!(split("a, b"), ["a", "b"]);
        assert_eq!(split("github,command:echo a,b"), ["github", "command:echo a,b"]);
    }
}
