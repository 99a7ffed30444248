//! The models of `flumedb-loom`: group commit and subscriptions in every order of their threads. In a build of its own,
//! since all of it is compiled for loom.

use crate::run::{self, Outcome, cargo, root};

pub(crate) fn run() -> Outcome {
    let mut command = cargo(&["test", "--profile", "loom", "--package", "flumedb-loom"]);
    command.env("RUSTFLAGS", "--cfg loom").env("CARGO_TARGET_DIR", root().join("target").join("loom"));
    run::run("models of threads", &mut command)
}
