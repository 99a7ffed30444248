//! [`Bits`], a bit for every record that a query selects.

use bytes::Bytes;

use super::arrays::elements;

/// A bitvector: the records that a query selects.
#[derive(Clone, Debug)]
pub struct Bits(Bytes);

impl Bits {
    pub(in crate::indexes) fn new(body: &Bytes, words: u32) -> Result<Self, String> {
        elements(body, words, 4).map(Self)
    }

    /// Whether the record `record` is selected.
    pub fn contains(&self, record: u32) -> bool {
        // Little-endian words with the lowest bit first are little-endian bytes with the lowest bit first.
        let byte = usize::try_from(record / 8).ok().and_then(|at| self.0.get(at));
        byte.is_some_and(|byte| byte >> (record % 8) & 1 == 1)
    }

    /// The selected records, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        let set = |(at, &byte): (usize, &u8)| {
            let first = u32::try_from(at).ok().and_then(|at| at.checked_mul(8));
            (0..8).filter(move |bit| byte >> bit & 1 == 1).filter_map(move |bit| first?.checked_add(bit))
        };
        self.0.iter().enumerate().filter(|(_, byte)| **byte != 0).flat_map(set)
    }
}
