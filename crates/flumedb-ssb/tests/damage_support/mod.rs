//! [`Original`], a log as it was written, and the [`Outcome`] of damage to a copy of it.
#![allow(unreachable_pub, reason = "a module of a test")]

mod written;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Mutex,
};

use flumedb::{Env, ErrorKind};
use flumedb_sim::on_all_cores;
use flumedb_ssb::{Format, any};
use futures_util::FutureExt;

use crate::common::{Read, put, readable};

/// What a damaged log shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// All that was in it, and a check finds nothing.
    Exact,
    /// Nothing but what was in it; what is missing, or damaged where no entry is, a check finds.
    Told,
    /// Nothing but what was in it; entries at the end are missing, and nothing says so.
    Silent,
    /// An entry has other bytes, or reads as deleted.
    Changed,
    /// An entry that never was.
    MadeUp,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Exact => "exact",
            Self::Told => "told",
            Self::Silent => "silent",
            Self::Changed => "changed",
            Self::MadeUp => "made up",
        })
    }
}

/// A log as it was written.
pub struct Original {
    format: Format,
    /// The files with their bytes.
    files: Vec<(String, Vec<u8>)>,
    read: Read,
    /// For each entry how many bytes of each file it stands or falls with.
    needs: Vec<Vec<usize>>,
}

impl Original {
    /// What it shows with other bytes in place of those of a file.
    fn damaged(&self, file: usize, bytes: &[u8], mend: bool) -> Outcome {
        let env = self.machine(file, bytes);
        let read = read_in(&env, self.format);
        let report = any::check(&env, "log", Some(self.format));
        let told = !report.as_ref().is_ok_and(|report| report.is_ok());
        if mend {
            self.mend(&env, read.as_ref());
        }
        let Some(read) = read else {
            assert!(told, "what cannot be opened is told");
            return Outcome::Told;
        };
        let sound = &self.files[file].1;
        let first = sound.iter().zip(bytes).take_while(|(sound, now)| sound == now).count();
        for (entry, needs) in self.read.iter().zip(&self.needs) {
            assert!(needs[file] > first || read.contains(entry), "{} before byte {first} is lost", entry.0);
        }
        let seqs: BTreeSet<u64> = self.read.iter().map(|entry| entry.0).collect();
        if read.iter().any(|entry| !seqs.contains(&entry.0)) {
            return Outcome::MadeUp;
        }
        if read.iter().any(|entry| !self.read.contains(entry)) {
            return Outcome::Changed;
        }
        match (told, read.len() == self.read.len()) {
            (true, _) => Outcome::Told,
            (false, true) => Outcome::Exact,
            (false, false) => {
                assert!(self.read.starts_with(&read), "entries are missing in the middle, and nothing says so");
                Outcome::Silent
            }
        }
    }

    /// A machine with the log on it, one of whose files has these bytes.
    fn machine(&self, file: usize, bytes: &[u8]) -> Env {
        let env = Env::memory();
        if self.format.is_directory() {
            env.storage.create_dir_all("log".as_ref()).unwrap();
        }
        for (at, (name, sound)) in self.files.iter().enumerate() {
            put(&env, name, if at == file { bytes } else { sound });
        }
        env
    }

    fn mend(&self, env: &Env, before: Option<&Read>) {
        if let Err(error) = any::repair(env, "log", Some(self.format), true) {
            let kinds = [ErrorKind::Corrupt, ErrorKind::Invalid, ErrorKind::Unsupported];
            assert!(kinds.contains(&error.kind()), "{error}");
            return;
        }
        let report = any::check(env, "log", Some(self.format)).unwrap();
        assert!(report.is_ok(), "{report:?}");
        let after = read_in(env, self.format).unwrap();
        for entry in before.into_iter().flatten() {
            assert!(after.contains(entry), "mending took entry {}", entry.0);
        }
    }

    /// Does `change` to a copy of each file, so many times as `times` says for one of its length, and gives what was shown.
    pub fn each(&self, times: fn(usize) -> usize, change: fn(&mut Vec<u8>, usize)) -> BTreeMap<Outcome, usize> {
        let seen = Mutex::new(BTreeMap::new());
        for (file, (name, sound)) in self.files.iter().enumerate() {
            on_all_cores(times(sound.len()), |number| {
                let mut bytes = sound.clone();
                change(&mut bytes, number);
                if bytes == *sound {
                    return;
                }
                let outcome = std::panic::catch_unwind(|| self.damaged(file, &bytes, number % 5 == 0));
                let outcome = outcome.unwrap_or_else(|_| panic!("{}: {name}, change {number}", self.format));
                *seen.lock().unwrap().entry(outcome).or_insert(0) += 1;
            });
        }
        seen.into_inner().unwrap()
    }
}

/// What can be read; nothing if it does not open.
fn read_in(env: &Env, format: Format) -> Option<Read> {
    let opened = match any::builder().env(env.clone()).format(format).open("log") {
        Ok(opened) => opened,
        Err(error) => {
            let kinds = [ErrorKind::Corrupt, ErrorKind::Invalid, ErrorKind::Unsupported];
            assert!(kinds.contains(&error.kind()), "{error}");
            return None;
        }
    };
    let read = readable(&*opened.log).now_or_never().unwrap().0;
    assert!(read.is_sorted_by_key(|entry| entry.0));
    Some(read)
}
