//! The short way of `jeton token`: plain arguments are recognised without building the whole command line.
//!
//! What is recognised gives exactly the arguments that the command line's own parser would give; whatever else is
//! there, mistakes above all, is left to that parser. Everything behind the arguments is the same code.
use crate::command::token::Arguments;
use crate::session::Globals;
use std::ffi::OsString;

/// Where an argument's value goes.
enum Slot<'a> {
    One(&'a mut Option<String>),
    Many(&'a mut Vec<String>),
    Switch(&'a mut bool),
}

/// The arguments of a plain `jeton token …`; `None` for anything that is not plain.
pub(crate) fn recognise(arguments: &[OsString]) -> Option<(Globals, Arguments)> {
    let mut words = arguments.iter().skip(1).map(|word| word.to_str());
    if words.next()?? != "token" {
        return None;
    }
    let (mut globals, mut token) = (Globals::default(), Arguments::default());
    while let Some(word) = words.next() {
        let word = word?;
        let Some(flag) = word.strip_prefix('-') else {
            put(Slot::One(&mut token.asked.profile), word)?;
            continue;
        };
        let (flag, value) = match flag.split_once('=') {
            Some((flag, value)) => (flag, Some(value)),
            None => (flag, None),
        };
        match (slot(&mut globals, &mut token, flag)?, value) {
            (Slot::Switch(on), None) if !*on => *on = true,
            (Slot::Switch(_), _) => return None,
            (slot, Some(value)) => put(slot, value)?,
            (slot, None) => put(slot, words.next()??)?,
        }
    }
    let contradicts = token.keep.refresh && token.keep.no_cache;
    (!contradicts).then_some((globals, token))
}

/// Stores a value, if it is one about which nobody could be in two minds.
fn put(slot: Slot<'_>, value: &str) -> Option<()> {
    if value.is_empty() || value.starts_with('-') {
        return None;
    }
    match slot {
        Slot::One(place) if place.is_none() => *place = Some(value.to_owned()),
        Slot::Many(places) => places.push(value.to_owned()),
        Slot::One(_) | Slot::Switch(_) => return None,
    }
    Some(())
}

/// The place of a flag that is written without its first dash.
fn slot<'a>(globals: &'a mut Globals, token: &'a mut Arguments, flag: &str) -> Option<Slot<'a>> {
    let Arguments {
        asked,
        pace,
        keep,
        output,
        name,
    } = token;
    Some(match flag {
        "a" | "-audience" => Slot::Many(&mut asked.audience),
        "-source" => Slot::Many(&mut asked.source),
        "-scope" => Slot::Many(&mut asked.scope),
        "-resource" => Slot::One(&mut asked.resource),
        "o" | "-output" => Slot::One(output),
        "-name" => Slot::One(name),
        "-timeout" => Slot::One(&mut pace.timeout),
        "-max-attempts" => Slot::One(&mut pace.max_attempts),
        "-min-validity" => Slot::One(&mut keep.min_validity),
        "-cache-ttl" => Slot::One(&mut keep.cache_ttl),
        "-config" => Slot::One(&mut globals.config),
        "-strict" => Slot::Switch(&mut keep.strict),
        "-no-cache" => Slot::Switch(&mut keep.no_cache),
        "-refresh" => Slot::Switch(&mut keep.refresh),
        "q" | "-quiet" => Slot::Switch(&mut globals.quiet),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{chosen, definition};
    use clap::FromArgMatches;

    fn words(line: &str) -> Vec<OsString> {
        let words = std::iter::once("jeton").chain(line.split(' ').filter(|word| !word.is_empty()));
        words.map(|word| OsString::from(word.replace('~', " "))).collect()
    }

    fn by_clap(line: &str) -> Option<(Globals, Arguments)> {
        let matches = definition().try_get_matches_from(words(line)).ok()?;
        let globals = Globals::from_arg_matches(&matches).ok()?;
        let (_, matches) = chosen(&matches)?;
        Some((globals, Arguments::from_arg_matches(matches).ok()?))
    }

    #[test]
    fn what_is_recognised_is_what_the_parser_reads() {
        let lines = [
            "token",
            "token prod",
            "token -a x",
            "token -a x --audience=y --audience z",
            "token prod -a https://x.example/?a=b -o json",
            "token --source github --source command:echo~x",
            "token --min-validity 2m --timeout=5s --max-attempts 1 --cache-ttl 0",
            "token --strict --no-cache",
            "token --refresh -q",
            "token -o=header",
            "token --output env --name T --config c.toml",
            "token --scope a --scope b --resource r",
        ];
        for line in lines {
            let warm = recognise(&words(line));
            assert!(warm.is_some(), "{line}");
            assert_eq!(warm, by_clap(line), "{line}");
        }
    }

    #[test]
    fn everything_else_is_left_to_the_parser() {
        let lines = [
            "",
            "explain",
            "-q token",
            "token --help",
            "token -v",
            "token a b",
            "token -a",
            "token -a -x",
            "token --audience=",
            "token --timeout 1s --timeout 2s",
            "token --strict=true",
            "token --strict --strict",
            "token --no-cache --refresh",
            "token --nope",
            "token --",
            "token -ax",
        ];
        for line in lines {
            assert_eq!(recognise(&words(line)), None, "{line}");
        }
    }
}
