//! Builds the benchmarks with optimisation and runs them. Their results are printed and kept in `target/bench`.

use crate::run::{self, Outcome, cargo};

pub(crate) fn run(args: &[String]) -> Outcome {
    run::run("benchmarks", cargo(&["run", "--release", "--package", "flumedb-bench", "--"]).args(args))
}
