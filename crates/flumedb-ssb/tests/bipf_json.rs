//! Guards against JSON text that becomes other BIPF than JavaScript would make of it, or comes back as another value; and
//! against a payload that is taken for JSON when it is BIPF, or the other way round.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on ends")]

mod bipf_support;

use bipf_support::{Any, any_double, any_name, any_value};
use flumedb::{
    Bytes, ErrorKind,
    codec::{Codec, Document, JsonDoc},
};
use flumedb_ssb::{Doc, Docs, bipf, bipf::BipfDoc};
use proptest::{collection::vec, prelude::*};

/// What JSON text says.
#[derive(Clone, Debug)]
enum Json {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

fn any_json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::Bool),
        any_double().prop_filter("no JSON", |float| float.is_finite()).prop_map(Json::Number),
        ".{0,20}".prop_map(Json::Text),
        "[\"\\\\{}\\[\\],:\u{0}-\u{20}]{0,8}".prop_map(Json::Text),
    ];
    leaf.prop_recursive(5, 40, 30, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Json::Array),
            vec((any_name(), inner.clone()), 0..6).prop_map(Json::Object),
            vec(("[a-z0-9]{0,3}", inner), 20..30).prop_map(Json::Object),
        ]
    })
}

/// The value as JavaScript has it after `JSON.parse`, by the letter of its rules.
fn model(json: &Json) -> Any {
    match json {
        Json::Null => Any::Atom(vec![]),
        Json::Bool(truth) => Any::Atom(vec![u8::from(*truth)]),
        Json::Number(float) if float.fract() == 0.0 && float.abs() <= 2_147_483_647.0 => Any::Int(*float as i32),
        Json::Number(float) => Any::Double(*float),
        Json::Text(text) => Any::Text(text.clone()),
        Json::Array(items) => Any::Array(items.iter().map(model).collect()),
        Json::Object(members) => {
            let mut object: Vec<(String, Any)> = Vec::new();
            for (name, value) in members {
                match object.iter_mut().find(|(earlier, _)| earlier == name) {
                    Some((_, earlier)) => *earlier = model(value),
                    None => object.push((name.clone(), model(value))),
                }
            }
            let index =
                |name: &str| name.parse::<u32>().ok().filter(|index| index.to_string() == name && *index < u32::MAX);
            let (mut indices, others): (Vec<_>, Vec<_>) =
                object.into_iter().partition(|(name, _)| index(name).is_some());
            indices.sort_by_key(|(name, _)| index(name));
            Any::Object(indices.into_iter().chain(others).map(|(name, value)| (Any::Text(name), value)).collect())
        }
    }
}

/// Text for a value, with space and escapes wherever `style` says so.
fn render(json: &Json, style: &mut dyn FnMut() -> u8, out: &mut String) {
    let space = ["", "", "", " ", "\n\t", "\r "][usize::from(style() % 6)];
    out.push_str(space);
    match json {
        Json::Null => out.push_str("null"),
        Json::Bool(truth) => out.push_str(&truth.to_string()),
        Json::Number(float) => out.push_str(&match style() % 3 {
            0 => format!("{float:e}"),
            1 => format!("{float:E}").replace("E", ".0E+").replace("E+-", "E-").replacen(".0E", "E", 1),
            _ => format!("{float:?}"),
        }),
        Json::Text(text) => render_text(text, style, out),
        Json::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                out.push_str(if at > 0 { "," } else { "" });
                render(item, style, out);
            }
            out.push(']');
        }
        Json::Object(members) => {
            out.push('{');
            for (at, (name, value)) in members.iter().enumerate() {
                out.push_str(if at > 0 { ", " } else { "" });
                render_text(name, style, out);
                out.push_str([":", "\n: "][usize::from(style() % 2)]);
                render(value, style, out);
            }
            out.push_str([" }", "}"][usize::from(style() % 2)]);
        }
    }
    out.push_str(space);
}

fn render_text(text: &str, style: &mut dyn FnMut() -> u8, out: &mut String) {
    if !style().is_multiple_of(3) {
        out.push_str(&serde_json::Value::from(text).to_string());
        return;
    }
    let units = text.encode_utf16().map(|unit| format!("\\u{unit:04x}"));
    out.push_str(&format!("\"{}\"", units.collect::<String>()));
}

fn encoded(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    bipf::from_json(text.as_bytes(), &mut out).unwrap_or_else(|error| panic!("{error}: {text}"));
    out
}

