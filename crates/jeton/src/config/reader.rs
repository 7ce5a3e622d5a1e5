//! Reads tables of the file key by key and knows the line of each, so that every error can name it.
//!
//! No message shows a value that might be a secret: only keys, lines and what was expected.
use super::nearest::closest;
use crate::{Error, duration};
use jeton_core::Class;
use std::ops::Range;
use std::time::Duration;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The text being read, and what it is called in messages.
#[derive(Clone, Copy)]
pub(super) struct Document<'a> {
    pub(super) name: &'a str,
    pub(super) text: &'a str,
}

impl<'a> Document<'a> {
    pub(super) fn table(self) -> Result<DeTable<'a>, Error> {
        let parsed = DeTable::parse(self.text);
        parsed.map(Spanned::into_inner).map_err(|e| {
            let message = e.message().replace('\n', ", ");
            self.error(self.line(e.span().unwrap_or(0..0)), &message)
        })
    }

    fn line(self, span: Range<usize>) -> usize {
        let before = self.text.as_bytes().iter().take(span.start);
        1 + before.filter(|byte| **byte == b'\n').count()
    }

    pub(super) fn error(self, line: usize, message: &str) -> Error {
        Error::new(Class::Config, format!("{}:{line}: {message}", self.name))
    }
}

/// One table, such as `[profiles.cloud]`, whose keys were all found to be known.
pub(super) struct Section<'a> {
    document: Document<'a>,
    title: String,
    /// The line of its heading.
    pub(super) line: usize,
    table: &'a DeTable<'a>,
}

impl<'a> Section<'a> {
    /// The table itself as a section.
    pub(super) fn root(
        document: Document<'a>,
        table: &'a DeTable<'a>,
        known: &[&'static str],
    ) -> Result<Self, Error> {
        let section = Self {
            document,
            title: String::new(),
            line: 1,
            table,
        };
        section.keys_are(known)?;
        Ok(section)
    }

    /// The table below `key`, if it is there; its keys must be among `known`.
    pub(super) fn child(&self, key: &str, known: &[&'static str]) -> Result<Option<Section<'a>>, Error> {
        let Some(child) = self.open(key)? else {
            return Ok(None);
        };
        child.keys_are(known)?;
        Ok(Some(child))
    }

    /// Every table below the table `key`, by name.
    pub(super) fn children(
        &self,
        key: &str,
        known: &[&'static str],
    ) -> Result<Vec<(String, Section<'a>)>, Error> {
        let Some(parent) = self.open(key)? else {
            return Ok(Vec::new());
        };
        let names = parent.table.keys().map(|name| name.get_ref().to_string());
        names
            .map(|name| match parent.child(&name, known)? {
                Some(child) => Ok((name, child)),
                None => Err(parent.fault(&name, "not a table")),
            })
            .collect()
    }

    fn open(&self, key: &str) -> Result<Option<Section<'a>>, Error> {
        let Some((name, value)) = self.table.get_key_value(key) else {
            return Ok(None);
        };
        let DeValue::Table(table) = value.get_ref() else {
            return Err(self.fault(key, "not a table"));
        };
        Ok(Some(Section {
            document: self.document,
            title: match self.title.as_str() {
                "" => key.to_owned(),
                title => format!("{title}.{key}"),
            },
            line: self.document.line(name.span()),
            table,
        }))
    }

    fn keys_are(&self, known: &[&'static str]) -> Result<(), Error> {
        for key in self.table.keys() {
            let name = key.get_ref().as_ref();
            if known.contains(&name) {
                continue;
            }
            let place = match self.title.as_str() {
                "" => String::new(),
                title => format!(" in [{title}]"),
            };
            let line = self.document.line(key.span());
            let meant = closest(name, known.iter().copied()).unwrap_or_default();
            let message = format!("unknown key `{name}`{place}; did you mean `{meant}`?");
            let hint = format!("known here: {}", known.join(", "));
            return Err(self.document.error(line, &message).with_hint(hint));
        }
        Ok(())
    }

    /// The line of a key, or of the section's heading when there is none.
    pub(super) fn line_of(&self, key: &str) -> usize {
        let found = self.table.get_key_value(key);
        found.map_or(self.line, |(name, _)| self.document.line(name.span()))
    }

    /// An error about `key`, at its line.
    pub(super) fn fault(&self, key: &str, what: &str) -> Error {
        let place = match self.title.as_str() {
            "" => format!("`{key}`"),
            title => format!("`{key}` in [{title}]"),
        };
        self.document
            .error(self.line_of(key), &format!("{place}: {what}"))
    }

    /// A text.
    pub(super) fn text(&self, key: &str) -> Result<Option<String>, Error> {
        match self.table.get(key).map(Spanned::get_ref) {
            None => Ok(None),
            Some(DeValue::String(text)) => Ok(Some(text.to_string())),
            Some(_) => Err(self.fault(key, "should be a text in quotes")),
        }
    }

    /// A text that must be there.
    pub(super) fn needed(&self, key: &str, why: &str) -> Result<String, Error> {
        self.text(key)?.ok_or_else(|| {
            let message = format!("missing key `{key}` in [{}]: {why}", self.title);
            self.document.error(self.line, &message)
        })
    }

    /// A list of texts, or one text.
    pub(super) fn texts(&self, key: &str) -> Result<Option<Vec<String>>, Error> {
        match self.table.get(key).map(Spanned::get_ref) {
            Some(DeValue::Array(items)) => items
                .iter()
                .map(|item| match item.get_ref() {
                    DeValue::String(text) => Ok(text.to_string()),
                    _ => Err(self.fault(key, "should be a list of texts")),
                })
                .collect::<Result<_, _>>()
                .map(Some),
            _ => Ok(self.text(key)?.map(|text| vec![text])),
        }
    }

    /// Any plain value or list of plain values, as the texts that a flag would take.
    pub(super) fn values(&self, key: &str) -> Result<Option<Vec<String>>, Error> {
        match self.table.get(key).map(Spanned::get_ref) {
            Some(DeValue::Integer(number)) if number.radix() == 10 => Ok(Some(vec![number.to_string()])),
            Some(DeValue::Float(number)) => Ok(Some(vec![number.to_string()])),
            Some(DeValue::Boolean(yes)) => Ok(Some(vec![yes.to_string()])),
            _ => self.texts(key),
        }
    }

    /// Yes or no.
    pub(super) fn flag(&self, key: &str) -> Result<bool, Error> {
        match self.table.get(key).map(Spanned::get_ref) {
            None => Ok(false),
            Some(DeValue::Boolean(yes)) => Ok(*yes),
            Some(_) => Err(self.fault(key, "should be true or false")),
        }
    }

    /// A duration.
    pub(super) fn duration(&self, key: &str) -> Result<Option<Duration>, Error> {
        let Some(text) = self.text(key)? else {
            return Ok(None);
        };
        let parsed = duration::parse(&text);
        parsed.map(Some).ok_or_else(|| {
            self.fault(
                key,
                &format!("`{text}` is no duration; write `250ms`, `30s`, `5m` or `1h`"),
            )
        })
    }
}
