//! What the query language promises beside the vectors: what it corrects, its errors, its limits.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods, reason = "a test")]

use flumedb::{
    ErrorKind,
    codec::JsonDoc,
    mfr::{Compat, Language, Pipeline},
};
use flumedb_sim::{Choices, soak_or_count};
use serde_json::{Value, json};

fn ask(query: Value, input: &[Value]) -> Vec<Value> {
    asked(Language::new(), &query.to_string(), input)
}

fn originals(query: Value, input: &[Value]) -> Vec<Value> {
    asked(Language::new().compat(Compat::Originals), &query.to_string(), input)
}

/// The same whether the input is parsed or still text.
fn asked(language: Language, query: &str, input: &[Value]) -> Vec<Value> {
    let query = language.parse(query).unwrap();
    let of_values: Vec<_> = query.run(input).map(|row| row.unwrap().value).collect();
    let docs: Vec<_> = input.iter().map(|value| JsonDoc::parse(value.to_string()).unwrap()).collect();
    let of_docs: Vec<_> = query.run(&docs).map(|row| row.unwrap().value).collect();
    assert_eq!(of_values, of_docs);
    of_values
}

fn refused(query: &str) -> String {
    let error = Pipeline::parse(query).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    error.to_string()
}

#[test]
fn min_and_max_alone_do_not_begin_at_zero() {
    let (above, below) = ([json!(5), json!(3)], [json!(-5), json!(-3)]);
    assert_eq!(ask(json!([{"$reduce": {"$min": true}}]), &above), [json!(3)]);
    assert_eq!(ask(json!([{"$reduce": {"$max": true}}]), &below), [json!(-3)]);
    assert_eq!(originals(json!([{"$reduce": {"$min": true}}]), &above), [json!(0)]);
    assert_eq!(originals(json!([{"$reduce": {"$max": true}}]), &below), [json!(0)]);
}

#[test]
fn null_in_between_is_nothing() {
    let input = [json!({"a": null}), json!({"a": {"b": null}}), json!({"a": {"b": {"c": 1}}}), json!(null), json!(7)];
    assert_eq!(ask(json!([{"$filter": {"a": {"b": {"c": 1}}}}]), &input), [input[2].clone()]);
    assert_eq!(ask(json!([{"$map": ["a", "b", "c"]}]), &input), [json!(1)]);
    assert_eq!(ask(json!([{"$reduce": {"c": ["a", "b", "c"], "n": {"$count": true}}}]), &input).len(), 2);
    assert_eq!(ask(json!([{"$sort": [["a", "b", "c"]]}]), &input)[0], input[2]);
}

#[test]
fn a_path_into_a_number_finds_nothing() {
    let input = [json!({"n": 5})];
    for query in [
        json!([{"$filter": {"n": {"x": {"y": 1}}}}]),
        json!([{"$map": ["n", "x", 0, -1, "length"]}]),
        json!([{"$map": ["n", {"$get": ["x", "y"]}]}]),
        json!([{"$map": -1}]),
        json!([{"$reduce": {"$min": ["n", "x"]}}]),
    ] {
        assert_eq!(ask(query.clone(), &input), [] as [Value; 0], "{query}");
    }
}

#[test]
fn an_object_is_a_filter() {
    let input = [json!({"n": 1}), json!({"n": 2})];
    assert_eq!(ask(json!({"n": 2}), &input), [json!({"n": 2})]);
    assert_eq!(ask(json!({"$filter": {"n": 2}}), &input), [json!({"n": 2})]);
    assert_eq!(originals(json!({"n": 2}), &input).len(), 2, "the original filters nothing");
}

#[test]
fn map_keeps_what_counts_as_false_and_leaves_out_what_is_missing() {
    let input = [json!({"a": 0}), json!({"a": ""}), json!({"a": false}), json!({"a": null}), json!({})];
    assert_eq!(ask(json!([{"$map": "a"}]), &input), [json!(0), json!(""), json!(false), json!(null)]);
    assert_eq!(originals(json!([{"$map": "a"}]), &input), [] as [Value; 0]);
}

#[test]
fn an_ungrouped_object_of_reducers_is_one_object() {
    let input = [json!({"n": 5}), json!({"n": 3})];
    let query = json!([{"$reduce": {"lo": {"$min": "n"}, "hi": {"$max": "n"}}}]);
    assert_eq!(ask(query.clone(), &input), [json!({"lo": 3, "hi": 5})]);
    // The text of `json!` has its members by name.
    assert_eq!(originals(query, &input), [json!(5), json!(3)]);
}

