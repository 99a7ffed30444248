//! Guards against bytes that are whole and in the wrong place: what a disk wrote elsewhere than it was told, left unwritten, or
//! took from another file or another log. Each checksum in them agrees, so only a checksum that covers the place sees it.
//!
//! Runs of one to four sectors are zeroed, swapped and written over one another, within a segment and from one to the other, also by those of
//! another log whose entries have the same lengths; records and commits are put in the place of others of their
//! length; segments are missing, swapped, doubled, and another log's. Each time the log is as it was, or opening or reading it
//! says which file is damaged, or it ends above all that somebody vouches for, and the open says what it cut.
//!
//! The quick run takes every 7th pair of sectors, and every 61st of runs of several; with `FLUME_SOAK` set, all.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on ends")]

use std::{
    collections::BTreeMap,
    ops::Range,
    path::{Path, PathBuf},
    sync::Mutex,
};

use flumedb::{
    ErrorKind,
    log::{Batch, Log, LogSettings, SegmentedLog, SlotKind},
};
use flumedb_sim::{DIR, Image, Original, Outcome, SECTOR, Sim, figure, on_all_cores, soak_or};

const BYTES: usize = SECTOR as usize;

/// A log, and one like it.
struct Logs {
    log: Original,
    other: Original,
    segments: Vec<(PathBuf, Vec<u8>)>,
    theirs: Vec<(PathBuf, Vec<u8>)>,
}

/// A piece of a segment: which, and where.
type Piece = (usize, Range<usize>);

impl Logs {
    fn new(segment_bytes: u64, buffered: usize, closed: bool) -> Self {
        let log = Original::new(segment_bytes, buffered, closed);
        let other = Original::seeded(65, segment_bytes, buffered, closed);
        // What ends a segment may itself end with a zero.
        let whole = |original: &Original| {
            let mut segments = original.segments();
            segments.iter_mut().for_each(|(_, bytes)| bytes.resize(bytes.len().next_multiple_of(8), 0));
            segments
        };
        let (segments, theirs) = (whole(&log), whole(&other));
        let same = |((one, bytes), (two, others)): (&(PathBuf, Vec<u8>), &(PathBuf, Vec<u8>))| {
            one == two && bytes.len() == others.len()
        };
        assert!(segments.len() == theirs.len() && segments.iter().zip(&theirs).all(same), "they are of one shape");
        Self { log, other, segments, theirs }
    }

    /// Closed in one segment, in a few and in many; and one whose process was killed.
    fn all() -> Vec<Self> {
        let shapes = [(1 << 20, 0, true), (16 << 10, 0, true), (4096, 0, true), (1 << 20, 10, false)];
        shapes.map(|(segment_bytes, buffered, closed)| Self::new(segment_bytes, buffered, closed)).into()
    }

    /// All runs of so many sectors.
    fn runs(&self, sectors: usize) -> Vec<Piece> {
        let of = |(number, (_, bytes)): (usize, &(PathBuf, Vec<u8>))| {
            let starts = (0..bytes.len()).step_by(BYTES);
            let len = bytes.len();
            starts.map(move |start| (number, start..len.min(start + sectors * BYTES))).collect::<Vec<_>>()
        };
        self.segments.iter().enumerate().flat_map(of).collect()
    }

    fn bytes(&self, (segment, range): &Piece) -> Vec<u8> {
        self.segments[*segment].1[range.clone()].to_vec()
    }

    /// What is shown with these bytes in these places; nothing if they are what is there.
    fn with(&self, changes: &[(&Piece, Vec<u8>)]) -> Option<Outcome> {
        let mut image = self.log.image.clone();
        for ((segment, range), bytes) in changes {
            let path = &self.segments[*segment].0;
            let mut whole = image.read(path).unwrap();
            let end = range.end.min(range.start + bytes.len());
            whole[range.start..end].copy_from_slice(&bytes[..end - range.start]);
            image.write(path, &whole).unwrap();
        }
        self.shown(image, changes.iter().map(|((segment, _), _)| &*self.segments[*segment].0).collect())
    }

