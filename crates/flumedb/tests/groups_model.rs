//! Guards against groups that count what was deleted, forget what is left, or keep a group that has no entries any more:
//! through any history of the log and the machine, with every aggregate, held against lists of the entries themselves.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::type_complexity, reason = "a test")]

use std::collections::{BTreeMap, BTreeSet};

use flumedb::{
    Entry, Seq,
    view::View,
    views::{
        Groups, Windows,
        aggregate::{Aggregate, Count, Distinct, Distribution, Max, Mean, Min, Quantiles, Sum, TopK},
        groups::GroupsReader,
    },
};
use flumedb_sim::{
    Choices,
    views::{Subject, check, power},
};
use serde::{Deserialize, Serialize};

/// The groups it is in, a number, a time.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Item(Vec<String>, i16, i64);

/// All that is kept of a group, and an aggregate of our own that can never take anything back.
type Kept = (
    (Count, Sum<Item, i16>, Sum<Item, f64>, Mean<Item, i16>, Min<Item, i16>, Max<Item, f64>),
    (Distinct<Item, i16>, Quantiles<Item>, TopK<Item, i16>),
);

/// What was asked of a group.
#[derive(Debug, PartialEq)]
struct Told {
    count: u64,
    sum: i128,
    floats: f64,
    mean: Option<f64>,
    min: Option<i16>,
    max: Option<f64>,
    distinct: u64,
    median: Option<f64>,
    top: Vec<(i16, Seq)>,
}

const fn quarters(item: &Item) -> f64 {
    item.1 as f64 / 4.0
}

/// Odd numbers have no value for most aggregates.
fn even(item: &Item) -> Option<i16> {
    (item.1 % 2 == 0).then_some(item.1)
}

fn kept() -> Kept {
    let numbers = (
        Count,
        Sum::new(|item: &Item| [item.1]),
        Sum::new(|item: &Item| [quarters(item)]),
        Mean::new(even),
        Min::new(even),
        Max::new(|item: &Item| even(item).map(|_| quarters(item))),
    );
    (numbers, (Distinct::new(even), Quantiles::new(|item: &Item| [quarters(item)]), TopK::new(2, even)))
}

fn told(value: <Kept as Aggregate<Item>>::Value) -> Told {
    let ((count, sum, floats, mean, min, max), (distinct, quantiles, top)) = value;
    Told { count, sum, floats, mean, min, max, distinct, median: quantiles.quantile(0.5), top }
}

/// The same, from a list.
fn worked_out(items: &[(Seq, Item)]) -> Told {
    let evens: Vec<i16> = items.iter().filter_map(|(_, item)| even(item)).collect();
    let sum_of_evens: i64 = evens.iter().map(|value| i64::from(*value)).sum();
    let mut quarters: Vec<f64> = items.iter().map(|(_, item)| quarters(item)).collect();
    quarters.sort_by(f64::total_cmp);
    let median = quarters.get((quarters.len().div_ceil(2)).saturating_sub(1)).map(|median| {
        let mut alone = Distribution::default();
        alone.add(*median);
        alone.quantile(1.0).unwrap()
    });
    let mut top: Vec<(i16, Seq)> = items.iter().filter_map(|(seq, item)| Some((even(item)?, *seq))).collect();
    top.sort_by_key(|(value, seq)| (-value, *seq));
    top.truncate(2);
    Told {
        count: items.len() as u64,
        sum: items.iter().map(|(_, item)| i128::from(item.1)).sum(),
        floats: quarters.iter().sum(),
        mean: (!evens.is_empty()).then(|| sum_of_evens as f64 / evens.len() as f64),
        min: evens.iter().copied().min(),
        max: evens.iter().copied().max().map(|max| f64::from(max) / 4.0),
        distinct: evens.iter().collect::<BTreeSet<_>>().len() as u64,
        median,
        top,
    }
}

/// What a reader says in one way and in another.
#[derive(Debug, PartialEq)]
struct Seen<K> {
    groups: Vec<(K, Told)>,
    count: u64,
    total: Option<Told>,
    busiest: Vec<(K, u64)>,
}

