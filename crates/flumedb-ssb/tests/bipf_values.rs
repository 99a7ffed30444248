//! Guards against a lookup that answers otherwise than decoding does, an order that is none, a type that does not come back,
//! and bytes that make a reader panic, recurse or believe a length.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on ends")]

mod bipf_support;

use std::{cmp::Ordering, collections::BTreeMap};

use bipf_support::{Any, any_double, any_name, any_value};
use flumedb::{
    Bytes, ErrorKind,
    codec::{Codec, Document, Field},
};
use flumedb_ssb::bipf::{self, Bipf, BipfDoc, BipfPath, Content, Encoded, Kind, MAX_BODY, MAX_DEPTH, Value};
use proptest::{collection::vec, option, prelude::*};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Every path there is in `value`, and some there are not.
fn paths(value: &serde_json::Value) -> Vec<Vec<String>> {
    let mut all =
        vec![vec![], vec!["a".into()], vec!["0".into(), "a".into()], vec!["missing".into()], vec!["00".into()]];
    let children: Vec<(String, &serde_json::Value)> = match value {
        serde_json::Value::Array(items) => items.iter().enumerate().map(|(at, item)| (at.to_string(), item)).collect(),
        serde_json::Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), value)).collect(),
        _ => vec![],
    };
    for (name, child) in children {
        all.extend(paths(child).into_iter().map(|tail| std::iter::once(name.clone()).chain(tail).collect()));
    }
    all
}

/// Values that JSON has, with names that are text.
fn json_like(value: &Any) -> Option<Any> {
    Some(match value {
        Any::Double(float) if !float.is_finite() => return None,
        Any::Bytes(_) | Any::Extended(..) => return None,
        Any::Atom(body) if body.len() > 1 || body.first().is_some_and(|&number| number > 1) => return None,
        Any::Array(items) => Any::Array(items.iter().filter_map(json_like).collect()),
        Any::Object(members) => {
            let named =
                |(name, value): &(Any, Any)| matches!(name, Any::Text(_)).then(|| (name.clone(), value.clone()));
            let mut kept: Vec<(Any, Any)> = Vec::new();
            for (name, value) in members.iter().filter_map(named) {
                if let Some(value) = json_like(&value)
                    && !kept.iter().any(|(earlier, _)| *earlier == name)
                {
                    kept.push((name, value));
                }
            }
            Any::Object(kept)
        }
        other => other.clone(),
    })
}

