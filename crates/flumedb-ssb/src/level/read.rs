//! How [`Level`] is read: the blocks that can hold what is asked for, and the rows of the logs, put in order.

use bytes::Bytes;
use flumedb::{
    Error, ErrorKind, Result, Seq, Span,
    log::{Chunk, ReadRequest, Slot, SlotKind},
};

use super::{Level, row::Row, table::Piece};
use crate::file::not_found;

/// A slot says where in a chunk its payload is with 32 bits.
const LONGEST: usize = u32::MAX as usize;

impl Level {
    /// The value of an entry.
    pub(super) fn value(&self, seq: Seq) -> Result<Bytes> {
        let key = seq.get();
        let mut rows = Vec::new();
        for piece in self.overlapping(Span { from: key, to: key.saturating_add(1) }) {
            rows.extend(piece.rows().map_err(|error| error.at(seq))?);
        }
        rows.retain(|row| row.key == key);
        rows.extend(self.rows_from(key).take_while(|row| row.key == key).cloned());
        let newest = rows.into_iter().max_by_key(|row| row.change);
        newest.and_then(|row| row.value).ok_or_else(|| not_found(seq))
    }

    pub(super) fn chunk(&self, request: ReadRequest) -> Result<Chunk> {
        let end = self.end();
        let mut window = Span { to: request.span.to.min(end), ..request.span };
        if window.is_empty() {
            let to = if request.reverse { request.span.to } else { window.to.max(window.from) };
            return Ok(Chunk::nothing(Span { from: request.span.from, to }, end));
        }
        self.narrow(&mut window, request);
        let mut rows = self.rows_of(&mut window, request)?;
        rows.extend(self.rows_from(window.from).take_while(|row| row.key < window.to).cloned());
        rows.retain(|row| window.contains(row.key));
        rows.sort_by_key(Row::order);
        rows.dedup_by_key(|row| row.key);
        if request.reverse {
            rows.reverse();
        }
        gather(&rows, window, request, end)
    }

    /// What the tables hold in a window. Before a block that cannot be read the window ends.
    fn rows_of(&self, window: &mut Span, request: ReadRequest) -> Result<Vec<Row>> {
        let mut pieces: Vec<&Piece> = self.overlapping(*window).collect();
        if request.reverse {
            pieces.reverse();
        }
        let mut rows = Vec::new();
        for piece in pieces {
            if piece.from >= window.to || piece.upto < window.from {
                continue;
            }
            match piece.rows() {
                Ok(found) => rows.extend(found),
                Err(error) if error.kind() != ErrorKind::Corrupt => return Err(error),
                Err(_) if !request.reverse && piece.from > window.from => window.to = piece.from,
                Err(_) if request.reverse && piece.upto < window.to - 1 => window.from = piece.upto + 1,
                // It is next. All that is as near goes with it: an error has one place.
                Err(error) => {
                    let Span { from, to } = request.span;
                    let far = if request.reverse { piece.from.max(from) } else { piece.upto.min(to - 1) };
                    return Err(error.at(Seq::new(far)));
                }
            }
        }
        Ok(rows)
    }

    /// What the logs hold from a key on.
    fn rows_from(&self, key: u64) -> impl Iterator<Item = &Row> {
        self.rows.iter().skip(self.rows.partition_point(|row| row.key < key))
    }

    /// Takes of a window so much that about as many bytes as asked for are in it.
    fn narrow(&self, window: &mut Span, request: ReadRequest) {
        let mut bytes = 0_usize;
        let mut more = |piece: &&Piece| {
            let enough = bytes >= request.max_bytes;
            bytes = bytes.saturating_add(piece.cost());
            enough
        };
        if request.reverse {
            let within = |piece: &&Piece| piece.upto >= window.from && piece.upto < window.to - 1;
            if let Some(piece) = self.overlapping(*window).rev().filter(within).find(&mut more) {
                window.from = piece.upto + 1;
            }
        } else {
            let within = |piece: &&Piece| piece.from > window.from;
            if let Some(piece) = self.overlapping(*window).filter(within).find(&mut more) {
                window.to = piece.from;
            }
        }
    }

    /// The blocks in which keys of this span can be.
    fn overlapping(&self, span: Span) -> impl DoubleEndedIterator<Item = &Piece> {
        let start = self.reach.partition_point(|&upto| upto < span.from);
        let end = self.pieces.partition_point(|piece| piece.from < span.to);
        let pieces = self.pieces.get(start..end).unwrap_or_default();
        pieces.iter().filter(move |piece| piece.upto >= span.from)
    }
}

fn gather(rows: &[Row], window: Span, request: ReadRequest, end: u64) -> Result<Chunk> {
    let (mut bytes, mut slots) = (Vec::new(), Vec::with_capacity(rows.len()));
    // All of the window, unless there is more in it than was asked for.
    let mut covered = if request.reverse {
        Span { from: window.from, to: request.span.to }
    } else {
        Span { from: request.span.from, to: window.to }
    };
    let mut last = None;
    for Row { key, value, .. } in rows {
        let Some(value) = value else { continue };
        let place = u32::try_from(bytes.len()).ok().zip(u32::try_from(value.len()).ok());
        let full = bytes.len().saturating_add(value.len()) > request.max_bytes.min(LONGEST);
        let Some((start, len)) = place.filter(|_| !full || last.is_none()) else {
            match last {
                None => {
                    return Err(
                        Error::new(ErrorKind::Unsupported, "an entry of 4 GiB cannot be read").at(Seq::new(*key))
                    );
                }
                Some(last) if request.reverse => covered.from = last,
                Some(last) => covered.to = last + 1,
            }
            break;
        };
        slots.push(Slot { seq: Seq::new(*key), kind: SlotKind::Entry, start, len });
        bytes.extend_from_slice(value);
        last = Some(*key);
    }
    Ok(Chunk { bytes: bytes.into(), slots, covered, horizon: end, forgotten: Vec::new() })
}
