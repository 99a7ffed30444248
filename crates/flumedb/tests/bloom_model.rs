//! Guards against a Bloom filter that forgets a key (an answer "no" that is wrong), in any history of a log; that says
//! "perhaps" more often than it promised; that writes itself whole at every publish; or that does not know its settings.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::collections::BTreeSet;

use flumedb::{
    Entry, ErrorKind, Flume,
    codec::Json,
    views::{Bloom, bloom::BloomReader},
};
use flumedb_sim::{
    Choices,
    views::{Subject, check},
};

/// Keys that a filter says "perhaps" of; at least those that are in.
#[derive(Debug)]
struct Perhaps(BTreeSet<u64>);

impl PartialEq for Perhaps {
    /// Whether this contains the other.
    fn eq(&self, other: &Self) -> bool {
        self.0.is_superset(&other.0)
    }
}

/// Filters that are small enough to grow, and to be built anew after deletions.
struct Filters {
    items: u64,
}

const KEYS: u64 = 120;

impl Subject for Filters {
    type Item = Vec<u64>;
    type View = Bloom<Vec<u64>, u64>;
    type Seen = Perhaps;

    /// What a reader said "perhaps" of, it goes on saying that of (`Perhaps` compares so).
    const SNAPSHOTS: bool = true;

    fn view(&self, version: u32) -> Self::View {
        let times = u64::from(version);
        Bloom::new(version, move |item: &Vec<u64>| item.iter().map(|key| key * times).collect::<Vec<_>>())
            .items(self.items)
            .probability(0.05)
    }

    fn item(&self, chance: &mut Choices) -> Vec<u64> {
        (0..chance.pick(4)).map(|_| chance.pick(KEYS)).collect()
    }

    async fn look(&self, reader: &BloomReader<u64>) -> Perhaps {
        Perhaps((0..KEYS * 2).filter(|key| reader.may_contain(key)).collect())
    }

    fn expect(&self, version: u32, entries: &[Entry<Vec<u64>>]) -> Perhaps {
        let keys = entries.iter().flat_map(|entry| entry.value.iter().map(|key| key * u64::from(version)));
        Perhaps(keys.collect())
    }
}

#[test]
fn no_key_is_forgotten_in_any_history() {
    check(&Filters { items: 5 }, 150);
    check(&Filters { items: 1000 }, 50);
}

#[test]
fn wrong_answers_are_as_few_as_promised_however_much_it_grows() {
    let filled = |items: u64, probability: f64, keys: u64| {
        let db = Flume::memory(Json::<u64>::new()).unwrap();
        let view = Bloom::new(1, |key: &u64| [*key]).items(items).probability(probability);
        let view = db.view("bloom", view).blocking().unwrap();
        let all: Vec<u64> = (0..keys).collect();
        db.append_all(&all).blocking().unwrap();
        let reader = view.read().blocking().unwrap();
        assert!((0..keys).all(|key| reader.may_contain(&key)), "no key is forgotten");
        let asked = 400_000;
        let wrong = (keys..keys + asked).filter(|key| reader.may_contain(key)).count();
        (reader, wrong as f64 / asked as f64)
    };
    // As full as was expected: half of the promise is for what may come.
    let (reader, wrong) = filled(20_000, 0.01, 20_000);
    assert!(wrong < 0.006 && (reader.probability() - wrong).abs() < 0.002, "{wrong} {}", reader.probability());
    assert_eq!(reader.stages(), 1);
    assert!((19_800..=20_000).contains(&reader.count()), "{}", reader.count());
    // Sixty times as many.
    let (reader, wrong) = filled(300, 0.01, 20_000);
    assert!(wrong < 0.011 && (reader.probability() - wrong).abs() < 0.002, "{wrong} {}", reader.probability());
    assert!(reader.stages() > 5, "{}", reader.stages());
    assert!(reader.bits() < 20_000 * 2 * 20, "{}", reader.bits());
}

#[test]
fn deletions_make_it_anew_when_they_are_many() {
    let db = Flume::memory(Json::<u64>::new()).unwrap();
    let view = Bloom::new(1, |key: &u64| [*key]).items(100).probability(0.001);
    let view = db.view("bloom", view).blocking().unwrap();
    let seqs = db.append_all(0..1000_u64).blocking().unwrap();
    view.read().blocking().unwrap();

    db.delete(seqs[..400].to_vec()).blocking().unwrap();
    let reader = view.read().blocking().unwrap();
    assert_eq!((0..400).filter(|key| reader.may_contain(key)).count(), 400, "few of them: they stay");
    db.delete(seqs[400..700].to_vec()).blocking().unwrap();
    let reader = view.read().blocking().unwrap();
    assert!((0..700).filter(|key| reader.may_contain(key)).count() < 300, "many of them: it was built anew");
    assert!((700..1000).all(|key| reader.may_contain(&key)));
}

#[test]
fn settings_that_make_no_sense_are_told_from_the_view() {
    let db = Flume::memory(Json::<u64>::new()).unwrap();
    let sorts = [(0, 0.01), (10, 0.0), (10, 1.0), (10, -1.0), (10, f64::NAN), (u64::MAX, 0.01)];
    for (number, (items, probability)) in sorts.into_iter().enumerate() {
        let view = Bloom::new(1, |key: &u64| [*key]).items(items).probability(probability);
        let Err(error) = db.view(&format!("bloom{number}"), view).blocking() else {
            panic!("{items} {probability} was taken")
        };
        assert!(error.to_string().contains("between 0 and 1"), "{error}");
        assert!(matches!(error.kind(), ErrorKind::Invalid | ErrorKind::Faulted), "{error:?}");
    }
}
