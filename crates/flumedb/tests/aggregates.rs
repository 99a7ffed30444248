//! Guards against an aggregate that depends on the order, that says something else after parts were merged or taken away,
//! that is farther off than it promises, or whose stored form changes by accident.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use std::fmt::Debug;

use flumedb::{
    Env, Flume, Seq,
    codec::Json,
    views::{
        Groups, Windows,
        aggregate::{Aggregate, Count, Distinct, Distribution, Max, Mean, Min, Quantiles, Sum, TopK},
    },
};
use proptest::{collection::vec, prelude::*};
use serde::{Serialize, de::DeserializeOwned};

/// One state from all items, and the same from parts; and what is left when one part is taken away.
fn agrees<A: Aggregate<i32, Value: PartialEq + Debug>>(aggregate: &A, parts: &[Vec<i32>], order: usize) {
    let state_of = |parts: &[(usize, &Vec<i32>)]| {
        let mut state = A::State::default();
        for (number, part) in parts {
            for (place, item) in part.iter().enumerate() {
                aggregate.add(&mut state, Seq::new((number * 1_000 + place) as u64), item);
            }
        }
        state
    };
    let numbered: Vec<_> = parts.iter().enumerate().collect();
    let whole = state_of(&numbered);
    let said = aggregate.value(&whole);

    let mut merged = A::State::default();
    for place in 0..numbered.len() {
        let part = numbered[(place + order) % numbered.len()];
        aggregate.merge(&mut merged, &through_bytes(&state_of(&[part])));
    }
    assert_eq!(aggregate.value(&merged), said, "{} from parts", aggregate.form());

    let without = order % numbered.len();
    for state in [whole, merged] {
        let mut state = through_bytes(&state);
        if aggregate.subtract(&mut state, &state_of(&numbered[without..=without])) {
            let rest: Vec<_> = numbered.iter().copied().filter(|(number, _)| *number != without).collect();
            assert_eq!(aggregate.value(&state), aggregate.value(&state_of(&rest)), "{} less a part", aggregate.form());
        }
    }
}

fn through_bytes<S: Serialize + DeserializeOwned>(state: &S) -> S {
    rmp_serde::from_slice(&rmp_serde::to_vec(state).unwrap()).unwrap()
}

fn few(item: &i32) -> Option<i32> {
    (item % 5 != 0).then_some(item % 20)
}

