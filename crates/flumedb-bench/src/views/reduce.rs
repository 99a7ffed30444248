//! A fold and groups: beside SQLite, which keeps the same by an upsert for each message.

use std::{collections::BTreeMap, hint::black_box, sync::PoisonError, time::Instant};

use flumedb::{
    Flume, Seq,
    codec::{Document, JsonDoc, JsonDocs},
    view::View,
    views::{
        Groups, Key, Reduce, Windows,
        aggregate::{Aggregate, Count, Distinct, Max, Mean, Quantiles},
        groups::GroupsReader,
    },
};
use rusqlite::Connection;

use super::{disk_bytes, ns_each, timed::Timed, wait};
use crate::{Result, limits, measure::Sample, workloads::Context};

pub(super) fn measure(subject: &str, cx: &Context) -> Result<Sample> {
    match subject {
        "flumedb-reduce" => reduce(cx),
        "flumedb-groups" => groups(cx, || by_author(false), |reader, author| Ok(reader.get(author)?.is_some())),
        "flumedb-groups-undo" => groups(cx, || by_author(true), |reader, author| Ok(reader.get(author)?.is_some())),
        "flumedb-groups-sketch" => groups(cx, sketches, |reader, author| Ok(reader.get(author)?.is_some())),
        "flumedb-groups-hour" => {
            let hours = Windows::tumbling(3_600_000)?;
            let keys = move |doc: &JsonDoc| {
                let author = author(doc);
                let hours = doc.integer(&["timestamp"]).into_iter().flat_map(move |at| hours.of(at));
                hours.filter_map(move |hour| Some((author.clone()?, hour))).collect::<Vec<_>>()
            };
            groups(
                cx,
                move || Groups::new(1, keys, Count),
                |reader, author| Ok(reader.prefix(author).next().transpose()?.is_some()),
            )
        }
        "sqlite-upsert" => sqlite(cx),
        other => Err(format!("there is no `{other}` here").into()),
    }
}

fn author(doc: &JsonDoc) -> Option<String> {
    Some(doc.text(&["author"])?.into_owned())
}

fn time(doc: &JsonDoc) -> Option<i64> {
    doc.integer(&["timestamp"])
}

type Plain = (Count, Max<JsonDoc, i64>, Mean<JsonDoc, i64>);

fn by_author(undo: bool) -> Groups<JsonDoc, String, Plain> {
    let sequence = |doc: &JsonDoc| doc.integer(&["sequence"]);
    let groups = Groups::new(1, author, (Count, Max::new(time), Mean::new(sequence)));
    if undo { groups.with_undo() } else { groups }
}

type Sketches = (Count, Distinct<JsonDoc, i64>, Quantiles<JsonDoc>);

fn sketches() -> Groups<JsonDoc, String, Sketches> {
    let number = |doc: &JsonDoc| Some(doc.integer(&["sequence"])? as f64);
    Groups::new(1, author, (Count, Distinct::new(time), Quantiles::new(number)))
}

/// The authors of some messages.
fn asked(cx: &Context) -> Result<Vec<String>> {
    #[derive(serde::Deserialize)]
    struct Row {
        author: String,
    }
    let messages = cx.messages()?;
    let numbers = limits::random_numbers(messages.len()).into_iter().take(100_000);
    numbers.map(|number| Ok(serde_json::from_slice::<Row>(messages.get(number as usize))?.author)).collect()
}

/// Builds a view and closes it, so that it is on the disk.
async fn built<V: View<Item = JsonDoc>>(cx: &Context, view: V) -> Result<Sample> {
    let log = cx.kept("flumedb").join("flumedb");
    let db = Flume::builder(JsonDocs).views_in(&cx.scratch).open(&log).await?;
    let start = Instant::now();
    let (view, times) = Timed::new(view, false);
    let view = db.view("view", view).await?;
    drop(view.read().await?);
    drop(view);
    db.close().await?;
    let seconds = start.elapsed().as_secs_f64();
    let times = times.lock().unwrap_or_else(PoisonError::into_inner);
    let bytes = disk_bytes(&cx.scratch) as f64 / cx.entries as f64;
    let sample = Sample::of(cx.entries as u64, seconds, 0).with("view_s", times.total.as_secs_f64());
    Ok(sample.with("pause_ms", times.pause.as_secs_f64() * 1e3).with("entry_bytes", bytes))
}

/// What it takes to show one message more: in a database of its own, so that the log that others read stays as it is.
async fn update<V: View<Item = JsonDoc>>(cx: &Context, view: V) -> Result<(f64, f64)> {
    const TIMES: usize = 200;
    let messages = cx.messages()?;
    let db = Flume::builder(JsonDocs).open(cx.scratch.join("update")).await?;
    let first = messages.iter().take(20_000).map(std::str::from_utf8).collect::<std::result::Result<Vec<_>, _>>()?;
    let seqs: Vec<Seq> = db.append_all(first).buffered().await?;
    let view = db.view("view", view).await?;
    view.read().await?;
    let start = Instant::now();
    for number in 0..TIMES {
        db.append(std::str::from_utf8(messages.get(number))?).buffered().await?;
        view.read().await?;
    }
    let update_us = start.elapsed().as_secs_f64() * 1e6 / TIMES as f64;
    let start = Instant::now();
    for seq in seqs.into_iter().take(TIMES) {
        db.delete([seq]).await?;
        view.read().await?;
    }
    let delete_us = start.elapsed().as_secs_f64() * 1e6 / TIMES as f64;
    db.close().await?;
    Ok((update_us, delete_us))
}

