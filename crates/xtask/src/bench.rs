//! Builds the benchmarks with optimisation and runs them. Their results are printed and kept in `target/bench`.

use crate::run::{self, Outcome, cargo};

pub(crate) fn run(args: &[String]) -> Outcome {
    // Some of them run the program itself.
    run::run("the program", &mut cargo(&["build", "--release", "--package", "flumedb-cli"]))?;
    run::run("benchmarks", cargo(&["run", "--release", "--package", "flumedb-bench", "--"]).args(args))
}
