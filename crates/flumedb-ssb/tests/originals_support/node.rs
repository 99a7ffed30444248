//! [`Originals`], the JavaScript libraries, if this machine can run them.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

use serde_json::Value;

/// The original libraries, installed.
#[derive(Clone, Copy)]
pub(crate) struct Originals(());

impl Originals {
    /// Installs them if need be. Where that cannot be, says on standard error why the test `name` is skipped.
    pub(crate) fn find(name: &str) -> Option<Self> {
        static FOUND: OnceLock<Result<(), String>> = OnceLock::new();
        match FOUND.get_or_init(install) {
            Ok(()) => Some(Self(())),
            Err(why) => {
                // Not by a macro of print: the test harness would keep that to itself.
                let line = format!("originals: {name} is SKIPPED, nothing was compared with the originals: {why}\n");
                let _ = std::io::stderr().write_all(line.as_bytes());
                None
            }
        }
    }

    /// Lets one process do all `jobs`, and gives the answer to each.
    pub(crate) fn run(self, dir: &Path, jobs: &[Value]) -> Vec<Value> {
        let (asked, answered) = (dir.join("jobs.json"), dir.join("answers.json"));
        std::fs::write(&asked, serde_json::to_vec(jobs).unwrap()).unwrap();
        let status = Command::new("node").arg(folder().join("originals.js")).arg(&asked).arg(&answered).status();
        assert!(status.unwrap().success(), "the original libraries failed");
        let answers: Vec<Value> = serde_json::from_slice(&std::fs::read(&answered).unwrap()).unwrap();
        assert_eq!(answers.len(), jobs.len());
        answers
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/node")
}

fn install() -> Result<(), String> {
    let version = Command::new("node").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !version.is_ok_and(|status| status.success()) {
        return Err("there is no `node` on this machine".to_owned());
    }
    // npm writes this file when all is in place.
    if folder().join("node_modules/.package-lock.json").is_file() {
        return Ok(());
    }
    let install = Command::new("npm")
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
        .current_dir(folder())
        .stdout(Stdio::null())
        .output();
    match install {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("`npm ci` failed: {}", String::from_utf8_lossy(&output.stderr).trim())),
        Err(error) => Err(format!("there is no `npm` on this machine ({error})")),
    }
}
