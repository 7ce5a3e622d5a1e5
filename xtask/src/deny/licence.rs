//! Licence expressions as manifests write them: SPDX with `AND`, `OR`, brackets, and the old `/` for `OR`.

/// An expression, read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Licence {
    /// One licence, with its exception if it has one.
    One(String),
    /// Every one of these applies.
    All(Vec<Licence>),
    /// The user chooses one of these.
    Any(Vec<Licence>),
}

impl Licence {
    /// Reads an expression. What cannot be read becomes a licence that nobody allows.
    pub(super) fn read(text: &str) -> Self {
        let spaced = text.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
        let mut words = spaced.split_whitespace().peekable();
        let licence = any(&mut words);
        if words.next().is_some() {
            Self::One(text.to_owned())
        } else {
            licence
        }
    }

    /// Whether the licences in `allowed` are enough.
    pub(super) fn is_allowed(&self, allowed: &[String]) -> bool {
        match self {
            Self::One(name) => allowed.contains(name),
            Self::All(parts) => parts.iter().all(|part| part.is_allowed(allowed)),
            Self::Any(parts) => parts.iter().any(|part| part.is_allowed(allowed)),
        }
    }
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn any(words: &mut Words<'_>) -> Licence {
    Licence::Any(separated(words, "OR", all))
}

fn all(words: &mut Words<'_>) -> Licence {
    Licence::All(separated(words, "AND", one))
}

fn separated(words: &mut Words<'_>, by: &str, part: fn(&mut Words<'_>) -> Licence) -> Vec<Licence> {
    let mut parts = vec![part(words)];
    while words.next_if_eq(&by).is_some() {
        parts.push(part(words));
    }
    parts
}

fn one(words: &mut Words<'_>) -> Licence {
    match words.next() {
        Some("(") => {
            let inner = any(words);
            if words.next_if_eq(&")").is_some() {
                inner
            } else {
                Licence::One("(".into())
            }
        }
        Some(name) => {
            let mut name = name.to_owned();
            if words.next_if_eq(&"WITH").is_some() {
                name = format!("{name} WITH {}", words.next().unwrap_or_default());
            }
            Licence::One(name)
        }
        None => Licence::One(String::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_decided_as_written() {
        let allowed: Vec<String> = ["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"]
            .into_iter()
            .map(String::from)
            .collect();
        let facts = [
            ("MIT", true),
            ("GPL-3.0", false),
            ("", false),
            ("GPL-3.0 OR MIT", true),
            ("GPL-3.0/MIT", true),
            ("GPL-3.0 AND MIT", false),
            ("ISC AND (GPL-3.0 OR MIT)", true),
            ("ISC AND (GPL-3.0 AND MIT)", false),
            ("Apache-2.0 WITH LLVM-exception", true),
            ("Apache-2.0", false),
            ("(MIT", false),
            ("MIT)", false),
        ];
        for (text, expected) in facts {
            assert_eq!(Licence::read(text).is_allowed(&allowed), expected, "{text}");
        }
    }
}
