//! [`Damaged`], a log of which some bytes are not as they were written, and what it may show then.

use std::path::Path;

use bytes::Bytes;
use flumedb::{
    ErrorKind, Seq, Span,
    log::{Batch, Compression, Log, LogSettings, ReadRequest, SegmentedLog, SlotKind},
};

use super::{
    DIR,
    model::{Contents, now},
};
use crate::{Image, Sim};

/// What a damaged log showed. Anything else ends the test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Everything that was in it, and a check finds nothing.
    Exact,
    /// Everything that was in it, but a check finds the damage: it is in what only recovery and followers read.
    Found,
    /// A true prefix, and the open said that it cut something.
    Prefix,
    /// A true prefix, and not a word. Only what ends exactly between two commits may show this.
    Silent,
    /// An error that names the place; what could be read was right.
    Corrupt,
}

/// A log to be damaged.
pub struct Original {
    /// The disk that it is on.
    pub image: Image,
    /// What is in it.
    pub contents: Contents,
    /// So many of its entries somebody vouches for.
    pub vouched: usize,
    /// How it is opened.
    settings: LogSettings,
}

impl Original {
    /// A log of about 64 KiB with entries from 0 bytes to several sectors, batches and a deletion; the last `buffered`
    /// entries were never synced. It was closed, or the process was killed.
    ///
    /// # Panics
    /// If the log does not work.
    pub fn new(segment_bytes: u64, buffered: usize, closed: bool) -> Self {
        let settings = LogSettings { segment_bytes, ..LogSettings::default() };
        Self::make(64, settings, buffered, closed)
    }

    /// Another log, the entries of which have the same lengths and lie in the same places as those of one with another
    /// seed.
    ///
    /// # Panics
    /// If the log does not work.
    pub fn seeded(seed: u64, segment_bytes: u64, buffered: usize, closed: bool) -> Self {
        let settings = LogSettings { segment_bytes, ..LogSettings::default() };
        Self::make(seed, settings, buffered, closed)
    }

    /// The same with these settings; half of each payload can be made shorter.
    ///
    /// # Panics
    /// If the log does not work.
    pub fn with(settings: LogSettings, buffered: usize, closed: bool) -> Self {
        Self::make(64, settings, buffered, closed)
    }

    fn make(seed: u64, settings: LogSettings, buffered: usize, closed: bool) -> Self {
        const SIZES: [usize; 10] = [700, 0, 1500, 7, 300, 8, 650, 4000, 1, 900];
        let sim = Sim::new(seed);
        let log =
            SegmentedLog::open(&sim.env, Path::new(DIR), settings.clone()).unwrap_or_else(|error| panic!("{error}"));
        let mut noise = fastrand::Rng::with_seed(seed);
        let is_packed = settings.compression != Compression::None;
        let mut payload = |size: usize| {
            let random = if is_packed { size / 2 } else { size };
            let mut payload: Vec<u8> = (0..random).map(|_| noise.u8(..)).collect();
            payload.resize(size, b' ');
            payload
        };
        let append = |payloads: &[Vec<u8>], durable: bool| {
            let mut batch = Batch::new();
            payloads.iter().for_each(|payload| batch.push(payload));
            batch.buffered = !durable;
            sim.block_on(log.append(batch)).unwrap_or_else(|error| panic!("{error}"));
        };
        for round in 0..8 {
            append(&SIZES[..3].iter().map(|size| payload(*size)).collect::<Vec<_>>(), true);
            SIZES[3..].iter().for_each(|size| append(&[payload(*size)], true));
            if round == 3 {
                sim.block_on(log.delete(&[Seq::new(12)])).unwrap_or_else(|error| panic!("{error}"));
            }
        }
        let contents = |log: &SegmentedLog| Contents::of(log).unwrap_or_else(|error| panic!("{error}"));
        let vouched = contents(&log).slots.len();
        (0..buffered).for_each(|number| append(&[payload(100 + number)], false));
        let contents = contents(&log);
        if closed {
            sim.block_on(log.close()).unwrap_or_else(|error| panic!("{error}"));
        }
        Self { image: sim.kill().disk.image(), contents, vouched, settings }
    }

