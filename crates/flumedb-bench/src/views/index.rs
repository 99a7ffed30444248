//! The ordered index: beside SQLite and redb with the same rows.

use std::{hint::black_box, sync::PoisonError, time::Instant};

use flumedb::{
    Flume, Seq,
    codec::{Document, JsonDoc, JsonDocs},
    views::{AnyKey, Index, Key, index::IndexReader},
};
use redb::{Database, ReadableDatabase, TableDefinition};
use rusqlite::Connection;

use super::{disk_bytes, ns_each, timed::Timed, wait};
use crate::{
    Result, limits,
    measure::{Sample, cpu_seconds},
    workloads::Context,
};

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
struct Row {
    author: String,
    sequence: u64,
}

pub(super) fn measure(subject: &str, cx: &Context) -> Result<Sample> {
    match subject {
        "flumedb-index" => {
            let keys = |doc: &JsonDoc| Some((doc.text(&["author"])?.into_owned(), doc.integer(&["sequence"])? as u64));
            ours(
                cx,
                move || Index::new(1, keys),
                |reader, row| reader.get((row.author.as_str(), row.sequence)).seqs().next(),
            )
        }
        "flumedb-index-any" => {
            let keys = |doc: &JsonDoc| {
                let parts = [doc.field(&["author"])?, doc.field(&["sequence"])?];
                parts.into_iter().map(|part| AnyKey::try_from(part).ok()).collect::<Option<Vec<_>>>().map(AnyKey::Array)
            };
            ours(
                cx,
                move || Index::new(1, keys),
                |reader, row| reader.get((row.author.as_str(), row.sequence)).seqs().next(),
            )
        }
        "redb-rows" => redb(cx, false),
        "redb-rows-sorted" => redb(cx, true),
        "sqlite-rows" => sqlite(cx, false, ""),
        "sqlite-rows-sorted" => sqlite(cx, true, ""),
        "sqlite-rows-256mb" => sqlite(cx, false, "pragma cache_size = -262144"),
        other => Err(format!("there is no `{other}` here").into()),
    }
}

/// The rows, as they are inserted, and some to ask for.
fn rows(cx: &Context, sorted: bool) -> Result<(Vec<(Row, u64)>, Vec<Row>)> {
    let messages = cx.messages()?;
    let rows = messages.iter().zip(0..).map(|(message, seq)| Ok((serde_json::from_slice::<Row>(message)?, seq)));
    let mut rows: Vec<(Row, u64)> = rows.collect::<Result<_>>()?;
    let asked = limits::random_numbers(rows.len()).into_iter().take(100_000);
    let asked = asked.filter_map(|number| Some(rows.get(number as usize)?.0.clone())).collect();
    if sorted {
        rows.sort_unstable();
    }
    Ok((rows, asked))
}

type Find<K> = fn(&IndexReader<JsonDoc, K>, &Row) -> Option<flumedb::Result<Seq>>;

/// Builds it and closes it, so that it is on the disk; then opens it again and asks.
fn ours<K: Key>(cx: &Context, index: impl Fn() -> Index<JsonDoc, K>, find: Find<K>) -> Result<Sample> {
    let asked = rows(cx, false)?.1;
    let log = cx.kept("flumedb").join("flumedb");
    wait(async {
        let db = Flume::builder(JsonDocs).views_in(&cx.scratch).open(&log).await?;
        let (start, cpu) = (Instant::now(), cpu_seconds());
        let (view, times) = Timed::new(index(), false);
        let view = db.view("index", view).await?;
        drop(view.read().await?);
        drop(view);
        db.close().await?;
        let (seconds, cpu) = (start.elapsed().as_secs_f64(), cpu_seconds() - cpu);
        let times = std::mem::take(&mut *times.lock().unwrap_or_else(PoisonError::into_inner));
        let bytes = disk_bytes(&cx.scratch) as f64 / cx.entries as f64;

        let db = Flume::builder(JsonDocs).views_in(&cx.scratch).open(&log).await?;
        let reader = db.view("index", index().cache_bytes(64 << 20)).await?.read().await?;
        let look = || -> Result {
            for row in &asked {
                black_box(find(&reader, row).ok_or("a row is missing")??);
            }
            Ok(())
        };
        look()?;
        let get_ns = ns_each(asked.len(), look)?;
        let row_ns = ns_each(cx.entries, || {
            for seq in reader.all().seqs() {
                black_box(seq?);
            }
            Ok(())
        })?;
        db.close().await?;
        let sample =
            Sample::of(cx.entries as u64, seconds, 0).with("cpu_s", cpu).with("view_s", times.total.as_secs_f64());
        let sample = sample.with("view_cpu_s", times.cpu);
        Ok(sample.with("get_ns", get_ns).with("row_ns", row_ns).with("row_bytes", bytes))
    })
}

