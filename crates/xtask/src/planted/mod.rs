//! Tests the tests: builds the simulator's bugs in (`flumedb::env::planted`), and for each runs the test that has to find
//! it. A test must fail with the bug, by an assertion and in less than a minute, and pass without one.

mod list;

use std::{
    collections::BTreeSet,
    fs,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use self::list::BUGS;
use crate::{
    binaries::{Binaries, Run, TestFile, short},
    run::{Outcome, root},
};

/// A bug must be found in this time.
const LIMIT: Duration = Duration::from_secs(60);
/// So many tests run at the same time.
const AT_ONCE: usize = 2;

/// A bug, and the test that has to find it.
pub(crate) struct Planted {
    pub(crate) name: &'static str,
    /// `PACKAGE/NAME`.
    file: &'static str,
    test: &'static str,
}

impl Planted {
    fn file(&self) -> TestFile {
        let (package, name) = self.file.split_once('/').unwrap_or_default();
        format!("crates/{package}/tests/{name}.rs")
    }
}

/// What came of all.
pub(crate) struct Summary {
    pub(crate) bugs: usize,
    pub(crate) took: Duration,
    /// A row for each bug.
    pub(crate) table: String,
}

/// The task: all bugs, or those that are named.
pub(crate) fn run(names: &[String]) -> Outcome {
    match names.iter().find(|name| BUGS.iter().all(|bug| bug.name != **name)) {
        Some(name) => Err(format!("there is no bug {name} in crates/xtask/src/planted/list.rs")),
        None => find(names).map(|summary| print!("\n{}", summary.table)),
    }
}

/// Has the bugs found that are named; all if none is.
pub(crate) fn find(names: &[String]) -> Result<Summary, String> {
    check_list()?;
    let begun = Instant::now();
    let bugs: Vec<&Planted> =
        BUGS.iter().filter(|bug| names.is_empty() || names.iter().any(|name| name == bug.name)).collect();
    let files: BTreeSet<TestFile> = bugs.iter().map(|bug| bug.file()).collect();
    let binaries = Binaries::build(&files, &["--features", "flumedb-sim/planted"])?;
    let tests: BTreeSet<(TestFile, &str)> = bugs.iter().map(|bug| (bug.file(), bug.test)).collect();
    println!("\n── {} bugs, and {} tests without one", bugs.len(), tests.len());
    let jobs: Vec<Job<'_>> = tests.iter().map(Job::Sound).chain(bugs.iter().map(|bug| Job::Planted(bug))).collect();
    let done = each(&jobs, |job| job.run(&binaries));
    let mut table = "| bug | found by | seconds |\n|---|---|---|\n".to_owned();
    let mut wrong = Vec::new();
    for (job, outcome) in jobs.iter().zip(done) {
        match (job, outcome) {
            (Job::Planted(bug), Ok(took)) => {
                let seconds = took.as_secs_f64();
                table += &format!("| {} | `{}.rs`: `{}` | {seconds:.1} |\n", bug.name, bug.file, bug.test);
            }
            (Job::Sound(_), Ok(_)) => {}
            (_, Err(error)) => wrong.push(error),
        }
    }
    if wrong.is_empty() {
        Ok(Summary { bugs: bugs.len(), took: begun.elapsed(), table })
    } else {
        Err(wrong.join("\n"))
    }
}

enum Job<'a> {
    /// Without a bug the test must pass.
    Sound(&'a (TestFile, &'static str)),
    Planted(&'a Planted),
}

impl Job<'_> {
    fn run(&self, binaries: &Binaries) -> Result<Duration, String> {
        let (file, test, bug) = match self {
            Self::Sound((file, test)) => (file.clone(), *test, ""),
            Self::Planted(bug) => (bug.file(), bug.test, bug.name),
        };
        let run = binaries.run(&file, Some(test), &[("FLUME_PLANTED", bug)], LIMIT)?;
        let seconds = run.took.as_secs_f64();
        let of = format!("{test} in {file}");
        match self {
            Self::Sound(_) if run.passed() == Some(1) => Ok(run.took),
            Self::Sound(_) if run.passed() == Some(0) => Err(format!("there is no test {of}")),
            Self::Sound(_) => Err(format!("{of} fails although no bug was chosen:\n{}", run.end())),
            Self::Planted(_) if run.code.is_none() => Err(format!("{bug}: {of} was not done after {seconds:.0} s")),
            Self::Planted(_) if run.passed().is_some() => {
                Err(format!("{bug}: {of} does not find it ({seconds:.1} s): a test is missing"))
            }
            Self::Planted(_) if !failed_by_assertion(&run, test) => {
                Err(format!("{bug}: {of} ends, but not by an assertion:\n{}", run.end()))
            }
            Self::Planted(_) => {
                println!("{bug}: found in {seconds:.1} s: {}", reason(&run));
                Ok(run.took)
            }
        }
    }
}

/// Whether the test was run and failed, and did not end the process otherwise.
fn failed_by_assertion(run: &Run, test: &str) -> bool {
    run.output.contains("panicked at")
        && run.output.contains("test result: FAILED. 0 passed; 1 failed")
        && run.output.contains(test)
}

/// The line that says what was wrong first.
fn reason(run: &Run) -> String {
    let mut lines = run.output.lines().skip_while(|line| !line.contains("panicked at"));
    lines.next();
    lines.find(|line| !line.trim().is_empty()).map(short).unwrap_or_default()
}

/// Does `work` for each, two at a time; what came of them, in order.
fn each<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(at) else { return };
                    let outcome = work(item);
                    done.lock().unwrap_or_else(PoisonError::into_inner).push((at, outcome));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, outcome)| outcome).collect()
}

/// Each bug that can be chosen has a test in the list, and the list names no other.
pub(crate) fn check_list() -> Outcome {
    let source = root().join("crates/flumedb/src/env/planted.rs");
    let text = fs::read_to_string(&source).map_err(|error| format!("{}: {error}", source.display()))?;
    let names =
        text.lines().filter_map(|line| line.trim().strip_suffix("\",")?.split_once(" = \"").map(|(_, name)| name));
    let known: BTreeSet<&str> = names.collect();
    let listed: BTreeSet<&str> = BUGS.iter().map(|bug| bug.name).collect();
    let wrong: Vec<String> = known
        .difference(&listed)
        .map(|name| format!("the bug {name} has no test in crates/xtask/src/planted/list.rs"))
        .chain(
            listed
                .difference(&known)
                .map(|name| format!("crates/xtask/src/planted/list.rs names {name}, which is no bug")),
        )
        .collect();
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}