fn reduce(cx: &Context) -> Result<Sample> {
    type State = BTreeMap<String, (u64, i64)>;
    fn put(state: &mut State, (author, sequence): &(String, i64), by: i64) {
        let (count, sum) = state.entry(author.clone()).or_default();
        (*count, *sum) = (count.saturating_add_signed(by), *sum + sequence * by);
    }
    let view = || {
        let map = |doc: &JsonDoc| Some((author(doc)?, doc.integer(&["sequence"])?));
        Reduce::mapped(1, State::new(), map, |state: &mut State, item, _| put(state, item, 1))
            .with_mapped_inverse(|state, item, _| put(state, item, -1))
    };
    let asked = asked(cx)?;
    wait(async {
        let sample = built(cx, view()).await?;
        let log = cx.kept("flumedb").join("flumedb");
        let db = Flume::builder(JsonDocs).views_in(&cx.scratch).open(&log).await?;
        let reader = db.view("view", view()).await?.read().await?;
        let get_ns = ns_each(asked.len(), || {
            asked.iter().for_each(|author| {
                black_box(reader.get(author));
            });
            Ok(())
        })?;
        db.close().await?;
        let (update_us, delete_us) = update(cx, view()).await?;
        Ok(sample.with("get_ns", get_ns).with("update_us", update_us).with("delete_us", delete_us))
    })
}

type Find<K, A> = fn(&GroupsReader<JsonDoc, K, A>, &str) -> Result<bool>;

fn groups<K: Key, A: Aggregate<JsonDoc>>(
    cx: &Context,
    view: impl Fn() -> Groups<JsonDoc, K, A>,
    find: Find<K, A>,
) -> Result<Sample> {
    let asked = asked(cx)?;
    wait(async {
        let sample = built(cx, view()).await?;
        let log = cx.kept("flumedb").join("flumedb");
        let db = Flume::builder(JsonDocs).views_in(&cx.scratch).open(&log).await?;
        let reader = db.view("view", view().cache_bytes(64 << 20)).await?.read().await?;
        let look = || -> Result {
            for author in &asked {
                if !find(&reader, author)? {
                    return Err("a group is missing".into());
                }
            }
            Ok(())
        };
        look()?;
        let get_ns = ns_each(asked.len(), look)?;
        let start = Instant::now();
        let mut most =
            reader.all().map(|group| group.map(|group| group.entries)).collect::<flumedb::Result<Vec<_>>>()?;
        most.sort_unstable();
        black_box(most);
        let scan_ms = start.elapsed().as_secs_f64() * 1e3;
        let count = reader.count()? as f64;
        db.close().await?;
        let (update_us, delete_us) = update(cx, view()).await?;
        let sample = sample.with("get_ns", get_ns).with("scan_ms", scan_ms).with("groups", count);
        Ok(sample.with("update_us", update_us).with("delete_us", delete_us))
    })
}

fn sqlite(cx: &Context) -> Result<Sample> {
    #[derive(serde::Deserialize)]
    struct Row {
        author: String,
        sequence: i64,
        timestamp: i64,
    }
    let messages = cx.messages()?;
    let mut db = Connection::open(cx.scratch.join("rows"))?;
    db.execute_batch(
        "pragma journal_mode = wal; pragma synchronous = normal; \
         create table groups (author text primary key, entries integer, newest integer, sum integer) without rowid",
    )?;
    let sample = Sample::time(|| {
        let write = db.transaction()?;
        let mut upsert = write.prepare(
            "insert into groups values (?1, 1, ?2, ?3) on conflict (author) do update set \
             entries = entries + 1, newest = max(newest, ?2), sum = sum + ?3",
        )?;
        for message in messages.iter() {
            let row: Row = serde_json::from_slice(message)?;
            upsert.execute((&row.author, row.timestamp, row.sequence))?;
        }
        drop(upsert);
        write.commit()?;
        Ok((messages.len() as u64, 0))
    })?;
    let asked = asked(cx)?;
    let mut select = db.prepare("select entries, newest, sum from groups where author = ?")?;
    let get_ns = ns_each(asked.len(), || {
        for author in &asked {
            let mut found = select.query([author])?;
            black_box(found.next()?.ok_or("a group is missing")?.get::<_, i64>(0)?);
        }
        Ok(())
    })?;
    drop(select);
    db.close().map_err(|(_, error)| error)?;
    let bytes = disk_bytes(&cx.scratch) as f64 / messages.len() as f64;
    Ok(sample.with("get_ns", get_ns).with("entry_bytes", bytes))
}
