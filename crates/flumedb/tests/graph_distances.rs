//! Guards against distances that are others than Scuttlebutt's programs count: `fixtures/follow-graphs.jsonl` has what
//! layered-graph 1.2.0 with dynamic-dijkstra 1.0.2 (which ssb-friends is made of) gives for 120 graphs, from a node and to it.
//! And against a walk through a graph that holds more than it may.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::disallowed_methods, reason = "a test")]

use std::{collections::BTreeMap, path::Path};

use flumedb::{
    ErrorKind, Flume,
    codec::Json,
    views::{
        Link, Links,
        links::{Distance, LinksReader, Stance, Way},
    },
};
use serde_json::Value;

type Statement = (String, String, i64);

fn reader(statements: &[Statement]) -> (Flume<Json<Statement>>, LinksReader<Statement>) {
    let db = Flume::memory(Json::<Statement>::new()).unwrap();
    let links = Links::new(1, |(from, to, value): &Statement| [Link::new(from, value.to_string(), to)]);
    let links = db.view("links", links).blocking().unwrap();
    if !statements.is_empty() {
        db.append_all(statements).blocking().unwrap();
    }
    let reader = links.read().blocking().unwrap();
    (db, reader)
}

fn stance(rel: &str) -> Option<Stance> {
    match rel {
        "1" => Some(Stance::Follow),
        "-1" => Some(Stance::Block),
        "-2" => Some(Stance::Neither),
        _ => None,
    }
}

#[test]
fn distances_are_those_of_ssb_friends() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/follow-graphs.jsonl");
    let (mut negative, mut cases) = (0, 0);
    for line in std::fs::read_to_string(path).unwrap().lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let statements: Vec<Statement> = serde_json::from_value(case["statements"].clone()).unwrap();
        let max = case["max"].as_u64().unwrap() as u32;
        let (_db, reader) = reader(&statements);
        let graph = reader.graph();
        let all = |distances: Vec<Distance>| -> BTreeMap<String, i64> {
            distances.into_iter().map(|one| (one.node, one.hops)).collect()
        };
        for (name, found) in
            [("from", graph.distances_from("a", max, stance)), ("to", graph.distances_to("a", max, stance))]
        {
            let expected: BTreeMap<String, i64> = serde_json::from_value(case[name].clone()).unwrap();
            negative += expected.values().filter(|hops| **hops < 0).count();
            assert_eq!(all(found.unwrap()), expected, "{name} a: {line}");
        }
        cases += 1;
    }
    assert!(cases == 120 && negative > 100, "{cases} {negative}");
}

#[test]
fn a_graph_that_is_too_large_is_an_error_that_says_so() {
    let star: Vec<Statement> = (0..50).map(|leaf| ("hub".to_owned(), format!("leaf {leaf:02}"), 1)).collect();
    let (_db, reader) = reader(&star);
    let graph = reader.graph();
    assert_eq!(graph.clone().max_nodes(51).within("hub", 9).unwrap().len(), 51);
    let small = graph.clone().max_nodes(50);
    let errors = [
        small.within("hub", 1).unwrap_err(),
        small.shortest_path("hub", "nowhere").unwrap_err(),
        small.clone().way(Way::Both).within("leaf 00", 2).unwrap_err(),
        small.distances_from("hub", 1, stance).unwrap_err(),
        graph.clone().max_nodes(49).neighbours("hub", Way::Out).unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::LimitExceeded);
        assert!(error.to_string().contains("more than") && error.to_string().contains("max_nodes"), "{error}");
    }
    assert_eq!(small.within("hub", 0).unwrap().len(), 1, "what is not asked for is not held");
    assert_eq!(small.shortest_path("leaf 01", "hub").unwrap(), None);
}

#[test]
fn nothing_is_reached_from_a_node_that_nobody_named() {
    let (_db, reader) = reader(&[]);
    let graph = reader.graph();
    assert_eq!(graph.neighbours("a", Way::Both).unwrap(), Vec::<String>::new());
    assert_eq!(graph.within("a", 3).unwrap().len(), 1);
    assert_eq!(graph.shortest_path("a", "b").unwrap(), None);
    assert_eq!(graph.shortest_path("a", "a").unwrap(), Some(Vec::new()));
    assert_eq!(graph.distances_from("a", 3, stance).unwrap().len(), 1);
}

#[test]
fn the_path_has_the_links_with_all_they_say() {
    let db = Flume::memory(Json::<(String, String, u64)>::new()).unwrap();
    let links = Links::new(1, |(from, to, ts): &(String, String, u64)| [Link::new(from, "to", to).with("ts", *ts)]);
    let links = db.view("links", links).blocking().unwrap();
    let all = [("a", "c"), ("a", "b"), ("b", "d"), ("c", "d"), ("d", "a"), ("a", "b")];
    let all: Vec<_> = all.iter().zip(0..).map(|((one, two), ts)| (one.to_string(), two.to_string(), ts)).collect();
    db.append_all(&all).blocking().unwrap();
    let graph = links.read().blocking().unwrap().graph();
    let path = graph.shortest_path("a", "d").unwrap().unwrap();
    let path: Vec<_> = path.iter().map(|row| (row.seq.get(), &row.link.fields["ts"])).collect();
    assert_eq!(
        path,
        [(1, &Value::from(1)), (2, &Value::from(2))],
        "by b, which comes first, and by the older link to it"
    );
    let back = graph.way(Way::In).shortest_path("d", "a").unwrap().unwrap();
    assert_eq!(back.iter().map(|row| row.seq.get()).collect::<Vec<_>>(), [2, 1]);
}
