//! Guards against a query in JSON that is read otherwise than it says, or whose fault is told without its place.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod bitmaps_support;

use bitmaps_support::any_op;
use flumedb::{
    ErrorKind, Flume, Seq,
    codec::JsonDocs,
    views::{
        Bitmaps, Op,
        bitmaps::{Cursor, Number, Part},
    },
};
use flumedb_sim::Choices;

#[test]
fn what_is_printed_reads_back() {
    for seed in 0..2_000 {
        let op = any_op(&mut Choices::seeded(seed), 4);
        let printed = op.to_string();
        assert_eq!(Op::from_json(&printed).unwrap().to_string(), printed);
    }
    let others = [
        Op::Seqs(vec![3, 1]),
        Op::offsets([Seq::new(9), Seq::new(u64::MAX)]),
        Op::gt(Number::Named("timestamp".into()), 1.5),
        Op::lte(Number::Least(vec!["a.b".into(), ["a.b"].into()]), -3),
        Op::equal(["with.dot", "x"], ()),
        Op::equal("", "the whole document"),
        Op::includes_at("mentions", ["a.b"], true),
        Op::Equal { path: "a".into(), value: "x".into(), part: Some(Part { bytes: 4, offset: 1, map: true }) },
        Op::All.or(Op::absent("x")),
        !Op::All,
    ];
    for op in others {
        let again = Op::from_json(&op.to_string()).unwrap();
        assert_eq!(again.to_string(), op.to_string());
    }
}