fn float(item: &i32) -> [f64; 1] {
    [f64::from(*item) * 1e-3 * f64::from(*item % 7)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn neither_order_nor_parts_matter(parts in vec(vec(-1_000_000..1_000_000, 0..30), 1..6), order: usize) {
        agrees(&Count, &parts, order);
        agrees(&(Sum::new(|item: &i32| [*item]), Sum::new(float)), &parts, order);
        agrees(&(Mean::new(few), Mean::new(float)), &parts, order);
        agrees(&Min::new(few), &parts, order);
        agrees(&Max::new(few), &parts, order);
        agrees(&Max::new(|item: &i32| [(float(item)[0], item.to_string())]), &parts, order);
        agrees(&TopK::new(3, few), &parts, order);
        agrees(&Distinct::new(few), &parts, order);
        agrees(&Distinct::new(|item: &i32| [item.to_string()]), &parts, order);
        // More than are counted exactly.
        agrees(&Distinct::new(|item: &i32| (0..20).map(|n| item + n).collect::<Vec<_>>()), &parts, order);
        agrees(&Quantiles::new(float), &parts, order);
        agrees(&(Count, (Min::new(few), TopK::new(1, few))), &parts, order);
    }
}

#[test]
fn what_is_taken_away_one_by_one_is_taken_away_directly() {
    // Sums, counts and bins always can; the others as long as they know enough.
    let aggregate = (
        (Count, Sum::new(float), Mean::new(few), Quantiles::new(float)),
        (Min::new(|item: &i32| [*item]), TopK::new(3, |item: &i32| [*item]), Distinct::new(|item: &i32| [*item])),
    );
    let part = |item: i32| {
        let mut part = Default::default();
        aggregate.add(&mut part, Seq::new(item as u64), &item);
        part
    };
    let mut state = Default::default();
    (0..200).for_each(|item| aggregate.add(&mut state, Seq::new(item as u64), &item));
    for gone in [100, 0, 1, 199, 198, 2, 197] {
        assert!(aggregate.subtract(&mut state, &part(gone)), "{gone}");
    }
    let ((count, ..), (min, top, distinct)) = aggregate.value(&state);
    assert_eq!((count, min, distinct), (193, Some(3), 193));
    assert_eq!(top, [(196, Seq::new(196)), (195, Seq::new(195)), (194, Seq::new(194))]);
    // The last of the four least that it keeps: what comes after it is not known.
    assert!(!aggregate.subtract(&mut state, &part(3)));
}

#[test]
fn distinct_is_exact_for_few_and_within_its_error_for_many() {
    let distinct = Distinct::new(|item: &u64| [*item]);
    let (mut squares, mut samples) = (0.0, 0.0);
    for set in 0..40_u64 {
        let mut state = Default::default();
        for n in 0..30_000_u64 {
            // Twice each.
            distinct.add(&mut state, Seq::new(n), &((set << 32) | (n / 2)));
            let there = n / 2 + 1;
            match there {
                0..=256 => assert_eq!(distinct.value(&state), there),
                257 | 500 | 1_000 | 3_000 | 8_000 | 15_000 => {
                    let said = distinct.value(&state);
                    let off = said as f64 / there as f64 - 1.0;
                    assert!(off.abs() < 0.065, "{said} of {there} in set {set}: four standard deviations");
                    squares += off * off;
                    samples += 1.0;
                }
                _ => {}
            }
        }
    }
    let deviation = f64::sqrt(squares / samples);
    assert!(deviation < 0.0163 * 1.1, "{deviation}");
}

#[test]
fn quantiles_are_within_their_error() {
    let distributions: [fn(f64) -> f64; 5] = [
        |part| part * 100.0,
        |part| -(1.0 - part).ln() * 1e6,
        |part| (part - 0.5) * 1e-3,
        |part| (part * 40.0).exp() / 1e7,
        |part| (part * 9.0).floor(),
    ];
    for (number, of) in distributions.into_iter().enumerate() {
        let count = 10_001_u32;
        let mut values: Vec<f64> = (0..count).map(|n| of(f64::from(n) / f64::from(count))).collect();
        let mut all = Distribution::default();
        values.iter().for_each(|value| all.add(*value));
        values.sort_by(f64::total_cmp);
        for thousandth in 0..=1_000_usize {
            let part = thousandth as f64 / 1_000.0;
            let nth = ((part * f64::from(count)).ceil() as usize).max(1);
            let (exact, said) = (values[nth - 1], all.quantile(part).unwrap());
            let off = (said - exact).abs();
            assert!(off <= exact.abs() / 128.0 + 1e-9, "{number}: {said} for {exact} at {part}");
        }
    }
}

/// What is in stores by now must be read for ever.
#[test]
fn the_stored_forms_are_what_they_were() {
    fn form<A: Aggregate<i32>>(aggregate: &A, items: impl IntoIterator<Item = i32>) -> String {
        let mut state = A::State::default();
        items.into_iter().enumerate().for_each(|(seq, item)| aggregate.add(&mut state, Seq::new(seq as u64), &item));
        let bytes = rmp_serde::to_vec(&state).unwrap();
        format!("{:x}/{}", crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Nvme, &bytes), bytes.len())
    }
    let forms = [
        form(&Count, 0..300),
        form(&Sum::new(|item: &i32| [*item]), -5..300),
        form(&Sum::new(float), -5..300),
        form(&Mean::new(few), -5..300),
        form(&Min::new(few), -5..300),
        form(&Max::new(|item: &i32| [item.to_string()]), -5..300),
        form(&TopK::new(3, few), -5..300),
        form(&Distinct::new(few), -5..300),
        form(&Distinct::new(|item: &i32| [item.to_string()]), -5..3_000),
        form(&Quantiles::new(float), -5..300),
    ];
    assert_eq!(forms, FORMS);
}

