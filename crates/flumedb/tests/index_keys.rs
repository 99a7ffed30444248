//! Guards against keys whose stored bytes are in another order than the keys, run into one another, or come back changed.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on ends")]

use std::{cmp::Ordering, fmt::Debug};

use flumedb::{
    Bytes, ErrorKind,
    codec::Field,
    views::{AnyKey, AsKey, Key, Prefix},
};
use proptest::{collection::vec, prelude::*};

fn bytes<K, Q: AsKey<K> + ?Sized>(key: &Q) -> Vec<u8> {
    let mut out = Vec::new();
    key.encode(&mut out);
    out
}

/// Order is kept, also with anything behind; what was written is read and no more.
fn check<K: Key + Debug>(one: &K, two: &K, order: Ordering, behind: [u8; 2]) {
    let encoded = [bytes::<K, _>(one), bytes::<K, _>(two)];
    assert_eq!(encoded[0].cmp(&encoded[1]), order, "{one:?} {two:?}");
    if order.is_ne() {
        let longer = [0, 1].map(|at: usize| [&encoded[at][..], &[behind[at]]].concat());
        assert_eq!(longer[0].cmp(&longer[1]), order, "{one:?} {two:?} with {behind:?} behind");
    }
    let long = [&encoded[0][..], &behind].concat();
    let mut rest = &long[..];
    assert_eq!(bytes::<K, _>(&K::decode(&mut rest).unwrap()), encoded[0]);
    assert_eq!(rest, behind);
    for cut in 0..encoded[0].len() {
        assert!(K::decode(&mut &encoded[0][..cut]).is_none(), "half of {one:?} is taken for a key");
    }
}

fn check_ord<K: Key + Debug + Ord>(pair: &(K, K), behind: [u8; 2]) {
    check(&pair.0, &pair.1, pair.0.cmp(&pair.1), behind);
    assert_eq!(K::decode(&mut bytes::<K, _>(&pair.0).as_slice()).unwrap(), pair.0);
}

/// Texts that share much, with the bytes that are escaped.
fn text() -> BoxedStrategy<String> {
    prop_oneof!["[\0\u{1}a\u{ff}\u{10ffff}]{0,4}", ".*"].boxed()
}

fn blob() -> BoxedStrategy<Bytes> {
    vec(prop_oneof![Just(0), Just(1), Just(254), Just(255), any::<u8>()], 0..5).prop_map(Bytes::from).boxed()
}

fn two<T: Debug + Clone + 'static>(any: impl Strategy<Value = T> + Clone + 'static) -> impl Strategy<Value = (T, T)> {
    prop_oneof![(any.clone(), any.clone()), any.prop_map(|one| (one.clone(), one))]
}