    /// What is shown with what the other log has in this place.
    fn with_theirs(&self, piece: &Piece) -> Option<Outcome> {
        let (segment, range) = piece;
        let (mut image, path) = (self.log.image.clone(), &self.segments[*segment].0);
        let mut whole = image.read(path).unwrap();
        whole[range.clone()].copy_from_slice(&self.theirs[*segment].1[range.clone()]);
        image.write(path, &whole).unwrap();
        // Which of the two is of another log, only a third could say.
        let head = Path::new(DIR).join("head");
        self.shown(image, [&**path, &head][..if range.start == 0 { 2 } else { 1 }].to_vec())
    }

    fn shown(&self, image: Image, files: Vec<&Path>) -> Option<Outcome> {
        (!image.reads_as(&self.log.image)).then(|| self.log.shown(image, &files))
    }
}

/// How often each outcome was seen.
#[derive(Default)]
struct Seen(Mutex<BTreeMap<String, u64>>);

impl Seen {
    fn add(&self, outcome: Option<Outcome>) {
        if let Some(outcome) = outcome {
            assert_ne!(outcome, Outcome::Silent, "it ends earlier, and nothing says so");
            *self.0.lock().unwrap().entry(format!("{outcome:?}")).or_insert(0) += 1;
        }
    }

    fn tell(self, name: &str, least: u64) {
        let seen = self.0.into_inner().unwrap();
        let cases = seen.values().sum::<u64>();
        println!("{name}: {seen:?}");
        figure(name, cases);
        assert!(cases >= least, "{cases} cases of {name}");
        assert!(seen["Corrupt"] > cases / 2, "most of it is damage: {seen:?}");
    }
}

#[test]
fn sectors_that_were_not_written() {
    let seen = Seen::default();
    for logs in Logs::all() {
        for sectors in 1..=4 {
            let runs = logs.runs(sectors);
            on_all_cores(runs.len(), |at| {
                let zeros = vec![0; runs[at].1.len()];
                seen.add(logs.with(&[(&runs[at], zeros)]));
                // Still as another log left it there.
                seen.add(logs.with_theirs(&runs[at]));
            });
        }
    }
    seen.tell("sectors_that_were_not_written", 3_000);
}

#[test]
fn sectors_that_were_written_elsewhere() {
    let seen = Seen::default();
    for logs in Logs::all() {
        for sectors in 1..=4 {
            let runs = logs.runs(sectors);
            let step = if sectors == 1 { soak_or(1, 7) } else { soak_or(1, 61) };
            on_all_cores(runs.len().pow(2) / step, |number| {
                let (one, two) = (&runs[number * step / runs.len()], &runs[number * step % runs.len()]);
                seen.add(logs.with(&[(two, logs.bytes(one))]));
                if one.0 < two.0 || (one.0 == two.0 && one.1.end <= two.1.start) {
                    seen.add(logs.with(&[(two, logs.bytes(one)), (one, logs.bytes(two))]));
                }
            });
        }
    }
    seen.tell("sectors_that_were_written_elsewhere", 20_000);
}

/// Where the record of each entry lies, and the whole commit of those that are one: found by their payloads.
fn records(logs: &Logs) -> Vec<Piece> {
    let (record, commit) = (16, 64);
    let mut found = Vec::new();
    let entries = logs.log.contents.slots.iter().filter(|(kind, _)| *kind == SlotKind::Entry);
    for (_, payload) in entries.filter(|(_, payload)| payload.len() > 6) {
        for (segment, (_, bytes)) in logs.segments.iter().enumerate() {
            if let Some(start) = bytes.windows(payload.len()).position(|window| window == payload) {
                let end = (start + payload.len()).next_multiple_of(8).min(bytes.len());
                found.push((segment, start - record..end));
                found.push((segment, start - record - commit..end));
            }
        }
    }
    found
}

