//! Tests with many threads under ThreadSanitizer, which sees two of them touch the same memory with nothing to order them.

use std::{path::Path, process::Command};

use crate::run::{self, Outcome, cargo, root};

/// By file.
const TESTS: [&str; 5] = ["read_your_writes", "subscribers", "lifetime", "collection_concurrent", "view_sharing"];

pub(crate) fn run() -> Outcome {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu")) {
        println!("\n── ThreadSanitizer skipped: it is run on Linux with x86-64 only");
        return Ok(());
    }
    let mut command = cargo(&["test", "--config", "profile.dev.package.\"*\".opt-level=1", "--package", "flumedb"]);
    // The standard library has to be built for it, too: else it does not see what locks order.
    if !has_source() {
        println!("\n── ThreadSanitizer skipped: `rustup component add rust-src` brings the source that it needs");
        return Ok(());
    }
    command.arg("-Zbuild-std");
    // Named, so that what runs during the build is built without it.
    command.args(["--target", "x86_64-unknown-linux-gnu"]);
    command.args(TESTS.iter().flat_map(|test| ["--test", test]));
    // The compiler can do both, but lets only its nightly builds say so.
    command.env("RUSTC_BOOTSTRAP", "1").env("CARGO_TARGET_DIR", root().join("target").join("tsan"));
    command.env("RUSTFLAGS", "-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer");
    run::run("threads under ThreadSanitizer", &mut command)
}

/// Whether the source of the standard library is there.
fn has_source() -> bool {
    let output = Command::new("rustc").args(["--print", "sysroot"]).output();
    let sysroot = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default();
    Path::new(&sysroot).join("lib/rustlib/src/rust/library/Cargo.lock").is_file()
}
