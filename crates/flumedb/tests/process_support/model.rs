//! [`Model`], what a database must hold: everything that was acknowledged or seen, but what was to be deleted.

use std::collections::{BTreeMap, BTreeSet};

use flumedb::{Flume, codec::JsonDocs};

use super::Item;

#[derive(Clone, Default)]
pub struct Model {
    /// Acknowledged, or seen by a reader.
    had: BTreeMap<u64, Item>,
    /// Somebody began to delete it.
    deleting: BTreeSet<u64>,
    /// It was deleted, or seen to be.
    gone: BTreeSet<u64>,
    /// How many of those were begun before the database was last closed.
    closed_with: usize,
    pub acknowledged: u64,
    pub deleted: u64,
    /// Segments written anew or dropped.
    pub compacted: u64,
}

impl Model {
    /// Takes in what a process said before it ended: all of it holds.
    pub fn hear(&mut self, said: &[String]) {
        self.may(said);
        for line in said {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            let numbers = || rest.split(' ').map(|number| number.parse::<u64>().unwrap());
            match word {
                "appended" => {
                    let numbers: Vec<u64> = numbers().collect();
                    let [first, life, task, batch, of] = numbers[..] else { panic!("what is {line}?") };
                    let items = (0..of).map(|at| (first + at, Item { life, task, batch, at, of }));
                    items.for_each(|(seq, item)| self.see(seq, item));
                    self.acknowledged += of;
                }
                "deleted" => {
                    self.deleted += numbers().count() as u64;
                    self.gone.extend(numbers());
                }
                "compacted" => self.compacted += numbers().sum::<u64>(),
                _ => {}
            }
        }
    }

    /// Takes in what may have been done as well: what was begun to be deleted may be gone.
    pub fn may(&mut self, said: &[String]) {
        let begun = said.iter().filter_map(|line| line.strip_prefix("deleting "));
        self.deleting.extend(begun.flat_map(|seqs| seqs.split(' ')).map(|seq| seq.parse::<u64>().unwrap()));
    }

    /// How many deletions were begun since the database was last closed.
    pub fn deletions(&self) -> u64 {
        (self.deleting.len() - self.closed_with) as u64
    }

    /// The database was closed.
    pub fn forget_deletions(&mut self) {
        self.closed_with = self.deleting.len();
    }

    /// A reader was shown an entry: it may not vanish.
    pub fn see(&mut self, seq: u64, item: Item) {
        let before = self.had.insert(seq, item);
        assert!(before.is_none_or(|before| before == item), "{seq} was {before:?} and is {item:?}");
    }

    /// Everything that the log holds, which must be what it should.
    ///
    /// # Panics
    /// If it is not.
    pub fn check(&mut self, db: &Flume<JsonDocs>) -> BTreeMap<u64, Item> {
        let entries = db.scan(..).blocking().map(|entry| entry.map(|entry| (entry.seq.get(), Item::of(&entry.value))));
        let live = entries.collect::<flumedb::Result<BTreeMap<u64, Item>>>().unwrap();
        for (seq, item) in &self.had {
            match live.get(seq) {
                Some(there) => assert_eq!(there, item, "{seq} is another entry"),
                None => assert!(self.deleting.contains(seq), "{seq}, {item:?}, was acknowledged or seen, and is gone"),
            }
        }
        for (seq, item) in &live {
            assert!(!self.gone.contains(seq), "{seq}, {item:?}, was deleted and is back");
            for at in 0..item.of {
                let place = seq - item.at + at;
                match live.get(&place) {
                    Some(there) => assert_eq!(*there, Item { at, ..*item }, "another entry is within a batch"),
                    None => assert!(self.deleting.contains(&place), "of the batch of {item:?} at {seq}, {at} is gone"),
                }
            }
        }
        self.gone.extend(self.had.keys().filter(|seq| !live.contains_key(seq)));
        self.had.clone_from(&live);
        live
    }
}
