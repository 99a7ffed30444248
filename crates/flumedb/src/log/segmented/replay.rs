//! Reading a whole segment to learn what it says: where its entries are, what is deleted, what was noted.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{
    format::{Fault, Gap, LogId, Record, TRAILER_LEN, Trailer, kind, record_size},
    note::{Deletions, decode_note},
    payload::unpack,
    places::Places,
    walk::{Item, Next, Position, Stop, find_commit, next_commit, walk},
};
use crate::{
    keys::Keys,
    log::{Note, chunk::decode_targets},
};

/// More entries than this are not taken to be lost in one place: as many as a segment of 64 MiB can hold at most.
pub(crate) const MAX_LOST: u64 = (64 << 20) / record_size(0) as u64;

/// What a segment says.
pub(crate) struct Replay {
    /// Behind the last whole commit.
    pub(crate) position: Position,
    /// Why it ended there.
    pub(crate) stop: Stop,
    /// Where each entry begins.
    pub(crate) places: Places,
    /// So many tombstones were there and are gone.
    pub(crate) tombstones_gone: u64,
    /// The lowest seq that one of those deleted; `u64::MAX` if there are none.
    pub(crate) least_forgotten: u64,
    pub(crate) deletions: Deletions,
    pub(crate) notes: BTreeMap<String, Note>,
    /// Bytes below this are vouched for by a later commit.
    pub(crate) synced: u64,
    /// Entries that can be read, deleted ones among them.
    pub(crate) entries: u64,
    /// Damage that was stepped over.
    pub(crate) damage: Vec<Hole>,
    /// For notes that are encrypted.
    keys: Option<Keys>,
    /// Payloads are looked into, whatever their form.
    inside: bool,
    /// What compressed ones refer to.
    dictionary: Bytes,
    /// Where payloads begin that cannot be had though their records are whole, and the size of those.
    pub(crate) unreadable: Vec<(u64, u64)>,
    /// The key of a note that cannot be read without it.
    pub(crate) lacks: Option<u16>,
}

/// Damage between two whole commits (or behind the last).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hole {
    /// Where the first bad record begins.
    pub(crate) offset: u64,
    /// Where the next whole commit begins, or the end of the file.
    pub(crate) end: u64,
    pub(crate) fault: Fault,
    /// Where the commit begins that is not whole.
    pub(crate) before: Position,
    /// The seqs that cannot be read.
    pub(crate) lost: (u64, u64),
    /// What leads to the next whole commit.
    pub(crate) after: Option<Position>,
}

impl Replay {
    pub(crate) fn new(position: Position) -> Self {
        Self {
            position,
            stop: Stop::End,
            places: Places::default(),
            tombstones_gone: 0,
            least_forgotten: u64::MAX,
            deletions: Deletions::default(),
            notes: BTreeMap::new(),
            synced: 0,
            entries: 0,
            damage: Vec::new(),
            keys: None,
            inside: false,
            dictionary: Bytes::new(),
            unreadable: Vec::new(),
            lacks: None,
        }
    }

    /// Looks into every payload for which there is a key.
    pub(crate) fn looking_inside(mut self) -> Self {
        self.inside = true;
        self
    }

    /// With keys for notes that are encrypted.
    pub(crate) fn with_keys(mut self, keys: Option<Keys>) -> Self {
        self.keys = keys;
        self
    }

    /// Reads on from where it stands, up to the first bad record, and only commits whose entries are all below `limit`.
    pub(crate) fn run(&mut self, bytes: &[u8], id: LogId, limit: u64) {
        let mut at = self.position;
        self.stop = walk(bytes, id, limit, &mut at, |commit, items| {
            self.synced = self.synced.max(commit.synced);
            self.take(items, id);
        });
        self.position = at;
    }