#[test]
fn records_and_commits_in_the_place_of_others() {
    let seen = Seen::default();
    for logs in Logs::all() {
        let records = records(&logs);
        assert!(records.len() > 100, "{} records", records.len());
        on_all_cores(records.len(), |at| {
            let one = &records[at];
            for two in records.iter().filter(|two| two.1.len() == one.1.len()) {
                seen.add(logs.with(&[(two, logs.bytes(one))]));
            }
            seen.add(logs.with_theirs(one));
        });
    }
    seen.tell("records_and_commits_in_the_place_of_others", 3_000);
}

#[test]
fn segments_that_are_missing_swapped_doubled_or_of_another_log() {
    let seen = Seen::default();
    let (dir, head) = (Path::new(DIR), Path::new(DIR).join("head"));
    for logs in Logs::all() {
        let paths: Vec<&Path> = logs.segments.iter().map(|(path, _)| &**path).collect();
        let whole: Vec<Vec<u8>> = paths.iter().map(|path| logs.log.image.read(path).unwrap()).collect();
        let count = paths.len();
        // A neighbour may be the one that notices.
        let around = |at: usize| {
            let near = paths[at.saturating_sub(1)..count.min(at + 2)].iter().copied();
            near.chain([dir, &head]).collect::<Vec<_>>()
        };
        let changed = |change: &dyn Fn(&mut Image)| {
            let mut image = logs.log.image.clone();
            change(&mut image);
            image
        };
        for (at, path) in paths.iter().enumerate() {
            seen.add(logs.shown(changed(&|image| image.remove(path).unwrap()), around(at)));
            let theirs = logs.other.image.read(path).unwrap();
            seen.add(logs.shown(changed(&|image| image.write(path, &theirs).unwrap()), around(at)));
        }
        for number in 0..count * count {
            let (one, two) = (number / count, number % count);
            let both = || [around(one), around(two)].concat();
            seen.add(logs.shown(changed(&|image| image.write(paths[two], &whole[one]).unwrap()), both()));
            if one < two {
                let swap = |image: &mut Image| {
                    image.write(paths[two], &whole[one]).unwrap();
                    image.write(paths[one], &whole[two]).unwrap();
                };
                seen.add(logs.shown(changed(&swap), both()));
            }
        }
        let theirs = logs.other.image.read(&head).unwrap();
        seen.add(logs.shown(changed(&|image| image.write(&head, &theirs).unwrap()), vec![&head]));
    }
    seen.tell("segments_that_are_missing_swapped_doubled_or_of_another_log", 400);
}

/// Guards against an end that is whole, of this log, and after other entries: of a copy that went its own way.
#[test]
fn a_last_segment_of_another_history() {
    let settings = || LogSettings { segment_bytes: 4096, ..LogSettings::default() };
    let go_on = |image: Image, byte: u8| {
        let sim = Sim::boot(image, 2);
        let log = SegmentedLog::open(&sim.env, Path::new(DIR), settings()).unwrap();
        for _ in 0..12 {
            let mut batch = Batch::new();
            batch.push(&[byte; 700]);
            sim.block_on(log.append(batch)).unwrap();
        }
        sim.block_on(log.close()).unwrap();
        sim.disk.image()
    };
    let base = go_on(Image::default(), 0);
    let (ours, theirs) = (go_on(base.clone(), 1), go_on(base, 2));
    let segments = |image: &Image| -> Vec<PathBuf> {
        image.files().into_iter().filter(|path| path.extension().is_some_and(|end| end == "seg")).collect()
    };
    let names = segments(&ours);
    assert!(names == segments(&theirs) && names.len() > 4, "{names:?}");
    let (mut image, last) = (ours, &names[names.len() - 1]);
    for path in [last, &Path::new(DIR).join("head")] {
        image.write(path, &theirs.read(path).unwrap()).unwrap();
    }
    let error = SegmentedLog::open(&Sim::boot(image, 3).env, Path::new(DIR), settings()).err().expect("it is told");
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert!(error.to_string().contains(&*names[names.len() - 2].to_string_lossy()), "{error}");
}
