//! Holds what `Cargo.lock` names against `deny.toml`: licences and where crates come from, always; what is known to be
//! wrong with them, where the database of that (RustSec's) can be fetched. What is not installed or not to be reached is
//! skipped, with a line that says so.

use std::{env, path::PathBuf, process::Command};

use crate::run::{self, Outcome, cargo, root, works};

/// Where `.ci/run` puts programs that it installs.
const TOOLS: &str = "target/tools/bin";

pub(crate) fn run() -> Outcome {
    if !works(&mut tool(&["deny", "--version"])?) {
        println!("\n── audit skipped: cargo-deny is not installed (`cargo install --locked cargo-deny`)");
        return Ok(());
    }
    run::run("licences and sources of dependencies", &mut tool(&["deny", "check", "licenses", "bans", "sources"])?)?;
    if !works(&mut tool(&["deny", "fetch", "db"])?) {
        println!("\n── advisories skipped: RustSec's database could not be fetched");
        return Ok(());
    }
    run::run("advisories about dependencies", &mut tool(&["deny", "check", "--disable-fetch", "advisories"])?)?;
    if !works(&mut tool(&["audit", "--version"])?) {
        println!("\n── cargo audit skipped: it is not installed (`cargo install --locked cargo-audit`)");
        return Ok(());
    }
    run::run("advisories, as cargo audit has them", &mut tool(&["audit", "--deny", "warnings"])?)
}

/// Cargo with a subcommand that may be among the tools.
fn tool(args: &[&str]) -> Result<Command, String> {
    let old = env::var_os("PATH").unwrap_or_default();
    let paths: Vec<PathBuf> = [root().join(TOOLS)].into_iter().chain(env::split_paths(&old)).collect();
    let paths = env::join_paths(paths).map_err(|error| format!("PATH cannot be extended: {error}"))?;
    let mut command = cargo(args);
    command.env("PATH", paths);
    Ok(command)
}