fn decoded(bytes: &[u8]) -> String {
    let mut out = Vec::new();
    bipf::to_json(bytes, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

proptest! {
    #[test]
    fn text_becomes_what_javascript_makes_of_it_and_comes_back(json in any_json(), style in vec(any::<u8>(), 1..20)) {
        let mut choices = style.iter().copied().cycle();
        let mut text = String::new();
        render(&json, &mut || choices.next().unwrap_or_default(), &mut text);
        let bytes = encoded(&text);
        prop_assert_eq!(&bytes, &model(&json).write(), "{}", text);
        bipf::check(&bytes).unwrap();

        let again = decoded(&bytes);
        prop_assert_eq!(encoded(&again), bytes.clone(), "{}", again);
        // Through a tree, too, save for the order of names.
        let tree: serde_json::Value = bipf::from_slice(&bytes).unwrap();
        prop_assert_eq!(&tree, &serde_json::from_str::<serde_json::Value>(&again).unwrap());
        let from_tree: serde_json::Value = bipf::from_slice(&bipf::to_vec(&tree).unwrap()).unwrap();
        prop_assert_eq!(from_tree, tree);

        let doc = Doc::parse(bytes.clone()).unwrap();
        if let Doc::Bipf(_) = doc {
            prop_assert_eq!(doc.json(), again.clone());
        }
        let doc = Doc::parse(again.clone()).unwrap();
        prop_assert!(matches!(doc, Doc::Json(_)));
        prop_assert_eq!(doc.json(), again);
    }

    #[test]
    fn what_is_decoded_of_anything_is_a_json_value(value in any_value()) {
        let text = decoded(&value.write());
        let doc = JsonDoc::parse(text.clone()).unwrap();
        let trip = decoded(&encoded(doc.as_str()));
        prop_assert_eq!(decoded(&encoded(&trip)), trip, "JSON has all that is left");
        prop_assert_eq!(BipfDoc::parse(value.write()).unwrap().to_string(), text);
    }

    #[test]
    fn text_that_is_no_json_is_refused_whole(json in any_json(), damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let mut text = String::new();
        render(&json, &mut || 5, &mut text);
        let mut bytes = text.into_bytes();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let mut out = b"kept".to_vec();
        match bipf::from_json(&bytes, &mut out) {
            Ok(()) => bipf::check(&out[4..]).unwrap(),
            Err(error) => {
                prop_assert_eq!(error.kind(), ErrorKind::Invalid);
                prop_assert_eq!(out, b"kept");
            }
        }
    }

    #[test]
    fn no_object_is_taken_for_text(
        members in vec(("[ \t\r\n0-9{}\\[\\]\",:.eE+-]{0,6}", "[ \t\r\n0-9{}\\[\\]\",:.eE+-]{0,6}"), 0..3), rest in vec(any::<u8>(), 0..20)
    ) {
        let object = Any::Object(members.into_iter().map(|(name, value)| (Any::Text(name), Any::Text(value))).collect());
        prop_assert!(matches!(Doc::parse(object.write()).unwrap(), Doc::Bipf(_)));
        for bracket in [b'{', b'['] {
            let text = [&[bracket][..], &rest].concat();
            prop_assert!(bipf::check(&text).is_err());
        }
    }
}

/// An object of BIPF that starts like JSON text has one of three tags. No way to go on from there is both.
#[test]
fn no_short_object_is_json() {
    const LIKE_JSON: &[u8] = b" \t\n04.-e1[\"{";
    for (tag, len) in [(0x0d_u8, 5), (0x2d, 5), (0x35, 6)] {
        let mut bytes = vec![tag];
        bytes.resize(1 + len, LIKE_JSON[0]);
        let mut choice = vec![0; len];
        'all: loop {
            assert!(bipf::check(&bytes).is_err() || JsonDoc::parse(bytes.clone()).is_err(), "{bytes:02x?}");
            for at in 0..len {
                choice[at] = (choice[at] + 1) % LIKE_JSON.len();
                bytes[1 + at] = LIKE_JSON[choice[at]];
                if choice[at] != 0 {
                    continue 'all;
                }
            }
            break;
        }
    }
    // Any other tag of an object starts no JSON text.
    for len in 0..16_u8 {
        let tag = len << 3 | 5;
        assert!(matches!(tag, 0x0d | 0x2d | 0x35) || !b" \t\r\n{[\"-0123456789tfn".contains(&tag));
    }
}

#[test]
fn what_is_both_is_json() {
    for (both, text) in [(&b"\"abc\""[..], "\"abc\""), (b" [12]", "[12]"), (b"0      ", "0"), (b"4\t \t \t ", "4")] {
        bipf::check(both).unwrap();
        let doc = Doc::parse(both).unwrap();
        assert!(matches!(doc, Doc::Json(_)), "{both:?}");
        assert_eq!(doc.json().trim(), text);
    }
    for (neither, said) in [
        (&b""[..], "neither JSON nor BIPF: not BIPF: a value ends"),
        (b"{\"a\":", "not JSON: EOF"),
        (b"\x10h", "neither JSON nor BIPF"),
        (b"hello", "neither JSON nor BIPF"),
    ] {
        let error = Doc::parse(neither).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().starts_with(said), "{error}");
    }
}

