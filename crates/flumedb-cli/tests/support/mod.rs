//! Runs the program as other programs do, and has logs to run it on.
#![allow(dead_code, reason = "each test file uses its part")]

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Output, Stdio},
    time::Duration,
};

/// What a run gave.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) lines: Vec<String>,
    pub(crate) err: String,
}

impl Ran {
    fn from(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let lines = text(&output.stdout).lines().map(str::to_owned).collect();
        Self { code: output.status.code().unwrap_or(-1), lines, err: text(&output.stderr) }
    }

    /// The lines of a run that went well and had nothing to say.
    #[track_caller]
    pub(crate) fn fine(self) -> Vec<String> {
        assert_eq!((self.code, &*self.err), (0, ""), "{self:?}");
        self.lines
    }

    /// The lines of a run that ended with `code` and one clear sentence.
    #[track_caller]
    pub(crate) fn failed(self, code: i32) -> Vec<String> {
        assert_eq!(self.code, code, "{self:?}");
        assert_eq!(self.err.lines().count(), 1, "{self:?}");
        assert!(self.err.starts_with("flume: ") && !self.err.contains("panicked"), "{self:?}");
        self.lines
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        assert_eq!(self.lines.len(), 1, "{self:?}");
        serde_json::from_str(&self.lines[0]).unwrap()
    }
}

fn command(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flume"));
    command.args(args).current_dir(dir).stdin(Stdio::null());
    command
}

/// Runs `flume ARGS…` in `dir`.
pub(crate) fn flume(dir: &Path, args: &[&str]) -> Ran {
    Ran::from(&command(dir, args).output().unwrap())
}

/// The same with something on standard input.
pub(crate) fn flume_with(dir: &Path, args: &[&str], input: impl AsRef<[u8]>) -> Ran {
    let mut command = command(dir, args);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.as_ref().to_vec();
    // Whoever stops reading early is not to be waited for.
    let feed = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let ran = Ran::from(&child.wait_with_output().unwrap());
    feed.join().unwrap();
    ran
}

/// The same with standard output going to a file.
pub(crate) fn flume_into(dir: &Path, args: &[&str], path: &str) -> Ran {
    let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    Ran::from(&command(dir, args).stdout(file).output().unwrap())
}

/// A run that goes on; it ends with this value.
pub(crate) struct Running {
    pub(crate) child: Child,
    out: Option<BufReader<ChildStdout>>,
}

impl Running {
    pub(crate) fn start(dir: &Path, args: &[&str]) -> Self {
        let mut child = command(dir, args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let out = child.stdout.take().map(BufReader::new);
        Self { child, out }
    }

    /// Waits for the next line.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.out.as_mut().unwrap().read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Listens no more, and waits for the end.
    pub(crate) fn hang_up(mut self) -> i32 {
        self.out = None;
        self.child.wait().unwrap().code().unwrap_or(-1)
    }

    /// How it ended, if it does within this time.
    pub(crate) fn ends_within(&mut self, patience: Duration) -> Option<i32> {
        const LOOK: Duration = Duration::from_millis(1);
        let mut waited = Duration::ZERO;
        loop {
            match self.child.try_wait().unwrap() {
                Some(status) => return Some(status.code().unwrap_or(-1)),
                None if waited >= patience => return None,
                None => std::thread::sleep(LOOK),
            }
            waited += LOOK;
        }
    }

    pub(crate) fn send(&mut self, text: &str) {
        self.child.stdin.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn temp() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// A file that flumelog-offset wrote.
pub(crate) fn vector(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../flumedb-ssb/fixtures/offset").join(name)
}

/// A copy of it that can be written to.
pub(crate) fn copy(dir: &Path, name: &str) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, std::fs::read(vector(name)).unwrap()).unwrap();
    path
}

/// The sample log: 1000 Scuttlebutt messages.
pub(crate) fn sample() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../samples/ssb.offset");
    path.canonicalize().unwrap().to_str().unwrap().to_owned()
}

/// A database of flume's own with these entries.
pub(crate) fn database(dir: &Path, name: &str, values: &[&str]) {
    let lines = values.iter().map(|value| format!("{value}\n")).collect::<String>();
    assert_eq!(flume_with(dir, &["append", name], lines).fine().len(), values.len());
}

/// Every file below `dir` and what is in it.
pub(crate) fn files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                found.push((path.clone(), std::fs::read(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}