/// Checksums and lengths.
const FORMS: [&str; 10] = [
    "5acaaea9cb2dff73/3",
    "fa9d76a3c8c0419f/18",
    "d902ff20e8e20b41/24",
    "3de096a8df745adc/21",
    "866abab88e8fab29/35",
    "2b98abdfc51176eb/35",
    "f293745eea467c4a/99",
    "826e84ce9454ae8f/208",
    "1caa63115a32f640/4105",
    "a87f2ad4ac986ede/782",
];

#[test]
fn windows_are_where_a_list_of_all_of_them_says() {
    for (size, step) in [(1, 1), (10, 10), (12, 5), (5, 12), (7, 1), (100, 30)] {
        let windows = Windows::hopping(size, step).unwrap();
        for time in -250..250_i64 {
            let all = (-1_000..1_000).map(|n| n * step).filter(|start| (*start..windows.end(*start)).contains(&time));
            assert_eq!(windows.of(time).collect::<Vec<_>>(), all.collect::<Vec<_>>(), "{time} in {size} every {step}");
        }
        for time in [i64::MIN, i64::MIN + 1, i64::MAX - 1, i64::MAX] {
            for start in windows.of(time) {
                assert!(start <= time && time - start < size);
            }
        }
    }
    for (size, step) in [(0, 1), (1, 0), (-1, 1), (10_001, 1), (i64::MAX, 1)] {
        assert!(Windows::hopping(size, step).unwrap_err().to_string().contains("10000"));
    }
    assert!(Windows::hopping(10_000, 1).unwrap().of(0).count() == 10_000);
}

/// Guards against a deletion that is answered with a rebuild where the aggregates can do without.
#[tokio::test]
async fn a_deletion_asks_for_the_keys_of_one_entry() {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };
    let db = Flume::builder(Json::<i32>::new()).env(Env::memory()).open("db").await.unwrap();
    let seqs = db.append_all(0..1_000).await.unwrap();
    let asked = Arc::<AtomicUsize>::default();
    let keys = |asked: &Arc<AtomicUsize>| {
        let asked = asked.clone();
        move |item: &i32| {
            asked.fetch_add(1, Ordering::SeqCst);
            [item % 10]
        }
    };
    let direct = Groups::new(1, keys(&asked), (Count, Min::new(|item: &i32| [*item]), Sum::new(float)));
    let direct = db.view("direct", direct).await.unwrap();
    direct.read().await.unwrap();
    let before = asked.load(Ordering::SeqCst);
    db.delete([seqs[3], seqs[997]]).await.unwrap();
    assert_eq!(direct.read().await.unwrap().get(3).unwrap().unwrap().1, Some(13));
    assert_eq!(asked.load(Ordering::SeqCst) - before, 2);

    // With undo it is not asked at all, not even where the aggregate must be made anew.
    let undo = Groups::new(2, keys(&asked), TopK::new(1, |item: &i32| [*item])).with_undo();
    let undo = db.view("undo", undo).await.unwrap();
    undo.read().await.unwrap();
    let before = asked.load(Ordering::SeqCst);
    db.delete([seqs[995], seqs[985], seqs[975]]).await.unwrap();
    assert_eq!(undo.read().await.unwrap().get(5).unwrap().unwrap(), [(965, seqs[965])]);
    assert_eq!(asked.load(Ordering::SeqCst), before + 3, "that was the other view");
    direct.read().await.unwrap();
}
