//! Tests with many threads under ThreadSanitizer, which sees two of them touch the same memory with nothing to order them.

use crate::run::{self, Outcome, cargo, root};

/// By file.
const TESTS: [&str; 5] = ["read_your_writes", "subscribers", "lifetime", "collection_concurrent", "view_sharing"];

pub(crate) fn run() -> Outcome {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu")) {
        println!("\n── ThreadSanitizer skipped: it is run on Linux with x86-64 only");
        return Ok(());
    }
    let mut command = cargo(&["test", "--config", "profile.dev.package.\"*\".opt-level=1", "--package", "flumedb"]);
    // Named, so that what runs during the build is built without it.
    command.args(["--target", "x86_64-unknown-linux-gnu"]);
    command.args(TESTS.iter().flat_map(|test| ["--test", test]));
    // The standard library is not built for it; its atomics and locks are inlined into what is. The compiler has it, but
    // lets only its nightly builds say so.
    command.env("RUSTC_BOOTSTRAP", "1").env("CARGO_TARGET_DIR", root().join("target").join("tsan"));
    command.env("RUSTFLAGS", "-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer");
    run::run("threads under ThreadSanitizer", &mut command)
}
