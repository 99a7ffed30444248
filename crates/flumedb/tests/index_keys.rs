//! Guards against keys whose stored bytes are in another order than the keys, run into one another, or come back changed.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on ends")]

use std::{cmp::Ordering, fmt::Debug};

use flumedb::{
    Bytes,
    views::{AsKey, Key, Prefix},
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
}
