//! The rules as they stand, and how many turns each has left.
use super::spelling::{Fault, nearest};
use super::{Accept, Effect};
use crate::error::Error;
use crate::routes;
use serde_json::{Value, json};

/// Where a fault applies, and how often.
#[derive(Clone, Debug)]
pub struct Rule {
    /// A route's name, a path with or without `*`, or `*`.
    pub(crate) route: String,
    pub(crate) method: Option<String>,
    pub(crate) nth: Option<u64>,
    /// The turns in their order; `None` is for ever.
    turns: Vec<(Fault, Option<u64>)>,
    /// How often the whole list is played.
    rounds: u64,
    seen: u64,
    fired: u64,
}

impl Rule {
    /// A fault on a route: by name (`github`), by path (`/token`, `/v3/jobs/*`), or everywhere (`*`).
    ///
    /// # Errors
    /// A fault or a route that does not exist.
    pub fn new(route: &str, fault: &str) -> Result<Self, Error> {
        Self::of(route, vec![Fault::parse(fault)?])
    }

    /// Several faults on a route, one after the other, then normal answers.
    ///
    /// # Errors
    /// A fault or a route that does not exist.
    pub fn in_turn(route: &str, faults: &[&str]) -> Result<Self, Error> {
        let faults: Result<Vec<_>, _> = faults.iter().map(|fault| Fault::parse(fault)).collect();
        Self::of(route, faults?)
    }

    pub(crate) fn of(route: &str, faults: Vec<Fault>) -> Result<Self, Error> {
        known_route(route)?;
        let single = faults.len() == 1;
        let turns = faults.into_iter().map(|fault| {
            let times = fault.times.or((!single).then_some(1));
            (fault, times)
        });
        Ok(Self {
            route: route.to_owned(),
            method: None,
            nth: None,
            turns: turns.collect(),
            rounds: 1,
            seen: 0,
            fired: 0,
        })
    }

    /// Only for requests with this method.
    #[must_use]
    pub fn method(mut self, method: &str) -> Self {
        self.method = Some(method.to_ascii_uppercase());
        self
    }

    /// Only for the nth request that fits, from 1.
    #[must_use]
    pub fn nth(mut self, nth: u64) -> Self {
        self.nth = Some(nth);
        self
    }

    /// So many times, then normal; a list is played so many times as a whole.
    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        match self.turns.as_mut_slice() {
            [(_, turns)] => *turns = Some(times),
            _ => self.rounds = times,
        }
        self
    }

    /// With what the fault takes: a location, a description, a spelling of `Retry-After`, ….
    #[must_use]
    pub fn value(mut self, value: &str) -> Self {
        for (fault, _) in &mut self.turns {
            fault.args.value = Some(value.to_owned());
        }
        self
    }

    /// How often it was played.
    #[must_use]
    pub fn fired(&self) -> u64 {
        self.fired
    }

    fn fits(&self, route: &str, method: &str, path: &str) -> bool {
        let place = match self.route.as_str() {
            "*" => true,
            pattern if pattern.starts_with('/') => path_fits(pattern, path),
            name => name == route,
        };
        place && self.method.as_deref().is_none_or(|wanted| wanted == method)
    }

    /// The fault whose turn it is.
    fn turn(&self) -> Option<&Fault> {
        let mut left = self.fired;
        if let Some(round) = self.round_length() {
            if round == 0 || self.fired >= round.saturating_mul(self.rounds) {
                return None;
            }
            left = self.fired % round;
        }
        for (fault, times) in &self.turns {
            match times {
                Some(times) if left >= *times => left -= times,
                _ => return Some(fault),
            }
        }
        None
    }

    fn round_length(&self) -> Option<u64> {
        self.turns.iter().map(|(_, times)| *times).sum()
    }

    fn to_json(&self) -> Value {
        let faults: Vec<_> = self
            .turns
            .iter()
            .map(|(fault, _)| fault.spelling.as_str())
            .collect();
        json!({"route": self.route, "method": self.method, "nth": self.nth, "fault": faults,
            "seen": self.seen, "fired": self.fired})
    }
}

fn known_route(route: &str) -> Result<(), Error> {
    if route == "*" || route.starts_with('/') || routes::names().any(|name| name == route) {
        return Ok(());
    }
    match nearest(route, routes::names()) {
        Some(near) => Err(Error::new(format!(
            "no route is called `{route}`; did you mean `{near}`?"
        ))),
        None => Err(Error::new(format!("no route is called `{route}`"))),
    }
}

