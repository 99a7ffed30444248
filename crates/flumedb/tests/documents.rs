//! Guards against a lazy document that answers otherwise than a full parse does, and against text that makes it panic.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on ends")]

use std::cmp::Ordering;

use flumedb::codec::{Codec, Document, Field, JsonDoc, JsonDocs};
use proptest::{collection::vec, prelude::*};
use serde_json::{Number, Value, json};

fn any_value() -> impl Strategy<Value = Value> {
    let names = prop::sample::select(vec!["", "a", "b", "type", "a\"b", "\\", "ü", "🦀", "0", "1"]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_filter_map("no JSON", |number| Number::from_f64(number).map(Value::Number)),
        ".*".prop_map(Value::from),
        "[\"\\\\{}\\[\\],: ]*".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::Array),
            vec((names.clone(), inner), 0..6).prop_map(|members| Value::Object(
                members.into_iter().map(|(name, value)| (name.into(), value)).collect()
            )),
        ]
    })
}

/// Writes `value` with space and escapes wherever `style` says so.
fn write(value: &Value, style: &mut dyn FnMut() -> u8, out: &mut String) {
    let mut space = |out: &mut String| out.push_str(["", "", "", " ", "\n\t", "\r "][usize::from(style() % 6)]);
    space(out);
    match value {
        Value::String(text) => write_text(text, style, out),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                write(item, style, out);
            }
            out.push(']');
        }
        Value::Object(members) => {
            out.push('{');
            for (index, (name, member)) in members.iter().enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                write_text(name, style, out);
                out.push_str([":", " : "][usize::from(style() % 2)]);
                write(member, style, out);
            }
            out.push_str([" }", "}"][usize::from(style() % 2)]);
        }
        other => out.push_str(&other.to_string()),
    }
    out.push_str(["", "\n"][usize::from(style() % 2)]);
}

fn write_text(text: &str, style: &mut dyn FnMut() -> u8, out: &mut String) {
    if !style().is_multiple_of(3) {
        out.push_str(&Value::from(text).to_string());
        return;
    }
    let units = text.encode_utf16().map(|unit| format!("\\u{unit:04x}"));
    out.push_str(&format!("\"{}\"", units.collect::<String>()));
}

fn render(value: &Value, style: &[u8]) -> String {
    let mut choices = style.iter().copied().cycle();
    let mut out = String::new();
    write(value, &mut || choices.next().unwrap_or_default(), &mut out);
    out
}

/// Every path there is in `value`, and some there are not.
fn paths(value: &Value) -> Vec<Vec<String>> {
    let mut all = vec![vec![], vec!["a".into()], vec!["0".into(), "a".into()], vec!["missing".into()]];
    let children: Vec<(String, &Value)> = match value {
        Value::Array(items) => items.iter().enumerate().map(|(index, item)| (index.to_string(), item)).collect(),
        Value::Object(members) => members.iter().map(|(name, member)| (name.clone(), member)).collect(),
        _ => vec![],
    };
    for (name, child) in children {
        all.extend(paths(child).into_iter().map(|tail| std::iter::once(name.clone()).chain(tail).collect()));
    }
    all
}

/// A document that offers no more than it must.
struct Plain<'a>(&'a dyn Document);

impl Document for Plain<'_> {
    fn field(&self, path: &[&str]) -> Option<Field<'_>> {
        self.0.field(path)
    }

    fn items(&self, path: &[&str], visit: &mut dyn FnMut(&dyn Document)) {
        self.0.items(path, visit);
    }

    fn members(&self, path: &[&str], visit: &mut dyn FnMut(&str, &dyn Document)) {
        self.0.members(path, visit);
    }
}

