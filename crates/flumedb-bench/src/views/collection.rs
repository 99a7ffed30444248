//! Collections: beside redb and SQLite as a table of records with a key and an index.

use std::hint::black_box;

use flumedb::{Database, Flume, Record, collection::Envelope, log::Durability};
use redb::{ReadableDatabase, ReadableTable, TableDefinition};
use rusqlite::{Connection, OptionalExtension};
use serde::{Deserialize, Serialize};

use super::{disk_bytes, ns_each};
use crate::{
    Result, limits,
    measure::Sample,
    workloads::{BATCH, Context},
};

#[derive(Clone, Serialize, Deserialize, Record)]
#[record(name = "posts")]
struct Post {
    #[key]
    id: u64,
    #[index]
    author: String,
    text: String,
}

/// How many are put one by one.
const SINGLE: usize = 20_000;

pub(super) fn measure(subject: &str, cx: &Context) -> Result<Sample> {
    match subject {
        "flumedb-collection" => ours(cx),
        "redb-table" => redb(cx),
        "sqlite-table" => sqlite(cx),
        other => Err(format!("there is no `{other}` here").into()),
    }
}

/// The records in some order, and the keys to ask for.
fn posts(cx: &Context) -> Result<(Vec<Post>, Vec<u64>)> {
    #[derive(Deserialize)]
    struct Author {
        author: String,
    }
    /// Each number once, in no order.
    fn id(number: u64) -> u64 {
        number.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
    let messages = cx.messages()?;
    let posts = messages.iter().zip(0..).map(|(message, number)| {
        let Author { author } = serde_json::from_slice(message)?;
        Ok(Post { id: id(number), author, text: String::from_utf8(message.to_vec())? })
    });
    let asked = limits::random_numbers(cx.entries).into_iter().take(100_000).map(id).collect();
    Ok((posts.collect::<Result<_>>()?, asked))
}

fn ours(cx: &Context) -> Result<Sample> {
    let (posts, asked) = posts(cx)?;
    let system = Flume::builder(Envelope).set(|settings| settings.log.durability = Durability::System);
    let db = Database::with_flume(system.open(cx.scratch.join("db")).blocking()?).blocking()?;
    let table = db.collection::<Post>().blocking()?;
    let sample = Sample::time(|| {
        for batch in posts.chunks(BATCH) {
            table.put_all(batch).blocking()?;
        }
        Ok((posts.len() as u64, 0))
    })?;
    let look = || -> Result {
        for id in &asked {
            black_box(table.get(*id).blocking()?.ok_or("a record is missing")?);
        }
        Ok(())
    };
    look()?;
    let get_ns = ns_each(asked.len(), look)?;
    let rows = || {
        ns_each(posts.len(), || {
            let mut found = futures_util::stream::StreamExt::boxed(table.all().stream());
            super::wait(async {
                while let Some(post) = futures_util::StreamExt::next(&mut found).await {
                    black_box(post?);
                }
                Ok(())
            })
        })
    };
    rows()?;
    let row_ns = rows()?;
    let put = || -> Result {
        for post in posts.iter().take(SINGLE) {
            table.put(post).blocking()?;
        }
        Ok(())
    };
    let put_ns = ns_each(posts.len().min(SINGLE), put)?;
    db.close().blocking()?;
    let bytes = disk_bytes(&cx.scratch) as f64 / posts.len() as f64;
    Ok(sample.with("put_ns", put_ns).with("get_ns", get_ns).with("row_ns", row_ns).with("row_bytes", bytes))
}

fn redb(cx: &Context) -> Result<Sample> {
    const POSTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("posts");
    const AUTHORS: TableDefinition<'_, (&str, u64), ()> = TableDefinition::new("authors");
    let (posts, asked) = posts(cx)?;
    let db = redb::Database::create(cx.scratch.join("rows"))?;
    let put = |posts: &[Post]| -> Result {
        let mut write = db.begin_write()?;
        write.set_durability(redb::Durability::None)?;
        let (mut table, mut authors) = (write.open_table(POSTS)?, write.open_table(AUTHORS)?);
        for post in posts {
            let bytes = rmp_serde::to_vec_named(post)?;
            let before = table.insert(post.id, bytes.as_slice())?;
            if let Some(before) = before {
                let before: Post = rmp_serde::from_slice(before.value())?;
                authors.remove((before.author.as_str(), post.id))?;
            }
            authors.insert((post.author.as_str(), post.id), ())?;
        }
        drop((table, authors));
        write.commit()?;
        Ok(())
    };
    let sample = Sample::time(|| {
        posts.chunks(BATCH).try_for_each(put)?;
        Ok((posts.len() as u64, 0))
    })?;
    let look = || -> Result {
        for id in &asked {
            let table = db.begin_read()?.open_table(POSTS)?;
            let post = table.get(id)?.ok_or("a record is missing")?;
            black_box(rmp_serde::from_slice::<Post>(post.value())?);
        }
        Ok(())
    };
    look()?;
    let get_ns = ns_each(asked.len(), look)?;
    let rows = || {
        ns_each(posts.len(), || {
            for row in db.begin_read()?.open_table(POSTS)?.iter()? {
                black_box(rmp_serde::from_slice::<Post>(row?.1.value())?);
            }
            Ok(())
        })
    };
    rows()?;
    let row_ns = rows()?;
    let single = posts.get(..SINGLE).unwrap_or(&posts);
    let put_ns = ns_each(single.len(), || single.chunks(1).try_for_each(put))?;
    db.begin_write()?.commit()?;
    drop(db);
    let bytes = disk_bytes(&cx.scratch) as f64 / posts.len() as f64;
    Ok(sample.with("put_ns", put_ns).with("get_ns", get_ns).with("row_ns", row_ns).with("row_bytes", bytes))
}

fn sqlite(cx: &Context) -> Result<Sample> {
    let (posts, asked) = posts(cx)?;
    let db = Connection::open(cx.scratch.join("rows"))?;
    db.execute_batch(
        "pragma journal_mode = wal; pragma synchronous = off; \
         create table posts (id integer primary key, author text not null, text text not null); \
         create index authors on posts (author)",
    )?;
    let put = |posts: &[Post]| -> Result {
        let write = db.unchecked_transaction()?;
        let mut insert = write.prepare_cached("insert or replace into posts values (?, ?, ?)")?;
        for post in posts {
            insert.execute((post.id as i64, &post.author, &post.text))?;
        }
        drop(insert);
        write.commit()?;
        Ok(())
    };
    let sample = Sample::time(|| {
        posts.chunks(BATCH).try_for_each(put)?;
        Ok((posts.len() as u64, 0))
    })?;
    let post = |row: &rusqlite::Row<'_>| -> rusqlite::Result<Post> {
        Ok(Post { id: row.get::<_, i64>(0)? as u64, author: row.get(1)?, text: row.get(2)? })
    };
    let look = || -> Result {
        let mut select = db.prepare_cached("select id, author, text from posts where id = ?")?;
        for id in &asked {
            black_box(select.query_row([*id as i64], post).optional()?.ok_or("a record is missing")?);
        }
        Ok(())
    };
    look()?;
    let get_ns = ns_each(asked.len(), look)?;
    let rows = || {
        ns_each(posts.len(), || {
            let mut select = db.prepare_cached("select id, author, text from posts order by id")?;
            for row in select.query_map([], post)? {
                black_box(row?);
            }
            Ok(())
        })
    };
    rows()?;
    let row_ns = rows()?;
    let single = posts.get(..SINGLE).unwrap_or(&posts);
    let put_ns = ns_each(single.len(), || single.chunks(1).try_for_each(put))?;
    db.close().map_err(|(_, error)| error)?;
    let bytes = disk_bytes(&cx.scratch) as f64 / posts.len() as f64;
    Ok(sample.with("put_ns", put_ns).with("get_ns", get_ns).with("row_ns", row_ns).with("row_bytes", bytes))
}
