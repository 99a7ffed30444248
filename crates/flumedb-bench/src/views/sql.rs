//! Tables in SQLite: the view beside the same rows put in by hand.

use std::{hint::black_box, sync::PoisonError, time::Instant};

use flumedb::{
    Flume,
    codec::{Document, JsonDoc, JsonDocs},
};
use flumedb_sql::{Rows, Sql};
use rusqlite::Connection;

use super::{disk_bytes, timed::Timed, wait};
use crate::{
    Result,
    measure::{Sample, cpu_seconds},
    workloads::Context,
};

const TABLES: &str = "create table messages (seq integer primary key, author text, sequence integer, timestamp integer, type text, \
                      content text)";
const INDEXES: &str = "create index by_author on messages (author, sequence); create index by_time on messages (timestamp); \
                       create index by_type on messages (type, timestamp)";
/// As many rows as the view commits at once.
const TRANSACTION: usize = 128 << 10;
/// A small question, a large one, and their names.
const QUESTIONS: [(&str, &str); 2] = [
    (
        "row_us",
        "select content from messages where author = (select author from messages where seq = 7) and sequence = 5",
    ),
    ("sum_ms", "select type, count(*), max(timestamp) from messages group by type"),
];

pub(super) fn measure(subject: &str, cx: &Context) -> Result<Sample> {
    match subject {
        "flumedb-sql" => ours(cx),
        "sqlite-rows" => by_hand(cx, Hand::default()),
        "sqlite-rows-indexed" => by_hand(cx, Hand { indexes_first: true, ..Hand::default() }),
        "sqlite-rows-tuned" => by_hand(cx, Hand { tuned: true, ..Hand::default() }),
        "sqlite-parse" => by_hand(cx, Hand { parse: true, ..Hand::default() }),
        other => Err(format!("there is no `{other}` here").into()),
    }
}

struct Row {
    author: String,
    sequence: i64,
    timestamp: i64,
    kind: String,
    content: String,
}

fn row(message: &[u8]) -> Result<Row> {
    let doc = JsonDoc::parse(message.to_vec())?;
    let text = |path: &[&str]| doc.text(path).map(|text| text.into_owned()).ok_or("no text");
    Ok(Row {
        author: text(&["author"])?,
        sequence: doc.integer(&["sequence"]).ok_or("no sequence")?,
        timestamp: doc.integer(&["timestamp"]).ok_or("no timestamp")?,
        kind: text(&["content", "type"])?,
        content: text(&["content", "text"])?,
    })
}

fn ours(cx: &Context) -> Result<Sample> {
    let log = cx.kept("flumedb").join("flumedb");
    wait(async {
        let db = Flume::builder(JsonDocs).views_in(&cx.scratch).open(&log).await?;
        let view = Sql::new(1, &format!("{TABLES}; {INDEXES}"), |doc: &JsonDoc, rows: &mut Rows<'_>| {
            let (author, kind, text) =
                (doc.text(&["author"]), doc.text(&["content", "type"]), doc.text(&["content", "text"]));
            let (sequence, timestamp) = (doc.integer(&["sequence"]), doc.integer(&["timestamp"]));
            let values = [(&author).into(), sequence.into(), timestamp.into(), (&kind).into(), (&text).into()];
            rows.insert("messages", &values);
        })?;
        let (view, times) = Timed::new(view, false);
        let (cpu, start) = (cpu_seconds(), Instant::now());
        let view = db.view("sql", view).await?;
        let reader = view.read().await?;
        let (seconds, cpu_s) = (start.elapsed().as_secs_f64(), cpu_seconds() - cpu);
        let view_s = times.lock().unwrap_or_else(PoisonError::into_inner).total.as_secs_f64();
        let count = reader.query("select count(*) from messages").one::<u64>()?;
        if count != Some(cx.entries as u64) {
            return Err(format!("{count:?} messages of {}", cx.entries).into());
        }
        let mut sample = Sample::of(cx.entries as u64, seconds, 0).with("cpu_s", cpu_s).with("view_s", view_s);
        for (name, sql) in QUESTIONS {
            let ask = || -> Result {
                Ok(reader.query(sql).each(|row| {
                    black_box(row.value(0));
                    Ok(())
                })?)
            };
            sample = sample.with(name, asked(name, ask)?);
        }
        let start = Instant::now();
        drop(reader);
        db.close().await?;
        let closed = start.elapsed().as_secs_f64();
        Ok(sample.with("close_s", closed).with("row_bytes", disk_bytes(&cx.scratch) as f64 / cx.entries as f64))
    })
}

/// How the rows are put in by hand.
#[derive(Default)]
struct Hand {
    /// The messages are parsed while that is timed, and not before.
    parse: bool,
    indexes_first: bool,
    /// Pages, and pieces in which an index is sorted, of the sizes that the view has found to be quick.
    tuned: bool,
}

fn by_hand(cx: &Context, Hand { parse, indexes_first, tuned }: Hand) -> Result<Sample> {
    let messages = cx.messages()?;
    let rows = if parse { Vec::new() } else { messages.iter().map(row).collect::<Result<Vec<_>>>()? };
    let mut db = Connection::open(cx.scratch.join("rows"))?;
    if tuned {
        db.execute_batch("pragma page_size = 8192")?;
    }
    db.execute_batch("pragma journal_mode = wal; pragma synchronous = normal; pragma cache_size = -16384")?;
    db.execute_batch(TABLES)?;
    if indexes_first {
        db.execute_batch(INDEXES)?;
    }
    let (cpu, start) = (cpu_seconds(), Instant::now());
    for first in (0..messages.len()).step_by(TRANSACTION) {
        let write = db.transaction()?;
        let mut insert = write.prepare("insert into messages values (?, ?, ?, ?, ?, ?)")?;
        for seq in first..(first + TRANSACTION).min(messages.len()) {
            let parsed;
            let row = match rows.get(seq) {
                Some(row) => row,
                None => {
                    parsed = row(messages.get(seq))?;
                    &parsed
                }
            };
            insert.execute((seq as i64, &row.author, row.sequence, row.timestamp, &row.kind, &row.content))?;
        }
        drop(insert);
        write.commit()?;
    }
    if tuned {
        db.execute_batch("pragma cache_size = -2048")?;
    }
    if !indexes_first {
        db.execute_batch(INDEXES)?;
    }
    let (seconds, cpu_s) = (start.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    let mut sample = Sample::of(messages.len() as u64, seconds, 0).with("cpu_s", cpu_s);
    for (name, sql) in QUESTIONS {
        let ask = || -> Result {
            let mut select = db.prepare(sql)?;
            let mut found = select.query([])?;
            while let Some(row) = found.next()? {
                black_box(row.get_ref(0)?);
            }
            Ok(())
        };
        sample = sample.with(name, asked(name, ask)?);
    }
    let start = Instant::now();
    db.close().map_err(|(_, error)| error)?;
    let closed = start.elapsed().as_secs_f64();
    Ok(sample.with("close_s", closed).with("row_bytes", disk_bytes(&cx.scratch) as f64 / messages.len() as f64))
}

/// The middle of some times, in the unit of the name.
fn asked(name: &str, ask: impl Fn() -> Result) -> Result<f64> {
    let (times, unit) = if name.ends_with("us") { (1000, 1e6) } else { (5, 1e3) };
    let mut all = Vec::new();
    for _ in 0..times {
        let start = Instant::now();
        ask()?;
        all.push(start.elapsed().as_secs_f64() * unit);
    }
    all.sort_unstable_by(f64::total_cmp);
    Ok(all.get(all.len() / 2).copied().unwrap_or(f64::NAN))
}
