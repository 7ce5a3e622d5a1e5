//! The file of faults: TOML or JSON, read strictly.
use super::board::Rule;
use super::spelling::{Fault, nearest};
use crate::error::Error;
use serde_json::{Map, Value};

const KEYS: [&str; 6] = ["fault", "route", "method", "nth", "times", "value"];

/// Reads a file of faults, TOML or JSON (an object with `rule`, a list of rules, one rule, or one spelling).
///
/// # Errors
/// Text that is neither, a key or a fault that does not exist; the text names the rule and the nearest name.
pub fn read(text: &str) -> Result<Vec<Rule>, Error> {
    let rules = match serde_json::from_str(text) {
        Ok(value) => listed(value)?,
        Err(_) => listed(toml_value(text)?)?,
    };
    let numbered = rules.into_iter().enumerate();
    numbered
        .map(|(at, value)| rule(value).map_err(|error| in_rule(at, &error)))
        .collect()
}

fn toml_value(text: &str) -> Result<Value, Error> {
    toml::from_str(text).map_err(|error| Error::new(format!("the faults are neither JSON nor TOML: {error}")))
}

fn in_rule(at: usize, error: &Error) -> Error {
    Error::new(format!("rule {}: {error}", at + 1))
}

fn listed(value: Value) -> Result<Vec<Value>, Error> {
    match value {
        Value::Array(rules) => Ok(rules),
        Value::Object(mut members) => match members.remove("rule") {
            Some(Value::Array(rules)) if members.is_empty() => Ok(rules),
            None if members.contains_key("fault") => Ok(vec![Value::Object(members)]),
            None if members.is_empty() => Ok(Vec::new()),
            _ => Err(Error::new(
                "the faults are a list of rules, `[[rule]]`, and nothing beside it",
            )),
        },
        spelling @ Value::String(_) => Ok(vec![spelling]),
        _ => Err(Error::new("the faults are a list of rules")),
    }
}

fn rule(value: Value) -> Result<Rule, Error> {
    match value {
        Value::String(spelling) => Rule::new("*", &spelling),
        Value::Object(members) => from_members(&members),
        _ => Err(Error::new("a rule is a table")),
    }
}

fn from_members(members: &Map<String, Value>) -> Result<Rule, Error> {
    for key in members.keys() {
        known(key)?;
    }
    let mut faults = match members.get("fault") {
        Some(Value::String(one)) => vec![Fault::parse(one)?],
        Some(Value::Array(list)) => list.iter().map(listed_fault).collect::<Result<_, _>>()?,
        _ => return Err(Error::new("`fault` is missing: a fault, or a list of them")),
    };
    if let Some(value) = text(members, "value")? {
        faults
            .iter_mut()
            .for_each(|fault| fault.args.value = Some(value.clone()));
    }
    let route = text(members, "route")?.unwrap_or_else(|| "*".to_owned());
    let mut rule = Rule::of(&route, faults)?;
    rule.method = text(members, "method")?.map(|method| method.to_ascii_uppercase());
    rule.nth = number(members, "nth")?;
    if let Some(times) = number(members, "times")? {
        rule = rule.times(times);
    }
    Ok(rule)
}

fn known(key: &str) -> Result<(), Error> {
    if KEYS.contains(&key) {
        return Ok(());
    }
    match nearest(key, KEYS.into_iter()) {
        Some(near) => Err(Error::new(format!(
            "no key is called `{key}`; did you mean `{near}`?"
        ))),
        None => Err(Error::new(format!(
            "no key is called `{key}`; there are {}",
            KEYS.join(", ")
        ))),
    }
}

fn listed_fault(value: &Value) -> Result<Fault, Error> {
    let spelling = value
        .as_str()
        .ok_or_else(|| Error::new("`fault` is a list of strings"))?;
    Fault::parse(spelling)
}

fn text(members: &Map<String, Value>, key: &str) -> Result<Option<String>, Error> {
    match members.get(key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(Error::new(format!("`{key}` is a string"))),
    }
}

fn number(members: &Map<String, Value>, key: &str) -> Result<Option<u64>, Error> {
    match members.get(key) {
        None => Ok(None),
        Some(value) => match value.as_u64() {
            Some(number) if number > 0 => Ok(Some(number)),
            _ => Err(Error::new(format!("`{key}` is a whole number from 1"))),
        },
    }
}
