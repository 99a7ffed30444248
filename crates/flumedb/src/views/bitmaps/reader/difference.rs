//! Holding one of the views against another, by what they find: in which blocks they keep it, and what they keep of deleted
//! entries, is their own.

use std::{collections::VecDeque, ops::Bound};

use redb::Range;
use roaring::RoaringBitmap;

use super::{BitmapReader, Window};
use crate::{
    Result, Seq,
    views::{
        bitmaps::{block::whole, column, pending::Measured, rows::split},
        store::packs::Rows,
    },
};

impl<T> BitmapReader<T> {
    /// The first of the entries that are found here and not in `other`, or there and not here, in words; `None` if there is
    /// none. For [`Flume::verify_view`](crate::Flume::verify_view).
    ///
    /// # Errors
    /// `Corrupt` or `Io`, as the stores say.
    pub fn difference(&self, other: &Self) -> Result<Option<String>> {
        let (mut ours, mut theirs) = (Terms::of(self), Terms::of(other));
        let mut number = 0_u64;
        loop {
            let (one, two) = (ours.next()?, theirs.next()?);
            let found = match (&one, &two) {
                (None, None) => break,
                (Some(one), Some(two)) if one == two => None,
                (Some(one), Some(two)) if one.place() == two.place() => {
                    let differs = (&one.bits ^ &two.bits).min();
                    differs.map(|low| (one.high, low, one.bits.contains(low)))
                }
                (Some(one), two) if two.as_ref().is_none_or(|two| one.place() < two.place()) => {
                    one.bits.min().map(|low| (one.high, low, true))
                }
                (_, two) => two.as_ref().and_then(|two| Some((two.high, two.bits.min()?, false))),
            };
            if let Some((high, low, ours)) = found {
                let (seq, is) = (Seq::new(whole(high, low)), if ours { "too many" } else { "missing" });
                return Ok(Some(format!("entry {seq} is {is} (bitmap {number})")));
            }
            number += 1;
        }
        let (mut ours, mut theirs) = (Numbers::of(self)?, Numbers::of(other)?);
        loop {
            let (one, two) = (ours.next()?, theirs.next()?);
            if one == two && one.is_none() {
                return Ok(None);
            }
            if one != two {
                let seq = one.into_iter().chain(two).map(|(seq, _)| seq).min().unwrap_or_default();
                return Ok(Some(format!("the number of entry {seq} is another, missing or too many")));
            }
        }
    }

    /// The deleted entries among those with one upper half.
    fn deleted(&self, high: u32) -> Result<RoaringBitmap> {
        self.load(&self.0.gone, &[], Window { high, from: 0, to: u32::MAX })
    }
}

/// What of the entries with one upper half has a term, without deleted ones.
#[derive(PartialEq)]
struct Held {
    term: Vec<u8>,
    high: u32,
    bits: RoaringBitmap,
}

impl Held {
    fn place(&self) -> (&[u8], u32) {
        (&self.term, self.high)
    }
}

/// Goes through all of a view, term by term.
struct Terms<'a, T> {
    reader: &'a BitmapReader<T>,
    rows: Rows,
    ahead: Option<Held>,
    /// Those of the upper half that was met last.
    deleted: Option<(u32, RoaringBitmap)>,
}

impl<'a, T> Terms<'a, T> {
    fn of(reader: &'a BitmapReader<T>) -> Self {
        let rows = reader.0.bits.range((Bound::Unbounded, Bound::Unbounded));
        Self { reader, rows, ahead: None, deleted: None }
    }

    fn next(&mut self) -> Result<Option<Held>> {
        loop {
            let first = match self.ahead.take() {
                Some(ahead) => Some(ahead),
                None => self.row()?,
            };
            let Some(mut held) = first else { return Ok(None) };
            while let Some(row) = self.row()? {
                if row.place() != held.place() {
                    self.ahead = Some(row);
                    break;
                }
                held.bits |= row.bits;
            }
            let deleted = match self.deleted.take() {
                Some((high, bits)) if high == held.high => bits,
                _ => self.reader.deleted(held.high)?,
            };
            held.bits -= &deleted;
            self.deleted = Some((held.high, deleted));
            if !held.bits.is_empty() {
                return Ok(Some(held));
            }
        }
    }

    fn row(&mut self) -> Result<Option<Held>> {
        let row = self.rows.next().map_err(|error| self.reader.failed(error))?;
        let Some((key, bytes)) = row else { return Ok(None) };
        let block = self.reader.block(key, bytes)?;
        let term = split(key).map(|(term, _)| term.to_owned()).unwrap_or_default();
        Ok(Some(Held { term, high: block.high, bits: block.bits }))
    }
}

/// Goes through the numbers by entry that a view has, if it has such.
struct Numbers<'a, T> {
    reader: &'a BitmapReader<T>,
    rows: Option<Range<'static, u64, &'static [u8]>>,
    block: VecDeque<Measured>,
    deleted: Option<(u32, RoaringBitmap)>,
}

impl<'a, T> Numbers<'a, T> {
    fn of(reader: &'a BitmapReader<T>) -> Result<Self> {
        let rows = reader.0.column.as_ref().map(|column| column.range(0..)).transpose();
        Ok(Self { reader, rows: rows.map_err(|error| reader.failed(error))?, block: VecDeque::new(), deleted: None })
    }

    fn next(&mut self) -> Result<Option<Measured>> {
        loop {
            while let Some((seq, number)) = self.block.pop_front() {
                let (high, low) = ((seq >> 32) as u32, seq as u32);
                let deleted = match self.deleted.take() {
                    Some((of, bits)) if of == high => bits,
                    _ => self.reader.deleted(high)?,
                };
                let is_deleted = deleted.contains(low);
                self.deleted = Some((high, deleted));
                if !is_deleted {
                    return Ok(Some((seq, number)));
                }
            }
            let Some(row) = self.rows.as_mut().and_then(Iterator::next) else { return Ok(None) };
            let (start, bytes) = row.map_err(|error| self.reader.failed(error))?;
            self.block.extend(column::decode(start.value(), bytes.value()));
        }
    }
}
