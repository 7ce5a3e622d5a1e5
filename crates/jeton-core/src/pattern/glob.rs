//! Wildcards, matched in one pass: every byte of the value moves a set of positions in the pattern, so that the time is
//! the value's length times the pattern's and no value can make it worse.
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

/// One step of a pattern. Bytes suffice: no byte of one UTF-8 character is a whole other one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// This byte.
    Byte(u8),
    /// `*`: any run without `/` and `:`.
    Run,
    /// `**`: any run.
    Any,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Glob(Vec<Step>);

impl Glob {
    pub(super) fn parse(source: &str) -> Self {
        let mut steps = Vec::with_capacity(source.len());
        let mut bytes = source.bytes().peekable();
        while let Some(byte) = bytes.next() {
            steps.push(match byte {
                b'\\' if bytes.next_if_eq(&b'*').is_some() => Step::Byte(b'*'),
                b'*' => {
                    let more = core::iter::from_fn(|| bytes.next_if_eq(&b'*')).count();
                    if more == 0 { Step::Run } else { Step::Any }
                }
                byte => Step::Byte(byte),
            });
        }
        Self(steps)
    }

    /// The only text it matches, if it has no wildcard.
    pub(super) fn literal(&self) -> Option<String> {
        let start = self.fixed_start();
        (start.len() == self.0.len()).then_some(start)
    }

    /// The text before the first wildcard.
    pub(super) fn fixed_start(&self) -> String {
        let byte = |step: &Step| {
            if let Step::Byte(byte) = step {
                Some(*byte)
            } else {
                None
            }
        };
        // Wildcards stand between characters, so that this is whole UTF-8.
        String::from_utf8(self.0.iter().map_while(byte).collect()).unwrap_or_default()
    }

    pub(super) fn has_any(&self) -> bool {
        self.0.contains(&Step::Any)
    }

    pub(super) fn matches(&self, value: &[u8]) -> bool {
        // `here[i]`: the steps before `i` can have matched what was read so far.
        let mut here = vec![false; self.0.len() + 1];
        let mut next = here.clone();
        self.enter(&mut here, 0);
        for byte in value {
            next.fill(false);
            for at in (0..self.0.len()).filter(|at| here[*at]) {
                match self.0[at] {
                    Step::Byte(wanted) if wanted == *byte => self.enter(&mut next, at + 1),
                    Step::Run if !matches!(byte, b'/' | b':') => self.enter(&mut next, at),
                    Step::Any => self.enter(&mut next, at),
                    Step::Byte(_) | Step::Run => {}
                }
            }
            core::mem::swap(&mut here, &mut next);
        }
        here[self.0.len()]
    }

    /// Marks `at`, and what lies behind it as long as wildcards can stand for nothing.
    fn enter(&self, positions: &mut [bool], mut at: usize) {
        positions[at] = true;
        while matches!(self.0.get(at), Some(Step::Run | Step::Any)) {
            at += 1;
            positions[at] = true;
        }
    }
}
