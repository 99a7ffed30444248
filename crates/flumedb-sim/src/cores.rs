//! [`on_all_cores`], for tests with many independent cases.
#![allow(clippy::disallowed_methods, reason = "each case has a simulated machine of its own; the cases share nothing")]

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

/// Runs `case` for every number below `count`, on as many threads as there are cores. A case that panics says which
/// number it was, and ends the test.
///
/// # Panics
/// If a case does.
pub fn on_all_cores(count: usize, case: impl Fn(usize) + Sync) {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return;
                    }
                    let _case = Case(number);
                    case(number);
                }
            });
        }
    });
}

struct Case(usize);

impl Drop for Case {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("in case {}", self.0);
        }
    }
}

/// Says how many cases the test `name` has gone through, in the one form that `cargo xtask promises` collects.
pub fn figure(name: &str, cases: u64) {
    println!("figure: {name} cases={cases}");
}

/// How far tests with a long form go: `long` if `FLUME_SOAK` is set, else `quick`.
pub fn soak_or<T>(long: T, quick: T) -> T {
    if soak_minutes().is_some() { long } else { quick }
}

/// Runs `case` for the numbers from 0 on: `quick` of them or, if `FLUME_SOAK` is set, for so many minutes. Says how many
/// there were.
///
/// # Panics
/// If a case does.
pub fn soak_or_count(quick: usize, case: impl Fn(usize) + Sync) -> usize {
    let Some(minutes) = soak_minutes() else {
        on_all_cores(quick, case);
        return quick;
    };
    let (start, end) = (Instant::now(), Duration::from_secs(60 * minutes));
    let mut done = 0;
    while start.elapsed() < end {
        on_all_cores(quick, |number| case(done + number));
        done += quick;
    }
    done
}

/// `FLUME_SOAK`, the minutes that a test may take.
pub fn soak_minutes() -> Option<u64> {
    let minutes = std::env::var_os("FLUME_SOAK")?;
    Some(minutes.to_str().and_then(|minutes| minutes.parse().ok()).unwrap_or(10))
}