fn sqlite(cx: &Context, sorted: bool, cache: &str) -> Result<Sample> {
    let (rows, asked) = rows(cx, sorted)?;
    let mut db = Connection::open(cx.scratch.join("rows"))?;
    db.execute_batch(
        "pragma journal_mode = wal; pragma synchronous = normal; \
         create table entries (author text, sequence integer, seq integer, primary key (author, sequence, seq)) without rowid",
    )?;
    db.execute_batch(cache)?;
    let sample = Sample::time(|| {
        let write = db.transaction()?;
        let mut insert = write.prepare("insert into entries values (?, ?, ?)")?;
        for (row, seq) in &rows {
            insert.execute((&row.author, row.sequence as i64, *seq as i64))?;
        }
        drop(insert);
        write.commit()?;
        Ok((rows.len() as u64, 0))
    })?;
    let read = db.transaction()?;
    let mut select = read.prepare("select seq from entries where author = ? and sequence = ?")?;
    let mut look = || -> Result {
        for row in &asked {
            let mut found = select.query((&row.author, row.sequence as i64))?;
            black_box(found.next()?.ok_or("a row is missing")?.get::<_, i64>(0)?);
        }
        Ok(())
    };
    look()?;
    let get_ns = ns_each(asked.len(), look)?;
    drop(select);
    let mut select = read.prepare("select author, sequence, seq from entries order by author, sequence, seq")?;
    let row_ns = ns_each(rows.len(), || {
        let mut found = select.query([])?;
        while let Some(row) = found.next()? {
            black_box((row.get::<_, String>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?));
        }
        Ok(())
    })?;
    drop(select);
    drop(read);
    db.close().map_err(|(_, error)| error)?;
    let bytes = disk_bytes(&cx.scratch) as f64 / rows.len() as f64;
    Ok(sample.with("get_ns", get_ns).with("row_ns", row_ns).with("row_bytes", bytes))
}

fn redb(cx: &Context, sorted: bool) -> Result<Sample> {
    const ENTRIES: TableDefinition<'_, (&str, u64, u64), ()> = TableDefinition::new("entries");
    let (rows, asked) = rows(cx, sorted)?;
    let db = Database::create(cx.scratch.join("rows"))?;
    let sample = Sample::time(|| {
        let write = db.begin_write()?;
        let mut table = write.open_table(ENTRIES)?;
        for (row, seq) in &rows {
            table.insert((row.author.as_str(), row.sequence, *seq), ())?;
        }
        drop(table);
        write.commit()?;
        Ok((rows.len() as u64, 0))
    })?;
    let table = db.begin_read()?.open_table(ENTRIES)?;
    let look = || -> Result {
        for Row { author, sequence } in &asked {
            let bounds = (author.as_str(), *sequence, 0)..=(author.as_str(), *sequence, u64::MAX);
            black_box(table.range(bounds)?.next().ok_or("a row is missing")??.0.value());
        }
        Ok(())
    };
    look()?;
    let get_ns = ns_each(asked.len(), look)?;
    let row_ns = ns_each(rows.len(), || {
        for row in table.range::<(&str, u64, u64)>(..)? {
            let (key, _) = row?;
            black_box((key.value().0.to_owned(), key.value().1));
        }
        Ok(())
    })?;
    let bytes = disk_bytes(&cx.scratch) as f64 / rows.len() as f64;
    Ok(sample.with("get_ns", get_ns).with("row_ns", row_ns).with("row_bytes", bytes))
}
