//! Reading payloads that are not stored as they are.

use bytes::Bytes;

use super::{
    format::{COMMIT_LEN, Form, HEADER_LEN, RECORD_LEN, Record, kind, record_size, u32_at},
    payload::{Sealed, unpack},
    segment::{Part, Segment, check_header, fault_error},
};
use crate::{
    Damage, Error, Result, Seq,
    keys::{missing, wrong},
    log::{Slot, SlotKind},
};

/// Among so many commits the dictionary is looked for.
const COMMITS: usize = 3;

impl Segment {
    /// The payload of the record of `number`.
    pub(crate) fn unpack(&self, record: &Record<'_>, number: u64) -> Result<Bytes> {
        let mut out = Vec::new();
        self.unpack_into((number, record.kind, record.form), record.payload, &mut out)
            .map_err(|error| error.at(Seq::new(number)))?;
        Ok(out.into())
    }

    /// Appends to `out` what is stored as `stored`. On an error `out` is as before.
    fn unpack_into(&self, what: (u64, u8, Form), stored: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let form = what.2;
        let cipher = match &self.keys {
            _ if !form.is_encrypted() => None,
            None => return Err(missing(form.key)),
            Some(keys) => Some(keys.cipher(form.key)?),
        };
        let mut failure = None;
        let dictionary = || {
            self.dictionary().map_err(|error| {
                failure = Some(error);
                Sealed::Broken
            })
        };
        let unpacked = unpack(self.id, what, stored, cipher.as_deref(), dictionary, out);
        unpacked.map_err(|sealed| failure.unwrap_or_else(|| self.explain(sealed, what)))
    }

    /// Why a payload cannot be had, though the checksum of its record is right.
    fn explain(&self, sealed: Sealed, (number, _, form): (u64, u8, Form)) -> Error {
        let reason = match sealed {
            Sealed::Closed if !self.has_right_key(form.key) => return wrong(form.key),
            Sealed::Closed => "it does not decrypt, though the key is right: somebody has changed it",
            Sealed::Broken => "it does not decompress to the length that it states",
        };
        let (start, end, _) = self.range(number);
        Error::corrupt(Damage::new(&self.path, start, end.saturating_sub(start), reason))
    }

    /// Whether the key with this number is the one that the segment was written with, as far as its header tells.
    fn has_right_key(&self, number: u16) -> bool {
        let header = check_header(&*self.file, &self.path, self.name, Some(self.id));
        let cipher = self.keys.as_ref().and_then(|keys| keys.cipher(number).ok());
        match (header, cipher) {
            (Ok(header), Some(cipher)) => {
                header.key == number && cipher.check(&header.salt, &self.id.0) == header.key_check
            }
            _ => false,
        }
    }

    /// What compressed payloads of this segment refer to; empty if it has no dictionary.
    pub(crate) fn dictionary(&self) -> Result<Bytes> {
        if let Some(dictionary) = self.dictionary.get() {
            return Ok(dictionary.clone());
        }
        let read =
            |offset: u64, len: usize| self.file.read(offset, len).map_err(|error| Error::io("read", &self.path, error));
        // It is the first record behind the first commit record. A repair may have put a commit or two before that one.
        let mut at = HEADER_LEN as u64;
        let mut dictionary = Bytes::new();
        for _ in 0..COMMITS {
            let commit = read(at, RECORD_LEN + COMMIT_LEN)?;
            let behind = at + record_size(u32_at(&commit, 8) as usize) as u64;
            let head = read(behind, RECORD_LEN)?;
            if commit.get(12) != Some(&kind::COMMIT) {
                break;
            }
            if head.get(12) == Some(&kind::DICTIONARY) {
                dictionary = self.read_dictionary(behind, &read(behind, RECORD_LEN + u32_at(&head, 8) as usize)?)?;
                break;
            }
            at = behind + u64::from(u32_at(&commit, RECORD_LEN + 12));
        }
        Ok(self.dictionary.get_or_init(|| dictionary).clone())
    }

    fn read_dictionary(&self, at: u64, bytes: &[u8]) -> Result<Bytes> {
        let number = self.name.first;
        let record = Record::parse(bytes, self.id.place(number)).map_err(|fault| fault_error(&self.path, at, fault))?;
        if record.form.is_compressed() {
            return Err(self.misplaced(at));
        }
        let mut out = Vec::new();
        self.unpack_into((number, record.kind, record.form), record.payload, &mut out)?;
        Ok(out.into())
    }

    /// A part with its payloads as they were appended, in one piece of memory: as many as fit `max_bytes` (one at least),
    /// from that end which `reverse` says, up to the first that cannot be had.
    pub(super) fn unpack_part(
        &self,
        part: Part,
        max_bytes: usize,
        reverse: bool,
        is_deleted: impl Fn(u64) -> bool,
    ) -> Result<Part> {
        if !part.packed {
            return Ok(part);
        }
        let mut out = Vec::with_capacity(part.bytes.len());
        let mut slots = Vec::with_capacity(part.slots.len());
        let mut fault = None;
        let count = part.slots.len();
        for index in 0..count {
            let index = if reverse { count - 1 - index } else { index };
            let Some(slot) = part.slots.get(index) else { break };
            let start = out.len();
            // Nor must a deleted one be in the way that cannot be read.
            let unpacked = match is_deleted(slot.seq.get()) {
                true => Ok(()),
                false => self.unpack_slot(&part.bytes, slot, &mut out),
            };
            match unpacked {
                // How long it is shows only now.
                Ok(()) if out.len() > max_bytes && !slots.is_empty() => {
                    out.truncate(start);
                    break;
                }
                Ok(()) => slots.push(Slot { start: start as u32, len: (out.len() - start) as u32, ..*slot }),
                Err(error) => {
                    let number = slot.seq.get();
                    let error = error.at(slot.seq);
                    if slots.is_empty() {
                        return Err(error);
                    }
                    fault = Some((number, error));
                    break;
                }
            }
        }
        if reverse {
            slots.reverse();
        }
        Ok(Part { bytes: out.into(), slots, packed: false, forgotten: part.forgotten, fault })
    }

    fn unpack_slot(&self, bytes: &Bytes, slot: &Slot, out: &mut Vec<u8>) -> Result<()> {
        let start = slot.start as usize;
        let stored = bytes.get(start..start + slot.len as usize).unwrap_or_default();
        // Its header stands in front; it was checked when the slot was made.
        let header = bytes.get(start - RECORD_LEN..start).unwrap_or_default();
        let form = Form::of(header);
        if form.is_plain() || slot.kind != SlotKind::Entry {
            out.extend_from_slice(stored);
            return Ok(());
        }
        self.unpack_into((slot.seq.get(), kind::ENTRY, form), stored, out)
    }
}
