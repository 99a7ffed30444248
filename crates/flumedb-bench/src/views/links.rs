//! Links: who points to whom, beside the same rows in SQLite with an index in each direction.

use std::{hint::black_box, sync::PoisonError, time::Instant};

use flumedb::{
    Flume,
    codec::{Document, JsonDoc, JsonDocs},
    views::{Link, Links, links::Way},
};
use rusqlite::Connection;

use super::{disk_bytes, ns_each, timed::Timed, wait};
use crate::{Result, limits, measure::Sample, workloads::Context};

#[derive(Clone, serde::Deserialize)]
struct Message {
    author: String,
    sequence: u64,
    previous: String,
}

/// How many ends are looked up.
const ASKED: usize = 50_000;
const REL: &str = "previous";

pub(super) fn measure(subject: &str, cx: &Context) -> Result<Sample> {
    match subject {
        "flumedb-links" => ours(cx),
        "sqlite-links" => sqlite(cx),
        other => Err(format!("there is no `{other}` here").into()),
    }
}

/// The links of the messages, and some in random order.
fn messages(cx: &Context) -> Result<(Vec<Message>, Vec<Message>)> {
    let all = cx.messages()?;
    let all: Vec<Message> = all.iter().map(|message| Ok(serde_json::from_slice(message)?)).collect::<Result<_>>()?;
    let asked = limits::random_numbers(all.len()).into_iter().take(ASKED);
    let asked = asked.filter_map(|number| all.get(number as usize).cloned()).collect();
    Ok((all, asked))
}

fn links() -> Links<JsonDoc> {
    Links::new(1, |doc: &JsonDoc| {
        let link = Link::new(doc.text(&["author"])?, REL, doc.text(&["previous"])?);
        Some(link.with("sequence", doc.integer(&["sequence"])?))
    })
}

/// Builds it and closes it, so that it is on the disk; then opens it again and asks.
fn ours(cx: &Context) -> Result<Sample> {
    let asked = messages(cx)?.1;
    let log = cx.kept("flumedb").join("flumedb");
    wait(async {
        let db = Flume::builder(JsonDocs).views_in(&cx.scratch).open(&log).await?;
        let start = Instant::now();
        let (view, times) = Timed::new(links(), false);
        let view = db.view("links", view).await?;
        drop(view.read().await?);
        drop(view);
        db.close().await?;
        let seconds = start.elapsed().as_secs_f64();
        let view_s = times.lock().unwrap_or_else(PoisonError::into_inner).total.as_secs_f64();
        let bytes = disk_bytes(&cx.scratch) as f64 / cx.entries as f64;

        let db = Flume::builder(JsonDocs).views_in(&cx.scratch).open(&log).await?;
        let reader = db.view("links", links().cache_bytes(256 << 20)).await?.read().await?;
        let look = || -> Result {
            for message in &asked {
                let row = reader.to(&*message.previous).into_iter().next().ok_or("a link is missing")??;
                black_box(row);
            }
            Ok(())
        };
        look()?;
        let to_ns = ns_each(asked.len(), look)?;
        let author = &asked.first().ok_or("no messages")?.author;
        let of_author = reader.from(&**author).into_iter().count();
        let row_ns = ns_each(of_author, || {
            black_box(reader.from(&**author).into_iter().count());
            Ok(())
        })?;
        let graph = reader.graph().max_nodes(usize::MAX);
        let edge_ns = ns_each(of_author, || {
            black_box(graph.edges(author, Way::Out).count());
            Ok(())
        })?;
        db.close().await?;
        let sample = Sample::of(cx.entries as u64, seconds, 0).with("view_s", view_s).with("to_ns", to_ns);
        Ok(sample.with("row_ns", row_ns).with("edge_ns", edge_ns).with("row_bytes", bytes))
    })
}

fn sqlite(cx: &Context) -> Result<Sample> {
    let (all, asked) = messages(cx)?;
    let mut db = Connection::open(cx.scratch.join("links"))?;
    db.execute_batch(
        "pragma journal_mode = wal; pragma synchronous = normal; \
         create table links (source text, rel text, dest text, sequence integer, seq integer); \
         create index forward on links (source, rel, dest); create index back on links (dest, rel, source)",
    )?;
    let sample = Sample::time(|| {
        let write = db.transaction()?;
        let mut insert = write.prepare("insert into links values (?, ?, ?, ?, ?)")?;
        for (message, seq) in all.iter().zip(0_i64..) {
            insert.execute((&message.author, REL, &message.previous, message.sequence as i64, seq))?;
        }
        drop(insert);
        write.commit()?;
        Ok((all.len() as u64, 0))
    })?;
    db.execute_batch("pragma wal_checkpoint(truncate)")?;
    let bytes = disk_bytes(&cx.scratch) as f64 / cx.entries as f64;
    let mut select = db.prepare("select source, rel, dest, sequence, seq from links where dest = ?")?;
    let mut look = || -> Result {
        for message in &asked {
            let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(4)?));
            black_box(select.query_row([&message.previous], row)?);
        }
        Ok(())
    };
    look()?;
    let to_ns = ns_each(asked.len(), look)?;
    let author = &asked.first().ok_or("no messages")?.author;
    let mut select =
        db.prepare("select source, rel, dest, sequence, seq from links where source = ? order by rel, dest")?;
    let mut walk = || -> Result<usize> {
        let (mut rows, mut count) = (select.query([author])?, 0);
        while let Some(row) = rows.next()? {
            black_box((
                row.get::<_, String>(0)?,
                row.get::<_, String>(1)?,
                row.get::<_, String>(2)?,
                row.get::<_, i64>(3)?,
            ));
            count += 1;
        }
        Ok(count)
    };
    let of_author = walk()?;
    let row_ns = ns_each(of_author, || walk().map(drop))?;
    Ok(sample.with("to_ns", to_ns).with("row_ns", row_ns).with("row_bytes", bytes))
}
