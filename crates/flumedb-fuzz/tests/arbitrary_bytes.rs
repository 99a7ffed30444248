//! Every decoder takes arbitrary bytes. The failure it guards against: a file from elsewhere, or from a bad disk, that makes
//! the program panic, hang, or ask for memory by a number that it found there.
//!
//! Each target replays its corpus (`fuzz/corpus/NAME`) and then runs changed inputs for ten seconds, under `cargo xtask
//! soak` for as many minutes as that is told. The input that is being run is always in `target/tmp/fuzz-NAME`, and each
//! follows from a number: `FLUME_FUZZ_SEED` begins with it, the quick form with 1.
#![allow(clippy::unwrap_used, clippy::panic, reason = "what cannot be read ends the test")]
#![allow(clippy::disallowed_methods, reason = "the corpus lies on the real disk, and so much real time is spent")]

mod support;

use std::{
    fs,
    io::{Seek, Write},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use flumedb_fuzz::{Mutator, TARGETS, Target};
use support::{
    meter::{self, Meter, Usage},
    watchdog::Watchdog,
};

#[global_allocator]
static METER: Meter = Meter;

/// What one allocation may be larger than the input by.
const MORE: usize = 1 << 20;

/// What all that is held at one time may come to: the machine under the log holds the input a few times over.
fn held(input: usize) -> usize {
    64 * input + (8 << 20)
}

macro_rules! tests {
    ($($name:ident),+ $(,)?) => {
        $(
            #[test]
            fn $name() {
                hold(stringify!($name));
            }
        )+
    };
}

flumedb_fuzz::targets!(tests);

fn hold(name: &'static str) {
    let target = TARGETS.iter().find(|target| target.name == name).expect("it is in the list");
    let corpus = corpus(name);
    let input = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{name}"));
    let kept = fs::File::create(&input).unwrap();
    let runner = Runner { target, watchdog: Watchdog::new(name, input.display().to_string()), input, kept };
    for (path, bytes) in &corpus {
        runner.run(bytes, &path.display());
    }
    let inputs: Vec<Vec<u8>> = corpus.into_iter().map(|(_, bytes)| bytes).collect();
    let mutator = Mutator::new(&inputs);
    let (first, end) = (seed(), Instant::now() + time());
    let mut seed = first;
    while Instant::now() < end {
        runner.run(&mutator.mutate(seed), &format_args!("FLUME_FUZZ_SEED={seed}"));
        seed = seed.wrapping_add(1);
    }
    println!("{name}: {} of the corpus and {} changed, from {first} on", inputs.len(), seed.wrapping_sub(first));
}

/// Runs inputs of one target and holds them to what is promised.
struct Runner<'a> {
    target: &'a Target,
    watchdog: Watchdog,
    input: PathBuf,
    /// That file. It stays open, as making it anew each time would take longer than the run.
    kept: fs::File,
}

impl Runner<'_> {
    fn run(&self, bytes: &[u8], origin: &dyn std::fmt::Display) {
        // Before, so that it is there even if the process does not come back.
        (&self.kept).rewind().and_then(|()| (&self.kept).write_all(bytes)).unwrap();
        self.kept.set_len(bytes.len() as u64).unwrap();
        let told = Told { name: self.target.name, origin, input: &self.input };
        let Usage { largest, peak, .. } = meter::measure(|| (self.target.run)(bytes));
        let len = bytes.len();
        assert!(largest <= len + MORE, "{len} bytes of input, and {largest} bytes of memory asked for at once");
        assert!(peak <= held(len), "{len} bytes of input, and {peak} bytes of memory held at one time");
        self.watchdog.pat();
        drop(told);
    }
}

/// Says which input it was when a run fails.
struct Told<'a> {
    name: &'a str,
    origin: &'a dyn std::fmt::Display,
    input: &'a Path,
}

impl Drop for Told<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            let kept = self.input.with_added_extension("failed");
            let copied = fs::copy(self.input, &kept);
            eprintln!("{} failed on {}, kept in {} ({copied:?})", self.name, self.origin, kept.display());
        }
    }
}

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}

/// The kept inputs of a target, by name.
fn corpus(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let dir = fuzz().join("corpus").join(name);
    let files = fs::read_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let mut paths: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{} is empty", dir.display());
    paths.into_iter().map(|path| (path.clone(), fs::read(&path).unwrap())).collect()
}

/// The first seed. The quick form always runs the same inputs, so that it does not fail by chance on a change that has
/// nothing to do with it; the long form runs new ones.
fn seed() -> u64 {
    match (std::env::var("FLUME_FUZZ_SEED"), std::env::var_os("FLUME_SOAK")) {
        (Ok(named), _) => named.parse().expect("FLUME_FUZZ_SEED is a number"),
        (Err(_), Some(_)) => SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64,
        (Err(_), None) => 1,
    }
}

fn time() -> Duration {
    let minutes = std::env::var("FLUME_SOAK").ok();
    minutes.map_or(Duration::from_secs(10), |minutes| Duration::from_secs(60 * minutes.parse().unwrap_or(10)))
}

/// The failure: a target that is in one list and not in another, and is never run.
#[test]
fn every_target_is_run_here_and_by_cargo_fuzz() {
    let listed: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
    for name in listed {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "fuzz/Cargo.toml has no {name}");
        let program = fs::read_to_string(fuzz().join(format!("fuzz_targets/{name}.rs"))).unwrap();
        assert!(program.contains(&format!("flumedb_fuzz::{name}(")), "{program}");
    }
}
