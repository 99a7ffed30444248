//! Reading a whole segment to learn what it says: where its entries are, what is deleted, what was noted.

use std::collections::BTreeMap;

use super::{
    format::{Fault, LogId, kind},
    note::{Deletions, decode_note},
    walk::{Item, Next, Position, Stop, find_commit, next_commit, walk},
};
use crate::log::{Note, chunk::decode_targets};

/// What a segment says.
pub(crate) struct Replay {
    /// Behind the last whole commit.
    pub(crate) position: Position,
    /// Why it ended there.
    pub(crate) stop: Stop,
    /// Where each entry begins.
    pub(crate) offsets: Vec<u64>,
    pub(crate) deletions: Deletions,
    pub(crate) notes: BTreeMap<String, Note>,
    /// Bytes below this are vouched for by a later commit.
    pub(crate) synced: u64,
    /// Damage that was stepped over.
    pub(crate) damage: Vec<(u64, u64, Fault)>,
}

impl Replay {
    pub(crate) fn new(position: Position) -> Self {
        Self {
            position,
            stop: Stop::End,
            offsets: Vec::new(),
            deletions: Deletions::default(),
            notes: BTreeMap::new(),
            synced: 0,
            damage: Vec::new(),
        }
    }

    /// Reads on from where it stands, up to the first bad record, and only commits whose entries are all below `limit`.
    pub(crate) fn run(&mut self, bytes: &[u8], id: LogId, limit: u64) {
        let mut at = self.position;
        self.stop = walk(bytes, id, limit, &mut at, |commit, items| {
            self.synced = self.synced.max(commit.synced);
            self.take(items);
        });
        self.position = at;
    }

    /// Reads on, stepping over bad records: to the next whole commit, or to the end if none follows. The entries in
    /// between keep the place of the damage, so that reading one says where it is. Entries below `known` are known to
    /// have been there.
    pub(crate) fn run_around(&mut self, bytes: &[u8], id: LogId, known: u64, limit: u64) {
        loop {
            self.run(bytes, id, limit);
            let Stop::Bad { offset, fault } = self.stop else { return };
            let mut items = Vec::new();
            // Those of the broken commit that are whole, and follow, are as good as any.
            if let Ok(Next::Stop(_)) = next_commit(bytes, id, self.position, &mut items).map_err(|_| ()) {
                return;
            }
            let next = self.position.next + items.iter().filter(|item| item.record.takes_seq()).count() as u64;
            let later = find_commit(bytes, id, offset + 1, |commit| commit.first >= next);
            let (to, end) = match &later {
                Some((commit, position)) => (commit.first, position.offset),
                None if next < known => (known, bytes.len() as u64),
                None => return,
            };
            self.take(&items);
            self.damage.push((offset, end - offset, fault));
            self.offsets.extend((next..to).map(|_| offset));
            match later {
                Some((_, position)) => self.position = position,
                None => {
                    self.position.next = to;
                    return;
                }
            }
        }
    }

    fn take(&mut self, items: &[Item<'_>]) {
        for Item { number, offset, record } in items {
            if record.takes_seq() {
                self.offsets.push(*offset);
            }
            match record.kind {
                kind::TOMBSTONE if !record.is_erased() => {
                    self.deletions.insert(*number, decode_targets(record.payload));
                }
                kind::CARRY => self.deletions = Deletions::decode(record.payload),
                kind::NOTE => {
                    if let Some(note) = decode_note(record.payload) {
                        self.notes.insert(note.name.clone(), note);
                    }
                }
                _ => {}
            }
        }
    }
}
