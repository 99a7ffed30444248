//! Guards against an index that answers otherwise than a sorted list of its rows would, whatever happened before and however it
//! is asked; and against readers that see what came after them.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on ends")]

use flumedb::{
    Entry, Seq,
    views::{
        AnyKey, Index,
        index::{IndexReader, Match},
    },
};
use flumedb_sim::{
    Choices,
    views::{Subject, check},
};
use futures_util::StreamExt;

type Key = (String, i8);

/// Entries with up to three keys, which are turned around in version 2.
struct Indexed;

type Item = Vec<Key>;

fn keys(version: u32, item: &Item) -> Item {
    let turn = |(text, number): &Key| if version == 1 { (text.clone(), *number) } else { (text.clone(), -*number) };
    item.iter().map(turn).collect()
}

fn pairs<K>(found: impl Iterator<Item = flumedb::Result<Match<K>>>) -> Vec<(K, Seq)> {
    found.map(|found| found.map(|found| (found.key, found.seq)).unwrap()).collect()
}

/// Questions with one text and number, and their answers.
#[derive(Debug, Default, PartialEq)]
struct Answers {
    all: Vec<(Key, Seq)>,
    of_key: Vec<Vec<(Key, Seq)>>,
    values: Vec<Entry<Item>>,
}

const TEXTS: [&str; 5] = ["", "a", "b\0", "cc", "zz"];

impl Subject for Indexed {
    type Item = Item;
    type View = Index<Item, Key>;
    type Seen = Answers;

    fn view(&self, version: u32) -> Index<Item, Key> {
        Index::new(version, move |item: &Item| keys(version, item)).cache_bytes(1 << 16)
    }

    fn item(&self, chance: &mut Choices) -> Item {
        let mut key = || (TEXTS[chance.pick(4) as usize].to_owned(), chance.pick(5) as i8 - 2);
        let some: Item = vec![key(), key(), key()];
        some.into_iter().take(chance.pick(4) as usize).collect()
    }

    async fn look(&self, reader: &IndexReader<Item, Key>) -> Answers {
        let all = pairs(reader.all());
        let backwards: Vec<_> = all.iter().rev().cloned().collect();
        assert_eq!(pairs(reader.all().rev()), backwards);
        assert_eq!(pairs(Iterator::rev(reader.all())), backwards);
        assert_eq!(reader.count().unwrap(), all.len() as u64);
        assert_eq!(pairs(reader.all().limit(3)), all.iter().take(3).cloned().collect::<Vec<_>>());
        assert_eq!(pairs(reader.all().rev().limit(2)), backwards.iter().take(2).cloned().collect::<Vec<_>>());
        // From both ends until they meet.
        let (mut front, mut back, mut both) = (vec![], vec![], reader.all());
        while let Some(found) = both.next() {
            front.push(Ok(found.unwrap()));
            back.extend(both.next_back());
        }
        front.extend(back.into_iter().rev());
        assert_eq!(pairs(front.into_iter()), all);
        let mut of_key = vec![];
        for text in TEXTS {
            let key = (text, 0_i8);
            of_key.extend([
                pairs(reader.get(key)),
                pairs(reader.range(key..)),
                pairs(reader.range(..key)),
                pairs(reader.range(..=key).rev()),
                pairs(reader.range(key..("b", 2))),
                pairs(reader.range(key..=("b\0", 2))),
                pairs(reader.prefix(text)),
            ]);
        }
        let values: Vec<_> = reader.prefix("a").entries().map(Result::unwrap).collect().await;
        let keyed: Vec<_> = reader.prefix("a").keyed().map(Result::unwrap).collect().await;
        assert_eq!(keyed.iter().map(|(_, entry)| entry.clone()).collect::<Vec<_>>(), values);
        assert_eq!(keyed.into_iter().map(|(key, entry)| (key, entry.seq)).collect::<Vec<_>>(), of_key[13]);
        let bare: Vec<_> = reader.prefix("a").limit(4).values().map(Result::unwrap).collect().await;
        assert_eq!(bare, values.iter().take(4).map(|entry| entry.value.clone()).collect::<Vec<_>>());
        Answers { all, of_key, values }
    }

    fn expect(&self, version: u32, entries: &[Entry<Item>]) -> Answers {
        let rows = entries.iter().flat_map(|entry| keys(version, &entry.value).into_iter().map(|key| (key, entry.seq)));
        let mut all: Vec<(Key, Seq)> = rows.collect();
        all.sort();
        all.dedup();
        let only = |test: &dyn Fn(&Key) -> bool| all.iter().filter(|row| test(&row.0)).cloned().collect::<Vec<_>>();
        let end = |text: &str| (text.to_owned(), 2);
        let mut of_key = vec![];
        for text in TEXTS {
            let own = (text.to_owned(), 0);
            of_key.extend([
                only(&|key| *key == own),
                only(&|key| *key >= own),
                only(&|key| *key < own),
                only(&|key| *key <= own).into_iter().rev().collect(),
                only(&|key| *key >= own && *key < end("b")),
                only(&|key| *key >= own && *key <= end("b\0")),
                only(&|key| key.0 == text),
            ]);
        }
        let value = |seq: Seq| entries.iter().find(|entry| entry.seq == seq).unwrap().clone();
        let values = only(&|key| key.0 == "a").into_iter().map(|(_, seq)| value(seq)).collect();
        Answers { all, of_key, values }
    }
}

#[test]
fn whatever_happens_it_answers_as_a_sorted_list() {
    check(&Indexed, 120);
}

/// Entries whose keys have any type.
struct AnyIndexed;

impl Subject for AnyIndexed {
    type Item = serde_json::Value;
    type View = Index<serde_json::Value, AnyKey>;
    type Seen = (Vec<(AnyKey, Seq)>, Vec<Seq>);

    fn view(&self, version: u32) -> Self::View {
        Index::new(version, move |item| AnyKey::try_from(item).ok().map(|key| AnyKey::from((key, version))))
    }

    fn item(&self, chance: &mut Choices) -> serde_json::Value {
        let all =
            serde_json::json!([null, false, true, -1.5, 0, 1, 2, "", "a", "ab", [], [1], [1, 2], ["a", [null]], {}]);
        all[chance.pick(15) as usize].clone()
    }

    async fn look(&self, reader: &IndexReader<Self::Item, AnyKey>) -> Self::Seen {
        (pairs(reader.all()), reader.prefix(&(vec![1],)).seqs().map(Result::unwrap).collect())
    }

    fn expect(&self, version: u32, entries: &[Entry<Self::Item>]) -> Self::Seen {
        let key = |entry: &Entry<Self::Item>| Some((AnyKey::try_from(&entry.value).ok()?, entry.seq));
        let mut all: Vec<_> = entries.iter().filter_map(key).collect();
        all.sort();
        let of_one = all.iter().filter(|row| row.0 == AnyKey::from(vec![1])).map(|row| row.1).collect();
        (all.into_iter().map(|(key, seq)| (AnyKey::from((key, version)), seq)).collect(), of_one)
    }
}

#[test]
fn whatever_happens_keys_of_any_type_are_in_order() {
    check(&AnyIndexed, 100);
}