#[test]
fn names_beside_operators_count() {
    let input = [json!({"tags": ["a"]}), json!({"tags": []}), json!({"tags": "a"})];
    let query = json!([{"$filter": {"tags": {"$is": "array", "length": {"$gt": 0}}}}]);
    assert_eq!(ask(query, &input), [input[0].clone()]);
}

#[test]
fn arrays_and_objects_are_the_same_by_what_they_hold() {
    let input = [json!({"a": [1, 2]}), json!({"a": {"b": 1}}), json!({"a": [1]})];
    assert_eq!(ask(json!([{"$filter": {"a": {"$eq": [1, 2]}}}]), &input), [input[0].clone()]);
    assert_eq!(ask(json!([{"$filter": {"a": {"$in": [{"b": 1.0}]}}}]), &input), [input[1].clone()]);
    assert_eq!(ask(json!([{"$filter": {"a": {"$ne": [1]}}}]), &input).len(), 2);
}

#[test]
fn large_whole_numbers_stay_exact() {
    let (one, two) = (9_007_199_254_740_993_i64, 9_007_199_254_740_992_i64);
    let input = [json!({"n": one}), json!({"n": two})];
    assert_eq!(ask(json!([{"$filter": {"n": one}}]), &input).len(), 1);
    assert_eq!(ask(json!([{"$reduce": {"$sum": "n"}}]), &input), [json!(one + two)]);
    assert_eq!(ask(json!([{"$reduce": {"$max": "n"}}]), &input), [json!(one)]);
}

#[test]
fn reductions_nest() {
    let input = [json!({"a": 1, "b": 1}), json!({"a": 1, "b": 2}), json!({"a": 2, "b": 1})];
    let query = json!([{"$reduce": {"a": "a", "of": {"$reduce": {"b": "b", "n": {"$count": true}}}}}]);
    let expected =
        [json!({"a": 1, "of": [{"b": 1, "n": 1}, {"b": 2, "n": 1}]}), json!({"a": 2, "of": [{"b": 1, "n": 1}]})];
    assert_eq!(ask(query, &input), expected);
}

#[test]
fn reverse_is_of_its_own_path_alone() {
    let input = [json!({"a": 1, "b": 1}), json!({"a": 1, "b": 2}), json!({"a": 2, "b": 1})];
    let query = json!([{"$sort": [{"$reverse": "a"}, "b"]}, {"$map": "b"}]);
    assert_eq!(ask(query.clone(), &input), [json!(1), json!(1), json!(2)]);
    assert_eq!(originals(query, &input), [json!(1), json!(2), json!(1)]);
}

/// What the originals do with marks of live queries, and with the order of texts.
#[test]
fn marks_and_texts_are_as_the_originals_have_them_in_compat_mode_only() {
    let mark = json!({"sync": true, "n": 1});
    let query = json!([{"$filter": {"n": 2}}, {"$map": "n"}]);
    assert_eq!(ask(query.clone(), std::slice::from_ref(&mark)), [] as [Value; 0]);
    assert_eq!(originals(query, std::slice::from_ref(&mark)), [mark]);

    let texts = [json!("\u{1f469}"), json!("\u{e000}")];
    let query = json!([{"$sort": [true]}]);
    assert_eq!(ask(query.clone(), &texts), [json!("\u{e000}"), json!("\u{1f469}")]);
    assert_eq!(originals(query, &texts), texts);
}