/// A pattern with `*` for any run of characters, slashes included.
fn path_fits(pattern: &str, path: &str) -> bool {
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = path.strip_prefix(first) else {
        return false;
    };
    let mut last = None;
    for piece in pieces {
        let Some(at) = rest.find(piece) else { return false };
        rest = &rest[at + piece.len()..];
        last = Some(piece);
    }
    last.is_some_and(|piece| piece.is_empty() || path.ends_with(piece)) || rest.is_empty()
}

/// The rules in force.
#[derive(Debug, Default)]
pub(crate) struct Board {
    rules: Vec<Rule>,
}

impl Board {
    pub(crate) fn new(rules: Vec<Rule>) -> Self {
        Self { rules }
    }

    pub(crate) fn add(&mut self, rules: impl IntoIterator<Item = Rule>) {
        self.rules.extend(rules);
    }

    pub(crate) fn rules(&self) -> &[Rule] {
        &self.rules
    }

    pub(crate) fn to_json(&self) -> Value {
        self.rules.iter().map(Rule::to_json).collect()
    }

    /// The fault of a connection that was just accepted.
    pub(crate) fn for_connection(&mut self) -> Option<Accept> {
        let played = self.play(|rule, fault| rule.route == "*" && fault.effect.is_accept());
        played.into_iter().find_map(|fault| match fault.effect {
            Effect::Accept(accept) => Some(accept),
            _ => None,
        })
    }

    /// The faults of a request.
    pub(crate) fn for_request(&mut self, route: &str, method: &str, path: &str) -> Vec<Fault> {
        self.play(|rule, fault| !fault.effect.is_accept() && rule.fits(route, method, path))
    }

    fn play(&mut self, fits: impl Fn(&Rule, &Fault) -> bool) -> Vec<Fault> {
        let mut played: Vec<Fault> = Vec::new();
        for rule in &mut self.rules {
            let Some(fault) = rule.turn().filter(|fault| fits(rule, fault)).cloned() else {
                continue;
            };
            rule.seen += 1;
            let taken = played.iter().any(|fault| fault.effect.is_exclusive());
            let waits = rule.nth.is_some_and(|nth| nth != rule.seen);
            if waits || (taken && fault.effect.is_exclusive()) {
                continue;
            }
            rule.fired += 1;
            played.push(fault);
        }
        played
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spellings(board: &mut Board, route: &str, times: usize) -> Vec<String> {
        let one = |board: &mut Board| {
            let faults = board.for_request(route, "GET", "/x");
            faults
                .iter()
                .map(|f| f.spelling.clone())
                .collect::<Vec<_>>()
                .join("+")
        };
        (0..times).map(|_| one(board)).collect()
    }

    #[test]
    fn rules_play_in_turn_and_then_stop() {
        let rows: [(Rule, &[&str]); 5] = [
            (
                Rule::new("*", "s503-x2").unwrap(),
                &["s503-x2", "s503-x2", "", ""],
            ),
            (Rule::new("*", "s503").unwrap().times(1), &["s503", "", "", ""]),
            (Rule::new("*", "s503").unwrap().nth(3), &["", "", "s503", ""]),
            (
                Rule::in_turn("*", &["s500", "ok", "rst"]).unwrap(),
                &["s500", "ok", "rst", ""],
            ),
            (
                Rule::in_turn("*", &["s500", "rst"]).unwrap().times(2),
                &["s500", "rst", "s500", "rst"],
            ),
        ];
        for (rule, expected) in rows {
            let mut board = Board::new(vec![rule]);
            assert_eq!(spellings(&mut board, "github", 4), expected);
        }
    }

    #[test]
    fn one_fault_takes_the_answer_and_the_others_add_up() {
        let rules = ["s503-x1", "exp-n1", "s429-x1", "ahead-n5"].map(|f| Rule::new("*", f).unwrap());
        let mut board = Board::new(rules.to_vec());
        let played = spellings(&mut board, "github", 3);
        assert_eq!(
            played,
            [
                "s503-x1+exp-n1+ahead-n5",
                "exp-n1+s429-x1+ahead-n5",
                "exp-n1+ahead-n5"
            ]
        );
    }

    #[test]
    fn rules_apply_where_they_say() {
        let rows = [
            ("*", true),
            ("github", true),
            ("jwks", false),
            ("/x", true),
            ("/*", true),
            ("/x/*", false),
            ("/*x", true),
            ("/y", false),
        ];
        for (route, fires) in rows {
            let mut board = Board::new(vec![Rule::new(route, "s503").unwrap()]);
            assert_eq!(
                board.for_request("github", "GET", "/x").len() == 1,
                fires,
                "{route}"
            );
        }
        assert_eq!(
            Rule::new("githab", "s503").unwrap_err().to_string(),
            "no route is called `githab`; did you mean `github`?"
        );
    }
}
