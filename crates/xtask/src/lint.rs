//! Documents, formatting, clippy (of the benches, too, which nothing else looks at) and documentation, in which a warning is
//! an error; and the types of what is built apart.

use crate::{
    docs, loom,
    run::{self, Outcome, cargo, works},
};

pub(crate) fn run() -> Outcome {
    docs::run()?;
    if has("fmt", "rustfmt")? {
        run::run("formatting", &mut cargo(&["fmt", "--all", "--check"]))?;
    }
    if has("clippy", "clippy")? {
        run::run("clippy", &mut cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    }
    run::run("documentation", cargo(&["doc", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))?;
    loom::check()
}

/// Whether cargo has a command. Some ways to install Rust leave rustfmt and clippy out: then their part is skipped,
/// with a line that says so, except in CI.
fn has(command: &str, component: &str) -> Result<bool, String> {
    if works(&mut cargo(&[command, "--version"])) {
        return Ok(true);
    }
    let message = format!("{component} is not installed (`rustup component add {component}`)");
    if std::env::var_os("CI").is_some() {
        return Err(message);
    }
    println!("\n── {component} skipped: {message}");
    Ok(false)
}