#[test]
fn errors_name_the_place() {
    let cases = [
        (r#"[{"$filter": "#, "the query is no JSON"),
        (r#""post""#, "in the query: \"post\" is no query"),
        (r#"[1]"#, "at /0 in the query: 1 is no stage"),
        (r#"[{"$nope": 1}]"#, "at /0/$nope in the query: there is no stage $nope"),
        (r#"[{"$map": "a", "$filter": {}}]"#, "at /0 in the query: a stage has one of"),
        (
            r#"[{"$filter": {"a/b~c": {"$bogus": 1}}}]"#,
            "at /0/$filter/a~1b~0c/$bogus in the query: there is no operator",
        ),
        (r#"[{"$filter": {"a": {"$gt": 1, "$more": 1}}}]"#, "at /0/$filter/a/$more in the query: there is no operator"),
        (r#"[{"$filter": {"a": {"$gt": {"b": 1}}}}]"#, "at /0/$filter/a/$gt in the query: {\"b\":1} has no order"),
        (r#"[{"$filter": {"a": {"$prefix": 5}}}]"#, "at /0/$filter/a/$prefix in the query: $prefix takes a text"),
        (r#"[{"$filter": {"a": {"$in": "abc"}}}]"#, "at /0/$filter/a/$in in the query: $in takes an array"),
        (r#"[{"$filter": {"a": {"$is": "date"}}}]"#, "at /0/$filter/a/$is in the query: $is takes one of"),
        (r#"[{"$filter": {"a": {"$mod": 0}}}]"#, "at /0/$filter/a/$mod in the query: $mod takes a number other"),
        (r#"[{}, {"$map": ["a", null]}]"#, "at /0 in the query: a stage has one of"),
        (r#"[null, {"$map": ["a", null]}]"#, "at /1/$map/1 in the query: null is no rule"),
        (r#"[{"$map": ["a", {"b": 1}]}]"#, "at /0/$map/1 in the query: an object of rules"),
        (r#"[{"$map": {"b": {"$get": {}}}}]"#, "at /0/$map/b/$get in the query: {} is no step of a path"),
        (r#"[{"$map": 1.5}]"#, "at /0/$map in the query: 1.5 is no step"),
        (r#"[{"$reduce": {"n": {"$cuont": true}}}]"#, "at /0/$reduce/n/$cuont in the query: there is no reducer"),
        (
            r#"[{"$reduce": {"$count": true, "$sum": "n"}}]"#,
            "at /0/$reduce/$count in the query: a reducer stands alone",
        ),
        (r#"[{"$sort": "n"}]"#, "at /0/$sort in the query: $sort takes a list"),
        (r#"[{"$sort": [{"$down": "n"}]}]"#, "at /0/$sort/0 in the query: {\"$down\":\"n\"} is no path"),
        (r#"{"a": {"$bogus": 1}}"#, "at /a/$bogus in the query"),
    ];
    for (query, expected) in cases {
        let error = refused(query);
        assert!(error.starts_with(expected), "{query}: {error}");
    }
}

#[test]
fn what_is_too_large_or_too_deep_is_refused() {
    let long = |bytes: usize| {
        let (begin, end) = (r#"[{"$filter": ""#, r#""}]"#);
        format!("{begin}{}{end}", "x".repeat(bytes - begin.len() - end.len()))
    };
    assert!(Pipeline::parse(&long(1 << 20)).is_ok());
    assert!(refused(&long((1 << 20) + 1)).contains("a query of 1048577 bytes is too large; at most 1048576"));
    let nested = |depth: usize| format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
    assert!(Pipeline::parse(&nested(64)).is_ok());
    let error = refused(&nested(65));
    assert!(error.starts_with("at /a/a/a") && error.contains("too deep"), "{error}");
    assert!(refused(&nested(100_000)).starts_with("the query is no JSON"));
    let value = |depth| (0..depth).fold(json!(1), |value, _| json!({ "a": value }));
    assert!(Language::new().parse_value(&value(64)).is_ok());
    assert!(Language::new().parse_value(&value(65)).unwrap_err().to_string().contains("too deep"));
}

/// What a query keeps is bounded: it ends with an error, not with the memory.
#[test]
fn a_query_that_keeps_too_much_ends_with_an_error() {
    let input: Vec<_> = (0..1000).map(|n| json!({"n": n, "text": "x".repeat(100)})).collect();
    for query in [
        r#"[{"$reduce": {"$collect": true}}]"#,
        r#"[{"$sort": ["n"]}]"#,
        r#"[{"$reduce": {"n": "n", "c": {"$count": true}}}]"#,
        r#"[{"$reduce": {"all": {"$reduce": {"n": "n"}}, "c": {"$count": true}}}]"#,
    ] {
        let small = Language::new().memory_bytes(50_000).parse(query).unwrap();
        let rows: Vec<_> = small.run(&input).collect();
        let error = rows.last().unwrap().as_ref().unwrap_err();
        assert_eq!((rows.len(), error.kind()), (1, ErrorKind::LimitExceeded), "{query}");
        assert!(error.to_string().contains("more than 50000 bytes in memory"), "{error}");
        assert!(Pipeline::parse(query).unwrap().run(&input).all(|row| row.is_ok()));
    }
    let least = Language::new().memory_bytes(500).parse(r#"[{"$reduce": {"$max": "text"}}]"#).unwrap();
    assert!(least.run(&input).all(|row| row.is_ok()), "what was kept before is given back");
}

#[test]
fn no_query_panics() {
    let input = [
        json!(null),
        json!(-1.5e300),
        json!("text"),
        json!([[], {}, null, [1, "a"]]),
        json!({"a": {"a": [i64::MIN, u64::MAX, -0.0]}, "n": i64::MIN}),
    ];
    let parts = [
        json!(true),
        json!("a"),
        json!(-9_223_372_036_854_775_808_i64),
        json!(["a", "a", -1]),
        json!({"$mod": -1}),
        json!(["n", {"$mod": -1}]),
        json!({"a": "a", "b": {"$type": 1}}),
        json!([{"$get": ["length"]}, {"$in": [1, null, []]}]),
        json!(["length", {"$int": 1, "$not": 1}]),
        json!({"$filter": {"$prefix": []}}),
    ];
    for compat in [Compat::Corrected, Compat::Originals] {
        for one in &parts {
            for two in &parts {
                for query in [
                    json!([{"$map": one}, {"$map": two}]),
                    json!([{"$filter": one}, {"$map": two}]),
                    json!([{"$reduce": {"k": one, "s": {"$sum": two}, "p": {"$product": two}, "c": {"$collect": two}}}]),
                    json!([{"$reduce": {"x": {"$min": one}, "y": {"$max": two}}}, {"$sort": ["x", "y"]}]),
                ] {
                    if let Ok(query) = Language::new().compat(compat).parse(&query.to_string()) {
                        assert!(query.run(&input).all(|row| row.is_ok()));
                    }
                }
            }
        }
    }
}

/// Any JSON that looks like a query.
fn any_query(chance: &mut Choices) -> Value {
    let stage = |chance: &mut Choices| {
        let name = ["$filter", "$map", "$reduce", "$sort"][chance.pick(4) as usize];
        let argument = if name == "$sort" {
            (0..chance.pick(3)).map(|_| any_rule(chance, 1)).collect()
        } else {
            any_rule(chance, 3)
        };
        json!({ name: argument })
    };
    match chance.pick(8) {
        0 => any_rule(chance, 3),
        _ => (0..chance.pick(4)).map(|_| stage(chance)).collect(),
    }
}

fn any_rule(chance: &mut Choices, depth: u32) -> Value {
    const OPERATORS: [&str; 26] = [
        "$eq", "$ne", "$lt", "$lte", "$gt", "$gte", "$prefix", "$in", "$is", "$type", "$truthy", "$not", "$int",
        "$mod", "$get", "$map", "$filter", "$reduce", "$count", "$sum", "$product", "$min", "$max", "$collect",
        "$reverse", "$no",
    ];
    match chance.pick(if depth == 0 { 5 } else { 9 }) {
        0 => json!(true),
        1 => json!(["a", "b", "length", "0", "object", "number"][chance.pick(6) as usize]),
        2 => json!(chance.pick(5) as i64 - 2),
        3 => any_value(chance, 1),
        4 => json!({ OPERATORS[chance.pick(16) as usize]: any_value(chance, 1) }),
        5 => (0..chance.pick(4)).map(|_| any_rule(chance, depth - 1)).collect(),
        6 | 7 => json!({ OPERATORS[chance.pick(26) as usize]: any_rule(chance, depth - 1) }),
        _ => json!({ "a": any_rule(chance, depth - 1), "b": any_rule(chance, depth - 1) }),
    }
}

fn any_value(chance: &mut Choices, depth: u32) -> Value {
    match chance.pick(if depth == 0 { 7 } else { 10 }) {
        0 => json!(null),
        1 => json!(chance.pick(2) == 0),
        2 => json!(chance.pick(7) as i64 - 3),
        3 => json!(0.5 - chance.pick(4) as f64),
        4 => json!(i64::MAX - chance.pick(3) as i64),
        5 => json!(["", "a", "ab", "12", "0x1f", "1e999", "\u{1f469}"][chance.pick(7) as usize]),
        6 => json!([]),
        7 => (0..chance.pick(4)).map(|_| any_value(chance, depth - 1)).collect(),
        _ => json!({ "a": any_value(chance, depth - 1), "b": any_value(chance, depth - 1) }),
    }
}

/// A query is refused with its place, or runs to its end without a panic; and it comes to the same over text, where fields are
/// looked up, as over values.
#[test]
fn any_query_over_text_comes_to_the_same_as_over_values() {
    let ran = std::sync::atomic::AtomicU64::new(0);
    soak_or_count(4000, |number| {
        let mut chance = Choices::seeded(number as u64);
        let query = any_query(&mut chance);
        let input: Vec<_> = (0..chance.pick(8)).map(|_| any_value(&mut chance, 3)).collect();
        for compat in [Compat::Corrected, Compat::Originals] {
            let language = Language::new().compat(compat);
            match language.parse(&query.to_string()) {
                Ok(_) => {
                    asked(language, &query.to_string(), &input);
                    ran.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                }
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Invalid);
                    assert!(error.to_string().contains("in the query: "), "{query}: {error}");
                }
            }
        }
    });
    assert!(ran.into_inner() > 1000, "queries run");
}
