//! A pack as bytes, and the rows in it.
//!
//! Layout: for each row three numbers (LEB128): how many bytes of the key are those that the key before begins with, how many
//! are not, how many the value has; then those bytes of the key; then the value. What is before the first row is the key
//! of the pack, which is all of the row's.

use super::corrupted;
use crate::views::store::varint;

/// A pack, with its key, is at most so large, unless it has one row only: two of them fill a page of redb's.
pub(super) const MOST: usize = 2038;

/// A row of a pack that is being made.
pub(super) struct Row<'a> {
    pub(super) key: &'a [u8],
    pub(super) value: &'a [u8],
    /// How many bytes its key begins with that the one before has too.
    shared: usize,
}

impl<'a> Row<'a> {
    /// The row that follows one with the key `before`.
    pub(super) fn new(before: &[u8], key: &'a [u8], value: &'a [u8]) -> Self {
        Self { key, value, shared: common(before, key) }
    }

    /// How many bytes it takes.
    pub(super) fn len(&self) -> usize {
        let rest = self.key.len() - self.shared;
        let lens = [self.shared, rest, self.value.len()].map(|len| varint::len(len as u64));
        lens.iter().sum::<usize>() + rest + self.value.len()
    }

    /// Appends its bytes; the first of a pack has all of its key in common with that of the pack.
    pub(super) fn write(&self, first: bool, out: &mut Vec<u8>) {
        let shared = if first { self.key.len() } else { self.shared };
        let rest = self.key.get(shared..).unwrap_or_default();
        [shared, rest.len(), self.value.len()].iter().for_each(|&len| varint::write(len as u64, out));
        out.extend_from_slice(rest);
        out.extend_from_slice(self.value);
    }
}

/// How many bytes two keys begin with in common.
fn common(one: &[u8], two: &[u8]) -> usize {
    let words = one.as_chunks::<8>().0.iter().zip(two.as_chunks::<8>().0).take_while(|(one, two)| one == two).count();
    let (first, second) = (one.get(words * 8..).unwrap_or_default(), two.get(words * 8..).unwrap_or_default());
    words * 8 + first.iter().zip(second).take_while(|(one, two)| one == two).count()
}

/// Reads the rows of a pack, one after the other.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    /// The key of the row that was read last.
    pub(super) key: Vec<u8>,
    /// Nothing has been read yet.
    first: bool,
    /// It is small enough for several rows.
    shared: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn new(key: &[u8], bytes: &'a [u8]) -> Self {
        let mut own = Vec::with_capacity(key.len() + 64);
        own.extend_from_slice(key);
        Self { rest: bytes, key: own, first: true, shared: key.len() + bytes.len() <= MOST }
    }

    /// The value of the next row, whose key then is in `key`.
    pub(super) fn next(&mut self) -> Result<Option<&'a [u8]>, redb::Error> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        self.read().map(Some).ok_or_else(|| corrupted("a pack that cannot be read"))
    }

    fn read(&mut self) -> Option<&'a [u8]> {
        let mut rest = self.rest;
        let mut len = || usize::try_from(varint::read(&mut rest)?).ok();
        let (shared, more, value) = (len()?, len()?, len()?);
        let (more, rest) = rest.split_at_checked(more)?;
        // The first row has the key of the pack, and the others are in order: who changes packs relies on it.
        let next = self.key.get(shared);
        let in_order = match (self.first, more.first()) {
            (true, more) => shared == self.key.len() && more.is_none(),
            (false, Some(byte)) => self.shared && shared <= self.key.len() && next.is_none_or(|next| byte > next),
            (false, None) => false,
        };
        if !in_order {
            return None;
        }
        self.first = false;
        let (value, rest) = rest.split_at_checked(value)?;
        self.key.truncate(shared);
        self.key.extend_from_slice(more);
        self.rest = rest;
        Some(value)
    }
}

/// Rows that were read.
#[derive(Default)]
pub(super) struct Unpacked {
    bytes: Vec<u8>,
    /// Where each key starts and ends, and where its value ends.
    places: Vec<(usize, usize, usize)>,
}

impl Unpacked {
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.places.clear();
    }

    pub(super) fn push(&mut self, key: &[u8], value: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(value);
        self.places.push((start, start + key.len(), self.bytes.len()));
    }

    /// Takes in a pack.
    pub(super) fn read(&mut self, key: &[u8], bytes: &[u8]) -> Result<(), redb::Error> {
        self.clear();
        let mut reader = Reader::new(key, bytes);
        while let Some(value) = reader.next()? {
            self.push(&reader.key, value);
        }
        Ok(())
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    pub(super) fn get(&self, at: usize) -> Option<(&[u8], &[u8])> {
        let &(start, key, end) = self.places.get(at)?;
        Some((self.bytes.get(start..key)?, self.bytes.get(key..end)?))
    }

    pub(super) fn last(&self) -> Option<(&[u8], &[u8])> {
        self.get(self.len().checked_sub(1)?)
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        (0..self.len()).filter_map(|at| self.get(at))
    }

    /// The last row that does not stand behind `key`.
    pub(super) fn last_to(&self, key: &[u8]) -> Option<(&[u8], &[u8])> {
        self.get(self.behind(key).checked_sub(1)?)
    }

    /// The key of the first row behind `key`.
    pub(super) fn first_after(&self, key: &[u8]) -> Option<&[u8]> {
        self.get(self.behind(key)).map(|(key, _)| key)
    }

    /// Where the rows behind `key` begin.
    fn behind(&self, key: &[u8]) -> usize {
        self.places.partition_point(|place| self.bytes.get(place.0..place.1).is_some_and(|it| it <= key))
    }
}
