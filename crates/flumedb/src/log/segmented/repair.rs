//! Repairing a log: a torn tail is cut as opening does it; damage is taken out of the way by writing the segment anew
//! with stubs for the entries that are lost, so that what lies behind is proven by the chain again.

use std::path::{Path, PathBuf};

use super::{
    active::push_seal,
    check::{Examination, Examined, examine},
    directory,
    format::{
        Commit, FEATURE_COMPACTED, FLAG_ERASED, FirstPage, Gap, Gone, HEADER_LEN, HeadPage, LogId, Record,
        SegmentHeader, SegmentName, kind, push_kept, push_record, record_size,
    },
    places::Places,
    recovery,
    replay::{Hole, MAX_LOST},
    settings::LogSettings,
    walk::{Item, Position, next_commit},
};
use crate::{Damage, Env, Error, ErrorKind, Result, check::Repair, env};

/// Repairs the log in `dir`, whose lock is held.
pub(crate) fn repair(env: &Env, dir: &Path, settings: &LogSettings, skip_damage: bool) -> Result<Repair> {
    recovery::check_keys(&*env.storage, dir, &directory::found_segments(&*env.storage, dir)?, settings.keys.as_ref())?;
    // The lock is held here, and by nobody who writes.
    let examination = examine(env, dir, false, settings.keys.as_ref())?;
    let mut repair = Repair::default();
    if !examination.report.damage.is_empty() {
        if !skip_damage {
            let first = examination.report.damage.first().map(|damage| Error::corrupt(damage.clone()).to_string());
            let message = format!(
                "{}; a repair can step over it and loses what is damaged: give --skip-damage",
                first.unwrap_or_default()
            );
            return Err(Error::new(ErrorKind::Corrupt, message));
        }
        repair.kept_in = skip(env, dir, &examination)?;
        repair.damage = examination.report.damage;
    }
    let opened = recovery::open(env, dir, settings)?;
    repair.torn_tail = examination.report.torn_tail;
    repair.kept_in.extend(opened.recovery.and_then(|recovery| recovery.kept_in));
    Ok(repair)
}

/// Writes each damaged segment anew, and those that are missing.
fn skip(env: &Env, dir: &Path, examination: &Examination) -> Result<Vec<PathBuf>> {
    let Some(id) = examination.id else {
        let reason = "no segment can be read, so nothing says which log this was";
        return Err(Error::corrupt(Damage::new(dir, 0, 0, reason)));
    };
    /// More segments than this are not made up for.
    const MAX_MISSING: u64 = 1000;
    let begins = examination.segments.first().map_or((0, 0), |segment| (segment.name.first, segment.name.ordinal));
    let (mut first, mut ordinal) =
        if directory::read_first(&*env.storage, dir).is_ok_and(|page| page.is_none()) { (0, 0) } else { begins };
    for segment in &examination.segments {
        let missing = segment.name.ordinal.saturating_sub(ordinal);
        ordinal = segment.name.ordinal.saturating_add(1);
        if missing > MAX_MISSING || segment.name.first.saturating_sub(first) > MAX_LOST {
            let reason = format!("{} does not fit behind the segments before it", segment.name.file_name());
            return Err(Error::corrupt(Damage::new(dir, 0, 0, reason)));
        }
        first = segment.name.first;
    }
    let mut kept = Vec::new();
    let page = if examination.first_is_lost { None } else { directory::read_first(&*env.storage, dir)? };
    let begins = match (page, examination.segments.first()) {
        // It is not known what the segments before it held; that they are gone is no damage to what is there.
        (None, Some(segment)) if examination.first_is_lost => {
            let (ordinal, first) = (segment.name.ordinal, segment.name.first);
            let gone = Gone { tombstones: 0, least: if first > 0 { 0 } else { u64::MAX } };
            let page = FirstPage { id, ordinal, first, gone };
            directory::write_first(&*env.storage, dir, &page)?;
            Some(page)
        }
        (page, _) => page,
    };
    // Where the segment before ended, as it is after the repair.
    let mut before = Position { offset: 0, chain: 0, next: begins.map_or(0, |page| page.first) };
    let mut ordinal = begins.map_or(0, |page| page.ordinal);
    if let Some(segment) = examination.segments.first().filter(|_| begins.is_some()) {
        before.chain = segment.chain.unwrap_or(0);
    }
    for (index, segment) in examination.segments.iter().enumerate() {
        // A segment links to the next by the chain value that the next one's header repeats.
        let link = segment.chain.filter(|_| !segment.damaged);
        while ordinal < segment.name.ordinal {
            let missing = SegmentName { ordinal, first: before.next, generation: 0 };
            let mut rewrite = Rewrite::begin(env, id, missing, before.chain, None)?;
            // All that the gap had goes into its first segment; the others are empty.
            let last = ordinal + 1 == segment.name.ordinal;
            rewrite.lose(segment.name.first, if last { link } else { None });
            before = rewrite.finish(env, dir, missing)?;
            ordinal += 1;
        }
        if segment.damaged || segment.chain != Some(before.chain) {
            let after = examination.segments.get(index + 1);
            let name = SegmentName { generation: segment.name.generation + 1, ..segment.name };
            let link = after.and_then(|after| after.chain.filter(|_| !after.damaged));
            let mut rewrite = Rewrite::begin(env, id, name, before.chain, segment.header.as_ref())?;
            rewrite.copy(segment, after.map(|after| after.name.first), link);
            before = rewrite.finish(env, dir, name)?;
            kept.push(directory::set_aside(&*env.storage, dir, segment.name)?);
        } else {
            before = segment.replay.position;
        }
        ordinal += 1;
    }
    if examination.segments.last().is_some_and(Examined::is_compacted) {
        // It is never the last; of the one that followed nothing is left.
        let name = SegmentName { ordinal, first: before.next, generation: 0 };
        before = Rewrite::begin(env, id, name, before.chain, None)?.finish(env, dir, name)?;
        ordinal += 1;
    }
    // A page that names a segment which is gone would go on saying so.
    if let Some(page) = directory::HeadFile::read(&*env.storage, dir)?.filter(|page| page.ordinal >= ordinal) {
        let head = directory::HeadFile::create(&*env.storage, dir)?;
        let last = ordinal.saturating_sub(1);
        let (visible, watermark) = (before.next, before.next);
        head.write(&HeadPage {
            visible,
            watermark,
            ordinal: last,
            synced: 0,
            end: before.offset,
            clean: false,
            ..page
        })?;
        head.sync()?;
    }
    Ok(kept)
}

