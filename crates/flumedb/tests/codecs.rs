//! Guards against a codec that loses what it wrote, takes bytes it did not write for something else, or ends the program
//! on hostile ones.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on ends")]

use std::collections::BTreeMap;

use flumedb::{
    Bytes, ErrorKind,
    codec::{Cbor, Codec, Json, JsonDocs, MessagePack},
};
use proptest::{collection::vec, prelude::*};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Shape {
    Unit,
    Newtype(String),
    Tuple(i64, bool),
    Struct { text: Option<String>, numbers: Vec<u64> },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Record {
    name: String,
    shape: Shape,
    float: f64,
    map: BTreeMap<String, i32>,
    nothing: Option<()>,
    tuple: (u8, i8, char),
}

fn any_record() -> impl Strategy<Value = Record> {
    let shape = prop_oneof![
        Just(Shape::Unit),
        ".*".prop_map(Shape::Newtype),
        any::<(i64, bool)>().prop_map(|(number, truth)| Shape::Tuple(number, truth)),
        (any::<Option<String>>(), vec(any::<u64>(), 0..5)).prop_map(|(text, numbers)| Shape::Struct { text, numbers }),
    ];
    let map = prop::collection::btree_map(".{0,5}", any::<i32>(), 0..5);
    (".*", shape, -1e300..1e300_f64, map, any::<(u8, i8, char)>()).prop_map(|(name, shape, float, map, tuple)| Record {
        name,
        shape,
        float,
        map,
        nothing: None,
        tuple,
    })
}

fn round_trip<C: Codec<Input = T, Item = T>, T: PartialEq + std::fmt::Debug>(codec: C, value: &T) -> Vec<u8> {
    let mut out = b"before".to_vec();
    codec.encode(value, &mut out).unwrap();
    assert!(out.starts_with(b"before"));
    let bytes = out.split_off(6);
    assert_eq!(codec.decode(&Bytes::copy_from_slice(&bytes)).unwrap(), *value);
    // Nothing may follow a value, and nothing of it may be missing.
    for damaged in [[&bytes[..], b"\0"].concat(), bytes[..bytes.len() - 1].to_vec()] {
        assert_eq!(codec.decode(&damaged.into()).unwrap_err().kind(), ErrorKind::Invalid);
    }
    bytes
}

fn never_panics<T: DeserializeOwned + Serialize + Send + Sync + 'static>(bytes: &[u8]) {
    let bytes = Bytes::copy_from_slice(bytes);
    for failure in [
        Json::<T>::new().decode(&bytes).err(),
        Cbor::<T>::new().decode(&bytes).err(),
        MessagePack::<T>::new().decode(&bytes).err(),
        JsonDocs.decode(&bytes).err(),
    ] {
        assert!(failure.is_none_or(|error| error.kind() == ErrorKind::Invalid));
    }
}

proptest! {
    #[test]
    fn what_goes_in_comes_out(record in any_record(), flip in any::<(prop::sample::Index, u8)>()) {
        let written = [
            round_trip(Json::<Record>::new(), &record),
            round_trip(Cbor::<Record>::new(), &record),
            round_trip(MessagePack::<Record>::new(), &record),
        ];
        for mut bytes in written {
            let at = flip.0.index(bytes.len());
            bytes[at] ^= flip.1;
            never_panics::<Record>(&bytes);
            never_panics::<Value>(&bytes);
        }
    }

    #[test]
    fn any_bytes_are_answered(bytes in vec(any::<u8>(), 0..64)) {
        never_panics::<Record>(&bytes);
        never_panics::<Value>(&bytes);
    }
}

#[test]
fn deep_nesting_is_refused() {
    // An array of one, a map of one, an open array, a tag: each as deep as it goes.
    for open in [&b"\x81"[..], b"\xa1\x00", b"\x9f", b"\xc6\x81", b"\x91", b"\x81\x00", b"[", b"{\"a\":"] {
        never_panics::<Value>(&open.repeat(1_000_000));
        never_panics::<Record>(&open.repeat(1_000_000));
    }
}

#[test]
fn wide_is_not_deep() {
    let wide: Vec<Vec<Option<BTreeMap<String, Vec<u8>>>>> =
        vec![vec![None, Some([("a".to_owned(), vec![1, 2])].into()), Some(BTreeMap::new())]; 1000];
    round_trip(Cbor::new(), &wide);
    round_trip(MessagePack::new(), &wide);
    // The same in CBOR of unknown lengths, which others write: [_ [_ "a" "b"] …].
    let open = [b"\x9f", b"\x9f\x7f\x61a\x61b\xff\xff".repeat(1000).as_slice(), b"\xff"].concat();
    assert_eq!(Cbor::<Value>::new().decode(&open.into()).unwrap().as_array().unwrap().len(), 1000);
}

#[test]
fn an_older_record_reads_with_a_field_more() {
    #[derive(Serialize, Deserialize)]
    struct Old {
        a: u8,
    }
    #[derive(Serialize, Deserialize)]
    struct New {
        #[serde(default)]
        b: u8,
        a: u8,
    }
    let (mut cbor, mut message_pack) = (vec![], vec![]);
    Cbor::new().encode(&Old { a: 7 }, &mut cbor).unwrap();
    MessagePack::new().encode(&Old { a: 7 }, &mut message_pack).unwrap();
    let read = [
        Cbor::<New>::new().decode(&cbor.into()).unwrap(),
        MessagePack::<New>::new().decode(&message_pack.into()).unwrap(),
    ];
    assert!(read.iter().all(|new| (new.a, new.b) == (7, 0)));
}