proptest! {
    #[test]
    fn what_is_found_is_what_decoding_gives(value in any_value()) {
        let Some(value) = json_like(&value) else { return Ok(()) };
        let doc = BipfDoc::parse(value.write()).unwrap();
        let decoded: serde_json::Value = doc.to().unwrap();
        for path in paths(&decoded) {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            prop_assert_eq!(doc.field(&path), decoded.field(&path), "{:?}", path);
            // Through arrays, too (row B10).
            let compiled = doc.value().seek(&BipfPath::new(&path));
            let part = doc.part(&path);
            prop_assert_eq!(compiled.map(Value::bytes), part.as_ref().map(|part| &part.as_bytes()[..]));
            if let Some(part) = part {
                let alone = BipfDoc::parse(part.as_bytes().clone()).unwrap();
                prop_assert_eq!(alone.field(&[]), decoded.field(&path));
            }
            let (mut lazy, mut parsed) = (vec![], vec![]);
            doc.items(&path, &mut |item| lazy.push(format!("{:?} {:?}", item.field(&[]), item.field(&["a"]))));
            decoded.items(&path, &mut |item| parsed.push(format!("{:?} {:?}", item.field(&[]), item.field(&["a"]))));
            prop_assert_eq!(lazy, parsed);
        }
    }

    #[test]
    fn what_is_written_is_read_and_nothing_is_left(value in any_value()) {
        let bytes = value.write();
        bipf::check(&bytes).unwrap();
        prop_assert_eq!(format!("{:?}", rebuild(Value::new(&bytes).unwrap())), format!("{value:?}"));
        for end in 0..bytes.len() {
            prop_assert_eq!(bipf::check(&bytes[..end]).unwrap_err().kind(), ErrorKind::Invalid);
        }
        prop_assert!(bipf::check(&[&bytes[..], &[6]].concat()).is_err(), "a value and another");
    }

    #[test]
    fn values_are_totally_ordered(values in vec(any_value(), 3..12)) {
        let bytes: Vec<Vec<u8>> = values.iter().map(Any::write).collect();
        let mut sorted: Vec<Option<Value>> = bytes.iter().map(|bytes| Value::new(bytes).ok()).collect();
        sorted.push(None);
        sorted.sort();
        prop_assert_eq!(sorted[0], None, "what is not there is first");
        for (index, one) in sorted.iter().enumerate() {
            for two in &sorted[index..] {
                prop_assert_ne!(one.cmp(two), Ordering::Greater, "{:?} {:?}", one, two);
                prop_assert_eq!(one.cmp(two), two.cmp(one).reverse());
                prop_assert_eq!(one == two, one.cmp(two).is_eq());
            }
        }
    }

    #[test]
    fn scalars_are_ordered_by_what_they_mean(
        (a, b) in (any_double(), any_double()), (s, t) in (".{0,4}", ".{0,4}"), (i, j) in (any::<i32>(), any::<i32>())
    ) {
        let [a_, b_, i_, j_] = [Any::Double(a), Any::Double(b), Any::Int(i), Any::Int(j)].map(|value| value.write());
        let value = |bytes| Value::new(bytes).unwrap();
        prop_assert_eq!(value(&i_).cmp(&value(&j_)), i.cmp(&j));
        if let Some(order) = a.partial_cmp(&b) {
            prop_assert_eq!(value(&a_).cmp(&value(&b_)), order);
        }
        if let Some(order) = a.partial_cmp(&f64::from(i)) {
            prop_assert_eq!(value(&a_).cmp(&value(&i_)), order);
        }
        let [s_, t_] = [&s, &t].map(|text| Any::Text(text.clone()).write());
        prop_assert_eq!(value(&s_).cmp(&value(&t_)), s.cmp(&t));
        prop_assert_eq!(value(&s_).compare_text(&t), s.cmp(&t));
    }

    #[test]
    fn any_bytes_are_refused_or_answered(
        value in any_value(), damage in vec((any::<prop::sample::Index>(), any::<u8>()), 0..4), cut in any::<u8>(), other in vec(any::<u8>(), 0..40)
    ) {
        let mut bytes = value.write();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.truncate(bytes.len().saturating_sub(usize::from(cut % 4)));
        for bytes in [bytes, other] {
            let checked = bipf::check(&bytes).is_ok();
            prop_assert_eq!(BipfDoc::parse(bytes.clone()).is_ok(), checked);
            prop_assert_eq!(bipf::to_json(&bytes, &mut Vec::new()).is_ok(), checked);
            let decoded = bipf::from_slice::<serde_json::Value>(&bytes);
            prop_assert_eq!(decoded.is_ok(), checked, "{:?}", decoded);
            // Bytes that nobody checked.
            if let Ok(value) = Value::new(&bytes) {
                walk(value, 0);
                prop_assert_ne!(format!("{value:?}"), "");
                let found = value.seek(&BipfPath::new(&["a", "0"]));
                prop_assert_eq!(found, value.get("a").and_then(|value| value.get("0")));
                value.compare_text("a");
            } else {
                prop_assert!(!checked);
            }
        }
    }

    #[test]
    fn types_come_back(thing in any_thing()) {
        let bytes = bipf::to_vec(&thing).unwrap();
        bipf::check(&bytes).unwrap();
        prop_assert_eq!(bipf::from_slice::<Thing>(&bytes).unwrap(), thing.clone());
        let codec = Bipf::<Thing>::new();
        let mut out = vec![1];
        codec.encode(&thing, &mut out).unwrap();
        prop_assert_eq!(&out[1..], &bytes[..]);
        prop_assert_eq!(codec.decode(&Bytes::from(bytes)).unwrap(), thing);
    }

    #[test]
    fn whole_numbers_come_back_or_are_refused(number in any::<i64>(), shift in 0_u32..64, wide in any::<u128>()) {
        for number in [i128::from(number >> shift), (wide >> shift) as i128, i128::from(u64::MAX >> shift)] {
            match bipf::to_vec(&number) {
                Ok(bytes) => {
                    prop_assert_eq!(bipf::from_slice::<i128>(&bytes).unwrap(), number);
                    if let Ok(number) = i64::try_from(number) {
                        prop_assert_eq!(bipf::from_slice::<i64>(&bytes).unwrap(), number);
                    }
                    if let Ok(number) = u64::try_from(number) {
                        prop_assert_eq!(bipf::from_slice::<u64>(&bytes).unwrap(), number);
                    }
                }
                Err(error) => {
                    prop_assert_eq!(error.kind(), ErrorKind::Invalid);
                    prop_assert!(number.unsigned_abs() > 1 << 53);
                }
            }
        }
    }
}

