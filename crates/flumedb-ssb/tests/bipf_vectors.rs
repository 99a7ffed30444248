//! Guards against BIPF that the JavaScript library cannot read, or reads otherwise: every file that bipf 1.9.0 wrote, with
//! its own answers. Where ours is another on purpose, the row of `docs/compatibility.md` is named, and each must be met.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on ends")]
#![allow(clippy::disallowed_methods, reason = "the vectors lie on the real disk")]

mod common;

use std::{cmp::Ordering, collections::BTreeSet};

use common::{sha256, unhex, vector_rows, vectors};
use flumedb_ssb::bipf::{self, BipfPath, Content, Encoded, Kind, Value};
use serde::{
    Deserialize, Serialize, Serializer,
    ser::{Error as _, SerializeMap},
};
use serde_json::value::RawValue;

/// The rows of the table that were met.
type Met = BTreeSet<&'static str>;

#[derive(Deserialize)]
struct Manifest {
    files: Vec<File>,
}

#[derive(Deserialize)]
struct File {
    file: String,
    rows: Option<usize>,
}

#[test]
fn every_file_is_read_as_the_original_reads_it() {
    const KINDS: [(&str, fn(&str, &mut Met)); 8] = [
        ("values", values),
        ("idempotent", idempotent),
        ("seek", seek),
        ("iterate", iterate),
        ("compareString", compare_string),
        ("compareAt", compare_at),
        ("compare", compare),
        ("decode-damaged", damaged),
    ];
    let manifest = std::fs::read(vectors().join("MANIFEST.json")).unwrap();
    let manifest: Manifest = serde_json::from_slice(&manifest).unwrap();
    let (mut met, mut kinds) = (Met::new(), BTreeSet::new());
    for File { file, rows } in manifest.files {
        let Some(name) = file.strip_prefix("bipf/") else { continue };
        let (kind, run) = KINDS.iter().find(|(kind, _)| name.starts_with(kind)).unwrap_or_else(|| panic!("{file}"));
        let text = std::fs::read_to_string(vectors().join(&file)).unwrap();
        assert!(rows.is_none_or(|rows| rows == text.lines().count()), "{file}");
        kinds.insert(kind);
        run(&text, &mut met);
    }
    assert_eq!(kinds.len(), KINDS.len());
    assert_eq!(met.iter().copied().collect::<Vec<_>>(), ["B1", "B2", "B3", "B4", "B5"]);
    let table = include_str!("../../../docs/compatibility.md");
    assert!(met.iter().all(|row| table.contains(&format!("\n| {row} |"))));
}

/// The sample log is the beginning of a log that ssb-db wrote and ssb-db2 made its own from.
#[test]
fn real_messages_become_what_ssb_db2_made_of_them() {
    let log = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../../samples/ssb.offset")).unwrap();
    let mut messages = 0;
    for row in vector_rows("ssb/first240.expected.jsonl") {
        let at = row["off"].as_u64().unwrap() as usize;
        let len = u32::from_be_bytes(log[at..at + 4].try_into().unwrap()) as usize;
        let text = &log[at + 4..at + 4 + len];
        let mut bytes = Vec::new();
        bipf::from_json(text, &mut bytes).unwrap();
        assert_eq!(bytes.len() as u64, row["blen"].as_u64().unwrap());
        assert_eq!(sha256(&bytes)[..16], *row["bipf16"].as_str().unwrap());
        assert_eq!(to_text(Value::new(&bytes).unwrap()).as_bytes(), text, "and back, to the byte");
        messages += 1;
    }
    assert_eq!(messages, 240);
}

