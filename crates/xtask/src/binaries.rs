//! Test programs: builds those of some files, and runs one test, or all, of one.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::run::{cargo, root};

/// The file of an integration test, seen from the directory of the workspace: `crates/PACKAGE/tests/NAME.rs`.
pub(crate) type TestFile = String;

/// Built test programs.
pub(crate) struct Binaries(BTreeMap<TestFile, PathBuf>);

/// What came of a run.
pub(crate) struct Run {
    /// The code it ended with; nothing if it was ended.
    pub(crate) code: Option<i32>,
    pub(crate) took: Duration,
    /// All that it printed.
    pub(crate) output: String,
}

impl Binaries {
    /// Builds the programs of these files, cargo with these arguments besides.
    pub(crate) fn build(files: &BTreeSet<TestFile>, arguments: &[&str]) -> Result<Self, String> {
        let mut command = cargo(&["test", "--no-run", "--message-format", "json-render-diagnostics"]);
        command.args(arguments);
        let names: BTreeSet<&str> = files.iter().filter_map(|file| Some(parts(file)?.1)).collect();
        command.args(names.iter().flat_map(|name| ["--test", name]));
        println!("\n── build of {} test programs", files.len());
        let output = command.stderr(Stdio::inherit()).output();
        let output = output.map_err(|error| format!("cargo could not be started: {error}"))?;
        if !output.status.success() {
            return Err(format!("the tests do not build ({})", output.status));
        }
        let built: BTreeMap<TestFile, PathBuf> =
            String::from_utf8_lossy(&output.stdout).lines().filter_map(program).collect();
        match files.iter().find(|file| !built.contains_key(*file)) {
            Some(file) => Err(format!("cargo built no program of {file}")),
            None => Ok(Self(built)),
        }
    }

    /// Runs the program of a file: all its tests, or one. What takes longer than `limit` is ended.
    pub(crate) fn run(
        &self,
        file: &str,
        test: Option<&str>,
        settings: &[(&str, &str)],
        limit: Duration,
    ) -> Result<Run, String> {
        let program = self.0.get(file).ok_or_else(|| format!("there is no program of {file}"))?;
        let failed = |error| format!("{file}: {error}");
        let (log, output) = scratch(file, settings).map_err(failed)?;
        let mut command = Command::new(program);
        command.arg("--nocapture").args(test.into_iter().flat_map(|test| ["--exact", test]));
        command.envs(settings.iter().copied()).stdin(Stdio::null());
        command.current_dir(root().join(file).parent().and_then(Path::parent).unwrap_or(&root()));
        command.stdout(output.try_clone().map_err(failed)?).stderr(output);
        let begun = Instant::now();
        let mut child = command.spawn().map_err(failed)?;
        let code = loop {
            if let Some(status) = child.try_wait().map_err(failed)? {
                break status.code();
            }
            if begun.elapsed() > limit {
                child.kill().and_then(|()| child.wait()).map_err(failed)?;
                break None;
            }
            thread::sleep(Duration::from_millis(10));
        };
        let took = begun.elapsed();
        let output = fs::read(&log).map_err(failed)?;
        fs::remove_file(&log).map_err(failed)?;
        Ok(Run { code, took, output: String::from_utf8_lossy(&output).into_owned() })
    }
}

/// A file of its own for what a run prints.
fn scratch(file: &str, settings: &[(&str, &str)]) -> std::io::Result<(PathBuf, File)> {
    let dir = root().join("target").join("test-runs");
    fs::create_dir_all(&dir)?;
    let words: Vec<&str> = settings.iter().map(|(_, value)| *value).collect();
    let thread = format!("{:?}", thread::current().id());
    let name = format!("{file} {} {thread}", words.join(" ")).replace(|c: char| !c.is_ascii_alphanumeric(), "-");
    let path = dir.join(name);
    Ok((path.clone(), File::create(path)?))
}

impl Run {
    /// How many of its tests passed; nothing if it did not end well.
    pub(crate) fn passed(&self) -> Option<u64> {
        let results = self.output.lines().filter_map(|line| line.split_once("test result: ok. "));
        let passed = results.filter_map(|(_, rest)| rest.split_once(' ')?.0.parse::<u64>().ok()).next_back();
        passed.filter(|_| self.code == Some(0))
    }

    /// The end of what it printed.
    pub(crate) fn end(&self) -> String {
        let lines: Vec<String> = self.output.lines().map(short).collect();
        lines.get(lines.len().saturating_sub(30)..).unwrap_or_default().join("\n")
    }

    /// The figures that its tests told, with their names.
    pub(crate) fn figures(&self) -> Vec<(&str, u64)> {
        // What another test printed may stand before it in its line.
        let told = self.output.lines().filter_map(|line| Some(line.split_once("figure: ")?.1));
        told.filter_map(|told| {
            let (name, cases) = told.split_once(" cases=")?;
            Some((name, cases.split(' ').next()?.parse().ok()?))
        })
        .collect()
    }
}

/// A line, or the beginning of a long one.
pub(crate) fn short(line: &str) -> String {
    const WIDTH: usize = 160;
    match line.char_indices().nth(WIDTH).and_then(|(at, _)| line.get(..at)) {
        Some(beginning) => format!("{beginning}…"),
        None => line.to_owned(),
    }
}

/// The package of a test file, and the name of its program.
pub(crate) fn parts(file: &str) -> Option<(&str, &str)> {
    let (package, name) = file.strip_prefix("crates/")?.split_once("/tests/")?;
    Some((package, name.strip_suffix(".rs")?))
}

/// The file that a line of cargo is about, and the program that was made of it.
fn program(line: &str) -> Option<(TestFile, PathBuf)> {
    let text = |key: &str| {
        let (_, rest) = line.split_once(&format!("\"{key}\":\""))?;
        Some(rest.split_once('"')?.0.replace("\\\\", "\\"))
    };
    let source = PathBuf::from(text("src_path")?);
    let file = source.strip_prefix(root()).ok()?.to_str()?.replace('\\', "/");
    Some((file, PathBuf::from(text("executable")?)))
}