#[test]
fn documents_of_either_form_answer_alike() {
    let text = r#"{"key":"%1","value":{"sequence":3,"timestamp":1663000000000,"mentions":[{"link":"@a"}]}}"#;
    for codec in [Docs::json(), Docs::bipf()] {
        let mut bytes = Vec::new();
        codec.encode(text, &mut bytes).unwrap();
        let doc = Docs::json().decode(&Bytes::from(bytes.clone())).unwrap();
        assert_eq!(doc.as_bytes(), &bytes);
        assert_eq!((doc.json().as_ref(), doc.to_string().as_str()), (text, text));
        assert_eq!(doc.integer(&["value", "timestamp"]), Some(1_663_000_000_000));
        let mut links = Vec::new();
        doc.items(&["value", "mentions"], &mut |item| links.extend(item.text(&["link"]).map(String::from)));
        assert_eq!(links, ["@a"]);
        assert_eq!(doc.part(&["value", "mentions", "0"]).unwrap().json(), r#"{"link":"@a"}"#);
        assert_eq!(doc.to::<serde_json::Value>().unwrap(), serde_json::from_str::<serde_json::Value>(text).unwrap());
        assert!(codec.encode("{", &mut bytes).is_err());
    }
    assert_eq!(Docs::json().identity(), Docs::bipf().identity(), "they read the same");
}

#[test]
fn text_is_spelled_as_javascript_spells_it() {
    for (text, spelled) in [
        ("1e21", "1e+21"),
        ("123456789012345680000.0", "123456789012345680000"),
        ("0.000001", "0.000001"),
        ("0.0000001", "1e-7"),
        ("5e-324", "5e-324"),
        ("0.30000000000000004", "0.30000000000000004"),
        ("-0.0", "0"),
        ("-2147483648", "-2147483648"),
        ("9007199254740993", "9007199254740992"),
        (r#""\u001f\b\f\n\r\t\"\\\/\u007f\u2028é""#, "\"\\u001f\\b\\f\\n\\r\\t\\\"\\\\/\u{7f}\u{2028}é\""),
        (r#""<\ud83d>\ud83dx\ude00""#, "\"<\u{fffd}>\u{fffd}x\u{fffd}\""),
        (r#""\ud83e\udd80""#, "\"🦀\""),
        (
            r#"{"b":1,"a":{"2":0,"10":1,"1":2},"b":2,"01":3,"\u0031":4}"#,
            r#"{"1":4,"b":2,"a":{"1":2,"2":0,"10":1},"01":3}"#,
        ),
    ] {
        assert_eq!(decoded(&encoded(text)), spelled, "{text}");
    }
    for none in ["", " ", "{", "1 2", "1e400", "-1e999", "[1,]", "\"\u{1}\"", "nul", "01"] {
        assert!(bipf::from_json(none.as_bytes(), &mut Vec::new()).is_err(), "{none:?}");
    }
    assert!(bipf::from_json(b"\"\xff\"", &mut Vec::new()).is_err());
}

#[test]
fn the_document_of_the_format_is_true() {
    let document = include_str!("../../../docs/format-bipf.md");
    let lines = document.split("```").nth(1).unwrap().trim().lines();
    let known: Vec<(&str, &str)> = lines.map(|line| line.rsplit_once(' ').unwrap()).collect();
    assert!(known.len() > 10);
    for (json, hex) in known {
        let bytes = encoded(json);
        assert_eq!(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>(), hex, "{json}");
        assert_eq!(decoded(&bytes), json.trim());
    }
    for (len, tag) in [(15, 1), (16, 2), (2_047, 2), (2_048, 3), (262_143, 3), (262_144, 4), (33_554_431, 4)] {
        assert_eq!(bipf::to_vec(&"x".repeat(len)).unwrap().len(), tag + len);
    }
}