fn seen<K: flumedb::views::Key + Clone + PartialEq>(reader: &GroupsReader<Item, K, Kept>) -> Seen<K> {
    let groups: Vec<_> = reader.all().map(|group| group.unwrap()).collect();
    for group in &groups {
        assert_eq!(group.entries, group.value.0.0);
        assert_eq!(reader.get(&group.key).unwrap().map(told), Some(told(group.value.clone())));
    }
    let mut back: Vec<_> = reader.all().rev().map(|group| group.unwrap()).collect();
    back.reverse();
    assert!(back == groups, "the same from the other end");
    let busiest = reader.top(3, |((count, ..), _)| *count).unwrap();
    Seen {
        count: reader.count().unwrap(),
        total: (!groups.is_empty()).then(|| told(reader.all().total().unwrap())),
        busiest: busiest.into_iter().map(|group| (group.key, group.entries)).collect(),
        groups: groups.into_iter().map(|group| (group.key, told(group.value))).collect(),
    }
}

fn expected<K: Ord + Clone>(entries: &[Entry<Item>], keys: impl Fn(&Item) -> Vec<K>) -> Seen<K> {
    let mut groups: BTreeMap<K, Vec<(Seq, Item)>> = BTreeMap::new();
    for entry in entries {
        for key in keys(&entry.value).into_iter().collect::<BTreeSet<_>>() {
            groups.entry(key).or_default().push((entry.seq, entry.value.clone()));
        }
    }
    let all: Vec<_> = groups.values().flatten().cloned().collect();
    let mut busiest: Vec<_> = groups.iter().map(|(key, items)| (key.clone(), items.len() as u64)).collect();
    busiest.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
    busiest.truncate(3);
    Seen {
        count: groups.len() as u64,
        total: (!all.is_empty()).then(|| {
            let mut total = worked_out(&all);
            // An entry that is in several groups is there as often, but it is one entry for the top ones.
            total.top = Vec::new();
            total
        }),
        busiest,
        groups: groups.into_iter().map(|(key, items)| (key, worked_out(&items))).collect(),
    }
}

fn without_top<K>(mut seen: Seen<K>) -> Seen<K> {
    seen.total.iter_mut().for_each(|total| total.top.clear());
    seen
}

fn any_item(chance: &mut Choices) -> Item {
    let keys = (0..chance.pick(3)).map(|_| ["a", "ab", "b\0", ""][chance.pick(4) as usize].to_owned()).collect();
    Item(keys, chance.pick(40) as i16 - 20, chance.pick(50) as i64 - 25)
}

/// By text, an entry in none, one or several of them.
struct ByText {
    undo: bool,
    memory_bytes: usize,
}

impl Subject for ByText {
    type Item = Item;
    type View = Groups<Item, String, Kept>;
    type Seen = Seen<String>;

    fn view(&self, version: u32) -> Self::View {
        let keys = move |item: &Item| keys(version, item);
        let groups = Groups::new(version, keys, kept()).memory_bytes(self.memory_bytes);
        if self.undo { groups.with_undo() } else { groups }
    }

    fn item(&self, chance: &mut Choices) -> Item {
        any_item(chance)
    }

    async fn look(&self, reader: &GroupsReader<Item, String, Kept>) -> Seen<String> {
        let by_prefix: Vec<_> = reader.prefix("a").map(|group| group.unwrap().key).collect();
        let by_range: Vec<_> = reader.range("a".."b").map(|group| group.unwrap().key).collect();
        assert_eq!(by_prefix, by_range);
        without_top(seen(reader))
    }

    fn expect(&self, version: u32, entries: &[Entry<Item>]) -> Seen<String> {
        expected(entries, |item| keys(version, item))
    }
}

fn keys(version: u32, item: &Item) -> Vec<String> {
    item.0.iter().map(|key| key.repeat(version as usize)).collect()
}

/// By window of time.
struct ByWindow {
    windows: Windows,
}

impl Subject for ByWindow {
    type Item = Item;
    type View = Groups<Item, i64, Kept>;
    type Seen = Seen<i64>;