    /// A log of several segments that was compacted: with gaps in commits and between them, without its first segments.
    ///
    /// # Panics
    /// If the log does not work.
    pub fn compacted() -> Self {
        let Self { image, settings, .. } = Self::new(16 << 10, 0, true);
        let sim = Sim::boot(image, 67);
        let log = SegmentedLog::open(&sim.env, Path::new(DIR), LogSettings::default());
        let log = log.unwrap_or_else(|error| panic!("{error}"));
        let before = Contents::of(&log).unwrap_or_else(|error| panic!("{error}"));
        let entries = before.slots.iter().enumerate().filter(|(_, (kind, _))| *kind == SlotKind::Entry);
        let targets = entries.map(|(number, _)| Seq::new(number as u64));
        let targets: Vec<Seq> =
            targets.filter(|seq| seq.get() < 24 || seq.get() % 3 == 0 || seq.get() % 11 < 2).collect();
        let done = sim.block_on(async {
            log.delete(&targets).await?;
            log.compact().await
        });
        let done = done.unwrap_or_else(|error| panic!("{error}"));
        assert!(done.dropped > 0 && done.segments > done.dropped + 1, "{done:?}");
        let first = log.first().map_or(0, Seq::get);
        // Numbers that are not there any more are left out, and those that are begin at the first.
        let kept = Contents::of_rest(&log).unwrap_or_else(|error| panic!("{error}"));
        let mut slots = before.slots.get(..first as usize).unwrap_or_default().to_vec();
        slots.iter_mut().for_each(|slot| *slot = (SlotKind::Deleted, Bytes::new()));
        slots.extend(kept.slots);
        sim.block_on(log.close()).unwrap_or_else(|error| panic!("{error}"));
        let vouched = slots.len();
        let contents = Contents { slots, note: kept.note };
        Self { image: sim.kill().disk.image(), contents, vouched, settings }
    }

    /// The files with entries in them, with their bytes up to the last that is not zero.
    ///
    /// # Panics
    /// If there are none.
    pub fn segments(&self) -> Vec<(std::path::PathBuf, Vec<u8>)> {
        let files = self.image.files().into_iter().filter(|path| path.extension().is_some_and(|end| end == "seg"));
        let segments = files.filter_map(|path| {
            let mut bytes = self.image.read(&path)?;
            bytes.truncate(bytes.iter().rposition(|byte| *byte != 0)? + 1);
            Some((path, bytes))
        });
        let segments: Vec<_> = segments.collect();
        assert!(!segments.is_empty(), "the log has no segments");
        segments
    }

    /// Opens the log with `bytes` in place of a file, and reads it all.
    ///
    /// # Panics
    /// If it shows anything that it must not: other bytes, fewer entries than somebody vouches for, an error
    /// that names another file; or if a failed open changed anything.
    pub fn damaged(&self, file: &Path, bytes: &[u8]) -> Outcome {
        let mut image = self.image.clone();
        image.write(file, bytes).unwrap_or_else(|error| panic!("{error}"));
        self.shown(image, &[file])
    }

    /// Opens what is left of the log on a disk where these files are not as they were, and reads it all.
    ///
    /// # Panics
    /// As [`Original::damaged`].
    pub fn shown(&self, image: Image, files: &[&Path]) -> Outcome {
        let before = image.clone();
        let sim = Sim::boot(image, 65);
        let log = match SegmentedLog::open(&sim.env, Path::new(DIR), self.settings.clone()) {
            Ok(log) => log,
            Err(error) => {
                assert_place(&error, files);
                assert!(sim.disk.image().reads_as(&before), "a failed open changed something");
                return self.around(&sim, files);
            }
        };
        if self.read(&log, files, false) {
            return Outcome::Corrupt;
        }
        let kept = log.barrier();
        let kept = now(kept).ok().flatten().map_or(0, |head| head.get() as usize + 1);
        if kept == self.contents.slots.len() {
            return self.checked(before, files);
        }
        assert!(
            kept >= self.vouched,
            "silently {kept} entries of {}, and {} were vouched for",
            self.contents.slots.len(),
            self.vouched
        );
        let recovery = log.recovery();
        let told = recovery.is_some_and(|recovery| recovery.dropped_bytes > 0 && is_among(&recovery.file, files));
        if told { Outcome::Prefix } else { Outcome::Silent }
    }

