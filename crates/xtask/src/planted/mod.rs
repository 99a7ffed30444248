//! Tests the tests: builds the simulator's bugs in (`flumedb::env::planted`), and for each runs the test that has to find
//! it. A test must fail with the bug, by an assertion and in less than a minute.

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
    println!("\n── {} bugs", bugs.len());
    let done = each(&bugs, |bug| bug.is_found(&binaries));
    let mut table = "| bug | found by | seconds |\n|---|---|---|\n".to_owned();
    let mut wrong = Vec::new();
    for (bug, outcome) in bugs.iter().zip(done) {
        match outcome {
            Ok(took) => {
                let seconds = took.as_secs_f64();
                table += &format!("| {} | `{}.rs`: `{}` | {seconds:.1} |\n", bug.name, bug.file, bug.test);
            }
            Err(error) => wrong.push(error),
        }
    }
    if wrong.is_empty() {
        Ok(Summary { bugs: bugs.len(), took: begun.elapsed(), table })
    } else {
        Err(wrong.join("\n"))
    }
}

impl Planted {
    /// Runs its test with it. That the test passes without it, the ordinary run of all tests shows.
    fn is_found(&self, binaries: &Binaries) -> Result<Duration, String> {
        let Self { name, test, .. } = self;
        let file = self.file();
        let run = binaries.run(&file, Some(test), &[("FLUME_PLANTED", name)], LIMIT)?;
        let seconds = run.took.as_secs_f64();
        if run.code.is_none() {
            return Err(format!("{name}: {test} in {file} was not done after {seconds:.0} s"));
        }
        match run.passed() {
            Some(0) => Err(format!("{name}: there is no test {test} in {file}")),
            Some(_) => Err(format!("{name}: {test} in {file} does not find it ({seconds:.1} s): a test is missing")),
            None if !failed_by_assertion(&run, test) => {
                Err(format!("{name}: {test} in {file} ends, but not by an assertion:\n{}", run.end()))
            }
            None => {
                println!("{name}: found in {seconds:.1} s: {}", reason(&run));
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
