//! What the tests of bitmaps share: documents that have things in common, any questions about them, and the plainest answers.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on ends")]

use flumedb::views::bitmaps::{Comparison, Number, Op, Part, Path, Scalar};
use flumedb_sim::Choices;
use serde_json::{Map, Value, json};

pub(crate) const PATHS: [&str; 4] = ["a", "b", "n", "in.t"];

/// A long text has to be compared itself; these two begin alike.
pub(crate) fn long(last: &str) -> String {
    format!("{}{last}", "long ".repeat(40))
}

pub(crate) fn any_scalar(chance: &mut Choices) -> Value {
    match chance.pick(14) {
        0 => Value::Null,
        1 => json!(true),
        2 => json!(false),
        3 => json!(1),
        4 => json!(1.0),
        5 => json!("1"),
        6 => json!(""),
        7 => json!("post"),
        8 => json!("pole\0"),
        9 => json!(0),
        10 => json!(-2.5),
        11 => json!(chance.pick(40)),
        12 => json!(long("a")),
        _ => json!(long("b")),
    }
}

pub(crate) fn any_doc(chance: &mut Choices) -> Value {
    let mut doc = Map::new();
    if chance.pick(4) > 0 {
        doc.insert("a".into(), any_scalar(chance));
    }
    if chance.pick(3) > 0 {
        let items = (0..chance.pick(4)).map(|_| match chance.pick(3) {
            0 => json!({"x": any_scalar(chance)}),
            _ => any_scalar(chance),
        });
        let items: Vec<Value> = items.collect();
        doc.insert("b".into(), if chance.pick(4) > 0 { items.into() } else { any_scalar(chance) });
    }
    if chance.pick(4) > 0 {
        doc.insert(
            "n".into(),
            if chance.pick(3) > 0 { json!(chance.pick(12)) } else { json!(chance.pick(6) as f64 / 2.0) },
        );
    }
    if chance.pick(2) > 0 {
        doc.insert("in".into(), json!({"t": any_scalar(chance)}));
    }
    Value::Object(doc)
}

pub(crate) fn any_path(chance: &mut Choices) -> &'static str {
    PATHS[chance.pick(PATHS.len() as u64) as usize]
}

pub(crate) fn any_number(chance: &mut Choices) -> Number {
    match chance.pick(3) {
        0 => Number::Least(vec!["n".into(), "a".into()]),
        1 => "a".into(),
        _ => "n".into(),
    }
}

pub(crate) fn any_leaf(chance: &mut Choices) -> Op {
    let path = Path::from(any_path(chance));
    match chance.pick(9) {
        0..=1 => Op::equal(path, any_scalar(chance)),
        2 => Op::includes("b", any_scalar(chance)),
        3 => Op::includes_at("b", "x", any_scalar(chance)),
        4 => Op::absent(path),
        5 => {
            let text = match chance.pick(5) {
                0 => String::new(),
                1 => "po".to_owned(),
                2 => "pole\0".to_owned(),
                3 => long(""),
                _ => long("a"),
            };
            Op::prefix(path, text)
        }
        6 => {
            let than = json!(chance.pick(24) as f64 / 2.0);
            let comparisons =
                [Comparison::Greater, Comparison::GreaterOrEqual, Comparison::Less, Comparison::LessOrEqual];
            let comparison = comparisons[chance.pick(4) as usize];
            Op::Compare { number: any_number(chance), comparison, than: than.into() }
        }
        7 => Op::predicate(path, "even"),
        _ => {
            let part = Part { bytes: 1 + chance.pick(4) as usize, offset: chance.pick(3) as usize, map: false };
            Op::Equal { path, value: any_scalar(chance).into(), part: Some(part) }
        }
    }
}

pub(crate) fn any_op(chance: &mut Choices, depth: u32) -> Op {
    let some = |chance: &mut Choices| (0..chance.pick(4)).map(|_| any_op(chance, depth - 1)).collect();
    match if depth == 0 { 9 } else { chance.pick(10) } {
        0..=1 => Op::And(some(chance)),
        2..=3 => Op::Or(some(chance)),
        4 => !any_op(chance, depth - 1),
        5 => Op::All,
        _ => any_leaf(chance),
    }
}

pub(crate) fn even(field: Option<flumedb::codec::Field<'_>>) -> bool {
    matches!(field, Some(flumedb::codec::Field::Integer(number)) if number % 2 == 0)
}

fn at<'a>(doc: &'a Value, path: &Path) -> Option<&'a Value> {
    let text = path.to_string();
    let mut names = text.split('.').filter(|name| !name.is_empty());
    names.try_fold(doc, |value, name| value.get(name))
}

fn same(one: &Value, two: &Value) -> bool {
    match (one, two) {
        (Value::Number(one), Value::Number(two)) => one.as_f64() == two.as_f64(),
        (Value::Array(_) | Value::Object(_), _) => false,
        _ => one == two,
    }
}

pub(crate) fn number(doc: &Value, number: &Number) -> Option<f64> {
    let paths = match number {
        Number::Path(path) => vec![path.clone()],
        Number::Least(paths) => paths.clone(),
        other => panic!("{other:?}"),
    };
    paths.iter().filter_map(|path| at(doc, path)?.as_f64()).min_by(f64::total_cmp)
}

/// Whether `op` is true of a document, in the most naive way there is.
pub(crate) fn holds(op: &Op, doc: &Value) -> bool {
    match op {
        Op::All => true,
        Op::Equal { path, value, .. } => at(doc, path).is_some_and(|found| same(found, &value.to_json())),
        Op::Includes { path, value, pluck } => {
            let wanted = value.to_json();
            match at(doc, path) {
                Some(Value::Array(items)) => items.iter().any(|item| match pluck {
                    Some(pluck) => at(item, pluck).is_some_and(|found| same(found, &wanted)),
                    None => same(item, &wanted),
                }),
                Some(scalar) => same(scalar, &wanted),
                None => false,
            }
        }
        Op::Absent { path } => at(doc, path).is_none(),
        Op::Prefix { path, text } => {
            at(doc, path).and_then(Value::as_str).is_some_and(|found| found.starts_with(text.as_str()))
        }
        Op::Predicate { path, .. } => at(doc, path).and_then(Value::as_i64).is_some_and(|number| number % 2 == 0),
        Op::Compare { number: which, comparison, than } => {
            let than = match than {
                Scalar::Integer(number) => *number as f64,
                Scalar::Float(number) => *number,
                other => panic!("{other:?}"),
            };
            number(doc, which).is_some_and(|number| match comparison {
                Comparison::Greater => number > than,
                Comparison::GreaterOrEqual => number >= than,
                Comparison::Less => number < than,
                Comparison::LessOrEqual => number <= than,
            })
        }
        Op::And(ops) => ops.iter().all(|op| holds(op, doc)),
        Op::Or(ops) => ops.iter().any(|op| holds(op, doc)),
        Op::Not(op) => !holds(op, doc),
        other => panic!("{other}"),
    }
}
