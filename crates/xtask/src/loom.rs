//! The models of `flumedb-loom`: group commit and subscriptions in every order of their threads. In a build of its own,
//! since all of it is compiled for loom.

use std::process::Command;

use crate::run::{self, Outcome, cargo, root};

pub(crate) fn run() -> Outcome {
    run::run("models of threads", &mut models("test"))
}

/// Whether they can be built at all: what they are built of is changed every day, and they are run seldom.
pub(crate) fn check() -> Outcome {
    run::run("models of threads, types only", models("check").arg("--tests"))
}

fn models(command: &str) -> Command {
    let mut command = cargo(&[command, "--profile", "loom", "--package", "flumedb-loom"]);
    command.env("RUSTFLAGS", "--cfg loom").env("CARGO_TARGET_DIR", root().join("target").join("loom"));
    command
}
