//! What somebody probably meant.

/// A suggestion farther away than a third of the word's length confuses more than it helps.
const FARTHEST: usize = 3;

/// The known word that is nearest to `word`, if one is near enough to be what was meant.
#[must_use]
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (word.chars().count() / FARTHEST).max(1);
    closest(word, known).filter(|found| distance(word, found) <= limit)
}

/// The known word that is nearest to `word`, however far it is.
#[must_use]
pub fn closest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .min_by_key(|candidate| distance(word, candidate))
}

/// How many insertions, deletions, replacements and swaps of neighbours make one word of the other.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let replaced = last[j] + usize::from(x != y);
            let mut best = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_word_and_another_word_finds_none() {
        let known = ["min_validity", "cache_ttl", "order", "github", "gitlab"];
        let rows = [
            ("min_validty", Some("min_validity")),
            ("cahce_ttl", Some("cache_ttl")),
            ("oder", Some("order")),
            ("githbu", Some("github")),
            ("password", None),
            ("", None),
        ];
        for (word, meant) in rows {
            assert_eq!(nearest(word, known), meant, "{word}");
        }
    }
}
