//! The views, beside what a user would take instead.

mod bitmaps;
mod bloom;
mod collection;
mod hash_index;
mod index;
mod links;
mod query;
mod reduce;
mod search;
mod sql;
mod timed;
mod together;

use std::path::Path;

use crate::{
    Result,
    measure::{Sample, thread_cpu_seconds},
    workloads::{Context, Workload},
};

pub(crate) const ALL: &[Workload] = &[
    Workload {
        name: "views-index",
        what: "build an ordered index of (author, sequence), to the disk: ours from the log, decoding each message; \
               `-rows` by hand from rows in memory, in one transaction, in the order of the log or sorted before; \
               SQLite with its default cache, or with 256 MB",
        limits: &["sqlite-rows"],
        subjects: &[
            "flumedb-index",
            "flumedb-index-any",
            "redb-rows",
            "redb-rows-sorted",
            "sqlite-rows-256mb",
            "sqlite-rows-sorted",
        ],
        extra: &[
            ("view_s", "s in the view"),
            ("view_cpu_s", "CPU s in the view"),
            ("get_ns", "ns a lookup"),
            ("row_ns", "ns a row of a range"),
            ("row_bytes", "bytes a row"),
        ],
    },
    Workload {
        name: "views-sql",
        what: "rows of 6 columns in SQLite with three indexes: ours from the log, decoding each message; by hand from rows in \
               memory, as many in a transaction, the indexes made last; `-indexed`: made first; `-tuned`: with pages and pieces that \
               are sorted as large as the view's; `-parse`: parsing each message",
        limits: &["sqlite-rows"],
        subjects: &["flumedb-sql", "sqlite-rows-indexed", "sqlite-rows-tuned", "sqlite-parse"],
        extra: &[
            ("view_s", "s in the view"),
            ("close_s", "s to close"),
            ("row_us", "µs a row"),
            ("sum_ms", "ms a sum over all"),
            ("row_bytes", "bytes a row"),
        ],
    },
    Workload {
        name: "views-hash",
        what: "a hash index of a unique text of 52 bytes; ours from the log, decoding each message; lookups are random and warm, by time on a core; \
               `get` is verified, `log` is one get of the log and one field of it",
        limits: &[],
        subjects: &["flumedb-hash", "sqlite-unique", "redb-unique"],
        extra: &[
            ("view_cpu_s", "CPU s in the view"),
            ("candidate_ns", "ns a candidate"),
            ("miss_ns", "ns a miss"),
            ("get_ns", "ns a get"),
            ("log_ns", "ns log and field"),
            ("key_bytes", "bytes a key"),
            ("most_bytes", "most while growing, a MB besides"),
            ("pause_ms", "ms of the longest apply or publish"),
            ("pause_cpu_ms", "the same on a core"),
            ("sync_ms", "ms of the longest sync"),
        ],
    },
    Workload {
        name: "views-query",
        what: "build the indexes of a query set on (author, sequence) and (type, time), to the disk; then, warm: the first row of a \
               query for the entries of an author behind a sequence (reading what is there, and with the wait for what was appended), \
               all its rows, and a filter over a scan of the log",
        limits: &[],
        subjects: &["flumedb-query"],
        extra: &[
            ("stale_us", "us to the first row of what is there"),
            ("first_us", "us to the first row, fresh"),
            ("row_ns", "ns a row"),
            ("scan_ns", "ns an entry of a scan"),
        ],
    },
    Workload {
        name: "views-collection",
        what: "a table of records (message, with a key and an index of authors) in an order of chance, put in batches of 1,000, left \
               to the system to bring to the disk; then warm gets, each of the state at that moment, and all records in order; \
               then puts of records that are there, one by one",
        limits: &[],
        subjects: &["flumedb-collection", "redb-table", "sqlite-table"],
        extra: &[
            ("put_ns", "ns a put"),
            ("get_ns", "ns a get"),
            ("row_ns", "ns a row of a range"),
            ("row_bytes", "bytes a record"),
        ],
    },
    Workload {
        name: "views-groups",
        what: "keep something of each author, to the disk, from the log, decoding each message: `reduce` a count and a sum in \
               one state with an inverse; `groups` a count, the newest time, a mean; `undo` the same with undo; `sketch` a \
               count, distinct times, quantiles; `hour` a count by author and hour; `sqlite-upsert` as `groups`, from \
               messages in memory, decoding each, in one transaction. Update and delete: one message more or less, and a \
               fresh read, among 20,000",
        limits: &[],
        subjects: &[
            "flumedb-reduce",
            "flumedb-groups",
            "flumedb-groups-undo",
            "flumedb-groups-sketch",
            "flumedb-groups-hour",
            "sqlite-upsert",
        ],
        extra: &[
            ("view_s", "s in the view"),
            ("groups", "groups"),
            ("get_ns", "ns a get"),
            ("scan_ms", "ms all groups"),
            ("update_us", "µs an update"),
            ("delete_us", "µs a delete"),
            ("entry_bytes", "bytes a message"),
            ("pause_ms", "ms of the longest apply or publish"),
        ],
    },
    Workload {
        name: "views-links",
        what: "a link from each message's author to the message before, kept forward and back; ours from the log, decoding each \
               message; SQLite by hand from rows in memory, in one transaction, with an index each way",
        limits: &[],
        subjects: &["flumedb-links", "sqlite-links"],
        extra: &[
            ("view_s", "s in the view"),
            ("to_ns", "ns a lookup by the end"),
            ("edge_ns", "ns an edge of the graph"),
            ("row_bytes", "bytes a row"),
        ],
    },
    Workload {
        name: "views-bloom",
        what: "a Bloom filter of a unique text of 52 bytes at 0.001, made for as many or grown from 1000; from the log, decoding \
               each message",
        limits: &[],
        subjects: &["flumedb-bloom", "flumedb-bloom-grown"],
        extra: &[
            ("view_s", "s in the view"),
            ("hit_ns", "ns a key that is in"),
            ("miss_ns", "ns one that is not"),
            ("wrong", "of a million others wrong"),
            ("key_bits", "bits a key in memory"),
            ("key_bytes", "bytes a key on the disk"),
            ("open_ms", "ms to open"),
            ("pause_ms", "ms of the longest apply or publish"),
        ],
    },
    Workload {
        name: "views-bitmaps",
        what: "bitmaps of author, type and root of messages as ssb-db keeps them, all three built at once, to the disk; beside a \
               loop that reads the same three fields on two threads. First row: the newest of two bitmaps together, asked \
               anew each time; page: the next five of a sixth of all messages, by a number",
        limits: &["fields-loop"],
        subjects: &["bitmaps"],
        extra: &[
            ("first_us", "µs to the first row"),
            ("page_us", "µs a page of 5"),
            ("count_us", "µs a count"),
            ("row_bytes", "bytes a message"),
        ],
    },
    Workload {
        name: "views-together",
        what: "five views built at once (two indexes of text, one of numbers, a hash index, a sum) over the slowest of them \
               alone or, where that is more, over one decode and all their calls alone, shared by the cores",
        limits: &[],
        subjects: &["flumedb-five"],
        extra: &[
            ("decode_s", "s to decode"),
            ("slowest_s", "s of the slowest alone"),
            ("work_s", "s of all work, by cores"),
            ("applied_s", "s in the five views"),
            ("ratio", "times the larger"),
        ],
    },
    Workload {
        name: "views-search",
        what: "full-text search over the text and a unique word of each message; ours from the log, decoding each message; \
               the first 20 for two frequent words by age and by relevance, the two as a phrase, and a rare word",
        limits: &[],
        subjects: &["flumedb-search", "sqlite-fts5"],
        extra: &[
            ("view_s", "s in the view"),
            ("newest_ns", "ns the newest"),
            ("relevant_ns", "ns the most relevant"),
            ("phrase_ns", "ns a phrase"),
            ("rare_ns", "ns a rare word"),
            ("entry_bytes", "bytes an entry"),
            ("pause_ms", "ms of the longest apply or publish"),
            ("sync_ms", "ms of the longest sync"),
        ],
    },
];