/// A segment that is written anew.
struct Rewrite {
    id: LogId,
    bytes: Vec<u8>,
    at: Position,
    places: Places,
    features: u64,
    /// Tombstones in its gaps.
    tombstones: u64,
}

impl Rewrite {
    /// `from`: the header of the segment that it takes the place of, if that can be read.
    fn begin(env: &Env, id: LogId, name: SegmentName, chain: u32, from: Option<&SegmentHeader>) -> Result<Self> {
        let mut salt = [0; 16];
        let path = Path::new("the repaired segment");
        match from {
            // It belongs to the check of the key.
            Some(from) => salt = from.salt,
            None => env.random.fill(&mut salt).map_err(|error| Error::io("get randomness for", path, error))?,
        }
        let header = SegmentHeader {
            id,
            ordinal: name.ordinal,
            first: name.first,
            generation: name.generation,
            chain,
            created_us: env.clock.unix_us(),
            salt,
            features: from.map_or(0, |from| from.features),
            key: from.map_or(0, |from| from.key),
            key_check: from.map_or([0; 16], |from| from.key_check),
        };
        let (at, features) = (Position::start(&header), header.features);
        Ok(Self { id, bytes: header.encode().to_vec(), at, places: Places::default(), features, tombstones: 0 })
    }

    /// Takes over what is whole, with stubs in the holes, up to the seq `to` if that is known; the chain must then end in
    /// `link`, if that is known.
    fn copy(&mut self, segment: &Examined, to: Option<u64>, link: Option<u32>) {
        let mut from = Position { offset: HEADER_LEN as u64, chain: self.at.chain, next: segment.name.first };
        if segment.chain != Some(self.at.chain) {
            // Its first record repeats another checksum: lead over to it.
            let first =
                segment.bytes.get(HEADER_LEN..).and_then(|rest| Record::parse(rest, self.id.place(from.next)).ok());
            if let Some(record) = first {
                self.lead_to(record.prev);
                from.chain = record.prev;
            }
        }
        for hole in &segment.replay.damage {
            self.copy_commits(segment, from, hole.before.offset);
            self.copy_broken(segment, hole);
            match hole.after {
                Some(after) => from = after,
                None => from.offset = segment.bytes.len() as u64,
            }
        }
        self.copy_commits(segment, from, segment.replay.position.offset);
        if let Some(to) = to {
            self.lose(to, link);
        }
    }

    /// Takes over whole commits, as they are.
    fn copy_commits(&mut self, segment: &Examined, mut at: Position, to: u64) {
        let mut items = Vec::new();
        while at.offset < to {
            let Ok(super::walk::Next::Commit(_, after)) = next_commit(&segment.bytes, self.id, at, &mut items) else {
                return;
            };
            let shift = self.bytes.len() as u64;
            for item in &items {
                self.place(item, item.offset - at.offset + shift);
            }
            let raw = segment.bytes.get(at.offset as usize..after.offset as usize);
            self.bytes.extend_from_slice(raw.unwrap_or_default());
            self.at = Position { offset: self.bytes.len() as u64, ..after };
            at = after;
        }
    }

