//! [`Group`], the requests that go into one commit, and the bytes of that commit.

use super::{
    format::{COMMIT_LEN, Commit, Form, LogId, frame, kind, push_formed, push_record, record_size},
    note::encode_note,
    payload::{Nonces, Packing},
    queue::Request,
    walk::Position,
};
use crate::{
    Env, Error, Result, Seq,
    env::planted::{Bug, planted},
    log::{Batch, Note, chunk::encode_targets},
};

/// Batches of at least this many bytes are written from where they are; smaller ones are gathered, since a call costs
/// more than the copy.
const COPY_BELOW: usize = 64 << 10;

/// So many targets go into one tombstone.
const TARGETS: usize = 1 << 16;

/// Requests that go into one commit.
#[derive(Default)]
pub(crate) struct Group {
    /// What was asked, without what was asked of it: the batch is in `parts`.
    pub(crate) requests: Vec<Request>,
    /// The first seq and the number of entries of each append, in order.
    pub(crate) names: Vec<(u64, u64)>,
    parts: Vec<Part>,
    /// Entries and tombstones so far.
    count: u64,
    /// Bytes of records so far.
    size: usize,
    /// Somebody waits for the disk.
    pub(crate) durable: bool,
    /// It deletes something.
    pub(crate) deletes: bool,
}

enum Part {
    /// Where in the buffer each payload begins and how long it is; how each is stored, if not all are as they are.
    Entries {
        buffer: Vec<u8>,
        ranges: Vec<(usize, usize)>,
        forms: Vec<Form>,
    },
    Tombstone(Vec<Seq>),
    /// The note, and its payload once it is as it is to be stored.
    Note(Note, Option<(Form, Vec<u8>)>),
}

/// A group as bytes.
pub(crate) struct Encoded {
    /// To be written one behind the other.
    pub(crate) pieces: Vec<Vec<u8>>,
    /// Where each entry begins.
    pub(crate) offsets: Vec<u64>,
    pub(crate) tombstones: Vec<(u64, Vec<Seq>)>,
    pub(crate) notes: Vec<Note>,
    /// Behind it.
    pub(crate) after: Position,
}

impl Group {
    pub(crate) fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    /// Whether it has anything to write.
    pub(crate) fn has_records(&self) -> bool {
        !self.parts.is_empty()
    }