proptest! {
    #[test]
    fn finds_what_a_full_parse_finds(value in any_value(), style in vec(any::<u8>(), 1..20)) {
        let doc = JsonDoc::parse(render(&value, &style)).unwrap();
        prop_assert_eq!(doc.to::<Value>().unwrap(), value.clone());
        // All at once, with some that lead nowhere, some twice, and in another order.
        let mut all = paths(&value);
        let wrong = |path: &Vec<String>| path.iter().cloned().chain([String::from("a")]).collect::<Vec<_>>();
        all.extend(all.iter().map(wrong).collect::<Vec<_>>());
        let turn = style.len() % all.len();
        all.rotate_left(turn);
        let all: Vec<Vec<&str>> = all.iter().map(|path| path.iter().map(String::as_str).collect()).collect();
        let all: Vec<&[&str]> = all.iter().map(Vec::as_slice).collect();
        let mut found = vec![vec![]; all.len()];
        doc.fields(&all, &mut |place, field| found[place].push(field));
        for (path, found) in all.iter().zip(found) {
            prop_assert_eq!(found, vec![value.field(path)], "{:?}", path);
        }
        for path in paths(&value) {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            prop_assert_eq!(doc.field(&path), value.field(&path), "{:?}", path);
            let part = doc.part(&path);
            prop_assert_eq!(part.is_some(), value.field(&path).is_some());
            if let Some(part) = part {
                // A part is a document like any other.
                let alone = JsonDoc::parse(part.as_bytes().clone()).unwrap();
                prop_assert_eq!(alone.field(&[]), value.field(&path));
            }
            let (mut lazy, mut parsed) = (vec![], vec![]);
            doc.items(&path, &mut |item| lazy.push(format!("{:?} {:?}", item.field(&[]), item.field(&["a"]))));
            value.items(&path, &mut |item| parsed.push(format!("{:?} {:?}", item.field(&[]), item.field(&["a"]))));
            prop_assert_eq!(lazy, parsed);
            let (mut lazy, mut parsed) = (vec![], vec![]);
            doc.members(&path, &mut |name, value| lazy.push(format!("{name:?} {:?}", value.field(&[]))));
            value.members(&path, &mut |name, value| parsed.push(format!("{name:?} {:?}", value.field(&[]))));
            // `Value` keeps its members in the order of their names.
            lazy.sort();
            parsed.sort();
            prop_assert_eq!(lazy, parsed);
            // Beyond `i64` a document knows the nearest float only.
            let copy = doc.to_value(&path);
            prop_assert_eq!(copy.is_some(), value.field(&path).is_some());
            if let Some(copy) = copy {
                for tail in paths(&copy) {
                    let tail: Vec<&str> = tail.iter().map(String::as_str).collect();
                    prop_assert_eq!(copy.field(&tail), value.field(&[&path[..], &tail].concat()));
                }
                prop_assert_eq!(Some(copy), Plain(&doc).to_value(&path), "in one pass and by the fields");
            }
        }
    }

    #[test]
    fn damaged_text_is_refused_or_answered(
        value in any_value(), style in vec(any::<u8>(), 1..20), damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)
    ) {
        let mut bytes = render(&value, &style).into_bytes();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(doc) = JsonDoc::parse(bytes.clone()) {
            for path in paths(&value) {
                let path: Vec<&str> = path.iter().map(String::as_str).collect();
                let found = doc.field(&path);
                doc.items(&path, &mut |item| drop(item.field(&["a"])));
                if let Ok(parsed) = serde_json::from_slice::<Value>(&bytes) && !has_twins(&doc) {
                    prop_assert_eq!(found, parsed.field(&path));
                }
            }
        } else {
            prop_assert!(serde_json::from_slice::<Value>(&bytes).is_err());
        }
    }

    #[test]
    fn fields_are_totally_ordered(values in vec(any_value(), 3..12)) {
        let mut fields: Vec<Field> = values.iter().filter_map(|value| value.field(&[])).collect();
        let largest = Value::from(i64::MAX);
        fields.extend([Field::Float(i64::MAX as f64), Field::Float(f64::NAN), Field::Float(-0.0), Field::Integer(0)]);
        fields.extend(largest.field(&[]));
        fields.sort();
        for (index, one) in fields.iter().enumerate() {
            for two in &fields[index..] {
                prop_assert_ne!(one.cmp(two), Ordering::Greater, "{:?} {:?}", one, two);
                prop_assert_eq!(one.cmp(two), two.cmp(one).reverse());
            }
        }
    }
}

