//! Guards against damage that one format of other people's logs takes worse than is said: a small log of each is cut after
//! every byte, every bit of it is turned, and its sectors are zeroed, swapped and written over one another. What a log shows
//! then is held against what was in it, and the words for that against the table in `docs/durability.md`.
//!
//! Whatever the damage: nothing panics or hangs, a record before the damage is there as it was, what is missing is told
//! unless the cut lies between two records, and a repair leaves a log without damage in which everything still is that could
//! be read.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod common;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Mutex,
};

use common::{Read, content, readable};
use flumedb::{Env, ErrorKind, Seq, env::OpenMode, log::Batch};
use flumedb_sim::{SECTOR, figure, on_all_cores};
use flumedb_ssb::{Format, any};
use futures_util::FutureExt;

const FORMATS: [&str; 7] = ["offset32", "offset48", "offset53", "offset-basic", "aligned:2048", "aaol:2048", "offset2"];

/// What a damaged log shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
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
struct Original {
    format: Format,
    /// The files with their bytes.
    files: Vec<(&'static str, Vec<u8>)>,
    read: Read,
    /// For each entry how many bytes of each file it stands or falls with.
    needs: Vec<Vec<usize>>,
}

impl Original {
    /// A log with entries of text, of small numbers that look like lengths, and of nothing where that can be; two are
    /// deleted.
    fn new(format: Format, entries: usize) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let env = Env::memory();
        let opened = any::builder().env(env.clone()).format(format).create().open("log").unwrap();
        let mut sizes = Vec::new();
        for number in 0..entries {
            let payload = match number % 4 {
                // With a whole sector in it, and more.
                _ if number == 30 => vec![b'y'; 1500],
                0 => format!("{{\"number\":{number},\"text\":\"{}\"}}", "x".repeat(number * 11 % 40)).into_bytes(),
                1 => (0..number % 23).flat_map(|byte| [0, byte as u8]).collect(),
                2 => vec![number as u8; 1 + number * 7 % 60],
                _ => (0..number as u8 % 19).flat_map(|byte| [0, 0, 0, byte % 5]).collect(),
            };
            let mut batch = Batch::new();
            batch.push(&payload);
            match runtime.block_on(opened.log.append(batch)) {
                Ok(_) => sizes.push(payload.len()),
                // Zeros, or nothing where nothing cannot be told from zeros.
                Err(error) => assert_eq!(error.kind(), ErrorKind::Invalid, "{error}"),
            }
        }
        let seqs: Vec<Seq> = runtime.block_on(readable(&*opened.log)).0.iter().map(|entry| Seq::new(entry.0)).collect();
        runtime.block_on(opened.log.delete(&[seqs[3], seqs[6]])).unwrap();
        let (read, damage) = runtime.block_on(readable(&*opened.log));
        assert!(damage.is_empty());
        runtime.block_on(opened.log.close()).unwrap();
        let names: &[&str] = if format.is_directory() { &["log/data", "log/ofst", "log/jrnl"] } else { &["log"] };
        let files: Vec<_> = names.iter().map(|&name| (name, content(&env, name))).collect();
        let needs = if format.is_directory() {
            let ends = sizes.iter().scan(0, |end, size| {
                *end += 8 + size;
                Some(*end)
            });
            // The next one's place says where an entry ends. The count alone decides nothing.
            ends.zip(0..).map(|(end, number)| vec![end, 8 * (number + 2), 0]).collect()
        } else {
            let starts = read.iter().skip(1).map(|entry| entry.0 as usize);
            starts.chain([files[0].1.len()]).map(|end| vec![end]).collect()
        };
        Self { format, files, read, needs }
    }