/// Does a measurement of one of these.
pub(crate) fn measure(workload: &str, subject: &str, cx: &Context) -> Result<Sample> {
    match workload {
        "views-index" => index::measure(subject, cx),
        "views-groups" => reduce::measure(subject, cx),
        "views-bitmaps" => bitmaps::measure(subject, cx),
        "views-sql" => sql::measure(subject, cx),
        "views-hash" => hash_index::measure(subject, cx),
        "views-query" => query::measure(subject, cx),
        "views-collection" => collection::measure(subject, cx),
        "views-links" => links::measure(subject, cx),
        "views-bloom" => bloom::measure(subject, cx),
        "views-together" => together::measure(cx),
        "views-search" => search::measure(subject, cx),
        other => Err(format!("there is no workload `{other}`").into()),
    }
}

/// Whether a subject reads the full log of ours.
pub(crate) fn reads_log(subject: &str) -> bool {
    subject.starts_with("flumedb") && subject != "flumedb-collection"
}

/// What `work` does with a database, waited for on this thread.
fn wait<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread().build()?.block_on(work)
}

/// Bytes of all files below a directory.
fn disk_bytes(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.map(|entry| if entry.path().is_dir() { disk_bytes(&entry.path()) } else { len(&entry.path()) }).sum()
}

/// Nothing, of a file that has just been removed.
fn len(path: &Path) -> u64 {
    path.metadata().map_or(0, |meta| meta.len())
}

/// Nanoseconds that each of `count` calls spent on a core.
fn ns_each(count: usize, work: impl FnOnce() -> Result) -> Result<f64> {
    let start = thread_cpu_seconds();
    work()?;
    Ok((thread_cpu_seconds() - start) * 1e9 / count.max(1) as f64)
}
