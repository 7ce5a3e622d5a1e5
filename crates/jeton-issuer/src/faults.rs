//! The script of faults: what goes wrong, where, and how often.
//!
//! # The file
//! TOML, or the same as JSON. Rules stand in an order; each says where it applies and what happens there.
//!
//! ```toml
//! [[rule]]
//! fault = "s503-ra2-x1"       # once 503 with `Retry-After: 2`, then normal
//! route = "github"            # a route's name, or a path with `*` in it; left out: everywhere
//!
//! [[rule]]
//! fault = ["rst", "s500-x2", "ok", "html200"]   # played in this order, then normal
//! route = "/token"
//! method = "POST"
//!
//! [[rule]]
//! fault = "redirect"
//! value = "https://elsewhere.example.com/"      # what some faults take
//! nth = 2                     # only the second request that fits
//!
//! [[rule]]
//! fault = "exp-n1"            # every token ends a second after it was minted
//! times = 3                   # three times, then normal
//! ```
//!
//! A fault is a name with arguments: `-xN` how many times, `-raN` a `Retry-After` of N seconds, `-msN` milliseconds,
//! `-mN` mebibytes, `-nN` a number that the fault's line explains. `sNNN` is any status. [`vocabulary`] lists the names.
//!
//! # Which rule plays
//! Of the faults that take the place of an answer (connection, wire, answer) the first rule that fits and has turns
//! left plays. A fault that takes the whole answer's place (a status, a page, a reset) keeps the request from being
//! carried out; `lostrst` and its like carry it out and lose the answer. Faults of tokens, of clocks and rotations all play together. The routes that steer the issuer
//! (`/_requests`, `/_faults`, …) have no faults.
//!
//! ```
//! use jeton_issuer::faults::read;
//! let rules = read("[[rule]]\nfault = \"s503-ra2-x1\"\nroute = \"github\"\n")?;
//! assert_eq!(rules.len(), 1);
//! let error = read("[[rule]]\nfault = \"stal\"\n").unwrap_err();
//! assert_eq!(error.to_string(), "rule 1: no fault is called `stal`; did you mean `stall`?");
//! # Ok::<(), jeton_issuer::Error>(())
//! ```
mod answer;
mod board;
mod coding;
mod document;
mod file;
mod oauth;
mod spelling;
mod token;
mod wire;

pub use board::Rule;
pub use file::read;
pub use spelling::Fault;

pub(crate) use board::Board;
pub(crate) use spelling::nearest;

use crate::answer::Answer;
use crate::call::Call;
use crate::mint::Mint;
use crate::script::Script;

/// What a fault was told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Args {
    /// `-nN`.
    pub(crate) number: Option<i64>,
    /// `-msN`.
    pub(crate) millis: Option<u64>,
    /// `-mN`.
    pub(crate) mebibytes: Option<usize>,
    /// `-raN`.
    pub(crate) retry_after: Option<u64>,
    /// The status of `sNNN`.
    pub(crate) status: u16,
    /// The rule's `value`.
    pub(crate) value: Option<String>,
}

impl Args {
    pub(crate) fn number_or(&self, default: i64) -> i64 {
        self.number.unwrap_or(default)
    }

    pub(crate) fn value_or<'a>(&'a self, default: &'a str) -> &'a str {
        self.value.as_deref().unwrap_or(default)
    }
}

/// What a fault can see of the request it is played on.
pub(crate) struct Play<'a> {
    pub(crate) args: &'a Args,
    pub(crate) url: &'a str,
    pub(crate) call: &'a Call,
}

/// What goes wrong before there is a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accept {
    /// A reset as soon as the connection is there.
    Reset,
    /// A reset after the first bytes (in TLS: after the ClientHello).
    ReadThenReset,
    /// A close in order.
    Close,
    /// Nothing, for ever.
    Stall,
    /// HTTP in clear, whatever the port speaks.
    Plain,
    /// A TLS alert.
    Alert,
}