    /// What it shows with other bytes in place of those of a file.
    fn damaged(&self, file: usize, bytes: &[u8], mend: bool) -> Outcome {
        let env = Env::memory();
        if self.format.is_directory() {
            env.storage.create_dir_all("log".as_ref()).unwrap();
        }
        for (at, (name, sound)) in self.files.iter().enumerate() {
            let handle = env.storage.open(name.as_ref(), OpenMode::CreateNew).unwrap();
            handle.write_all(0, if at == file { bytes } else { sound }).unwrap();
        }
        let read = self.read_in(&env);
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

    /// What can be read; nothing if it does not open.
    fn read_in(&self, env: &Env) -> Option<Read> {
        let opened = match any::builder().env(env.clone()).format(self.format).open("log") {
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

    fn mend(&self, env: &Env, before: Option<&Read>) {
        if let Err(error) = any::repair(env, "log", Some(self.format), true) {
            let kinds = [ErrorKind::Corrupt, ErrorKind::Invalid, ErrorKind::Unsupported];
            assert!(kinds.contains(&error.kind()), "{error}");
            return;
        }
        let report = any::check(env, "log", Some(self.format)).unwrap();
        assert!(report.is_ok(), "{report:?}");
        let after = self.read_in(env).unwrap();
        for entry in before.into_iter().flatten() {
            assert!(after.contains(entry), "mending took entry {}", entry.0);
        }
    }

    /// Does `change` to a copy of each file, so many times as `times` says for one of its length, and gives what was shown.
    fn each(&self, times: fn(usize) -> usize, change: fn(&mut Vec<u8>, usize)) -> BTreeMap<Outcome, usize> {
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

/// The columns of the table.
const DAMAGE: [&str; 5] =
    ["cut after any byte", "any bit", "a sector of zeros", "two sectors swapped", "a sector twice"];

fn outcomes(format: Format) -> [BTreeMap<Outcome, usize>; 5] {
    const BYTES: usize = SECTOR as usize;
    let sectors = |len: usize| len.div_ceil(BYTES);
    let (few, many) = (Original::new(format, 24), Original::new(format, 90));
    let pairs = |len: usize| len.div_ceil(BYTES).pow(2);
    /// The two sectors of the pair of this number.
    fn pair(bytes: &[u8], number: usize) -> (usize, usize) {
        let sectors = bytes.len().div_ceil(BYTES);
        (number / sectors * BYTES, number % sectors * BYTES)
    }
    [
        many.each(|len| len, |bytes, number| bytes.truncate(number)),
        few.each(|len| len * 8, |bytes, number| bytes[number / 8] ^= 1 << (number % 8)),
        many.each(sectors, |bytes, number| {
            let end = bytes.len().min((number + 1) * BYTES);
            bytes[number * BYTES..end].fill(0);
        }),
        many.each(pairs, |bytes, number| {
            let (one, other) = pair(bytes, number);
            let len = BYTES.min(bytes.len() - one.max(other));
            if one < other {
                let (left, right) = bytes.split_at_mut(other);
                left[one..one + len].swap_with_slice(&mut right[..len]);
            }
        }),
        many.each(pairs, |bytes, number| {
            let (one, other) = pair(bytes, number);
            let len = BYTES.min(bytes.len() - one.max(other));
            bytes.copy_within(one..one + len, other);
        }),
    ]
}

#[test]
fn every_format_shows_what_the_table_says() {
    let table = include_str!("../../../docs/durability.md");
    let mut wrong = Vec::new();
    for name in FORMATS {
        let outcomes = outcomes(name.parse().unwrap());
        println!("{name}: {outcomes:?}");
        figure(name, outcomes.iter().flat_map(BTreeMap::values).sum::<usize>() as u64);
        let cell = |seen: &BTreeMap<Outcome, usize>| {
            let words: BTreeSet<_> = seen.keys().collect();
            words.into_iter().map(Outcome::to_string).collect::<Vec<_>>().join(", ")
        };
        let cells = outcomes.iter().map(cell).collect::<Vec<_>>();
        let row = format!("| `{name}` | {} |", cells.join(" | "));
        if !table.contains(&row) {
            wrong.push(row);
        }
    }
    assert!(wrong.is_empty(), "the table says something else of:\n| | {} |\n{}", DAMAGE.join(" | "), wrong.join("\n"));
}
