//! Runs the tests that `docs/durability.md` names for each promise, and puts what each has done in a table: how many cases
//! it went through, how long that took, and at which commit. The document is the list; the table in it is kept by this
//! task.

mod document;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    process::Command,
    time::{Duration, Instant},
};

pub(crate) use self::document::promises;
use self::document::{Figure, PAGE, Promise, Rows};
use crate::{
    binaries::{Binaries, Run, TestFile},
    planted,
    run::{Outcome, root},
};

/// More than any of them takes in the quick form.
const LIMIT: Duration = Duration::from_secs(30 * 60);

pub(crate) fn run(arguments: &[String]) -> Outcome {
    let (mut minutes, mut write) = (None, false);
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "--write" => write = true,
            "--soak" => {
                let number = rest.next().filter(|number| number.parse::<u32>().is_ok_and(|number| number > 0));
                minutes = Some(number.ok_or("--soak takes a whole number of minutes, as in `--soak 10`")?);
            }
            other => return Err(format!("promises does not know `{other}`; it takes --soak MINUTES and --write")),
        }
    }
    let page = root().join(PAGE);
    let text = fs::read_to_string(&page).map_err(|error| format!("{PAGE}: {error}"))?;
    let promises = promises(&text)?;
    let mut rows = Rows::read(&text)?;
    let commit = commit()?;
    let mut wrong = Vec::new();

    let files: BTreeSet<TestFile> = promises.iter().flat_map(|promise| promise.files.iter().cloned()).collect();
    // Optimised in the long form, as in `cargo xtask soak`.
    let arguments: &[&str] = if minutes.is_some() { &["--profile", "soak"] } else { &[] };
    let binaries = Binaries::build(&files, arguments)?;
    let mut figures = BTreeMap::new();
    for file in &files {
        println!("\n── {file}");
        let settings: Vec<(&str, &str)> = minutes.iter().map(|minutes| ("FLUME_SOAK", minutes.as_str())).collect();
        let limit = if minutes.is_some() { Duration::MAX } else { LIMIT };
        let run = binaries.run(file, None, &settings, limit)?;
        match figure(&run, &commit) {
            Ok(figure) => {
                println!("{figure}");
                figures.insert(file.clone(), figure);
            }
            Err(error) => wrong.push(format!("{file} {error}")),
        }
    }
    let long = minutes.is_some();
    promises.iter().for_each(|promise| rows.put(promise, &figures, long));
    rows.keep(&promises);
    if !long {
        let begun = Instant::now();
        match planted::find(&[]) {
            Ok(summary) => {
                let seconds = begun.elapsed().as_secs();
                let commit = &commit;
                println!("{} bugs were put in and found, in {} s", summary.bugs, summary.took.as_secs());
                rows.planted =
                    format!("{} bugs, each found, in {seconds} s at {commit}.\n\n{}", summary.bugs, summary.table);
            }
            Err(error) => wrong.push(error),
        }
    }
    println!("\n{}", rows.table(&promises));
    if write {
        fs::write(&page, rows.write(&text, &promises)?).map_err(|error| format!("{PAGE}: {error}"))?;
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}

/// What the tests of a file have done.
fn figure(run: &Run, commit: &str) -> Result<Figure, String> {
    let Some(tests) = run.passed() else {
        return Err(format!("fails:\n{}", run.end()));
    };
    let cases: u64 = run.figures().iter().map(|(_, cases)| cases).sum();
    Ok(Figure { tests, cases, seconds: run.took.as_secs_f64(), commit: commit.to_owned() })
}

/// The commit that is checked out, and whether something has changed since.
fn commit() -> Result<String, String> {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).current_dir(root()).output();
        let output = output.map_err(|error| format!("git could not be started: {error}"))?;
        Ok::<_, String>(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let commit = git(&["rev-parse", "--short=10", "HEAD"])?;
    let changed = !git(&["status", "--porcelain", "--untracked-files=no"])?.is_empty();
    Ok(format!("{}{}", if commit.is_empty() { "no commit" } else { &commit }, if changed { "+" } else { "" }))
}

impl Promise {
    /// A promise without a test is none.
    pub(crate) fn check(&self) -> Outcome {
        if self.files.is_empty() {
            return Err(format!("{PAGE}: promise {} names no test", self.title));
        }
        match self.files.iter().find(|file| !root().join(file).is_file()) {
            Some(file) => Err(format!("{PAGE}: promise {} names {file}, which is not there", self.title)),
            None => Ok(()),
        }
    }
}
