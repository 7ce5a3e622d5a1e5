//! A command line taken apart as a shell would, without one: words, quotes, backslashes, and nothing that expands.

/// The words of `line`; `None` when a quote is not closed or a backslash ends it.
///
/// `'…'` holds everything as it is, `"…"` everything but `\"` and `\\`, and outside quotes a backslash takes the next
/// character as it is. `$`, `*`, `|`, `;` and their kin are characters like others.
#[must_use]
pub(crate) fn split(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut rest = line.chars();
    while let Some(c) = rest.next() {
        match c {
            '\'' => quoted(&mut rest, word.get_or_insert_default())?,
            '"' => double_quoted(&mut rest, word.get_or_insert_default())?,
            '\\' => word.get_or_insert_default().push(rest.next()?),
            c if c.is_whitespace() => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Some(words)
}

fn quoted(rest: &mut impl Iterator<Item = char>, word: &mut String) -> Option<()> {
    loop {
        match rest.next()? {
            '\'' => return Some(()),
            c => word.push(c),
        }
    }
}

fn double_quoted(rest: &mut impl Iterator<Item = char>, word: &mut String) -> Option<()> {
    loop {
        match rest.next()? {
            '"' => return Some(()),
            '\\' => match rest.next()? {
                c @ ('"' | '\\') => word.push(c),
                c => word.extend(['\\', c]),
            },
            c => word.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_split_like_a_shell_does_and_nothing_expands() {
        let rows: [(&str, Option<&[&str]>); 14] = [
            ("", Some(&[])),
            ("  a  b\tc\n", Some(&["a", "b", "c"])),
            ("'a b' c", Some(&["a b", "c"])),
            (r#"sh -c 'echo "x y"'"#, Some(&["sh", "-c", r#"echo "x y""#])),
            (r#""a \"b\" \\ \n""#, Some(&[r#"a "b" \ \n"#])),
            (r"'\n'", Some(&[r"\n"])),
            (r"a\ b", Some(&["a b"])),
            ("a'b'\"c\"d", Some(&["abcd"])),
            ("'' \"\"", Some(&["", ""])),
            (
                "$HOME *.x | cat; ls `id` $(id)",
                Some(&["$HOME", "*.x", "|", "cat;", "ls", "`id`", "$(id)"]),
            ),
            ("'open", None),
            ("\"open", None),
            ("end\\", None),
            ("\"end\\", None),
        ];
        for (line, expected) in rows {
            let expected = expected.map(|words| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>());
            assert_eq!(split(line), expected, "{line}");
        }
    }
}
