//! Every target in one program: `JETON_FUZZ_TARGET` says which.
#![no_main]

use jeton_fuzz::{TARGETS, Target};
use std::sync::LazyLock;

static TARGET: LazyLock<&Target> = LazyLock::new(|| {
    let name = std::env::var("JETON_FUZZ_TARGET").expect("JETON_FUZZ_TARGET names a target");
    TARGETS.iter().find(|target| target.name == name).expect("JETON_FUZZ_TARGET is the name of a target")
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| (TARGET.run)(bytes));
