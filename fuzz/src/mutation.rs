//! Bytes out of other bytes: blind mutation, reproducible from one number.

/// The longest input that is made, in bytes: beyond the parsers' interesting bounds nothing new happens.
const LONGEST: usize = 4096;

/// How many changes one input gets at most.
const MOST_CHANGES: usize = 6;

/// A source of inputs.
pub struct Mutator {
    state: u64,
}

impl Mutator {
    /// The same `seed` gives the same inputs.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        // Xorshift never leaves zero.
        Self { state: seed | 1 }
    }

    /// A number below `bound`, or 0.
    pub fn below(&mut self, bound: usize) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        let bound = u64::try_from(bound).unwrap_or(u64::MAX).max(1);
        usize::try_from((self.state >> 11) % bound).unwrap_or(0)
    }

    /// One of `seeds`, changed in a few places.
    pub fn input(&mut self, seeds: &[Vec<u8>], words: &[&str]) -> Vec<u8> {
        let mut bytes = self.one_of(seeds).to_vec();
        for _ in 0..=self.below(MOST_CHANGES) {
            self.change(&mut bytes, seeds, words);
        }
        bytes.truncate(LONGEST);
        bytes
    }

    fn one_of<'a>(&mut self, seeds: &'a [Vec<u8>]) -> &'a [u8] {
        let index = self.below(seeds.len());
        seeds.get(index).map(Vec::as_slice).unwrap_or_default()
    }

    fn change(&mut self, bytes: &mut Vec<u8>, seeds: &[Vec<u8>], words: &[&str]) {
        let at = self.below(bytes.len() + 1);
        let end = (at + self.below(32)).min(bytes.len());
        match self.below(8) {
            0 => {
                let bit = 1 << self.below(8);
                set(bytes, at, |byte| byte ^ bit);
            }
            1 => {
                let value = u8::try_from(self.below(256)).unwrap_or(0);
                set(bytes, at, |_| value);
            }
            2 => drop(bytes.drain(at..end)),
            3 => bytes.truncate(at),
            4 => {
                let copy = bytes[at..end].to_vec();
                self.insert(bytes, &copy);
            }
            5 => {
                let other = self.one_of(seeds).to_vec();
                let from = self.below(other.len() + 1);
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
            6 => {
                let times = self.below(64);
                let copy = bytes[at..end].repeat(times);
                self.insert(bytes, &copy);
            }
            _ => {
                let index = self.below(words.len());
                let word = words.get(index).copied().unwrap_or_default();
                self.insert(bytes, word.as_bytes());
            }
        }
    }

    fn insert(&mut self, bytes: &mut Vec<u8>, what: &[u8]) {
        let at = self.below(bytes.len() + 1);
        bytes.splice(at..at, what.iter().copied());
    }
}

/// Changes one byte, if there is one at `at`.
fn set(bytes: &mut [u8], at: usize, change: impl Fn(u8) -> u8) {
    if let Some(byte) = bytes.get_mut(at) {
        *byte = change(*byte);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_inputs_and_another_does_not() {
        let seeds = vec![b"{\"alg\":\"ES256\"}".to_vec()];
        let make = |seed| {
            let mut mutator = Mutator::new(seed);
            (0..50)
                .map(|_| mutator.input(&seeds, &["none"]))
                .collect::<Vec<_>>()
        };
        assert_eq!(make(4), make(4));
        assert_ne!(make(4), make(8));
        assert!(make(4).iter().all(|input| input.len() <= LONGEST));
    }
}
