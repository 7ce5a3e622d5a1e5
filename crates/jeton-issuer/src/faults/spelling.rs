//! How a fault is spelled: a name and its arguments, `s503-ra2-x1`.
use super::{Args, Effect, Entry, entries};
use crate::error::Error;
use std::fmt;

/// The name of the entry that stands for every status.
const ANY_STATUS: &str = "sNNN";
/// How many letters a name may differ from a known one to be taken for a slip.
const NEAR: usize = 3;

/// A fault, as it was spelled.
#[derive(Clone)]
pub struct Fault {
    pub(crate) spelling: String,
    pub(crate) effect: Effect,
    pub(crate) args: Args,
    /// `-xN`.
    pub(crate) times: Option<u64>,
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Fault").field(&self.spelling).finish()
    }
}

impl Fault {
    /// Reads a fault's spelling.
    ///
    /// # Errors
    /// A name that is not in the vocabulary (the text names the nearest), or an argument that is none.
    pub fn parse(spelling: &str) -> Result<Self, Error> {
        let mut words = spelling.trim().split('-');
        let name = words.next().unwrap_or_default();
        let mut fault = Self::named(name)?;
        let mut sign = 1;
        for word in words {
            // `n-5` splits into `n` and `5`: the minus belongs to the number.
            match word {
                "n" => sign = -1,
                number if sign < 0 => fault.args.number = Some(-parsed(spelling, number)?),
                word => fault.take(spelling, word)?,
            }
        }
        spelling.trim().clone_into(&mut fault.spelling);
        Ok(fault)
    }

    /// Whether the request is not carried out. A success other than the usual one needs an answer to be put on.
    pub(crate) fn is_instead(&self) -> bool {
        let success = (200..300).contains(&self.args.status);
        self.effect.is_instead() && !success
    }

    fn named(name: &str) -> Result<Self, Error> {
        let status = status(name);
        let wanted = if status.is_some() { ANY_STATUS } else { name };
        let Some(Entry { effect, .. }) = entries().find(|entry| entry.name == wanted) else {
            return Err(unknown(name));
        };
        let args = Args {
            status: status.unwrap_or_default(),
            ..Args::default()
        };
        Ok(Self {
            spelling: String::new(),
            effect: *effect,
            args,
            times: None,
        })
    }

    fn take(&mut self, spelling: &str, word: &str) -> Result<(), Error> {
        let digits = word.find(|c: char| c.is_ascii_digit()).unwrap_or(word.len());
        let (kind, number) = word.split_at(digits);
        match kind {
            "x" => self.times = Some(parsed(spelling, number)?),
            "ra" => self.args.retry_after = Some(parsed(spelling, number)?),
            "ms" => self.args.millis = Some(parsed(spelling, number)?),
            "m" => self.args.mebibytes = Some(parsed(spelling, number)?),
            "n" => self.args.number = Some(parsed(spelling, number)?),
            _ => {
                let text = format!("`{spelling}`: `-{word}` is no argument; there are -xN -raN -msN -mN -nN");
                return Err(Error::new(text));
            }
        }
        Ok(())
    }
}

fn status(name: &str) -> Option<u16> {
    let digits = name.strip_prefix('s')?;
    let number: u16 = digits.parse().ok()?;
    (digits.len() == 3 && (100..1000).contains(&number)).then_some(number)
}

fn parsed<T: std::str::FromStr>(spelling: &str, number: &str) -> Result<T, Error> {
    let parsed = number.parse();
    parsed.map_err(|_| Error::new(format!("`{spelling}`: `{number}` is no number that fits here")))
}

fn unknown(name: &str) -> Error {
    match nearest(name, entries().map(|entry| entry.name)) {
        Some(near) => Error::new(format!("no fault is called `{name}`; did you mean `{near}`?")),
        None => Error::new(format!("no fault is called `{name}`")),
    }
}

/// The name that takes the fewest changes of a letter, when these are few enough for a slip.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let rated = known.map(|candidate| (distance(name, candidate), candidate));
    let (changes, best) = rated.min_by_key(|(changes, _)| *changes)?;
    (changes <= NEAR).then_some(best)
}

/// Levenshtein's distance.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
