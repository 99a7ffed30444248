//! Guards against a host that tells views of a deletion twice or not at all, forgets what was to be taken in anew, or trusts
//! a store of another version: seen through the plainest view, which is built anew whenever something is taken back, and
//! through one that takes everything back itself.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::collections::BTreeMap;

use flumedb::{
    Entry, Result, Seq,
    view::{Checkpoint, Definition, Retraction, Run, View, ViewContext},
    views::{Reduce, reduce::Reduced},
};
use flumedb_sim::{
    Choices,
    views::{Subject, check},
};

type Sum = Reduce<u8, Vec<u8>, fn(&mut Vec<u8>, &u8)>;

/// The items, in order, and twice as much of each in version 2.
struct Folded;

fn once(all: &mut Vec<u8>, item: &u8) {
    all.push(*item);
}

fn twice(all: &mut Vec<u8>, item: &u8) {
    all.push(*item * 2);
}

impl Subject for Folded {
    type Item = u8;
    type View = Sum;
    type Seen = Vec<u8>;

    fn view(&self, version: u32) -> Sum {
        Reduce::new(version, Vec::new(), if version == 1 { once } else { twice })
    }

    fn item(&self, chance: &mut Choices) -> u8 {
        chance.pick(9) as u8
    }

    async fn look(&self, reader: &Reduced<Vec<u8>>) -> Vec<u8> {
        reader.to_vec()
    }

    fn expect(&self, version: u32, entries: &[Entry<u8>]) -> Vec<u8> {
        entries.iter().map(|entry| entry.value * version as u8).collect()
    }
}

/// Keeps every item under its name, in the smallest store there is.
struct Shelf {
    version: u32,
    items: BTreeMap<Seq, u8>,
}

impl View for Shelf {
    type Item = u8;
    type Reader = BTreeMap<Seq, u8>;

    fn definition(&self) -> Definition {
        Definition::new("shelf", self.version, "")
    }

    fn open(&mut self, _: &ViewContext<u8>) -> Result<Option<Checkpoint>> {
        self.items.clear();
        Ok(None)
    }

    fn apply(&mut self, run: &Run<u8>) -> Result<()> {
        for entry in run.iter() {
            let before = self.items.insert(entry.seq, entry.value);
            assert_eq!(before, None, "each entry comes once");
        }
        Ok(())
    }

    fn retract(&mut self, seq: Seq, item: Option<&u8>) -> Result<Retraction> {
        let before = self.items.remove(&seq);
        assert!(before.is_none() || item.is_none() || before == item.copied());
        Ok(Retraction::Done)
    }

    fn reprocess(&mut self, seq: Seq, item: Option<&u8>) -> Result<Retraction> {
        self.items.remove(&seq);
        self.items.extend(item.map(|item| (seq, *item)));
        Ok(Retraction::Done)
    }

    fn publish(&mut self, _: &Checkpoint) -> Result<BTreeMap<Seq, u8>> {
        Ok(self.items.clone())
    }
}

struct Shelves;

impl Subject for Shelves {
    type Item = u8;
    type View = Shelf;
    type Seen = BTreeMap<Seq, u8>;

    fn view(&self, version: u32) -> Shelf {
        Shelf { version, items: BTreeMap::new() }
    }

    fn item(&self, chance: &mut Choices) -> u8 {
        chance.pick(9) as u8
    }

    async fn look(&self, reader: &BTreeMap<Seq, u8>) -> BTreeMap<Seq, u8> {
        reader.clone()
    }

    fn expect(&self, _: u32, entries: &[Entry<u8>]) -> BTreeMap<Seq, u8> {
        entries.iter().map(|entry| (entry.seq, entry.value)).collect()
    }
}

#[test]
fn a_view_that_is_built_anew_shows_what_its_entries_come_to() {
    check(&Folded, 200);
}

#[test]
fn a_view_that_takes_everything_back_itself_shows_the_same() {
    check(&Shelves, 200);
}
