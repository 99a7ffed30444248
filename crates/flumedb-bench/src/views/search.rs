//! Full-text search: beside SQLite's FTS5 with the same texts.

use std::{hint::black_box, sync::PoisonError, time::Instant};

use flumedb::{
    Flume,
    codec::{Document, JsonDoc, JsonDocs},
};
use flumedb_search::{Order, Search, SearchReader};
use rusqlite::Connection;

use super::{disk_bytes, ns_each, timed::Timed, wait};
use crate::{Result, limits, measure::Sample, workloads::Context};

/// How often a question is asked.
const TIMES: usize = 200;
/// Frequent words, side by side in some.
const WORDS: &str = "mushroom protocol";

/// Few words that are frequent, and one that nothing else has.
#[derive(serde::Deserialize)]
struct Message {
    previous: String,
    content: Content,
}

#[derive(serde::Deserialize)]
struct Content {
    text: String,
}

pub(super) fn measure(subject: &str, cx: &Context) -> Result<Sample> {
    match subject {
        "flumedb-search" => ours(cx),
        "sqlite-fts5" => sqlite(cx),
        other => Err(format!("there is no `{other}` here").into()),
    }
}

fn search() -> Search<JsonDoc> {
    Search::new(1, |doc: &JsonDoc| {
        let texts = [doc.text(&["content", "text"]), doc.text(&["previous"])];
        texts.into_iter().flatten().map(String::from).collect::<Vec<_>>()
    })
}

/// The rare words, as they are asked for.
fn rare(cx: &Context) -> Result<Vec<String>> {
    let messages = cx.messages()?;
    let asked = limits::random_numbers(messages.len()).into_iter().take(TIMES);
    let previous = asked.map(|number| Ok(serde_json::from_slice::<Message>(messages.get(number as usize))?.previous));
    previous.collect::<Result<Vec<_>>>()
}

/// Nanoseconds that the first 20 take.
fn ask(reader: &SearchReader<JsonDoc>, queries: &[String], order: Order) -> Result<f64> {
    ns_each(queries.len(), || {
        for query in queries {
            black_box(reader.search(query)?.order(order).hits()?);
        }
        Ok(())
    })
}

/// Builds it and closes it, so that it is on the disk; then opens it again and asks.
fn ours(cx: &Context) -> Result<Sample> {
    let rare = rare(cx)?.into_iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>();
    let log = cx.kept("flumedb").join("flumedb");
    wait(async {
        let db = Flume::builder(JsonDocs).views_in(&cx.scratch).open(&log).await?;
        let start = Instant::now();
        let (view, times) = Timed::new(search(), false);
        let view = db.view("search", view).await?;
        drop(view.read().await?);
        drop(view);
        db.close().await?;
        let seconds = start.elapsed().as_secs_f64();
        let (view_s, pause, sync) = {
            let times = times.lock().unwrap_or_else(PoisonError::into_inner);
            (times.total.as_secs_f64(), times.pause.as_secs_f64() * 1e3, times.sync.as_secs_f64() * 1e3)
        };
        let bytes = disk_bytes(&cx.scratch) as f64 / cx.entries as f64;

        let db = Flume::builder(JsonDocs).views_in(&cx.scratch).open(&log).await?;
        let reader = db.view("search", search()).await?.read().await?;
        let (frequent, phrase) = (vec![WORDS.to_owned(); TIMES], vec![format!("\"{WORDS}\""); TIMES]);
        ask(&reader, &rare, Order::Newest)?;
        let sample = Sample::of(cx.entries as u64, seconds, 0).with("view_s", view_s).with("entry_bytes", bytes);
        let sample = sample.with("pause_ms", pause).with("sync_ms", sync);
        let sample = sample.with("newest_ns", ask(&reader, &frequent, Order::Newest)?);
        let sample = sample.with("relevant_ns", ask(&reader, &frequent, Order::Relevance)?);
        let sample = sample.with("phrase_ns", ask(&reader, &phrase, Order::Newest)?);
        let sample = sample.with("rare_ns", ask(&reader, &rare, Order::Newest)?);
        db.close().await?;
        Ok(sample)
    })
}

fn sqlite(cx: &Context) -> Result<Sample> {
    let messages = cx.messages()?;
    let rare: Vec<String> = rare(cx)?.into_iter().map(|word| format!("\"{word}\"")).collect();
    let mut db = Connection::open(cx.scratch.join("search"))?;
    db.execute_batch(
        "pragma journal_mode = wal; pragma synchronous = normal; \
         create virtual table entries using fts5 (text, previous, content = '', tokenize = 'unicode61 remove_diacritics 0')",
    )?;
    // As ours: from the messages, decoding each.
    let sample = Sample::time(|| {
        let write = db.transaction()?;
        let mut insert = write.prepare("insert into entries (rowid, text, previous) values (?, ?, ?)")?;
        for (message, seq) in messages.iter().zip(1_i64..) {
            let message: Message = serde_json::from_slice(message)?;
            insert.execute((seq, &message.content.text, &message.previous))?;
        }
        drop(insert);
        write.commit()?;
        Ok((messages.len() as u64, 0))
    })?;
    let ask = |queries: &[String], order: &str| {
        let mut select =
            db.prepare(&format!("select rowid from entries where entries match ? order by {order} limit 20"))?;
        ns_each(queries.len(), || {
            for query in queries {
                let mut found = select.query([query])?;
                while let Some(row) = found.next()? {
                    black_box(row.get::<_, i64>(0)?);
                }
            }
            Ok(())
        })
    };
    let (frequent, phrase) = (vec![WORDS.to_owned(); TIMES], vec![format!("\"{WORDS}\""); TIMES]);
    ask(&rare, "rowid desc")?;
    let sample = sample.with("newest_ns", ask(&frequent, "rowid desc")?);
    let sample = sample.with("relevant_ns", ask(frequent.get(..3).unwrap_or_default(), "rank")?);
    let sample = sample.with("phrase_ns", ask(&phrase, "rowid desc")?).with("rare_ns", ask(&rare, "rowid desc")?);
    db.close().map_err(|(_, error)| error)?;
    Ok(sample.with("entry_bytes", disk_bytes(&cx.scratch) as f64 / messages.len() as f64))
}