fn rows<'a, T: Deserialize<'a>>(text: &'a str) -> impl Iterator<Item = T> + 'a {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
}

fn values(text: &str, _: &mut Met) {
    #[derive(Deserialize)]
    struct Row<'a> {
        #[serde(borrow)]
        v: &'a RawValue,
        hex: Option<String>,
        r#type: Option<String>,
        payload_len: Option<usize>,
        #[serde(rename = "encodingLength")]
        encoding_length: Option<usize>,
        #[serde(borrow)]
        decoded: Option<&'a RawValue>,
    }
    for row in rows::<Row>(text) {
        let context = row.v.get();
        let Some(hex) = row.hex else {
            assert!(js(context, &[]).is_err(), "{context}");
            continue;
        };
        let bytes = unhex(&hex);
        assert_eq!(js(context, &[]).unwrap(), bytes, "{context}");
        assert_eq!(row.encoding_length, Some(bytes.len()));
        bipf::check(&bytes).unwrap();
        let value = Value::new(&bytes).unwrap();
        assert_eq!(row.payload_len, Some(value.body().len()));
        assert_eq!(row.r#type.as_deref(), Some(name(value.kind())));
        let decoded = row.decoded.unwrap_or(row.v).get();
        assert_eq!(js(decoded, &[]).unwrap(), bytes, "{context}");

        let mut json = Vec::new();
        bipf::to_json(&bytes, &mut json).unwrap();
        assert_eq!(
            bipf::from_slice::<serde_json::Value>(&bytes).unwrap(),
            serde_json::from_slice::<serde_json::Value>(&json).unwrap(),
            "the two ways to JSON agree"
        );
        if !context.contains("{\"$") {
            let mut again = Vec::new();
            bipf::from_json(context.as_bytes(), &mut again).unwrap();
            assert_eq!(again, bytes, "{context}");
            again.clear();
            bipf::from_json(&json, &mut again).unwrap();
            assert_eq!(again, bytes, "there and back: {context}");
            assert_eq!(str::from_utf8(&json).unwrap(), spelled(decoded), "as JSON.stringify has it");
        }
    }
}

/// JSON text that JavaScript printed, with what it spells otherwise after a round trip: the halves of surrogate pairs.
fn spelled(text: &str) -> String {
    let mut out = Vec::new();
    bipf::from_json(text.as_bytes(), &mut out).unwrap();
    let has_halves = text.contains("\\ud");
    if has_halves { Value::new(&out).map(to_text).unwrap() } else { text.to_owned() }
}

fn to_text(value: Value<'_>) -> String {
    let mut out = Vec::new();
    bipf::to_json(value.bytes(), &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::String => "string",
        Kind::Buffer => "buffer",
        Kind::Int => "int",
        Kind::Double => "double",
        Kind::Array => "array",
        Kind::Object => "object",
        Kind::Atom => "boolnull",
        Kind::Extended => "extended",
    }
}

fn idempotent(text: &str, _: &mut Met) {
    #[derive(Deserialize)]
    struct Row<'a> {
        #[serde(borrow)]
        inner: &'a RawValue,
        #[serde(borrow)]
        outer: &'a RawValue,
        hex: String,
    }
    for row in rows::<Row>(text) {
        let inner = js(row.inner.get(), &[]).unwrap();
        assert_eq!(js(row.outer.get(), &inner).unwrap(), unhex(&row.hex));
    }
}

fn seek(text: &str, met: &mut Met) {
    #[derive(Deserialize)]
    struct Row<'a> {
        hex: String,
        #[serde(borrow)]
        path: Vec<&'a RawValue>,
        #[serde(rename = "seekPath")]
        place: i64,
        slice_hex: Option<String>,
        pluck_hex: Option<String>,
    }
    for row in rows::<Row>(text) {
        let bytes = unhex(&row.hex);
        let path: Vec<String> = row.path.iter().map(|name| string(name)).collect();
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let whole = Value::new(&bytes).unwrap();
        let found = whole.seek(&BipfPath::new(&path));
        assert_eq!(found, path.iter().try_fold(whole, |value, name| value.get(name)), "compiled or not");
        match found {
            None => assert_eq!(row.place, -1, "{path:?} {}", row.hex),
            Some(value) if row.place == -1 => {
                assert!(bytes.ends_with(value.bytes()) && value.bytes().len() <= 2, "{path:?} {}", row.hex);
                met.insert("B1");
            }
            Some(value) => {
                assert_eq!(place(&bytes, value), row.place);
                assert_eq!(row.slice_hex.map(|hex| unhex(&hex)).unwrap(), value.body());
                assert_eq!(row.pluck_hex.map(|hex| unhex(&hex)).unwrap(), value.bytes());
            }
        }
    }
}

/// A string that JavaScript printed; `serde_json` refuses half a surrogate pair.
fn string(text: &RawValue) -> String {
    let bytes = js(text.get(), &[]).unwrap();
    Value::new(&bytes).unwrap().text().unwrap().to_owned()
}

/// Where `value` stands in `bytes`.
fn place(bytes: &[u8], value: Value<'_>) -> i64 {
    (value.bytes().as_ptr() as usize - bytes.as_ptr() as usize) as i64
}

fn iterate(text: &str, met: &mut Met) {
    #[derive(Deserialize)]
    struct Row {
        hex: String,
        visited: Vec<(i64, serde_json::Value)>,
        entries: usize,
    }
    for row in rows::<Row>(text) {
        let bytes = unhex(&row.hex);
        let value = Value::new(&bytes).unwrap();
        let ours: Vec<(i64, serde_json::Value)> = match value.content().unwrap() {
            Content::Array(items) => items.enumerate().map(|(at, item)| (place(&bytes, item), at.into())).collect(),
            Content::Object(members) => {
                members.map(|(name, member)| (place(&bytes, member), name.text().unwrap().into())).collect()
            }
            _ => vec![],
        };
        assert_eq!(ours.len(), row.entries, "{}", row.hex);
        assert!(ours.starts_with(&row.visited), "{ours:?} {:?}", row.visited);
        if row.visited.len() < row.entries {
            met.insert("B1");
        }
    }
}

fn compare(text: &str, _: &mut Met) {
    #[derive(Deserialize)]
    struct Row {
        a: String,
        b: String,
        a_start: Option<i64>,
        b_start: Option<i64>,
        sign: i8,
    }
    for row in rows::<Row>(text) {
        let (a, b) = (unhex(&row.a), unhex(&row.b));
        let value = |bytes, start: Option<i64>| (start != Some(-1)).then(|| Value::new(bytes).unwrap());
        let (a, b) = (value(&a, row.a_start), value(&b, row.b_start));
        assert_eq!(a.cmp(&b), row.sign.cmp(&0), "{a:?} {b:?}");
    }
}

