//! The least a warm command can do: read a file, print it.
use std::io::Write;

fn main() {
    let path = std::env::args_os().nth(1).expect("a file");
    let mut text = std::fs::read(path).expect("it can be read");
    text.push(b'\n');
    std::io::stdout().write_all(&text).expect("it can be written");
}