    /// Takes over those records of a broken commit that are whole, and stubs for the others.
    fn copy_broken(&mut self, segment: &Examined, hole: &Hole) {
        let mut items = Vec::new();
        // It is broken, so this only gathers its records before the break.
        let _ = next_commit(&segment.bytes, self.id, hole.before, &mut items).map_err(drop);
        let (from, to) = hole.lost;
        let end = hole.after.map(|after| after.chain);
        let opening = segment.bytes.get(hole.before.offset as usize..);
        let opening = opening.and_then(|bytes| Record::parse(bytes, self.id.place(hole.before.next)).ok());
        match opening.filter(|record| !items.is_empty() && record.kind == kind::COMMIT) {
            Some(record) => {
                let chain = items.last().map_or(record.crc, |item: &Item<'_>| item.record.crc);
                let stubs = self.stubs(chain, from, to, end);
                let body: u64 = items.iter().map(|item| item.record.size as u64).sum::<u64>() + stubs.len() as u64;
                let count = items.iter().map(|item| item.record.seqs()).sum::<u64>() + (to - from);
                let commit = Commit::decode(record.payload).unwrap_or_default();
                let commit = Commit { count: count as u32, body: body as u32, ..commit };
                let place = self.id.place(hole.before.next);
                push_kept(&mut self.bytes, kind::COMMIT, 0, &commit.encode(), (record.crc, self.at.chain), place);
                for item in &items {
                    self.place(item, self.bytes.len() as u64);
                    let raw = segment.bytes.get(item.offset as usize..item.offset as usize + item.record.size);
                    self.bytes.extend_from_slice(raw.unwrap_or_default());
                }
                self.push_stubs(&stubs, from, to);
                self.at = Position { offset: self.bytes.len() as u64, chain: stubs.chain, next: to };
            }
            None => self.lose(to, end),
        }
    }

    /// Stubs for everything up to the seq `to`; the chain then ends in `end`, if that is given.
    fn lose(&mut self, to: u64, end: Option<u32>) {
        let from = self.at.next;
        if from >= to {
            if let Some(end) = end {
                self.lead_to(end);
            }
            return;
        }
        self.push_lost_commit(from, to, end);
    }

    /// A commit without entries after which the chain has the value `end`.
    fn lead_to(&mut self, end: u32) {
        if end != self.at.chain {
            self.push_lost_commit(self.at.next, self.at.next, Some(end));
        }
    }

    fn push_lost_commit(&mut self, from: u64, to: u64, end: Option<u32>) {
        // What the stubs take does not depend on the chain.
        let body = self.stubs(0, from, to, end).len() as u32;
        let commit = Commit { first: from, count: (to - from) as u32, body, ..Commit::default() };
        let place = self.id.place(from);
        let chain = push_record(&mut self.bytes, kind::COMMIT, &commit.encode(), self.at.chain, place);
        let stubs = self.stubs(chain, from, to, end);
        self.push_stubs(&stubs, from, to);
        self.at = Position { offset: self.bytes.len() as u64, chain: stubs.chain, next: to };
    }

    fn push_stubs(&mut self, stubs: &Stubs, from: u64, to: u64) {
        for index in 0..to - from {
            let offset = self.bytes.len() as u64 + index * Stubs::SIZE as u64;
            self.places.push(offset);
        }
        self.bytes.extend_from_slice(&stubs.bytes);
    }

    /// Notes where a record begins that is taken over.
    fn place(&mut self, item: &Item<'_>, offset: u64) {
        if item.record.takes_seq() {
            self.places.push(offset);
        } else if item.record.kind == kind::GAP {
            let gap = Gap::decode(item.record.payload);
            self.places.push_gap(gap.count.into(), offset);
            self.tombstones += u64::from(gap.tombstones);
        }
    }

    fn stubs(&self, chain: u32, from: u64, to: u64, end: Option<u32>) -> Stubs {
        let mut stubs = Stubs { bytes: Vec::new(), chain };
        for number in from..to {
            // Its own checksum is lost; any will do that the next repeats, except for the last.
            let crc = end.filter(|_| number + 1 == to).unwrap_or(number as u32);
            stubs.push(kind::ENTRY, crc, self.id.place(number));
        }
        if let Some(end) = end.filter(|_| from == to) {
            stubs.push(kind::NOTE, end, self.id.place(to));
        }
        stubs
    }

    /// Seals the segment and brings it to the disk.
    fn finish(mut self, env: &Env, dir: &Path, name: SegmentName) -> Result<Position> {
        let index = self.places.encode(self.features & FEATURE_COMPACTED != 0);
        push_seal(&mut self.bytes, &index, self.at, (name.first, self.places.count()), self.tombstones, self.id);
        let path = dir.join(name.file_name());
        env::replace(&*env.storage, &path, &self.bytes).map_err(|error| Error::io("write", &path, error))?;
        Ok(self.at)
    }
}

struct Stubs {
    bytes: Vec<u8>,
    chain: u32,
}

impl Stubs {
    const SIZE: usize = record_size(4);

    fn len(&self) -> usize {
        self.bytes.len()
    }

    fn push(&mut self, kind: u8, crc: u32, place: u32) {
        push_kept(&mut self.bytes, kind, FLAG_ERASED, &[], (crc, self.chain), place);
        self.chain = crc;
    }
}