    /// Reads on, stepping over bad records that somebody vouches for: to the next whole commit, or to the end if none
    /// follows. The entries in between keep the place of the damage, so that reading one says where it is. Entries below `known` are known to
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
            let next = self.position.next + items.iter().map(|item| item.record.seqs()).sum::<u64>();
            // A power cut may have kept later commits and not this one. Only what somebody vouches for is damaged.
            let vouched = next < known || find_commit(bytes, id, offset + 1, |commit| commit.synced > offset).is_some();
            if !vouched {
                return;
            }
            let later = find_commit(bytes, id, offset + 1, |commit| commit.first >= next)
                .map(|(_, position)| position)
                .or_else(|| find_seal(bytes, offset + 1, next));
            let (to, end) = match &later {
                Some(position) => (position.next, position.offset),
                None if next < known => (known, bytes.len() as u64),
                None => return,
            };
            // A record takes some bytes: more were not between here and the commit that follows.
            let room = if later.is_some() { end.saturating_sub(offset) / record_size(0) as u64 + 1 } else { MAX_LOST };
            if to.saturating_sub(next) > room {
                // Whatever says that there were so many is wrong itself.
                return;
            }
            self.take(&items, id);
            let before = self.position;
            self.damage.push(Hole { offset, end, fault, before, lost: (next, to), after: later });
            match later {
                Some(position) => {
                    (next..to).for_each(|_| self.places.push(offset));
                    self.position = position;
                }
                None => {
                    (self.places.lost, self.places.lost_at) = (to - next, offset);
                    self.position.next = to;
                    return;
                }
            }
        }
    }

    /// Where each entry begins, and where the damage is by which entries at the end were lost.
    pub(crate) fn into_places(self) -> Places {
        self.places
    }

    fn take(&mut self, items: &[Item<'_>], id: LogId) {
        for Item { number, offset, record } in items {
            if record.takes_seq() {
                self.places.push(*offset);
            }
            self.entries += u64::from(record.kind == kind::ENTRY && !record.is_erased());
            if self.inside && !record.form.is_plain() && !record.is_erased() {
                let missing = record.form.is_encrypted() && self.keys.is_none();
                if !missing && self.unpack(id, *number, record).is_none() {
                    self.unreadable.push((*offset, record.size as u64));
                }
            }
            match record.kind {
                kind::DICTIONARY => self.dictionary = self.unpack(id, *number, record).unwrap_or_default().into(),
                kind::TOMBSTONE if !record.is_erased() => {
                    self.deletions.insert(*number, decode_targets(record.payload));
                }
                kind::GAP => {
                    let gap = Gap::decode(record.payload);
                    self.places.push_gap(gap.count.into(), *offset);
                    if gap.tombstones > 0 {
                        self.tombstones_gone += u64::from(gap.tombstones);
                        self.least_forgotten = self.least_forgotten.min(gap.least);
                    }
                }
                kind::CARRY => self.deletions = Deletions::decode(record.payload),
                kind::NOTE => match self.open_note(id, *number, record) {
                    Some(note) => drop(self.notes.insert(note.name.clone(), note)),
                    None if record.form.is_encrypted() => self.lacks = Some(record.form.key),
                    None => {}
                },
                _ => {}
            }
        }
    }
}

impl Replay {
    fn open_note(&self, id: LogId, number: u64, record: &Record<'_>) -> Option<Note> {
        if record.form.is_plain() {
            decode_note(record.payload)
        } else {
            decode_note(&self.unpack(id, number, record)?)
        }
    }

    /// A payload as it was appended, if it can be had.
    fn unpack(&self, id: LogId, number: u64, record: &Record<'_>) -> Option<Vec<u8>> {
        if record.form.is_plain() {
            return Some(record.payload.to_vec());
        }
        let cipher = match &self.keys {
            Some(keys) if record.form.is_encrypted() => Some(keys.cipher(record.form.key).ok()?),
            _ => None,
        };
        let (what, mut payload) = ((number, record.kind, record.form), Vec::new());
        let dictionary = || Ok(self.dictionary.clone());
        unpack(id, what, record.payload, cipher.as_deref(), dictionary, &mut payload).ok()?;
        Some(payload)
    }
}

/// Where the commits of a sealed segment end, if its trailer is whole, that is behind `from`, and nothing before the seq
/// `next` is there.
fn find_seal(bytes: &[u8], from: u64, next: u64) -> Option<Position> {
    let trailer = Trailer::decode(bytes.get(bytes.len().checked_sub(TRAILER_LEN)?..)?).ok()?;
    let position = Position {
        offset: trailer.index_offset,
        chain: trailer.chain,
        next: trailer.first.checked_add(trailer.count)?,
    };
    (position.offset >= from && position.next >= next).then_some(position)
}