    /// The names of the notes in it.
    pub(crate) fn note_names(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Note(note, _) => Some(note.name.as_str()),
            _ => None,
        })
    }

    /// Entries and tombstones in it.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// Bytes that the commit takes.
    pub(crate) fn size(&self) -> usize {
        record_size(COMMIT_LEN) + self.size
    }

    /// Adds a batch whose first entry gets the seq `first`.
    pub(crate) fn add_batch(&mut self, first: u64, mut batch: Batch) {
        let note = batch.note.take();
        self.names.push((first, batch.len() as u64));
        self.count += batch.len() as u64;
        self.size += batch.buffer_len();
        if !batch.is_empty() {
            let (buffer, ranges) = batch.into_parts();
            self.parts.push(Part::Entries { buffer, ranges, forms: Vec::new() });
        }
        if let Some(note) = note {
            self.size += record_size(note_len(&note));
            self.parts.push(Part::Note(note, None));
        }
    }

    pub(crate) fn add_deletions(&mut self, targets: &[Seq]) {
        for targets in targets.chunks(TARGETS) {
            self.count += 1;
            self.size += record_size(targets.len() * 8);
            self.parts.push(Part::Tombstone(targets.to_vec()));
        }
        self.deletes = true;
    }

    /// Tells all whose requests these are that nothing came of them.
    pub(crate) fn fail(mut self, error: &Error) {
        if planted(Bug::LostWaiter) {
            std::mem::forget(self.requests.pop());
        }
        self.requests.into_iter().for_each(|request| request.fail(error));
    }

    /// Puts payloads into the form in which the segment stores them; the first entry has the seq `first`.
    pub(crate) fn pack(&mut self, packing: &Packing, env: &Env, first: u64) -> Result<()> {
        if packing.is_plain() {
            return Ok(());
        }
        // Drawn for this commit alone: should it fail, and another take its place, the nonces are others.
        let notes = self.parts.iter().filter(|part| matches!(part, Part::Note(..))).count();
        let mut nonces = packing.nonces(env, self.count as usize + notes)?;
        let (mut number, mut size) = (first, 0);
        for part in &mut self.parts {
            match part {
                Part::Entries { buffer, ranges, forms } => {
                    let mut packed = Batch::with_capacity(buffer.len());
                    forms.reserve(ranges.len());
                    for &(start, len) in &*ranges {
                        let payload = buffer.get(start..start + len).unwrap_or_default();
                        packed.push_with(|out| {
                            forms.push(packing.pack(kind::ENTRY, number, payload, &mut nonces, out));
                            Ok::<(), Error>(())
                        })?;
                        number += 1;
                    }
                    size += packed.buffer_len();
                    (*buffer, *ranges) = packed.into_parts();
                }
                Part::Tombstone(targets) => {
                    number += 1;
                    size += record_size(targets.len() * 8);
                }
                Part::Note(note, stored) => {
                    let packed = pack_note(note, packing, number, &mut nonces);
                    size += record_size(packed.1.len());
                    *stored = Some(packed);
                }
            }
        }
        self.size = size;
        Ok(())
    }

    /// Frames everything: links each record to the one before and seals it with its checksum.
    pub(crate) fn encode(&mut self, at: Position, id: LogId, stamp: Commit) -> Encoded {
        let commit = Commit { first: at.next, count: self.count as u32, body: self.size as u32, ..stamp };
        let mut gathered = Vec::with_capacity(self.size().min(2 * COPY_BELOW));
        let mut chain = push_record(&mut gathered, kind::COMMIT, &commit.encode(), at.chain, id.place(at.next));
        let mut out = Encoded {
            pieces: Vec::new(),
            offsets: Vec::with_capacity(self.count as usize),
            tombstones: Vec::new(),
            notes: Vec::new(),
            after: at,
        };
        let mut number = at.next;
        let mut written = at.offset;
        for part in std::mem::take(&mut self.parts) {
            match part {
                Part::Entries { mut buffer, ranges, forms } => {
                    let base = written + gathered.len() as u64;
                    for (index, (start, len)) in ranges.into_iter().enumerate() {
                        let form = forms.get(index).copied().unwrap_or_default();
                        let start = start - Batch::ROOM;
                        out.offsets.push(base + start as u64);
                        let record = buffer.get_mut(start..).unwrap_or_default();
                        chain = frame(record, kind::ENTRY, form, len, chain, id.place(number));
                        number += 1;
                    }
                    if buffer.len() < COPY_BELOW {
                        gathered.extend_from_slice(&buffer);
                    } else {
                        written = base + buffer.len() as u64;
                        out.pieces.push(std::mem::take(&mut gathered));
                        out.pieces.push(buffer);
                    }
                }
                Part::Tombstone(targets) => {
                    out.offsets.push(written + gathered.len() as u64);
                    let mut payload = Vec::with_capacity(targets.len() * 8);
                    encode_targets(&targets, &mut payload);
                    chain = push_record(&mut gathered, kind::TOMBSTONE, &payload, chain, id.place(number));
                    out.tombstones.push((number, targets));
                    number += 1;
                }
                Part::Note(note, stored) => {
                    let (form, payload) = stored.unwrap_or_else(|| (Form::default(), note_payload(&note)));
                    chain = push_formed(&mut gathered, kind::NOTE, (form, &payload), chain, id.place(number));
                    out.notes.push(note);
                }
            }
        }
        written += gathered.len() as u64;
        out.pieces.push(gathered);
        out.after = Position { offset: written, chain, next: number };
        out
    }
}

/// A note's payload as the segment stores it. Its length varies too little to be worth compressing.
pub(crate) fn pack_note(note: &Note, packing: &Packing, number: u64, nonces: &mut Nonces) -> (Form, Vec<u8>) {
    let packing = Packing { compress: false, ..packing.clone() };
    let mut stored = Vec::new();
    let form = packing.pack(kind::NOTE, number, &note_payload(note), nonces, &mut stored);
    (form, stored)
}

fn note_payload(note: &Note) -> Vec<u8> {
    let mut payload = Vec::with_capacity(note_len(note));
    encode_note(note, &mut payload);
    payload
}

fn note_len(note: &Note) -> usize {
    2 + note.name.len() + 8 + note.proof.len()
}
