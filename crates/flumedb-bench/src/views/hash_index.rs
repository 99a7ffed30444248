//! The hash index: what it takes to build, to look into, on the disk, and how long it lets others wait.

use std::{hint::black_box, sync::PoisonError, time::Instant};

use flumedb::{
    Flume,
    codec::{Document, JsonDoc, JsonDocs},
    view::HostSettings,
    views::{HashIndex, hash_index::HashReader},
};
use redb::{Database, ReadableDatabase, TableDefinition};
use rusqlite::Connection;

use super::{disk_bytes, ns_each, timed::Timed, wait};
use crate::{
    Result, limits,
    measure::{Sample, thread_cpu_seconds},
    workloads::Context,
};

/// The message before: a text that no two messages share.
const FIELD: &str = "previous";

#[derive(serde::Deserialize)]
struct Message {
    previous: String,
}

pub(super) fn measure(subject: &str, cx: &Context) -> Result<Sample> {
    match subject {
        "flumedb-hash" => ours(cx),
        "sqlite-unique" => sqlite(cx),
        "redb-unique" => redb(cx),
        other => Err(format!("there is no `{other}` here").into()),
    }
}

/// The keys of all messages, and some of them in random order.
fn keys(cx: &Context) -> Result<(Vec<String>, Vec<(u64, String)>)> {
    let messages = cx.messages()?;
    let all = messages.iter().map(|message| Ok(serde_json::from_slice::<Message>(message)?.previous));
    let all: Vec<String> = all.collect::<Result<_>>()?;
    let asked = limits::random_numbers(all.len()).into_iter();
    let asked = asked.filter_map(|number| Some((number, all.get(number as usize)?.clone()))).collect();
    Ok((all, asked))
}

fn index() -> HashIndex<JsonDoc, String> {
    HashIndex::new(1, |doc: &JsonDoc| doc.text(&[FIELD]).map(String::from))
}

fn ours(cx: &Context) -> Result<Sample> {
    let (all, asked) = keys(cx)?;
    drop(all);
    wait(async {
        let log = cx.kept("flumedb").join("flumedb");
        let every = HostSettings::default().publish_every / 25;
        let builder = Flume::builder(JsonDocs).views_in(&cx.scratch).set(|settings| {
            // So that the disk is looked at more often.
            settings.views.publish_every = every;
        });
        let db = builder.open(log).await?;
        let start = Instant::now();
        let (view, times) = Timed::new(index(), true);
        let view = db.view("hash", view).await?;
        let reader: HashReader<JsonDoc, String> = view.read().await?;
        let seconds = start.elapsed().as_secs_f64();
        let find = |from: &str| -> Result {
            for (number, key) in &asked {
                let key = format!("{from}{key}");
                let found = reader.candidates(&key).next().transpose()?;
                if from.is_empty() && found.map(flumedb::Seq::get) != Some(*number) {
                    return Err(format!("{key} was not found first").into());
                }
            }
            Ok(())
        };
        find("")?;
        let made = ns_each(asked.len(), || {
            asked.iter().for_each(|(_, key)| {
                black_box(format!("{}{key}", black_box("")));
            });
            Ok(())
        })?;
        let candidate_ns = ns_each(asked.len(), || find(""))? - made;
        let miss_ns = ns_each(asked.len(), || find("!"))? - made;
        let asked = asked.get(..asked.len() / 4).unwrap_or_default();
        let start = thread_cpu_seconds();
        for (_, key) in asked {
            black_box(reader.get(key).await?.ok_or("a key is missing")?);
        }
        let get_ns = (thread_cpu_seconds() - start) * 1e9 / asked.len().max(1) as f64;
        let start = thread_cpu_seconds();
        for (number, _) in asked {
            let entry = db.get(flumedb::Seq::new(*number)).await?;
            black_box(entry.text(&[FIELD]));
        }
        let log_ns = (thread_cpu_seconds() - start) * 1e9 / asked.len().max(1) as f64;
        drop((reader, view));
        db.close().await?;
        let times = times.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Sample::of(cx.entries as u64, seconds, 0)
            .with("view_cpu_s", times.cpu)
            .with("candidate_ns", candidate_ns)
            .with("miss_ns", miss_ns)
            .with("get_ns", get_ns)
            .with("log_ns", log_ns)
            .with("key_bytes", disk_bytes(&cx.scratch) as f64 / cx.entries as f64)
            .with("most_bytes", times.most_bytes)
            .with("pause_ms", times.pause.as_secs_f64() * 1e3)
            .with("pause_cpu_ms", times.cpu_pause * 1e3)
            .with("sync_ms", times.sync.as_secs_f64() * 1e3))
    })
}

/// Ends a measurement of another's.
fn with_lookups(cx: &Context, sample: Sample, (hit, miss): (f64, f64)) -> Sample {
    let bytes = disk_bytes(&cx.scratch) as f64 / cx.entries as f64;
    sample.with("candidate_ns", hit).with("miss_ns", miss).with("key_bytes", bytes)
}

/// A unique index in one transaction.
fn sqlite(cx: &Context) -> Result<Sample> {
    let (all, asked) = keys(cx)?;
    let mut db = Connection::open(cx.scratch.join("rows"))?;
    db.execute_batch("pragma journal_mode = wal; create table keys (key text primary key, seq integer) without rowid")?;
    let sample = Sample::time(|| {
        let write = db.transaction()?;
        let mut insert = write.prepare("insert into keys values (?, ?)")?;
        for (seq, key) in all.iter().enumerate() {
            insert.execute((key, seq as i64))?;
        }
        drop(insert);
        write.commit()?;
        Ok((all.len() as u64, 0))
    })?;
    let read = db.transaction()?;
    let mut select = read.prepare("select seq from keys where key = ?")?;
    let mut find = |from: &str| -> Result {
        for (_, key) in &asked {
            let mut rows = select.query([format!("{from}{key}")])?;
            black_box(rows.next()?.map(|row| row.get::<_, i64>(0)).transpose()?);
        }
        Ok(())
    };
    find("")?;
    let found = (ns_each(asked.len(), || find(""))?, ns_each(asked.len(), || find("!"))?);
    drop(select);
    drop(read);
    db.close().map_err(|(_, error)| error)?;
    Ok(with_lookups(cx, sample, found))
}

fn redb(cx: &Context) -> Result<Sample> {
    const KEYS: TableDefinition<'_, &str, u64> = TableDefinition::new("keys");
    let (all, asked) = keys(cx)?;
    let db = Database::create(cx.scratch.join("rows"))?;
    let sample = Sample::time(|| {
        let write = db.begin_write()?;
        let mut table = write.open_table(KEYS)?;
        for (seq, key) in all.iter().enumerate() {
            table.insert(key.as_str(), seq as u64)?;
        }
        drop(table);
        write.commit()?;
        Ok((all.len() as u64, 0))
    })?;
    let table = db.begin_read()?.open_table(KEYS)?;
    let find = |from: &str| -> Result {
        for (_, key) in &asked {
            black_box(table.get(format!("{from}{key}").as_str())?.map(|seq| seq.value()));
        }
        Ok(())
    };
    find("")?;
    let found = (ns_each(asked.len(), || find(""))?, ns_each(asked.len(), || find("!"))?);
    Ok(with_lookups(cx, sample, found))
}
