//! What to say of a hashtable. Keys are not in it and the hash is the program's own; the hashes that are known are tried.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use flumedb::codec::Document;
use sha2::{Digest, Sha256};

use super::{
    finding::{Fault, Finding},
    gap::Gap,
    judged::Judged,
    records::{Flags, Records},
};
use crate::indexes::{Hashtable, hashtable::Table};

/// Hashes of keys, by name.
pub(super) type Hashes = Vec<(String, Arc<dyn Fn(&str) -> u32 + Send + Sync>)>;

/// The hashes that are known without being told.
pub(super) fn known() -> Hashes {
    let fnv =
        |key: &str| key.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let start = |bytes: &[u8]| bytes.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes));
    // ssb-db: the six characters behind the sigil are base64.
    let ssb = move |key: &str| start(&STANDARD_NO_PAD.decode(key.get(1..7).unwrap_or_default()).unwrap_or_default());
    let sha = move |key: &str| start(&Sha256::digest(key));
    vec![
        ("the start of the message's id".to_owned(), Arc::new(ssb)),
        ("SHA-256".to_owned(), Arc::new(sha)),
        ("FNV-1a".to_owned(), Arc::new(fnv)),
    ]
}

/// The hashes of the keys of every record, each with each hash.
pub(super) struct Keys {
    hashes: Hashes,
    rows: Vec<Vec<u32>>,
    keyless: Flags,
}

impl Keys {
    pub(super) fn new(hashes: &Hashes, records: &Records) -> Self {
        let row = || vec![0; records.len() as usize];
        Self { hashes: hashes.clone(), rows: hashes.iter().map(|_| row()).collect(), keyless: Flags::default() }
    }

    /// Takes in a record that can be looked into.
    pub(super) fn take(&mut self, record: u32, document: &dyn Document) {
        let Some(key) = document.text(&["key"]) else { return self.keyless.set(record) };
        for ((_, hash), row) in self.hashes.iter().zip(&mut self.rows) {
            if let Some(slot) = row.get_mut(record as usize) {
                *slot = hash(&key);
            }
        }
    }
}

/// How the records fare in the tables.
#[derive(Default)]
struct Fate {
    /// Can be looked up.
    found: Flags,
    /// Lies where its hash leads, and a deleted record lies on the way.
    hidden: Flags,
    /// A deleted record lies on the way in a newer table.
    barred: Flags,
}

/// Judges a hashtable.
pub(super) fn judge(judged: Judged, hashtable: &Hashtable, keys: &Keys, records: &Records) -> Finding {
    let covered = judged.covered;
    let (mut gap, mut strangers, mut twice, mut listed) = (Gap::default(), 0_u64, 0_u64, Flags::default());
    for position in hashtable.tables.iter().flat_map(Table::iter).flatten() {
        match records.record(position.into()) {
            Some(record) if record >= covered => gap.extra.add(record),
            Some(record) if listed.get(record) => twice += 1,
            Some(record) => listed.set(record),
            None => strangers += 1,
        }
    }
    if strangers > 0 || twice > 0 || !gap.is_none() {
        let late = gap.extra.count;
        let reason = format!(
            "of its slots {strangers} hold what is no entry's position, {twice} one that another holds, {late} one that it \
             does not cover"
        );
        return judged.wrong(&gap, records).because(reason);
    }
    let judge = |record: &u32| !records.is_closed(*record, false) && !keys.keyless.get(*record);
    let mut best: Option<(&str, Fate, u64)> = None;
    for ((name, _), row) in keys.hashes.iter().zip(&keys.rows) {
        let mut fate = Fate::default();
        // A key is looked for in the newest table first.
        for table in hashtable.tables.iter().rev() {
            walk(table, row, records, &mut fate);
        }
        let found =
            (0..covered).filter(judge).filter(|record| fate.found.get(*record) || fate.hidden.get(*record)).count();
        if best.as_ref().is_none_or(|(_, _, most)| found as u64 > *most) {
            best = Some((name, fate, found as u64));
        }
    }
    let wanted = (0..covered).filter(judge).count() as u64;
    let Some((name, fate, _)) = best.filter(|(_, _, found)| found.saturating_mul(2) > wanted) else {
        for record in (0..covered).filter(|record| judge(record) && !listed.get(*record)) {
            gap.missing.add(record);
        }
        if gap.is_none() {
            return judged.unknown("each entry is in it once; whether where its hash leads, only the hash tells");
        }
        return judged.wrong(&gap, records).because("some entries that it covers are not in it");
    };
    let mut hides = false;
    for record in (0..covered).filter(judge).filter(|record| !fate.found.get(*record)) {
        hides |= fate.hidden.get(record);
        gap.missing.add(record);
    }
    let mut finding = if gap.is_none() {
        judged.covers(0)
    } else {
        judged.wrong(&gap, records).because("some entries cannot be found by their key")
    };
    finding.holds = Some(format!("entries by key, hashed by {name}"));
    finding.untold = (0..covered).filter(|record| !judge(record)).count() as u64;
    if hides {
        finding.faults.push(Fault::DeletedHides);
    }
    finding
}

/// Follows each key through a table, from where its hash leads to the next empty slot. A deleted record ends the search.
fn walk(table: &Table, row: &[u32], records: &Records, fate: &mut Fate) {
    let entries = || table.iter().map(|slot| slot.and_then(|position| records.record(position.into())));
    let ends: Vec<bool> = table.iter().map(|slot| slot.is_none()).collect();
    let deleted: Vec<bool> = entries().map(|entry| entry.is_some_and(|record| records.is_deleted(record))).collect();
    let (empty, gone) = (Sums::of(&ends), Sums::of(&deleted));
    let home = |hash: u32| usize::try_from(hash).unwrap_or_default().checked_rem(table.slots()).unwrap_or_default();
    for (slot, record) in entries().enumerate() {
        let Some((record, hash)) = record.and_then(|record| Some((record, *row.get(record as usize)?))) else {
            continue;
        };
        if empty.none_between(home(hash), slot) {
            let hidden = fate.barred.get(record) || !gone.none_between(home(hash), slot);
            if hidden { fate.hidden.set(record) } else { fate.found.set(record) }
        }
    }
    let bars = bars(&ends, &deleted);
    for (record, hash) in (0..records.len()).zip(row) {
        if bars.get(home(*hash)).is_some_and(|bars| *bars) {
            fate.barred.set(record);
        }
    }
}

/// For each slot, whether a deleted record lies between it and the next empty one.
fn bars(ends: &[bool], deleted: &[bool]) -> Vec<bool> {
    let mut bars = vec![false; ends.len()];
    let mut bar = false;
    // Twice around, as the last slot is followed by the first.
    for _ in 0..2 {
        for ((slot, end), deleted) in bars.iter_mut().zip(ends).zip(deleted).rev() {
            bar = !end && (bar || *deleted);
            *slot = bar;
        }
    }
    bars
}

/// How many of the slots before each are marked.
struct Sums(Vec<u32>);

impl Sums {
    fn of(marks: &[bool]) -> Self {
        let mut sum = 0;
        let sums = marks.iter().map(|mark| {
            sum += u32::from(*mark);
            sum
        });
        Self([0].into_iter().chain(sums).collect())
    }

    /// Whether none is marked from slot `from` up to `to`, around the end if need be.
    fn none_between(&self, from: usize, to: usize) -> bool {
        let sum = |at: usize| self.0.get(at).copied().unwrap_or_default();
        if from <= to { sum(from) == sum(to) } else { sum(from) == sum(self.0.len() - 1) && sum(to) == 0 }
    }
}
