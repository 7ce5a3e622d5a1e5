//! Links the release binary statically where glibc's archives are: a warm `jeton token` then starts without the
//! dynamic loader, and at a fixed address: relocating a third of a MiB took as long as all the rest. The price is that
//! the program's own code and data have no random place (stack, heap and maps do); `JETON_DYNAMIC=1` builds the
//! usual position-independent executable.
//!
//! Cargo has no setting for this that leaves procedural macros alone (`-C target-feature=+crt-static` breaks them when
//! host and target are one), so the linker is handed scripts in place of the shared libraries that rustc names.
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

/// A shared library that rustc names, and the archives that stand in for it.
const STAND_INS: [(&str, &str); 3] = [
    ("libc.so", "GROUP ( libc.a libgcc_eh.a libgcc.a )\n"),
    ("libm.so", "GROUP ( libm.a )\n"),
    ("libgcc_s.so", "GROUP ( libgcc_eh.a libgcc.a )\n"),
];

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=JETON_DYNAMIC");
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|v| v == value);
    let glibc = is("CARGO_CFG_TARGET_OS", "linux") && is("CARGO_CFG_TARGET_ENV", "gnu");
    let native = env::var_os("HOST") == env::var_os("TARGET");
    // Tests and debug builds keep the loader: they are linked far more often than they are started.
    if !glibc
        || !native
        || !is("PROFILE", "release")
        || env::var_os("JETON_DYNAMIC").is_some()
        || !has_archives()
    {
        return Ok(());
    }
    let Some(folder) = env::var_os("OUT_DIR").map(PathBuf::from) else {
        return Ok(());
    };
    for (name, script) in STAND_INS {
        fs::write(folder.join(name), script)?;
    }
    println!("cargo:rerun-if-changed=warm.ld");
    if let Some(root) = env::var_os("CARGO_MANIFEST_DIR") {
        let order = PathBuf::from(root).join("warm.ld");
        println!("cargo:rustc-link-arg-bins=-Wl,-T,{}", order.display());
    }
    println!("cargo:rustc-link-search=native={}", folder.display());
    println!("cargo:rustc-link-arg-bins=-static");
    println!("cargo:rustc-link-arg-bins=-no-pie");
    Ok(())
}

/// Whether the compiler has every archive that is named above.
fn has_archives() -> bool {
    let compiler = env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    ["libc.a", "libm.a", "libgcc_eh.a", "libgcc.a", "crt1.o"]
        .iter()
        .all(|archive| {
            let output = Command::new(&compiler)
                .arg(format!("-print-file-name={archive}"))
                .output();
            output.is_ok_and(|o| Path::new(String::from_utf8_lossy(&o.stdout).trim()).is_absolute())
        })
}