/// Whether an object of the document has two members with one name: a lookup and a parse may then differ.
fn has_twins(doc: &JsonDoc) -> bool {
    let once: Value = doc.to().unwrap();
    let squeezed = |text: &str| text.chars().filter(|c| *c == ':').count();
    squeezed(&once.to_string()) != squeezed(doc.as_str()) || once.to_string().contains("\u{fffd}")
}

#[test]
fn what_json_leaves_open_is_settled() {
    let doc = JsonDoc::parse(
        r#" {"a":{"x":1},"a":{"x":2,"y":3},"half":"<\ud83d>\ud83dx\ude00","pair":"\ud83e\udd80","big":18446744073709551615,"vast":1e999,"minus":-0} "#,
    )
    .unwrap();
    assert_eq!(doc.integer(&["a", "x"]), Some(1), "the first member of a name counts");
    assert_eq!(doc.field(&["a", "y"]), None, "and only the first");
    let mut found = vec![];
    doc.fields(&[&["a", "y"], &["a", "x"]], &mut |place, field| found.push((place, field)));
    assert_eq!(found, [(0, None), (1, Some(Field::Integer(1)))], "for several paths, too");
    assert_eq!(doc.text(&["half"]).as_deref(), Some("<\u{fffd}>\u{fffd}x\u{fffd}"));
    assert_eq!(doc.text(&["pair"]).as_deref(), Some("🦀"));
    assert_eq!(doc.number(&["big"]), Some(18_446_744_073_709_551_615.0));
    assert_eq!(doc.integer(&["big"]), None);
    assert_eq!(doc.number(&["vast"]), Some(f64::INFINITY));
    assert!(doc.number(&["minus"]).unwrap().is_sign_negative());
    let copy = json!({
        "a": {"x": 1}, "half": "<\u{fffd}>\u{fffd}x\u{fffd}", "pair": "🦀", "big": 18_446_744_073_709_551_615.0,
        "vast": null, "minus": -0.0
    });
    assert_eq!(doc.to_value(&[]), Some(copy), "a copy says the same");
}

#[test]
fn depth_costs_no_stack() {
    let depth = 200_000;
    let text = format!("{}1{}", "{\"a\":[".repeat(depth), "]}".repeat(depth));
    let doc = JsonDoc::parse(text).unwrap();
    let path: Vec<&str> = ["a", "0"].into_iter().cycle().take(600).collect();
    assert_eq!(doc.field(&path), Some(Field::Object));
    doc.fields(&[&path, &path], &mut |_, field| assert_eq!(field, Some(Field::Object)));
    assert_eq!(doc.to::<Value>().unwrap_err().kind(), flumedb::ErrorKind::Invalid);
    assert_eq!(doc.to_value(&[]), None, "a copy would");
}

#[test]
fn text_that_is_not_json_is_refused() {
    let bad: [&[u8]; 9] = [b"", b" ", b"{", b"{\"a\":1}x", b"[1,]", b"\"\xff\"", b"01", b"nul", b"\"\\u12\""];
    for bytes in bad {
        assert_eq!(JsonDoc::parse(bytes).unwrap_err().kind(), flumedb::ErrorKind::Invalid, "{bytes:?}");
    }
    let mut out = b"kept".to_vec();
    assert!(JsonDocs.encode("{", &mut out).is_err());
    assert_eq!(out, b"kept");
}

#[test]
fn text_without_escapes_is_not_copied() {
    let doc = JsonDoc::parse(r#"{"plain":"text","escaped":"t\u0065xt"}"#).unwrap();
    let within = doc.as_bytes().as_ptr_range();
    let plain = doc.text(&["plain"]).unwrap();
    assert!(within.contains(&plain.as_ptr()) && plain == doc.text(&["escaped"]).unwrap());
    assert!(within.contains(&doc.part(&["plain"]).unwrap().as_bytes().as_ptr()));
}

#[test]
fn a_view_can_hold_any_document() {
    let boxed: Vec<Box<dyn Document>> =
        vec![Box::new(JsonDoc::parse(r#"{"n":[1,2]}"#).unwrap()), Box::new(json!({"n":[1,2]}))];
    for doc in boxed {
        assert_eq!((doc.integer(&["n", "1"]), doc.field(&["n", "01"])), (Some(2), None));
    }
}
