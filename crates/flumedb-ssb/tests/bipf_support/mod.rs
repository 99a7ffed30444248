//! What the tests of BIPF share: values of every kind, and a way to write them that is too plain to be wrong.
#![allow(dead_code, reason = "each test file uses its part")]

use proptest::{collection::vec, prelude::*};

/// A value of BIPF, whoever may have written it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Any {
    Text(String),
    Bytes(Vec<u8>),
    Int(i32),
    Double(f64),
    Array(Vec<Any>),
    Object(Vec<(Any, Any)>),
    /// The body, which is no longer than it has to be.
    Atom(Vec<u8>),
    /// A small type, and what follows it.
    Extended(u8, Vec<u8>),
}

impl Any {
    pub(crate) fn write(&self) -> Vec<u8> {
        let (kind, body): (usize, Vec<u8>) = match self {
            Self::Text(text) => (0, text.clone().into_bytes()),
            Self::Bytes(bytes) => (1, bytes.clone()),
            Self::Int(whole) => (2, whole.to_le_bytes().into()),
            Self::Double(float) => (3, float.to_le_bytes().into()),
            Self::Array(items) => (4, items.iter().flat_map(Self::write).collect()),
            Self::Object(members) => {
                (5, members.iter().flat_map(|(name, value)| [name.write(), value.write()].concat()).collect())
            }
            Self::Atom(body) => (6, body.clone()),
            Self::Extended(kind, rest) => (7, [&[*kind][..], rest].concat()),
        };
        let mut tag = body.len() * 8 + kind;
        let mut out = Vec::new();
        while tag >= 128 {
            out.push((tag % 128) as u8 | 128);
            tag /= 128;
        }
        out.push(tag as u8);
        out.extend(body);
        out
    }
}

pub(crate) fn any_atom() -> impl Strategy<Value = Any> {
    prop_oneof![
        vec(0_u8..4, 0..2),
        any::<u32>().prop_map(|number| {
            let mut body = number.to_le_bytes().to_vec();
            while body.len() > 1 && body.last() == Some(&0) {
                body.pop();
            }
            body
        })
    ]
    .prop_map(Any::Atom)
}

/// Numbers that are likely to be treated otherwise than their neighbours.
pub(crate) fn any_double() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f64>(),
        any::<i64>().prop_map(|whole| whole as f64),
        (any::<i32>(), -2_i64..3).prop_map(|(whole, near)| (i64::from(whole) + near) as f64),
        prop::sample::select(vec![0.0, -0.0, 2_147_483_647.0, -2_147_483_648.0, 9_007_199_254_740_993.0, 1e21, 1e20]),
        prop::sample::select(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 5e-324, f64::MAX, 1.5]),
    ]
}

/// Any value at all.
pub(crate) fn any_value() -> impl Strategy<Value = Any> {
    let name = prop_oneof![4 => any_name().prop_map(Any::Text), 1 => any_atom()];
    let leaf = prop_oneof![
        ".{0,20}".prop_map(Any::Text),
        vec(any::<u8>(), 0..20).prop_map(Any::Bytes),
        any::<i32>().prop_map(Any::Int),
        any_double().prop_map(Any::Double),
        any_atom(),
        (0_u8..128, vec(any::<u8>(), 0..20)).prop_map(|(kind, rest)| Any::Extended(kind, rest)),
    ];
    leaf.prop_recursive(5, 40, 6, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Any::Array),
            vec((name.clone(), inner), 0..6).prop_map(Any::Object),
        ]
    })
}

/// Names that are few, so that they meet again, and some that JavaScript takes for positions.
pub(crate) fn any_name() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "",
        "a",
        "b",
        "type",
        "a\"b",
        "\\",
        "ü",
        "🦀",
        "0",
        "1",
        "10",
        "9",
        "01",
        "-1",
        "4294967294",
        "4294967295",
    ])
    .prop_map(str::to_owned)
}