    /// What a check of a log says that reads as it was.
    fn checked(&self, image: Image, files: &[&Path]) -> Outcome {
        let sim = Sim::boot(image, 66);
        let report = match &self.settings.keys {
            Some(keys) => SegmentedLog::with_keys(keys).check(&sim.env, Path::new(DIR)),
            None => SegmentedLog::check(&sim.env, Path::new(DIR)),
        };
        let report = report.unwrap_or_else(|error| panic!("{error}"));
        assert!(
            report.damage.iter().all(|damage| is_among(&damage.file, files)),
            "damage is said to be elsewhere: {report:?}"
        );
        if report.damage.is_empty() { Outcome::Exact } else { Outcome::Found }
    }

    /// Reads around the damage of a log that cannot be opened to write.
    fn around(&self, sim: &Sim, files: &[&Path]) -> Outcome {
        let log = match &self.settings.keys {
            Some(keys) => SegmentedLog::with_keys(keys).read_only(&sim.env, Path::new(DIR)),
            None => SegmentedLog::read_only(&sim.env, Path::new(DIR)),
        };
        match log {
            Ok(log) => drop(self.read(&log, files, true)),
            Err(error) => assert_place(&error, files),
        }
        Outcome::Corrupt
    }

    /// Reads all entries, by number and in a scan. Whether some cannot be read. Read `around` the damage, an entry may
    /// be there of which it is the deletion that is damaged.
    fn read(&self, log: &SegmentedLog, files: &[&Path], around: bool) -> bool {
        let mut damaged = false;
        let slots = &self.contents.slots;
        let head = match now(log.barrier()) {
            Ok(head) => head,
            // Of a head page that belongs to another log.
            Err(error) => {
                assert_place(&error, files);
                return true;
            }
        };
        let end = head.map_or(0, |head| head.get() + 1);
        assert!(end <= slots.len() as u64, "entries that nobody appended");
        for (number, (kind, payload)) in slots.iter().enumerate().take(end as usize) {
            match (kind, now(log.get(Seq::new(number as u64)))) {
                (SlotKind::Entry, Ok(got)) => assert!(got == payload, "entry {number} has other bytes"),
                (SlotKind::Deleted, Err(error)) if error.kind() == ErrorKind::Deleted => {}
                // Before its beginning.
                (SlotKind::Deleted, Err(error)) if error.kind() == ErrorKind::NotFound => {}
                (SlotKind::Tombstone, Err(error)) if error.kind() == ErrorKind::NotFound => {}
                (_, Err(error)) => {
                    assert_place(&error, files);
                    damaged = true;
                }
                (SlotKind::Deleted, Ok(_)) if around => {}
                (kind, Ok(_)) => panic!("a {kind:?} can be read"),
            }
        }
        let mut from = log.first().map_or(0, Seq::get);
        while from < end {
            match now(log.read(ReadRequest::forwards(Span { from, to: end }))) {
                Ok(chunk) => {
                    for slot in &chunk.slots {
                        assert_eq!(slot.seq.get(), from, "a scan passes over an entry without a word");
                        let (kind, payload) = &slots[from as usize];
                        if around && *kind == SlotKind::Deleted {
                            from += 1;
                            continue;
                        }
                        assert_eq!(slot.kind, *kind, "entry {from} is taken for something else");
                        let got = if slot.kind == SlotKind::Deleted { Bytes::new() } else { chunk.payload_bytes(slot) };
                        assert!(got == payload, "entry {from} has other bytes in a scan");
                        from += 1;
                    }
                    assert_eq!(chunk.covered.to, from, "a scan passes over an entry without a word");
                }
                Err(error) => {
                    assert_place(&error, files);
                    damaged = true;
                    from = error.seq().map_or(from, Seq::get) + 1;
                }
            }
        }
        damaged
    }
}

fn assert_place(error: &flumedb::Error, files: &[&Path]) {
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    let damage = error.damage();
    assert!(damage.is_some_and(|damage| is_among(&damage.file, files)), "the damage is said to be elsewhere: {error}");
}

fn is_among(file: &Path, files: &[&Path]) -> bool {
    files.contains(&file)
}
