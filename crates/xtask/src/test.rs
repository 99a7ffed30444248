//! The quick tests of every crate but the benchmarks, which are no default member for the weight of their peers.

use crate::run::{self, Outcome, cargo};

pub(crate) fn run() -> Outcome {
    run::run("tests", &mut cargo(&["test"]))
}