fn compare_string(text: &str, met: &mut Met) {
    #[derive(Deserialize)]
    struct Row<'a> {
        hex: String,
        #[serde(borrow)]
        target: &'a RawValue,
        sign: Option<i8>,
    }
    for row in rows::<Row>(text) {
        let bytes = unhex(&row.hex);
        let value = Value::new(&bytes).unwrap();
        let target = string(row.target);
        let ours = value.compare_text(&target);
        match (row.sign.map(|sign| sign.cmp(&0)), value.text()) {
            (None, None) => {
                assert_eq!(ours, Ordering::Greater, "a number and text");
                met.insert("B3");
            }
            (Some(theirs), Some(text)) if theirs != ours => {
                assert!(text.starts_with(&target) || target.starts_with(text), "{text} {target}");
                assert_eq!(theirs, ours.reverse());
                met.insert("B2");
            }
            (theirs, text) => assert_eq!(theirs, Some(ours), "{text:?} {target}"),
        }
    }
}

fn compare_at(text: &str, _: &mut Met) {
    #[derive(Deserialize)]
    struct Sorted<'a> {
        paths: Vec<Vec<String>>,
        #[serde(borrow)]
        records: Vec<&'a RawValue>,
        order: Vec<usize>,
    }
    let sorted: Sorted = serde_json::from_str(text).unwrap();
    let records: Vec<Vec<u8>> = sorted.records.iter().map(|record| js(record.get(), &[]).unwrap()).collect();
    let paths: Vec<BipfPath> =
        sorted.paths.iter().map(|path| BipfPath::new(&path.iter().map(String::as_str).collect::<Vec<_>>())).collect();
    let mut order: Vec<usize> = (0..records.len()).collect();
    order.sort_by(|&one, &two| {
        bipf::compare_at(&paths, Value::new(&records[one]).unwrap(), Value::new(&records[two]).unwrap())
    });
    assert_eq!(order, sorted.order);
}

fn damaged(text: &str, met: &mut Met) {
    #[derive(Deserialize)]
    struct Row<'a> {
        hex: String,
        #[serde(borrow)]
        value: Option<&'a RawValue>,
        error: Option<serde::de::IgnoredAny>,
    }
    for row in rows::<Row>(text) {
        let bytes = unhex(&row.hex);
        // A value of null reads as none.
        let theirs = row.error.is_none().then(|| js(row.value.map_or("null", RawValue::get), &[]).unwrap());
        match (bipf::check(&bytes), theirs) {
            (Err(_), None) => {}
            (Ok(()), Some(theirs)) => {
                assert_eq!(to_text(Value::new(&bytes).unwrap()), to_text(Value::new(&theirs).unwrap()), "{}", row.hex);
            }
            (Err(error), Some(theirs)) => {
                assert_ne!(theirs, bytes, "{error}");
                met.insert("B4");
            }
            (Ok(()), None) => {
                let content = Value::new(&bytes).unwrap().content();
                assert!(matches!(content, Some(Content::Atom(_) | Content::Extended(_))), "{}", row.hex);
                met.insert("B5");
            }
        }
    }
}

/// What a value that JavaScript printed is as BIPF, with the tags of the vectors read as what they stand for.
fn js(text: &str, embedded: &[u8]) -> flumedb::Result<Vec<u8>> {
    let mut tagged = Vec::new();
    bipf::from_json(text.as_bytes(), &mut tagged)?;
    bipf::to_vec(&Untagged { value: Value::new(&tagged)?, embedded })
}

struct Untagged<'a> {
    value: Value<'a>,
    embedded: &'a [u8],
}

impl Serialize for Untagged<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let inside = |value| Untagged { value, embedded: self.embedded };
        match self.value.content().unwrap() {
            Content::Text("<inner pre-encoded>") => Encoded(self.embedded).serialize(serializer),
            Content::Array(items) => serializer.collect_seq(items.map(inside)),
            Content::Object(members) => {
                let members: Vec<_> = members.map(|(name, value)| (name.text().unwrap(), value)).collect();
                match members[..] {
                    [("$undefined", _)] => Encoded(b"\x0e\x02").serialize(serializer),
                    [("$buffer", hex)] => serializer.serialize_bytes(&unhex(hex.text().unwrap())),
                    [("$number", number)] => serializer.serialize_f64(number.text().unwrap().parse().unwrap()),
                    [("$bigint" | "$date" | "$function", _)] => Err(S::Error::custom("nothing that can be encoded")),
                    _ => {
                        let mut map = serializer.serialize_map(None)?;
                        for (name, value) in members {
                            map.serialize_entry(name, &inside(value))?;
                        }
                        map.end()
                    }
                }
            }
            _ => Encoded(self.value.bytes()).serialize(serializer),
        }
    }
}
