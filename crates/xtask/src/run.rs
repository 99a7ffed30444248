//! Running programs: says what runs, and turns a bad exit into a message.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

/// What a task comes to: nothing, or what went wrong.
pub(crate) type Outcome = Result<(), String>;

/// The directory of the workspace.
pub(crate) fn root() -> PathBuf {
    // Set at compile time to this crate's directory, which is two below.
    let mut root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    root.pop();
    root.pop();
    root
}

/// Where cargo puts what it builds.
pub(crate) fn target() -> PathBuf {
    root().join(std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}

/// The cargo that runs this task, in the workspace.
pub(crate) fn cargo(args: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args).current_dir(root());
    command
}

/// Runs a command to its end, under a heading.
pub(crate) fn run(what: &str, command: &mut Command) -> Outcome {
    println!("\n── {what}");
    let status = command.status().map_err(|error| format!("{what} could not be started: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{what} failed ({status})")) }
}

/// Whether a command runs and ends well; what it prints is not shown.
pub(crate) fn works(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