#[test]
fn forms_that_are_taken() {
    let same = [
        (r#"null"#, r#"{"op":"and","args":[]}"#),
        (
            r#"{"op":"and","args":[null,{"op":"absent","path":"a"}]}"#,
            r#"{"op":"and","args":[{"op":"absent","path":["a"]}]}"#,
        ),
        (r#"{"op":"equal","path":"a"}"#, r#"{"op":"absent","path":"a"}"#),
        (
            r#"{"op":"equal","path":"a","value":"x","opts":{"prefix":true}}"#,
            r#"{"op":"equal","path":"a","value":"x","opts":{"prefix":32}}"#,
        ),
    ];
    for (one, two) in same {
        let (one, two) = (Op::from_json(one).unwrap(), Op::from_json(two).unwrap());
        assert!(one == two || one == Op::All && two == Op::And(vec![]), "{one} {two}");
    }
}

#[test]
fn faults_are_told_with_their_place() {
    let nested = |depth: usize| {
        format!("{}{}{}", r#"{"op":"not","args":["#.repeat(depth), r#"{"op":"absent","path":"a"}"#, "]}".repeat(depth))
    };
    let many = format!(r#"{{"op":"or","args":[{}]}}"#, vec![r#"{"op":"absent","path":"a"}"#; 10_001].join(","));
    let numbers = format!(r#"{{"op":"seqs","values":[{}]}}"#, vec!["1"; 1_000_001].join(","));
    let absent = |path: &str| format!(r#"{{"op":"absent","path":"{path}"}}"#);
    let pluck =
        |bytes| format!(r#"{{"op":"includes","path":"a","value":1,"opts":{{"pluck":"{}"}}}}"#, "a".repeat(bytes));
    let least = |paths| format!(r#"{{"op":"gt","least":[{}],"value":1}}"#, vec![r#""a""#; paths].join(","));
    let faults = [
        ("{", "the query is no JSON"),
        ("7", "at the top: an operator is an object"),
        ("{}", "at the top: \"op\" is missing"),
        (r#"{"op":"equals"}"#, "at .op: there is no operator \"equals\"; there are and, or"),
        (r#"{"op":7}"#, "at .op: text is wanted, not 7"),
        (r#"{"op":"and","args":{}}"#, "at .args: a list is wanted"),
        (
            r#"{"op":"and","args":[{"op":"or","args":[null,{"op":"gt","path":"n"}]}]}"#,
            "at .args[0].args[1]: \"value\" is missing",
        ),
        (r#"{"op":"gt","path":"n","value":"7"}"#, "at .value: a number to compare with"),
        (r#"{"op":"gt","value":7}"#, "at the top: say which number"),
        (r#"{"op":"gt","path":"n","index":"n","value":7}"#, "at the top: say which number"),
        (
            r#"{"op":"not","args":[{"op":"absent","path":"a"},{"op":"absent","path":"b"}]}"#,
            "at .args: \"not\" takes one",
        ),
        (r#"{"op":"equal","path":7,"value":1}"#, "at .path: a path is text with dots"),
        (r#"{"op":"equal","path":["a",7],"value":1}"#, "at .path: a path is a list of names"),
        (r#"{"op":"equal","path":"a","value":1,"limit":3}"#, "at .limit: not known here"),
        (r#"{"op":"equal","path":"a","value":1,"opts":{"prefix":-1}}"#, "at .opts.prefix: a whole number of at most"),
        (r#"{"op":"includes","path":"a","value":1,"opts":{"pluk":"l"}}"#, "at .opts.pluk: not known here"),
        (r#"{"op":"includes","path":"a","value":1,"opts":{"pluck":7}}"#, "at .opts.pluck: a path is text"),
        (r#"{"op":"equal","path":"a","value":1,"opts":7}"#, "at .opts: an object is wanted"),
        (r#"{"op":"seqs","values":[1,-1]}"#, "at .values[1]: a whole number is wanted, not -1"),
        (r#"{"op":"prefix","path":"a","value":1}"#, "at .value: text is wanted"),
        (&absent(&"a.".repeat(64)), "at .path: a path of 65 names and 128 bytes; it may have 64 and 4096"),
        (&absent(&"a".repeat(4097)), "at .path: a path of 1 names and 4097 bytes"),
        (&pluck(4097), "at .opts.pluck: a path of 1 names and 4097 bytes"),
        (&least(65), "at .least: more than 64 paths"),
        (&nested(61), "more than 60 operators around another"),
        (&many, "more than 10000 operators"),
        (&numbers, "at .values: more than 1000000 numbers"),
    ];
    for (text, expected) in faults {
        let error = Op::from_json(text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        let said = error.to_string();
        assert!(said.contains(expected), "{said:?} is not {expected:?}");
    }
    assert!(Op::from_json(&nested(60)).is_ok());
    for most in [absent(&format!("a{}", ".a".repeat(63))), absent(&"a".repeat(4096)), pluck(4096), least(64)] {
        assert!(Op::from_json(&most).is_ok(), "{most}");
    }
    // Far deeper than the stack would take.
    assert!(Op::from_json(&nested(100_000)).is_err());
}

#[tokio::test]
async fn what_was_not_declared_or_is_of_another_order_is_refused() {
    let db = Flume::memory(JsonDocs).unwrap();
    db.append(r#"{"n":1}"#).await.unwrap();
    let bitmaps = Bitmaps::new(&db);
    let error = bitmaps.query(Op::predicate("n", "even")).count().await.unwrap_err();
    assert!(error.to_string().contains("no predicate was declared as \"even\""), "{error}");
    let error = bitmaps.query(Op::gt(Number::Named("likes".into()), 1)).count().await.unwrap_err();
    assert!(error.to_string().contains("no number was declared as \"likes\""), "{error}");
    // Told with their places in the whole.
    let within = |op: Op| Op::absent("a").or(!op);
    let error = bitmaps.query(within(Op::predicate("n", "even"))).count().await.unwrap_err();
    assert!(error.to_string().starts_with("at .args[1].args[0].fn: no predicate"), "{error}");
    let error = bitmaps.query(within(Op::gt(Number::Named("likes".into()), 1))).count().await.unwrap_err();
    assert!(error.to_string().starts_with("at .args[1].args[0].index: no number"), "{error}");
    let error = bitmaps.query(within(Op::gt("n", "1"))).count().await.unwrap_err();
    assert!(error.to_string().starts_with("at .args[1].args[0].value: numbers are compared"), "{error}");
    let error = bitmaps.query(Op::All).sort(Number::Named("likes".into())).seqs().await.unwrap_err();
    assert!(error.to_string().starts_with("at .sort: no number"), "{error}");
    bitmaps.number("likes", "n");
    assert_eq!(bitmaps.query(Op::gt(Number::Named("likes".into()), 0)).count().await.unwrap(), 1);

    let arrival = Cursor::after(Seq::new(3));
    let sorted = bitmaps.query(Op::All).sort("n").run().await.unwrap();
    assert!(bitmaps.query(Op::All).sort("n").after(arrival).run().await.is_err());
    let cursor = {
        let mut sorted = sorted;
        sorted.next().await.unwrap().unwrap();
        sorted.cursor().unwrap()
    };
    assert!(bitmaps.query(Op::All).after(cursor).run().await.is_err());
    for text in ["", "x", "1-", "1-zz", "-none", "+1", "1-none-", &format!("1-{}", "é".repeat(10))] {
        assert!(text.parse::<Cursor>().is_err(), "{text}");
    }
}
