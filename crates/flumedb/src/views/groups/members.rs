//! [`Members`], which entries are in a group, so that it can be made anew from what they have brought. Lists of numbers: each
//! publish adds one row to each group that got entries.

use std::collections::HashMap;

use redb::{ReadableTable, StorageError, Table, TableDefinition, WriteTransaction};
use roaring::RoaringTreemap;

use super::keys::after_prefix;
use crate::views::store::varint;

/// By the key of the group and the first number in the list: the list.
const MEMBERS: TableDefinition<&[u8], &[u8]> = TableDefinition::new("members");
/// So many numbers are in a row that is written anew.
const ROW: usize = 4096;

/// Entries that came to groups since the last publish.
#[derive(Default)]
pub(super) struct Members(HashMap<Vec<u8>, Vec<u64>>);

/// All that are in groups; some may be gone.
pub(super) struct MembersTable<'a>(Table<'a, &'static [u8], &'static [u8]>);

impl Members {
    pub(super) fn add(&mut self, key: &[u8], number: u64) {
        match self.0.get_mut(key) {
            Some(numbers) => numbers.push(number),
            None => drop(self.0.insert(key.to_owned(), vec![number])),
        }
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Writes what was added.
    pub(super) fn write<'a>(&mut self, transaction: &'a WriteTransaction) -> Result<MembersTable<'a>, redb::Error> {
        let mut table = MembersTable(transaction.open_table(MEMBERS)?);
        let mut added: Vec<_> = self.0.iter_mut().collect();
        added.sort_unstable_by(|one, other| one.0.cmp(other.0));
        for (key, numbers) in added {
            table.put(key, numbers)?;
        }
        Ok(table)
    }
}

impl MembersTable<'_> {
    /// Adds a row.
    fn put(&mut self, key: &[u8], numbers: &mut Vec<u64>) -> Result<(), StorageError> {
        numbers.sort_unstable();
        let Some(first) = numbers.first() else { return Ok(()) };
        let mut row = key.to_owned();
        row.extend_from_slice(&first.to_be_bytes());
        // Only an entry that has come back can be the first of two rows.
        let before = self.0.get(row.as_slice())?.map(|list| list.value().to_owned());
        numbers.extend(decode(before.as_deref().unwrap_or_default()));
        numbers.sort_unstable();
        numbers.dedup();
        self.0.insert(row.as_slice(), encode(numbers).as_slice())?;
        Ok(())
    }

    /// Shows `is_in` each number of a group once, in order; those that are not in any more are forgotten. How many are left.
    pub(super) fn sift(
        &mut self,
        key: &[u8],
        mut is_in: impl FnMut(u64) -> Result<bool, redb::Error>,
    ) -> Result<u64, redb::Error> {
        let mut numbers = RoaringTreemap::new();
        let gather = |_: &[u8], list: &[u8]| {
            numbers.extend(decode(list));
            false
        };
        match after_prefix(key) {
            Some(end) => self.0.retain_in::<&[u8], _>(key..end.as_slice(), gather)?,
            None => self.0.retain_in::<&[u8], _>(key.., gather)?,
        }
        let (mut kept, mut left) = (Vec::new(), 0);
        for number in numbers {
            if is_in(number)? {
                kept.push(number);
                left += 1;
            }
            if kept.len() == ROW {
                self.put(key, &mut kept)?;
                kept.clear();
            }
        }
        self.put(key, &mut kept)?;
        Ok(left)
    }
}

/// Differences from one to the next.
fn encode(numbers: &[u64]) -> Vec<u8> {
    let (mut list, mut before) = (Vec::new(), 0);
    for number in numbers {
        varint::write(number - before, &mut list);
        before = *number;
    }
    list
}

fn decode(mut list: &[u8]) -> impl Iterator<Item = u64> {
    let mut before = 0_u64;
    std::iter::from_fn(move || {
        before = before.wrapping_add(varint::read(&mut list)?);
        Some(before)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_as_they_were_written() {
        for numbers in [vec![], vec![0], vec![0, 1, 127, 128, 255, 256, 1 << 20], vec![u64::MAX - 1, u64::MAX]] {
            assert_eq!(decode(&encode(&numbers)).collect::<Vec<_>>(), numbers);
        }
        assert_eq!(encode(&[5, 6, 7]).len(), 3);
    }
}