/// What a fault does.
#[derive(Clone, Copy)]
pub(crate) enum Effect {
    /// Nothing: the turn of a normal answer in a list.
    Normal,
    Accept(Accept),
    /// The request is carried out, and its answer goes over the wire like this.
    Wire(fn(&Play<'_>, &Answer) -> Script),
    /// The request is not carried out; this goes over the wire.
    Cut(fn(&Play<'_>) -> Script),
    /// The request is carried out, and its answer is changed.
    Answer(fn(&Play<'_>, &mut Answer)),
    /// The request is not carried out; an answer is made from nothing.
    Instead(fn(&Play<'_>, &mut Answer)),
    Token(fn(&Args, &mut Mint)),
    /// The clock is N seconds ahead, times this.
    Clock(i64),
    /// A gRPC status N, where the answer is one of gRPC.
    Grpc,
    /// Keys are rotated before the answer; the old ones are dropped or not.
    Rotate {
        drop_old: bool,
    },
}

impl Effect {
    /// Whether it takes the place of an answer, so that only one such can play.
    pub(crate) fn is_exclusive(self) -> bool {
        !matches!(self, Self::Token(_) | Self::Clock(_) | Self::Rotate { .. })
    }

    /// Whether the request is not carried out at all, as when a gateway answers: a refresh token is not used up then.
    pub(crate) fn is_instead(self) -> bool {
        matches!(self, Self::Cut(_) | Self::Instead(_))
    }

    pub(crate) fn is_accept(self) -> bool {
        matches!(self, Self::Accept(_))
    }
}

/// A fault's line in the vocabulary.
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    pub(crate) effect: Effect,
    pub(crate) says: &'static str,
}

pub(crate) const fn entry(name: &'static str, effect: Effect, says: &'static str) -> Entry {
    Entry { name, effect, says }
}

/// What happens on the connection itself, and the turn in which nothing does.
const CONNECTION: &[Entry] = &[
    entry("ok", Effect::Normal, "a normal answer, as a turn in a list"),
    entry(
        "connrst",
        Effect::Accept(Accept::Reset),
        "a reset as soon as the connection is there",
    ),
    entry(
        "rst_after_read",
        Effect::Accept(Accept::ReadThenReset),
        "a reset after the first bytes; in TLS after the ClientHello",
    ),
    entry(
        "connfin",
        Effect::Accept(Accept::Close),
        "a close as soon as the connection is there",
    ),
    entry(
        "connstall",
        Effect::Accept(Accept::Stall),
        "the connection is taken and nothing follows: a stall of the handshake in TLS",
    ),
    entry(
        "tlsplain",
        Effect::Accept(Accept::Plain),
        "HTTP in clear on the TLS port",
    ),
    entry(
        "tlsalert",
        Effect::Accept(Accept::Alert),
        "a TLS alert (handshake_failure)",
    ),
    entry(
        "rotate",
        Effect::Rotate { drop_old: false },
        "keys are rotated first, the old ones stay",
    ),
    entry(
        "rotatedrop",
        Effect::Rotate { drop_old: true },
        "keys are rotated first, the old ones go",
    ),
    entry(
        "grpc",
        Effect::Grpc,
        "gRPC status N (14, UNAVAILABLE), on the route `spiffe`",
    ),
    entry(
        "ahead",
        Effect::Clock(1),
        "the clock is N seconds ahead: iat, nbf, exp and Date",
    ),
    entry(
        "behind",
        Effect::Clock(-1),
        "the clock is N seconds behind: iat, nbf, exp and Date",
    ),
];

const TABLES: [&[Entry]; 7] = [
    CONNECTION,
    wire::TABLE,
    answer::TABLE,
    coding::TABLE,
    oauth::TABLE,
    document::TABLE,
    token::TABLE,
];

/// Every fault: its name and what it does. `sNNN` stands for any status.
pub fn vocabulary() -> impl Iterator<Item = (&'static str, &'static str)> {
    entries().map(|entry| (entry.name, entry.says))
}

pub(crate) fn entries() -> impl Iterator<Item = &'static Entry> {
    TABLES.into_iter().flatten()
}

/// What a fault does to a token that is about to be signed.
#[derive(Clone)]
pub(crate) struct TokenTwist {
    pub(crate) change: fn(&Args, &mut Mint),
    pub(crate) args: Args,
}

impl TokenTwist {
    pub(crate) fn apply(&self, mint: &mut Mint) {
        (self.change)(&self.args, mint);
    }
}
