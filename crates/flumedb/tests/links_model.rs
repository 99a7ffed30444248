//! Guards against links that an entry does not say any more, links that are missing or told twice, a question that is answered
//! by a walk through the wrong part of an order, and a graph that is walked wrong: against a model that looks at every link.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use std::collections::{BTreeMap, BTreeSet};

use flumedb::{
    Entry, Seq,
    mfr::Pipeline,
    views::{
        Link, Links,
        links::{Column, Edge, Find, LinkRow, LinksReader, Stance, Way},
    },
};
use flumedb_sim::{
    Choices,
    views::{Subject, check},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Some links that an entry says: (source, rel, dest, ts).
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Said(Vec<(u8, u8, u8, Value)>);

const NODES: u8 = 7;
const RELS: [&str; 4] = ["follow", "block", "drop", "like"];

fn node(number: u8) -> String {
    // One is the beginning of another, and one has a zero in it.
    ["a", "aa", "a\0", "b", "", "é", "z"][usize::from(number)].to_owned()
}

fn links(said: &Said, version: u32) -> Vec<Link> {
    let one = |(source, rel, dest, ts): &(u8, u8, u8, Value)| {
        let link = Link::new(node(*source), RELS[usize::from(*rel)], node(*dest));
        let link = if ts.is_null() { link } else { link.with("ts", ts.clone()) };
        if version == 2 { link.with("v", json!({"kind": [rel]})) } else { link }
    };
    said.0.iter().map(one).collect()
}

/// Queries that fit an order, or half of one, or none.
const QUERIES: [&str; 9] = [
    r#"[{"$filter":{"source":"a","dest":{"$prefix":"a"}}}]"#,
    r#"[{"$filter":{"source":{"$prefix":"a"},"rel":{"$in":["like","block"]}}}]"#,
    r#"[{"$filter":{"rel":"like","ts":{"$gt":1,"$lte":3}}},{"$map":"dest"}]"#,
    r#"[{"$filter":{"rel":"like","ts":{"$gt":"a"}}}]"#,
    r#"[{"$filter":{"ts":{"$lt":2}}}]"#,
    r#"[{"$filter":{"ts":null}}]"#,
    r#"[{"$filter":{"rel":{"$ne":"like"},"dest":"z"}},{"$reduce":{"rel":"rel","n":{"$count":true}}}]"#,
    r#"[{"$filter":{"v":{"kind":[3]},"source":{"$gte":"b"}}}]"#,
    r#"[{"$reduce":{"dest":"dest","last":{"$max":"ts"}}},{"$sort":["last"]}]"#,
];

fn in_any_order(rows: impl Iterator<Item = String>) -> String {
    let mut rows: Vec<String> = rows.collect();
    rows.sort_unstable();
    rows.join(" ")
}

/// All answers, in words.
#[derive(Debug, PartialEq)]
struct Answers(Vec<(String, String)>);

struct Rows;

impl Subject for Rows {
    type Item = Said;
    type View = Links<Said>;
    type Seen = Answers;

    fn view(&self, version: u32) -> Links<Said> {
        let kind = [Column::from("rel"), Column::from("ts")];
        Links::new(version, move |said: &Said| links(said, version))
            .order(kind)
            .order([Column::from(["v", "kind", "0"]), "source".into()])
            .cache_bytes(64 << 10)
    }

    fn item(&self, chance: &mut Choices) -> Said {
        let mut some = |count: u64| chance.pick(count) as u8;
        let link = |some: &mut dyn FnMut(u64) -> u8| {
            let ts = match some(6) {
                0 => Value::Null,
                1 => json!("late"),
                2 => json!(0.5),
                _ => json!(some(5)),
            };
            (some(u64::from(NODES)), some(4), some(u64::from(NODES)), ts)
        };
        Said((0..some(4)).map(|_| link(&mut some)).collect())
    }

    async fn look(&self, reader: &LinksReader<Said>) -> Answers {
        let mut answers = vec![("count".to_owned(), reader.count().unwrap().to_string())];
        for (name, find) in questions(reader) {
            let rows: Vec<LinkRow> = find.into_iter().map(Result::unwrap).collect();
            answers.push((name, format!("{rows:?}")));
        }
        for query in QUERIES {
            let pipeline = Pipeline::parse(query).unwrap();
            let made = reader.query(&pipeline).map(|row| row.unwrap().value.to_string());
            answers.push((query.to_owned(), in_any_order(made)));
        }
        let graph = reader.graph();
        for start in (0..NODES).map(node) {
            for way in [Way::Out, Way::In, Way::Both] {
                let likes = graph.clone().rel("like").rel("follow");
                answers
                    .push((format!("next {start} {way:?}"), format!("{:?}", graph.neighbours(&start, way).unwrap())));
                let edges: Result<Vec<Edge>, _> = likes.edges(&start, way).collect();
                answers.push((format!("edges {start} {way:?}"), short(edges.unwrap())));
                let graph = graph.clone().way(way);
                let within = graph.within(&start, 2).unwrap();
                let within: Vec<_> = within.into_iter().map(|one| (one.node, one.hops)).collect();
                answers.push((format!("within {start} {way:?}"), format!("{within:?}")));
                let far: Vec<Option<usize>> = (0..NODES)
                    .map(|end| {
                        let path = graph.shortest_path(&start, &node(end)).unwrap()?;
                        assert!(leads(&path, &start, &node(end), way), "{path:?}");
                        Some(path.len())
                    })
                    .collect();
                answers.push((format!("paths {start} {way:?}"), format!("{far:?}")));
            }
            for max in [1, 3] {
                let from = graph.distances_from(&start, max, stance).unwrap();
                let to = graph.distances_to(&start, max, stance).unwrap();
                let words = [from, to].map(|all| all.into_iter().map(|one| (one.node, one.hops)).collect::<Vec<_>>());
                answers.push((format!("distances {start} {max}"), format!("{words:?}")));
            }
        }
        Answers(answers)
    }

    fn expect(&self, version: u32, entries: &[Entry<Said>]) -> Answers {
        let mut rows: Vec<LinkRow> = Vec::new();
        for entry in entries {
            for link in links(&entry.value, version) {
                let row = LinkRow { seq: entry.seq, link };
                if !rows.contains(&row) {
                    rows.push(row);
                }
            }
        }
        let model = Model(rows);
        let mut answers = vec![("count".to_owned(), model.0.len().to_string())];
        answers.extend(model.answers());
        let all: Vec<&Link> = model.0.iter().map(|row| &row.link).collect();
        for query in QUERIES {
            let pipeline = Pipeline::parse(query).unwrap();
            let made = pipeline.run(all.iter().copied()).map(|row| row.unwrap().value.to_string());
            answers.push((query.to_owned(), in_any_order(made)));
        }
        for start in (0..NODES).map(node) {
            for way in [Way::Out, Way::In, Way::Both] {
                let next: Vec<_> = model.next(&start, way).into_iter().collect();
                answers.push((format!("next {start} {way:?}"), format!("{next:?}")));
                answers.push((format!("edges {start} {way:?}"), model.edges(&start, way)));
                let far = model.breadth_first(&start, way);
                let mut within: Vec<_> = far.iter().filter(|(_, hops)| **hops <= 2).collect();
                within.sort_by_key(|(node, hops)| (**hops, (*node).clone()));
                answers.push((format!("within {start} {way:?}"), format!("{within:?}")));
                let paths: Vec<_> = (0..NODES).map(|end| far.get(&node(end)).copied()).collect();
                answers.push((format!("paths {start} {way:?}"), format!("{paths:?}")));
            }
            for max in [1, 3] {
                let words = [false, true].map(|back| model.distances(&start, max, back));
                answers.push((format!("distances {start} {max}"), format!("{words:?}")));
            }
        }
        Answers(answers)
    }
}

fn stance(rel: &str) -> Option<Stance> {
    match rel {
        "follow" => Some(Stance::Follow),
        "block" => Some(Stance::Block),
        "drop" => Some(Stance::Neither),
        _ => None,
    }
}

fn short(edges: Vec<Edge>) -> String {
    format!("{:?}", edges.into_iter().map(|edge| (edge.source, edge.rel, edge.dest, edge.seq)).collect::<Vec<_>>())
}

/// Whether each step goes on where the one before led.
fn leads(path: &[LinkRow], start: &str, end: &str, way: Way) -> bool {
    let mut at = start.to_owned();
    for row in path {
        at = match way {
            Way::Out if row.link.source == at => row.link.dest.clone(),
            Way::In if row.link.dest == at => row.link.source.clone(),
            Way::Both if row.link.source == at => row.link.dest.clone(),
            Way::Both if row.link.dest == at => row.link.source.clone(),
            _ => return false,
        };
    }
    at == end
}

/// Questions, with a name that the model knows them by.
fn questions(reader: &LinksReader<Said>) -> Vec<(String, Find<Said>)> {
    let mut all = vec![("all".to_owned(), reader.find()), ("all rev".to_owned(), reader.find().rev())];
    for number in 0..NODES {
        let name = node(number);
        all.push((format!("from {name}"), reader.from(&*name)));
        all.push((format!("from {name} like rev"), reader.from(&*name).rel("like").rev()));
        all.push((format!("to {name}"), reader.to(&*name)));
        all.push((format!("from a to {name}"), reader.from("a").to(&*name)));
        all.push((format!("prefix {name}"), reader.find().prefix("source", &*name)));
    }
    all.push(("like from 1 to 3".to_owned(), reader.find().rel("like").range("ts", 1..3)));
    all.push(("like after 2 rev".to_owned(), reader.find().rel("like").range("ts", 3..).rev()));
    all.push(("like after l".to_owned(), reader.find().rel("like").range("ts", "l"..)));
    all.push(("ts 2.0".to_owned(), reader.find().equal("ts", 2.0)));
    all.push(("ts 2.0, 3 of them".to_owned(), reader.find().equal("ts", 2.0).limit(3)));
    all.push(("by rel".to_owned(), reader.find().sorted(["rel"]).range("ts", ..=1)));
    all.push(("kind 3".to_owned(), reader.find().equal(["v", "kind", "0"], 3)));
    all
}

/// Every link there is, in the order of the log.
struct Model(Vec<LinkRow>);

impl Model {
    fn sorted(&self, holds: impl Fn(&Link) -> bool, key: impl Fn(&Link) -> Vec<Value>) -> Vec<LinkRow> {
        let mut rows: Vec<LinkRow> = self.0.iter().filter(|row| holds(&row.link)).cloned().collect();
        rows.sort_by_key(|row| key(&row.link).iter().map(order).collect::<Vec<_>>());
        rows
    }

    /// In the order of [`questions`].
    fn answers(&self) -> Vec<(String, String)> {
        let mut all: Vec<(String, Vec<LinkRow>)> = Vec::new();
        let forward = |link: &Link| vec![json!(link.source), json!(link.rel), json!(link.dest)];
        let back = |link: &Link| vec![json!(link.dest), json!(link.rel), json!(link.source)];
        let time = |link: &Link| vec![json!(link.rel), link.fields.get("ts").cloned().unwrap_or(json!({"z": 0}))];
        let number = |link: &Link| link.fields.get("ts").and_then(Value::as_f64);
        let like = |link: &Link| link.rel == "like";
        let turned = |mut rows: Vec<LinkRow>| {
            rows.reverse();
            rows
        };
        all.push(("all".to_owned(), self.0.clone()));
        all.push(("all rev".to_owned(), turned(self.0.clone())));
        for name in (0..NODES).map(node) {
            all.push((format!("from {name}"), self.sorted(|link| link.source == name, forward)));
            let liked = self.sorted(|link| link.source == name && like(link), forward);
            all.push((format!("from {name} like rev"), turned(liked)));
            all.push((format!("to {name}"), self.sorted(|link| link.dest == name, back)));
            all.push((
                format!("from a to {name}"),
                self.sorted(|link| link.source == "a" && link.dest == name, forward),
            ));
            all.push((format!("prefix {name}"), self.sorted(|link| link.source.starts_with(&name), forward)));
        }
        let within =
            |from: f64, to: f64| move |link: &Link| like(link) && number(link).is_some_and(|ts| from <= ts && ts < to);
        all.push(("like from 1 to 3".to_owned(), self.sorted(within(1.0, 3.0), time)));
        all.push(("like after 2 rev".to_owned(), turned(self.sorted(within(3.0, 99.0), time))));
        let text = |link: &Link| like(link) && link.fields.get("ts").is_some_and(Value::is_string);
        all.push(("like after l".to_owned(), self.sorted(text, time)));
        let two = self.sorted(|link| number(link) == Some(2.0), |_| vec![]);
        all.push(("ts 2.0".to_owned(), two.clone()));
        all.push(("ts 2.0, 3 of them".to_owned(), two.into_iter().take(3).collect()));
        all.push(("by rel".to_owned(), self.sorted(|link| number(link).is_some_and(|ts| ts <= 1.0), time)));
        let kind = |link: &Link| link.fields.get("v").is_some_and(|v| v["kind"][0] == 3);
        all.push(("kind 3".to_owned(), self.sorted(kind, |link| vec![json!(link.source)])));
        all.into_iter().map(|(name, rows)| (name, format!("{rows:?}"))).collect()
    }

    fn next(&self, node: &str, way: Way) -> BTreeSet<String> {
        let links = || self.0.iter().map(|row| &row.link);
        let out = links().filter(|link| way != Way::In && link.source == node).map(|link| link.dest.clone());
        let back = links().filter(|link| way != Way::Out && link.dest == node).map(|link| link.source.clone());
        out.chain(back).collect()
    }

    fn edges(&self, node: &str, way: Way) -> String {
        let some = |holds: &dyn Fn(&Link) -> bool, other: &dyn Fn(&Link) -> String| {
            let wanted = |link: &Link| holds(link) && ["follow", "like"].contains(&link.rel.as_str());
            let mut rows: Vec<&LinkRow> = self.0.iter().filter(|row| wanted(&row.link)).collect();
            rows.sort_by_key(|row| (row.link.rel.clone(), other(&row.link)));
            rows.into_iter().cloned().collect::<Vec<_>>()
        };
        let mut rows = Vec::new();
        if way != Way::In {
            rows.extend(some(&|link| link.source == node, &|link| link.dest.clone()));
        }
        if way != Way::Out {
            rows.extend(some(&|link| link.dest == node, &|link| link.source.clone()));
        }
        let words: Vec<(String, String, String, Seq)> =
            rows.into_iter().map(|row| (row.link.source, row.link.rel, row.link.dest, row.seq)).collect();
        format!("{words:?}")
    }

    fn breadth_first(&self, start: &str, way: Way) -> BTreeMap<String, usize> {
        let mut far = BTreeMap::from([(start.to_owned(), 0)]);
        // As many rounds as there are nodes: whoever is not reached by then is not reached.
        for hops in 1..=usize::from(NODES) {
            for node in far.clone().into_keys() {
                for next in self.next(&node, way) {
                    far.entry(next).or_insert(hops);
                }
            }
        }
        far
    }

    /// By the rule itself, from what it gave before, until it gives the same.
    fn distances(&self, start: &str, max: i64, back: bool) -> Vec<(String, i64)> {
        let mut latest: BTreeMap<(String, String), Stance> = BTreeMap::new();
        for LinkRow { link, .. } in &self.0 {
            if let Some(stance) = stance(&link.rel) {
                let (one, two) = if back { (&link.dest, &link.source) } else { (&link.source, &link.dest) };
                latest.insert((one.clone(), two.clone()), stance);
            }
        }
        let only_start = BTreeMap::from([(start.to_owned(), 0_i64)]);
        let mut hops = only_start.clone();
        loop {
            let mut after = only_start.clone();
            for ((one, two), stance) in &latest {
                let Some(far) = hops.get(one).copied().filter(|far| (0..max).contains(far)) else { continue };
                let found = match stance {
                    Stance::Follow => far + 1,
                    Stance::Block => -far - 1,
                    Stance::Neither => -far - 2,
                };
                let nearer = |known: i64| found.abs() < known.abs() || (found.abs() == known.abs() && found > known);
                if after.get(two).copied().is_none_or(nearer) {
                    after.insert(two.clone(), found);
                }
            }
            if after == hops {
                break;
            }
            hops = after;
        }
        let mut all: Vec<_> = hops.into_iter().collect();
        all.sort_by_key(|(node, hops)| (hops.abs(), *hops < 0, node.clone()));
        all
    }
}

/// Something that is in the order of values.
fn order(value: &Value) -> (u8, u64, String) {
    match value {
        Value::Number(number) => (1, (number.as_f64().unwrap() * 10.0) as u64, String::new()),
        Value::String(text) => (2, 0, text.clone()),
        _ => (3, 0, String::new()),
    }
}

#[test]
fn links_are_what_the_entries_say_in_any_history() {
    check(&Rows, 100);
}
