//! The long form of the tests that have one. They look at `FLUME_SOAK`, the minutes each of them may take.

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
    // Optimised, but with the checks of a debug build: see the profile in the workspace's Cargo.toml.
    run::run("long tests", cargo(&["test", "--profile", "soak"]).env("FLUME_SOAK", minutes))?;
    loom::run()?;
    tsan::run()
}
