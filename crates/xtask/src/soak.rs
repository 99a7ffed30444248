//! The long form of the tests that have one. They look at `FLUME_SOAK`, the minutes each of them may take.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::{
    loom,
    run::{self, Outcome, cargo},
    tsan,
};

const MINUTES: &str = "10";

pub(crate) fn run(args: &[String]) -> Outcome {
    let minutes = match args {
        [] => MINUTES,
        [minutes] if minutes.parse::<u32>().is_ok_and(|minutes| minutes > 0) => minutes,
        _ => return Err("soak takes a whole number of minutes, as in `cargo xtask soak 30`".to_owned()),
    };
    // The quick tests always take the same cases of what proptest makes up (.cargo/config.toml); here they are others.
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |time| time.as_micros()).to_string();
    let what = format!("long tests, with PROPTEST_RNG_SEED={seed}");
    // Optimised, but with the checks of a debug build: see the profile in the workspace's Cargo.toml.
    let mut tests = cargo(&["test", "--profile", "soak"]);
    run::run(&what, tests.env("FLUME_SOAK", minutes).env("PROPTEST_RNG_SEED", &seed))?;
    loom::run()?;
    tsan::run()
}
