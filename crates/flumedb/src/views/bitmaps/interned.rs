//! [`Interned`], terms that are each kept once, and called by a number.

use std::hash::BuildHasher;

use foldhash::quality::RandomState;
use hashbrown::HashTable;

/// Terms by the order in which they came.
#[derive(Default)]
pub(super) struct Interned {
    /// All of them, one behind the other.
    bytes: Vec<u8>,
    /// Where each ends.
    ends: Vec<usize>,
    numbers: HashTable<u32>,
    hasher: RandomState,
}

impl Interned {
    /// The number of a term, which is kept if it is new.
    pub(super) fn number(&mut self, term: &[u8]) -> u32 {
        let hash = self.hasher.hash_one(term);
        if let Some(number) = self.numbers.find(hash, |number| get(&self.bytes, &self.ends, *number) == term) {
            return *number;
        }
        let number = self.ends.len() as u32;
        self.bytes.extend_from_slice(term);
        self.ends.push(self.bytes.len());
        let rehash = |number: &u32| self.hasher.hash_one(get(&self.bytes, &self.ends, *number));
        self.numbers.insert_unique(hash, number, rehash);
        number
    }

    pub(super) fn get(&self, number: u32) -> &[u8] {
        get(&self.bytes, &self.ends, number)
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Their numbers, in the order of the terms.
    pub(super) fn sorted(&self) -> Vec<u32> {
        let mut order: Vec<(u128, u32)> = (0..self.ends.len() as u32).map(|number| (0, number)).collect();
        self.sort(&mut order, 0);
        order.into_iter().map(|(_, number)| number).collect()
    }

    /// Sorts terms that are equal before the byte `from`. Numbers are compared, each of sixteen bytes: few terms need a second look.
    fn sort(&self, alike: &mut [(u128, u32)], from: usize) {
        let mut more = false;
        for (head, number) in alike.iter_mut() {
            let rest = self.get(*number).get(from..).unwrap_or_default();
            more |= rest.len() > size_of::<u128>();
            let mut bytes = [0; size_of::<u128>()];
            bytes.iter_mut().zip(rest).for_each(|(byte, of_rest)| *byte = *of_rest);
            *head = u128::from_be_bytes(bytes);
        }
        alike.sort_unstable();
        if more {
            let groups = alike.chunk_by_mut(|one, two| one.0 == two.0).filter(|group| group.len() > 1);
            groups.for_each(|group| self.sort(group, from + size_of::<u128>()));
        }
    }

    /// About how much memory they take, also while they are sorted.
    pub(super) fn memory(&self) -> usize {
        /// What the ends and the table take of each, and its part in the order.
        const EACH: usize = size_of::<usize>() + 2 * size_of::<u32>() + size_of::<(u128, u32)>() + size_of::<u32>();
        self.bytes.len() + self.len() * EACH
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        self.numbers.clear();
    }
}

fn get<'a>(bytes: &'a [u8], ends: &[usize], number: u32) -> &'a [u8] {
    let number = number as usize;
    let start = number.checked_sub(1).and_then(|before| ends.get(before)).copied().unwrap_or_default();
    ends.get(number).and_then(|end| bytes.get(start..*end)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Guards against two terms with one number, one with two, and an order that is not that of their bytes. None of them
        /// begins another, as terms do not.
        #[test]
        fn numbered_and_sorted(terms in proptest::collection::vec("[ab]{0,3}|a{14,18}|[ab]{30,35}|b{48}", 0..60)) {
            let (mut interned, mut numbers) = (Interned::default(), BTreeMap::new());
            for round in 0..2 {
                for term in &terms {
                    let term = format!("{term}.").into_bytes();
                    let number = interned.number(&term);
                    prop_assert_eq!(interned.get(number), term.as_slice());
                    prop_assert_eq!(*numbers.entry(term).or_insert(number), number, "in round {}", round);
                }
            }
            prop_assert_eq!(interned.sorted(), numbers.into_values().collect::<Vec<_>>());
            interned.clear();
            prop_assert_eq!(interned.number(b"b"), 0);
        }
    }
}