proptest! {
    #[test]
    fn scalars(
        behind: [u8; 2], a: (u8, u8), b: (u16, u16), c: (u32, u32), d: (u64, u64), e: (u128, u128), f: (i8, i8), g: (i16, i16),
        h: (i32, i32), i: (i64, i64), j: (i128, i128), k: (bool, bool), l: ([u8; 5], [u8; 5])
    ) {
        check_ord(&a, behind);
        check_ord(&b, behind);
        check_ord(&c, behind);
        check_ord(&d, behind);
        check_ord(&e, behind);
        check_ord(&f, behind);
        check_ord(&g, behind);
        check_ord(&h, behind);
        check_ord(&i, behind);
        check_ord(&j, behind);
        check_ord(&k, behind);
        check_ord(&l, behind);
    }

    #[test]
    fn floats(behind: [u8; 2], one in prop::num::f64::ANY, two in prop::num::f64::ANY) {
        for (one, two) in [(one, two), (one, 0.0), (0.0, -0.0), (one, f64::NAN), (f64::INFINITY, two)] {
            check(&one, &two, one.total_cmp(&two), behind);
            prop_assert_eq!(f64::decode(&mut bytes::<f64, _>(&one).as_slice()).unwrap().to_bits(), one.to_bits());
        }
    }

    #[test]
    fn texts(behind: [u8; 2], texts in two(text()), blobs in two(blob())) {
        check_ord(&texts, behind);
        check_ord(&blobs, behind);
    }

    #[test]
    fn compounds(
        behind: [u8; 2],
        pairs in two((text(), any::<i16>())),
        triples in two((blob(), text(), any::<Option<bool>>())),
        quads in two((any::<Option<u8>>(), text(), vec(text(), 0..3), any::<bool>())),
        lists in two(vec((text(), any::<u8>()), 0..3)),
    ) {
        check_ord(&pairs, behind);
        check_ord(&triples, behind);
        check_ord(&quads, behind);
        check_ord(&lists, behind);
    }

    #[test]
    fn what_is_borrowed_is_the_same(text in text(), blob in blob(), number: u8) {
        let owned = (text.clone(), Some(blob.clone()), vec![text.clone()], number);
        let borrowed = (text.as_str(), Some(&blob[..]), vec![text.as_str()], number);
        prop_assert_eq!(
            bytes::<(String, Option<Bytes>, Vec<String>, u8), _>(&owned),
            bytes::<(String, Option<Bytes>, Vec<String>, u8), _>(&borrowed)
        );
    }

    #[test]
    fn prefixes(one in text(), two in text(), number: u8) {
        let begins = |prefix: &dyn Fn(&mut Vec<u8>), key: Vec<u8>| {
            let mut out = Vec::new();
            prefix(&mut out);
            key.starts_with(&out)
        };
        let single = bytes::<String, _>(&two);
        prop_assert_eq!(begins(&|out| Prefix::<String>::encode_prefix(one.as_str(), out), single), two.starts_with(&one));
        let pair = bytes::<(String, u8), _>(&(two.as_str(), number));
        prop_assert_eq!(begins(&|out| Prefix::<(String, u8)>::encode_prefix(one.as_str(), out), pair), one == two);
        let triple = bytes::<(u8, String, u8), _>(&(number, two.as_str(), 1));
        prop_assert_eq!(
            begins(&|out| Prefix::<(u8, String, u8)>::encode_prefix(&(number, one.as_str()), out), triple), one == two
        );
    }

    #[test]
    fn any_bytes_are_answered(junk in vec(any::<u8>(), 0..40)) {
        let read = [
            <(String, Option<u64>)>::decode(&mut junk.as_slice()).map(|key| bytes::<(String, Option<u64>), _>(&key).len()),
            <Vec<Bytes>>::decode(&mut junk.as_slice()).map(|key| bytes::<Vec<Bytes>, _>(&key).len()),
        ];
        prop_assert!(read.iter().flatten().all(|len| *len <= junk.len()));
    }

    #[test]
    fn any_keys(behind: [u8; 2], keys in two(any_key())) {
        check(&keys.0, &keys.1, compare(&keys.0, &keys.1), behind);
        prop_assert_eq!(keys.0.cmp(&keys.1), compare(&keys.0, &keys.1));
        let read = AnyKey::decode(&mut bytes::<AnyKey, _>(&keys.0).as_slice()).unwrap();
        prop_assert!(same(&read, &keys.0), "{:?} came back as {:?}", keys.0, read);
    }

    #[test]
    fn prefixes_of_any_keys(items in vec(any_key(), 0..4), other in vec(any_key(), 0..4), texts in two(text())) {
        let begins = |prefix: Vec<u8>, key: AnyKey| bytes::<AnyKey, _>(&key).starts_with(&prefix);
        let mut prefix = Vec::new();
        Prefix::<AnyKey>::encode_prefix(&items, &mut prefix);
        let expected = other.len() >= items.len() && items.iter().zip(&other).all(|(one, two)| one == two);
        prop_assert_eq!(begins(prefix, AnyKey::Array(other.clone())), expected);
        let mut prefix = Vec::new();
        Prefix::<AnyKey>::encode_prefix(texts.0.as_str(), &mut prefix);
        prop_assert_eq!(begins(prefix, AnyKey::Text(texts.1.clone())), texts.1.starts_with(&texts.0));
    }

    #[test]
    fn long_tuples(
        behind: [u8; 2],
        fives in two(any::<(bool, u8, i8, bool, u8)>()),
        sixes in two(any::<(bool, u8, i8, bool, u8, i16)>()),
        eights in two(any::<(bool, bool, bool, bool, bool, bool, bool, u8)>()),
    ) {
        check_ord(&fives, behind);
        check_ord(&sixes, behind);
        check_ord(&eights, behind);
        let mut prefix = Vec::new();
        let (a, b, c, d, ..) = sixes.0;
        Prefix::<(bool, u8, i8, bool, u8, i16)>::encode_prefix(&(a, b, c, d), &mut prefix);
        let (e, f, g, h, ..) = sixes.1;
        let other = bytes::<(bool, u8, i8, bool, u8, i16), _>(&sixes.1);
        prop_assert_eq!(other.starts_with(&prefix), (a, b, c, d) == (e, f, g, h));
    }
}