/// Reads a value back as what the tests write.
fn rebuild(value: Value<'_>) -> Any {
    match value.content().unwrap() {
        Content::Text(text) => Any::Text(text.to_owned()),
        Content::Bytes(bytes) => Any::Bytes(bytes.to_vec()),
        Content::Int(whole) => Any::Int(whole),
        Content::Double(float) => Any::Double(float),
        Content::Array(items) => Any::Array(items.map(rebuild).collect()),
        Content::Object(members) => Any::Object(members.map(|(name, value)| (rebuild(name), rebuild(value))).collect()),
        Content::Extended(bytes) => Any::Extended(bytes[0], bytes[1..].to_vec()),
        _ => Any::Atom(value.body().to_vec()),
    }
}

/// Looks at everything that can be reached. A child is shorter than what it stands in, so that ends.
fn walk(value: Value<'_>, depth: usize) {
    assert!(depth <= value.bytes().len() + depth && value.body().len() < value.bytes().len());
    value.values().for_each(|item| walk(item, depth + 1));
    for (name, value) in value.members() {
        walk(name, depth + 1);
        walk(value, depth + 1);
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Thing {
    name: String,
    flag: bool,
    letter: char,
    small: (i8, u16, i32),
    float: f64,
    maybe: Option<Box<Thing>>,
    names: BTreeMap<String, u32>,
    numbers: BTreeMap<i64, ()>,
    variants: Vec<Variant>,
    by_variant: BTreeMap<Unit, bool>,
    #[serde(with = "as_bytes")]
    bytes: Vec<u8>,
    list: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Variant {
    Plain,
    New(String),
    Tuple(i32, bool),
    Struct { a: Option<i32> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Unit {
    One,
    Two,
}

/// What asks for bytes gets them as they are.
mod as_bytes {
    use serde::{Deserializer, Serializer, de::Visitor};

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytes)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        struct Octets;

        impl Visitor<'_> for Octets {
            type Value = Vec<u8>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
                Ok(bytes.to_vec())
            }
        }

        deserializer.deserialize_bytes(Octets)
    }
}

fn any_thing() -> impl Strategy<Value = Thing> {
    let variant = prop_oneof![
        Just(Variant::Plain),
        ".{0,4}".prop_map(Variant::New),
        any::<(i32, bool)>().prop_map(|(number, flag)| Variant::Tuple(number, flag)),
        option::of(any::<i32>()).prop_map(|a| Variant::Struct { a }),
    ];
    let finite = any_double().prop_filter("refused", |float| float.is_finite() && *float != 0.0);
    let scalars = (".{0,20}", any::<bool>(), any::<char>(), any::<(i8, u16, i32)>(), finite);
    let safe = -9_007_199_254_740_992..=9_007_199_254_740_992_i64;
    let maps = (
        prop::collection::btree_map(any_name(), any::<u32>(), 0..4),
        prop::collection::btree_map(safe, Just(()), 0..4),
        prop::collection::btree_map(prop::sample::select(vec![Unit::One, Unit::Two]), any::<bool>(), 0..2),
    );
    let lists = (vec(variant, 0..4), vec(any::<u8>(), 0..20), vec(any::<u8>(), 0..20));
    let one = (scalars, maps, lists).prop_map(|(scalars, maps, lists)| {
        let (name, flag, letter, small, float) = scalars;
        let (names, numbers, by_variant) = maps;
        let (variants, bytes, list) = lists;
        Thing { name, flag, letter, small, float, maybe: None, names, numbers, variants, by_variant, bytes, list }
    });
    let one = one.boxed();
    (one.clone(), option::of(one)).prop_map(|(outer, inner)| Thing { maybe: inner.map(Box::new), ..outer })
}

#[test]
fn every_fault_is_refused_with_its_place() {
    let long = [vec![0x84, 0x08], vec![6; 129]].concat();
    for (bytes, message) in [
        (&b""[..], "a value ends behind what it stands in (byte 0)"),
        (b"\x10h", "a value ends behind what it stands in (byte 0)"),
        (b"\x14\x10h", "a value ends behind what it stands in (byte 1)"),
        // Inside of the bytes, but not of what it stands in.
        (b"\x1c\x14\x10hi\x06", "a value ends behind what it stands in (byte 2)"),
        (b"\x80", "a value ends behind what it stands in (byte 0)"),
        (b"\xff\xff\xff\xff\x7f", "a value ends behind what it stands in (byte 0)"),
        (b"\x80\x00", "a tag is longer than it has to be (byte 0)"),
        (b"\x80\x80\x80\x80\x80\x01", "a tag is longer than it has to be (byte 0)"),
        (b"\x1a\0\0\0", "a value of kind Int has a length that the kind cannot have (byte 0)"),
        (b"\x23\0\0\0\0", "a value of kind Double has a length that the kind cannot have (byte 0)"),
        (b"\x2e\x01\x02\x03\x04\x05", "a value of kind Atom has a length that the kind cannot have (byte 0)"),
        (b"\x16\x01\x00", "an atom has zeros that mean nothing (byte 0)"),
        (b"\x0c\x07", "a value ends behind what it stands in (byte 2)"),
        // Row B6.
        (b"\x14\x08\xff", "text is not UTF-8 (byte 1)"),
        (b"\x3d\x22\0\0\0\0\x06\x06", "a name in an object is neither text nor an atom (byte 1)"),
        (b"\x15\x08a", "a name in an object has no value (byte 1)"),
        (b"\x06\x06", "bytes follow the value (byte 1)"),
        (&long, "bytes follow the value (byte 131)"),
    ] {
        let error = bipf::check(bytes).unwrap_err();
        let known = format!("not BIPF: {message}");
        assert!(error.to_string() == known || bytes == long, "{bytes:02x?}: {error}");
        assert_eq!(error.kind(), ErrorKind::Invalid);
    }
    // What the newer specification has (row B5).
    for fine in [&b"\x16\0\x01"[..], b"\x0e\x03", b"\x26\0\0\0\x80", b"\x0f\0", b"\x1f\x80\x01x", b"\x1d\x0e\x03\x06"] {
        bipf::check(fine).unwrap_or_else(|error| panic!("{fine:02x?}: {error}"));
    }
}

/// Row B8.
#[test]
fn depth_is_limited_alike_everywhere() {
    let nested = |depth: usize| (1..depth).fold(Any::Array(vec![]), |inner, _| Any::Array(vec![inner])).write();
    let text = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    let (fits, too_deep) = (nested(MAX_DEPTH), nested(MAX_DEPTH + 1));
    bipf::check(&fits).unwrap();
    assert!(bipf::check(&too_deep).unwrap_err().to_string().contains("128"));

    let mut out = Vec::new();
    bipf::from_json(text(MAX_DEPTH).as_bytes(), &mut out).unwrap();
    assert_eq!(out, fits);
    assert!(bipf::from_json(text(MAX_DEPTH + 1).as_bytes(), &mut out).is_err());
    assert!(bipf::from_json(text(1_000_000).as_bytes(), &mut out).is_err());
    assert_eq!(out, fits, "as it was");
    bipf::to_json(&fits, &mut out).unwrap();
    assert_eq!(&out[fits.len()..], text(MAX_DEPTH).as_bytes());

    let value = (1..MAX_DEPTH).fold(json!([]), |inner, _| json!([inner]));
    assert_eq!(bipf::to_vec(&value).unwrap(), fits);
    assert_eq!(bipf::from_slice::<serde_json::Value>(&fits).unwrap(), value);
    assert!(bipf::to_vec(&json!([value])).is_err());
    assert_eq!(bipf::to_vec(&Encoded(&fits)).unwrap(), fits);
    assert!(bipf::to_vec(&[Encoded(&fits)]).is_err());

    // Bytes are two levels as JSON, and what is taken can be printed and read again.
    for leaf in [Any::Bytes(vec![1]), Any::Extended(1, vec![]), Any::Atom(vec![7])] {
        let around = |depth: usize| (0..depth).fold(leaf.clone(), |inner, _| Any::Array(vec![inner])).write();
        let levels = if matches!(leaf, Any::Atom(_)) { 1 } else { 2 };
        assert!(bipf::check(&around(MAX_DEPTH + 1 - levels)).is_err());
        let fits = around(MAX_DEPTH - levels);
        let (mut text, mut again) = (Vec::new(), Vec::new());
        bipf::to_json(&fits, &mut text).unwrap();
        bipf::from_json(&text, &mut again).unwrap();
        let value = bipf::from_slice::<serde_json::Value>(&fits);
        assert_eq!(value.unwrap(), bipf::from_slice::<serde_json::Value>(&again).unwrap());
    }
}

#[test]
fn a_tag_may_lie_about_its_length() {
    // 4 GiB of text, of which two bytes are there: refused, and nothing is set aside for it.
    let bytes = b"\xf8\xff\xff\xff\x7fhi";
    assert!(bipf::check(bytes).is_err() && Value::new(bytes).is_err());
    let inside = [&b"\x45"[..], b"\x08a", bytes].concat();
    assert_eq!(Value::new(&inside).map(|value| value.get("a")).unwrap_or(None), None);
    // Row B7.
    assert!(bipf::to_vec(&"x".repeat(MAX_BODY + 1)).unwrap_err().to_string().contains("268435456 bytes"));
}

/// Row B9.
#[test]
fn what_bipf_has_not_is_refused_whole() {
    let mut out = b"kept".to_vec();
    for float in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert!(bipf::encode(&vec![1.0, float], &mut out).is_err());
    }
    assert!(bipf::encode(&BTreeMap::from([((1, 2), 3)]), &mut out).is_err());
    assert!(bipf::encode(&9_007_199_254_740_993_u64, &mut out).is_err());
    assert!(bipf::encode(&[Encoded(b"\x10h")], &mut out).is_err());
    assert_eq!(out, b"kept");
    assert_eq!(bipf::from_slice::<i32>(b"\x08a").unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(bipf::from_slice::<Variant>(b"\x05").unwrap_err().kind(), ErrorKind::Invalid);
}

#[test]
fn what_json_has_not_is_read_for_what_it_is() {
    let undefined = Any::Atom(vec![2]);
    let members = vec![
        (Any::Text("gone".into()), undefined.clone()),
        (Any::Text("list".into()), Any::Array(vec![undefined, Any::Atom(vec![0, 1]), Any::Extended(5, vec![9])])),
        (Any::Atom(vec![7]), Any::Bytes(vec![1, 2])),
    ];
    let doc = BipfDoc::parse(Any::Object(members).write()).unwrap();
    assert_eq!(doc.field(&["gone"]), None);
    assert_eq!(doc.field(&["list", "0"]), None);
    assert_eq!(doc.field(&["list", "1"]), Some(Field::Integer(256)));
    assert_eq!(doc.field(&["list", "2"]), Some(Field::Bytes(&[5, 9])));
    assert_eq!(doc.field(&["7"]), None, "a name that is an atom is no text");
    let json = r#"{"list":[null,{"type":"Atom","data":256},{"type":"Extended","data":[5,9]}],"7":{"type":"Buffer","data":[1,2]}}"#;
    assert_eq!(doc.to_string(), json);
    assert_eq!(doc.to::<serde_json::Value>().unwrap(), serde_json::from_str::<serde_json::Value>(json).unwrap());

    #[derive(Debug, PartialEq, Deserialize)]
    struct Typed<'a> {
        gone: Option<bool>,
        #[serde(borrow, rename = "7")]
        bytes: &'a [u8],
    }
    assert_eq!(bipf::from_slice::<Typed>(doc.as_bytes()).unwrap(), Typed { gone: None, bytes: &[1, 2] });
}

#[test]
fn the_first_of_two_members_counts() {
    let twins = Any::Object(vec![(Any::Text("a".into()), Any::Int(1)), (Any::Text("a".into()), Any::Int(2))]);
    let doc = BipfDoc::parse(twins.write()).unwrap();
    assert_eq!(doc.integer(&["a"]), Some(1));
    assert_eq!(doc.value().kind(), Kind::Object);
}

/// The failure: a value of many levels that nobody has checked uses up the stack of who prints it.
#[test]
fn a_value_that_is_too_deep_is_printed_without_its_levels() {
    let mut bytes = vec![6];
    for _ in 0..20_000 {
        let mut outer = Vec::with_capacity(bytes.len() + 5);
        let mut tag = (bytes.len() as u64) << 3 | 4;
        while tag >= 0x80 {
            outer.push((tag & 0x7f) as u8 | 0x80);
            tag >>= 7;
        }
        outer.push(tag as u8);
        outer.extend_from_slice(&bytes);
        bytes = outer;
    }
    assert!(format!("{:?}", Value::new(&bytes).unwrap()).starts_with("Array("));
}