    fn view(&self, version: u32) -> Self::View {
        let windows = self.windows;
        Groups::new(version, move |item: &Item| windows.of(item.2), kept()).with_undo()
    }

    fn item(&self, chance: &mut Choices) -> Item {
        any_item(chance)
    }

    async fn look(&self, reader: &GroupsReader<Item, i64, Kept>) -> Seen<i64> {
        without_top(seen(reader))
    }

    fn expect(&self, _: u32, entries: &[Entry<Item>]) -> Seen<i64> {
        // A window begins at every fifth, and is twelve long.
        let is_in = |start: i64, item: &Item| (start..start + 12).contains(&item.2);
        expected(entries, |item| (-10..=10).map(|n| n * 5).filter(|start| is_in(*start, item)).collect())
    }
}

/// An aggregate that can never take anything back: the newest number.
struct Newest;

impl Aggregate<Item> for Newest {
    type State = Option<(u64, i16)>;
    type Value = Option<i16>;

    fn form(&self) -> String {
        "newest".to_owned()
    }

    fn add(&self, state: &mut Self::State, seq: Seq, item: &Item) {
        self.merge(state, &Some((seq.get(), item.1)));
    }

    fn merge(&self, state: &mut Self::State, part: &Self::State) {
        *state = (*state).max(*part);
    }

    fn subtract(&self, _: &mut Self::State, _: &Self::State) -> bool {
        false
    }

    fn value(&self, state: &Self::State) -> Option<i16> {
        state.map(|(_, number)| number)
    }
}

struct ByNewest {
    undo: bool,
}

impl Subject for ByNewest {
    type Item = Item;
    type View = Groups<Item, String, Newest>;
    type Seen = Vec<(String, u64, Option<i16>)>;

    fn view(&self, version: u32) -> Self::View {
        let groups = Groups::new(version, move |item: &Item| keys(version, item), Newest);
        assert_eq!(groups.definition().detail, "text -> newest in lists of members");
        if self.undo { groups.with_undo() } else { groups }
    }

    fn item(&self, chance: &mut Choices) -> Item {
        any_item(chance)
    }

    async fn look(&self, reader: &GroupsReader<Item, String, Newest>) -> Self::Seen {
        reader.all().map(|group| group.unwrap()).map(|group| (group.key, group.entries, group.value)).collect()
    }

    fn expect(&self, version: u32, entries: &[Entry<Item>]) -> Self::Seen {
        let mut groups = BTreeMap::new();
        for entry in entries {
            for key in keys(version, &entry.value).into_iter().collect::<BTreeSet<_>>() {
                let (count, newest) = groups.entry(key).or_insert((0, None));
                (*count, *newest) = (*count + 1, Some(entry.value.1));
            }
        }
        groups.into_iter().map(|(key, (count, newest))| (key, count, newest)).collect()
    }
}

#[test]
fn groups_are_what_their_entries_come_to() {
    check(&ByText { undo: false, memory_bytes: usize::MAX }, 100);
}

#[test]
fn groups_with_undo_are_what_their_entries_come_to() {
    check(&ByText { undo: true, memory_bytes: usize::MAX }, 100);
}

#[test]
fn groups_that_do_not_fit_in_memory_are_what_their_entries_come_to() {
    check(&ByText { undo: false, memory_bytes: 500 }, 60);
    check(&ByText { undo: true, memory_bytes: 500 }, 60);
}

#[test]
fn windows_are_what_their_entries_come_to() {
    check(&ByWindow { windows: Windows::hopping(12, 5).unwrap() }, 60);
}

#[test]
fn what_cannot_be_taken_back_is_made_anew() {
    check(&ByNewest { undo: true }, 100);
    check(&ByNewest { undo: false }, 60);
}

#[test]
fn what_was_synced_is_not_built_anew_after_a_power_cut() {
    let name = "what_was_synced_is_not_built_anew_after_a_power_cut";
    power(&ByText { undo: true, memory_bytes: usize::MAX }, name);
}