fn any_key() -> BoxedStrategy<AnyKey> {
    let number =
        prop_oneof![Just(0.0), Just(-0.0), Just(f64::NAN), Just(9.007_199_254_740_993e15), any::<f64>(), -3.0..3.0];
    let integer =
        prop_oneof![any::<i64>(), -3..4_i64, Just(i64::MAX), Just(i64::MIN), (1_i64 << 53) - 2..(1_i64 << 53) + 3];
    let leaf = prop_oneof![
        Just(AnyKey::Null),
        any::<bool>().prop_map(AnyKey::Bool),
        number.prop_map(AnyKey::Float),
        integer.clone().prop_map(AnyKey::Integer),
        // Near to one another, one as a float.
        integer.prop_map(|number| AnyKey::Float(number as f64)),
        text().prop_map(AnyKey::Text),
        blob().prop_map(AnyKey::Bytes),
        Just(AnyKey::Undefined),
    ];
    leaf.prop_recursive(3, 12, 3, |key| vec(key, 0..3).prop_map(AnyKey::Array)).boxed()
}

/// The order in the most naive way: by rank, then by value.
fn compare(one: &AnyKey, two: &AnyKey) -> Ordering {
    use AnyKey::{Array, Bool, Bytes, Float, Integer, Null, Text, Undefined};
    let rank = |key: &AnyKey| match key {
        Null => 0,
        Bool(truth) => 1 + u8::from(*truth),
        Integer(_) | Float(_) => 3,
        Text(_) => 4,
        Bytes(_) => 5,
        Array(_) => 6,
        Undefined => 7,
    };
    match (one, two) {
        (Integer(one), Integer(two)) => one.cmp(two),
        (Float(float), _) if float.is_nan() && rank(two) == 3 => match two {
            Float(other) if other.is_nan() => Ordering::Equal,
            Float(other) => {
                if *other < 0.0 {
                    Ordering::Greater
                } else {
                    Ordering::Less
                }
            }
            Integer(other) => {
                if *other < 0 {
                    Ordering::Greater
                } else {
                    Ordering::Less
                }
            }
            _ => Ordering::Equal,
        },
        (_, Float(float)) if float.is_nan() && rank(one) == 3 => compare(two, one).reverse(),
        (Float(one), Float(two)) => one.partial_cmp(two).unwrap(),
        // Which compares exactly.
        (Integer(one), Float(two)) => Field::Integer(*one).cmp(&Field::Float(*two)),
        (Float(one), Integer(two)) => Field::Float(*one).cmp(&Field::Integer(*two)),
        (Text(one), Text(two)) => one.cmp(two),
        (Bytes(one), Bytes(two)) => one.cmp(two),
        (Array(one), Array(two)) => {
            let first = one.iter().zip(two).map(|(one, two)| compare(one, two)).find(|order| order.is_ne());
            first.unwrap_or_else(|| one.len().cmp(&two.len()))
        }
        _ => rank(one).cmp(&rank(two)),
    }
}

/// Equal also in what it is: a whole number may come back as an integer.
fn same(one: &AnyKey, two: &AnyKey) -> bool {
    match (one, two) {
        (AnyKey::Array(one), AnyKey::Array(two)) => {
            one.len() == two.len() && one.iter().zip(two).all(|(one, two)| same(one, two))
        }
        (AnyKey::Integer(_) | AnyKey::Float(_), AnyKey::Integer(_) | AnyKey::Float(_)) => one == two,
        _ => std::mem::discriminant(one) == std::mem::discriminant(two) && one == two,
    }
}

#[test]
fn what_is_no_key_says_where_it_is() {
    let refused = |value: serde_json::Value| AnyKey::try_from(&value).unwrap_err();
    let error = refused(serde_json::json!([1, ["a", {"b": 2}]]));
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("an object at [1][1]"), "{error}");
    let deep = (0..129).fold(serde_json::json!(1), |inner, _| serde_json::json!([inner]));
    assert!(refused(deep.clone()).to_string().contains("so deep"));
    // What is made by hand and too deep is cut, and can be read.
    let deep = (0..200).fold(AnyKey::Null, |inner, _| AnyKey::Array(vec![inner]));
    let stored = bytes::<AnyKey, _>(&deep);
    let read = AnyKey::decode(&mut stored.as_slice()).unwrap();
    assert_eq!(bytes::<AnyKey, _>(&read), stored);
    assert!(AnyKey::try_from(Field::Array).is_err());
    assert_eq!(AnyKey::try_from(Field::Text("a".into())).unwrap(), AnyKey::from("a"));
}
