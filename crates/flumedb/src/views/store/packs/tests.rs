//! Guards against rows that are lost, found twice, or found out of order, whatever was done and however they are asked for.

use std::{collections::BTreeMap, ops::RangeBounds};

use proptest::prelude::*;
use redb::{Database, ReadableDatabase, ReadableTable, backends::InMemoryBackend};

use super::{pack::MOST, *};
use crate::views::store::Gathered;

const TABLE: Definition = table("packs");

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

#[derive(Clone, Debug)]
enum Change {
    Put(Vec<(Vec<u8>, Vec<u8>)>),
    Remove(Vec<Vec<u8>>),
    /// Those whose keys end in it.
    Retain(u8),
}

/// Keys that begin alike, of all lengths, some longer than a pack.
fn key() -> impl Strategy<Value = Vec<u8>> {
    let beginning = prop::sample::select(vec![0, 1, 7, 8, 60, 60, 60, 300, 3000]);
    let tail = prop::collection::vec(prop::sample::select(vec![0, 1, 2, 0xff]), 1..7);
    (beginning, tail).prop_map(|(len, tail)| [vec![7; len], tail].concat())
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop::sample::select(vec![0, 0, 0, 1, 30, 200, 2500]).prop_map(|len| vec![9; len])
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => prop::collection::vec((key(), value()), 0..300).prop_map(Change::Put),
        2 => prop::collection::vec((key(), value()), 0..4).prop_map(Change::Put),
        2 => prop::collection::vec(key(), 0..300).prop_map(Change::Remove),
        1 => prop::sample::select(vec![0, 1, 2, 0xff]).prop_map(Change::Retain),
    ]
}

fn apply(db: &Database, model: &mut Model, change: &Change) -> Result<(), redb::Error> {
    let transaction = db.begin_write()?;
    {
        let mut packs = Packs::open(&transaction, TABLE)?;
        let mut gathered = Gathered::default();
        match change {
            Change::Put(rows) => {
                for (key, value) in rows {
                    gathered.push_with(|out| out.extend(key), |out| out.extend(value));
                    model.insert(key.clone(), value.clone());
                }
                packs.put(gathered.sorted())?;
            }
            Change::Remove(keys) => {
                for key in keys {
                    gathered.push(|out| out.extend(key));
                    model.remove(key);
                }
                packs.remove(gathered.sorted().map(|row| row.0))?;
            }
            Change::Retain(end) => {
                packs.retain(|key, _| key.last() != Some(end))?;
                model.retain(|key, _| key.last() != Some(end));
            }
        }
        for (key, value) in model.iter().step_by(17) {
            let found = packs.last_to(key, |key, value| (key.to_vec(), value.to_vec()))?;
            assert_eq!(found.as_ref(), Some(&(key.clone(), value.clone())));
        }
    }
    Ok(transaction.commit()?)
}

/// The rows within, taken from the front where `ends` says so, else from the back.
fn walked(packs: &ReadPacks, within: Within, mut from_front: impl FnMut() -> bool) -> Vec<(Vec<u8>, Vec<u8>)> {
    let own = |row: Option<(&[u8], &[u8])>| row.map(|row| (row.0.to_vec(), row.1.to_vec()));
    let (mut rows, mut front, mut back) = (packs.range(within), vec![], vec![]);
    loop {
        let is_front = from_front();
        let row = own(if is_front { rows.next() } else { rows.next_back() }.unwrap_or(None));
        match row {
            Some(row) if is_front => front.push(row),
            Some(row) => back.push(row),
            None => break,
        }
    }
    assert!(matches!(rows.next(), Ok(None)));
    assert!(matches!(rows.next_back(), Ok(None)));
    front.extend(back.into_iter().rev());
    front
}

fn bound() -> impl Strategy<Value = Bound<Vec<u8>>> {
    prop_oneof![Just(Bound::Unbounded), key().prop_map(Bound::Included), key().prop_map(Bound::Excluded)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn packs_are_a_sorted_list_of_rows(
        changes in prop::collection::vec(change(), 1..6),
        ranges in prop::collection::vec((bound(), bound()), 1..8),
        ends in prop::collection::vec(any::<bool>(), 1..20),
    ) {
        let db = Database::builder().create_with_backend(InMemoryBackend::new()).unwrap();
        let mut model = Model::new();
        for change in &changes {
            apply(&db, &mut model, change).unwrap();
            let transaction = db.begin_read().unwrap();
            let packs = ReadPacks::open(&transaction, TABLE).unwrap();
            prop_assert_eq!(packs.count().unwrap(), model.len() as u64);
            let mut ends = ends.iter().cycle();
            let whole = (Bound::Unbounded, Bound::Unbounded);
            for within in ranges.iter().cloned().chain([whole]) {
                let expected = model.iter().filter(|(key, _)| within.contains(*key));
                let expected: Vec<_> = expected.map(|(key, value)| (key.clone(), value.clone())).collect();
                prop_assert_eq!(walked(&packs, within.clone(), || *ends.next().unwrap_or(&true)), expected);
                if let Bound::Included(key) = &within.0 {
                    let last = packs.last_to(key, |key, value| (key.to_vec(), value.to_vec())).unwrap();
                    let expected = model.range::<Vec<u8>, _>(..=key).next_back();
                    prop_assert_eq!(last, expected.map(|(key, value)| (key.clone(), value.clone())));
                }
            }
            for pack in transaction.open_table(TABLE).unwrap().iter().unwrap() {
                let (key, bytes) = pack.unwrap();
                let mut unpacked = pack::Unpacked::default();
                if !key.value().is_empty() {
                    unpacked.read(key.value(), bytes.value()).unwrap();
                    prop_assert!(unpacked.len() == 1 || key.value().len() + bytes.value().len() <= MOST);
                    prop_assert_eq!(unpacked.get(0).map(|row| row.0.to_vec()), Some(key.value().to_vec()));
                }
            }
        }
    }

    /// Guards against a pack of arbitrary bytes that ends the program, or is read forever.
    #[test]
    fn any_bytes_are_read_or_refused(key: Vec<u8>, bytes in prop::collection::vec(prop_oneof![0..4_u8, any::<u8>()], 0..60)) {
        let mut unpacked = pack::Unpacked::default();
        if unpacked.read(&key, &bytes).is_ok() {
            prop_assert!(unpacked.len() <= bytes.len() / 3);
        }
    }
}

/// Guards against packs that are left half empty where rows come in order.
#[test]
fn rows_in_order_fill_their_packs() {
    let db = Database::builder().create_with_backend(InMemoryBackend::new()).unwrap();
    let mut model = Model::new();
    for part in 0..40_u32 {
        let rows = (part * 100..(part + 1) * 100).map(|number| (number.to_be_bytes().to_vec(), vec![1; 20])).collect();
        apply(&db, &mut model, &Change::Put(rows)).unwrap();
    }
    let table = db.begin_read().unwrap().open_table(TABLE).unwrap();
    let packs = table.iter().unwrap().count() - 1;
    assert!(packs < 4000 * 25 / 1900 + 2, "{packs} packs");
}
