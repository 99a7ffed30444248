//! Reads the framing that LevelDB's logs and manifests share: records in pieces that do not cross the bounds of 32 KiB
//! blocks, each piece with a checksum. What is in a record is not known here.

use bytes::Bytes;
use flumedb::{Error, Result, check::TornTail, env::File};

use super::{
    Place,
    cursor::{self, Cursor},
};

const BLOCK: usize = 32 << 10;
/// Checksum, length, and which piece of a record it is.
const HEADER: usize = 7;

/// What a log holds.
#[derive(Default)]
pub(super) struct Journal {
    pub(super) records: Vec<Bytes>,
    pub(super) damage: Vec<Stretch>,
    /// Where bytes begin that a stopped writer left.
    torn_at: Option<usize>,
    pub(super) len: usize,
}

impl Journal {
    /// What a writer left that was stopped.
    pub(super) fn torn_tail(&self, place: &Place) -> Option<TornTail> {
        let at = self.torn_at?;
        Some(TornTail { file: place.path.clone(), offset: at as u64, bytes: (self.len - at) as u64 })
    }
}

/// Bytes that are not what was written.
pub(super) struct Stretch {
    pub(super) offset: usize,
    pub(super) bytes: usize,
    pub(super) reason: &'static str,
}

/// Reads a whole file.
pub(super) fn read(file: &dyn File, place: &Place) -> Result<Journal> {
    let len = file.len().and_then(|len| file.read(0, usize::try_from(len).unwrap_or(usize::MAX)));
    let bytes = len.map_err(|error| Error::io("read", &place.path, error))?;
    Ok(parse(&bytes))
}

fn parse(bytes: &Bytes) -> Journal {
    let mut found = Journal { len: bytes.len(), ..Journal::default() };
    // The beginning of a record whose end has not come yet, and where it begins.
    let mut begun: Option<(usize, Vec<u8>)> = None;
    // Pieces of a record whose beginning was damaged go with it.
    let mut lost = false;
    // Behind this there are zeros only.
    let written = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    let mut at = 0;
    while at < bytes.len() {
        let block_end = (at / BLOCK + 1) * BLOCK;
        if block_end - at < HEADER {
            at = block_end;
            continue;
        }
        let piece = match piece(bytes, at, block_end, written) {
            Piece::Whole(kind, piece) => Some((kind, piece)),
            Piece::Unwritten => {
                at = bytes.len();
                break;
            }
            Piece::Torn => break,
            Piece::Damaged(reason) => {
                let offset = begun.take().map_or(at, |(offset, _)| offset);
                let end = block_end.min(bytes.len());
                found.damage.push(Stretch { offset, bytes: end - offset, reason });
                lost = true;
                at = end;
                None
            }
        };
        let Some((kind, piece)) = piece else { continue };
        let end = at + HEADER + piece.len();
        match (kind, begun.take()) {
            (FULL, None) => found.records.push(piece),
            (FIRST, None) => begun = Some((at, piece.to_vec())),
            (MIDDLE, Some((offset, mut record))) => {
                record.extend_from_slice(&piece);
                begun = Some((offset, record));
            }
            (LAST, Some((_, mut record))) => {
                record.extend_from_slice(&piece);
                found.records.push(record.into());
            }
            // A writer that was stopped in the middle of a record, and one that went on after it.
            (FULL | FIRST, Some((offset, _))) => {
                found.damage.push(Stretch { offset, bytes: at - offset, reason: "a record without its end" });
                if kind == FULL {
                    found.records.push(piece);
                } else {
                    begun = Some((at, piece.to_vec()));
                }
            }
            _ if lost => {}
            _ => found.damage.push(Stretch { offset: at, bytes: end - at, reason: "a record without its beginning" }),
        }
        lost &= kind == MIDDLE;
        at = end;
    }
    found.torn_at = begun.map(|(offset, _)| offset).or((at < bytes.len()).then_some(at));
    found
}

const FULL: u8 = 1;
const FIRST: u8 = 2;
const MIDDLE: u8 = 3;
const LAST: u8 = 4;

enum Piece {
    Whole(u8, Bytes),
    /// The rest of the file was set aside and not written.
    Unwritten,
    /// The file ends in it.
    Torn,
    Damaged(&'static str),
}

fn piece(bytes: &Bytes, at: usize, block_end: usize, written: usize) -> Piece {
    let mut header = Cursor(bytes.get(at..).unwrap_or_default());
    let (Some(sum), Some(len), Some(kind)) = (header.u32(), header.u16(), header.byte()) else { return Piece::Torn };
    if (sum, len, kind) == (0, 0, 0) {
        return if at >= written { Piece::Unwritten } else { Piece::Damaged("zeros where a record was") };
    }
    let start = at + HEADER;
    let end = start + usize::from(len);
    if end > block_end {
        return Piece::Damaged("a piece of a record that is longer than its block");
    }
    // The checksum is over the kind, too, which stands right before the piece.
    let Some(summed) = bytes.get(start - 1..end) else { return Piece::Torn };
    if !cursor::checksum(summed, sum) {
        return Piece::Damaged("a checksum that does not fit");
    }
    match kind {
        FULL..=LAST => Piece::Whole(kind, bytes.slice(start..end)),
        _ => Piece::Damaged("a piece of an unknown kind"),
    }
}
