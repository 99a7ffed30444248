//! [`check`], index files held against their log: what each should hold is worked out from the log's entries. Two scans of
//! the log, one for the places of its records and one for what is in them; memory goes with the number of records, never
//! with their size.

mod arrays;
mod bitvectors;
mod finding;
mod gap;
mod judged;
mod lists;
mod paths;
mod positions;
mod prefixes;
mod questions;
mod records;
mod scalar;
mod tables;
mod values;

use std::{collections::HashMap, path::Path, sync::Arc};

use flumedb::{
    Bytes, Env, Result, Seq, Span,
    codec::Field,
    log::{Log, ReadRequest, SlotKind},
};

pub use finding::{Difference, Fault, Finding, IndexReport, Place, Verdict};

use self::{
    questions::Questions,
    records::{Records, State},
};
use super::{jitdb::escape, read_dir};

/// Functions that predicate indexes are over, by the name that is in the name of the file.
type Predicates = HashMap<String, Arc<dyn Fn(Option<&Field<'_>>) -> bool + Send + Sync>>;

/// Holds the index files in `dir` against the log that they are over. Changes nothing.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use flumedb::{Env, env::OpenMode, log::{Batch, Log, MemoryLog}};
/// use flumedb_ssb::indexes::{self, Verdict};
/// let env = Env::memory();
/// let log = MemoryLog::new(&env)?;
/// let mut batch = Batch::new();
/// ["vote", "post", "vote", "post"].map(|kind| batch.push(format!(r#"{{"value":{{"content":{{"type":"{kind}"}}}}}}"#).as_bytes()));
/// log.append(batch).await?;
///
/// // Covers up to position 3; no checksum; bits 1 and 3.
/// env.storage.create_dir_all("jit".as_ref()).unwrap();
/// let file = env.storage.open("jit/value_content_type_post.index".as_ref(), OpenMode::CreateNew).unwrap();
/// file.write_all(0, b"\x01\0\0\0\x03\0\0\0\x01\0\0\0\0\0\0\0\x0a\0\0\0").unwrap();
///
/// let report = indexes::check(&env, "jit", &log).await?;
/// assert_eq!(report.indexes[0].verdict, Verdict::Right);
/// assert_eq!(report.indexes[0].holds.as_deref(), Some(r#"value.content.type = "post""#));
/// # Ok::<(), flumedb::Error>(()) }).unwrap();
/// ```
///
/// # Errors
/// `NotFound` and `Io` for the directory; what reading the log fails with. A damaged index is a row of the report.
///
/// # Cancel safety
/// It only reads.
pub async fn check(env: &Env, dir: impl AsRef<Path>, log: &dyn Log) -> Result<IndexReport> {
    Checker::new().check(env, dir, log).await
}

/// [`check`] with knowledge of functions that are not in the files: those behind jitdb's predicates, and hashes.
#[derive(Clone, Default)]
pub struct Checker {
    predicates: Predicates,
    hashes: tables::Hashes,
}

impl Checker {
    /// One that knows the hashes of ssb-db and of the tests of flumeview-hashtable, and no predicate.
    pub fn new() -> Self {
        Self { predicates: Predicates::new(), hashes: tables::known() }
    }

    /// What `predicate(path, f, {name})` tests: `function` is shown what stands at the path.
    ///
    /// ```
    /// use flumedb::codec::Field;
    /// use flumedb_ssb::indexes::Checker;
    /// let checker = Checker::new().predicate("even", |field| matches!(field, Some(Field::Integer(n)) if n % 2 == 0));
    /// ```
    #[must_use]
    pub fn predicate(
        mut self,
        name: impl Into<String>,
        function: impl Fn(Option<&Field<'_>>) -> bool + Send + Sync + 'static,
    ) -> Self {
        let name = name.into();
        self.predicates.insert(escape(&name).unwrap_or(name), Arc::new(function));
        self
    }

    /// A hash of entries' keys that hashtables may be made with.
    #[must_use]
    pub fn hash(mut self, name: impl Into<String>, hash: impl Fn(&str) -> u32 + Send + Sync + 'static) -> Self {
        self.hashes.push((name.into(), Arc::new(hash)));
        self
    }

    /// As [`check`].
    ///
    /// # Errors
    /// As [`check`].
    pub async fn check(&self, env: &Env, dir: impl AsRef<Path>, log: &dyn Log) -> Result<IndexReport> {
        let dir = dir.as_ref();
        let files = read_dir(env, dir)?;
        let end = log.barrier().await?.map_or(0, |head| head.get().saturating_add(1));
        let mut records = Records::default();
        scan(log, end, |seq, kind, _| {
            let state = if kind == SlotKind::Entry { State::Open } else { State::Deleted };
            records.push(seq, state)
        })
        .await?;
        let mut questions = Questions::new(files, &records, &self.predicates, &self.hashes);
        let mut record = 0;
        scan(log, end, |_, kind, payload| {
            questions.take(record, (kind == SlotKind::Entry).then_some(payload), &mut records);
            record += 1;
            record < records.len()
        })
        .await?;
        let indexes = questions.judge(&records);
        let (count, deleted) = (records.len().into(), records.deleted());
        Ok(IndexReport { dir: dir.to_owned(), records: count, deleted, indexes })
    }
}

/// Shows `each` every record below `end`, in order, until it has had enough.
async fn scan(log: &dyn Log, end: u64, mut each: impl FnMut(Seq, SlotKind, Bytes) -> bool) -> Result<()> {
    let mut span = Span { from: 0, to: end };
    while !span.is_empty() {
        let chunk = log.read(ReadRequest::forwards(span)).await?;
        // A tombstone is no record of the originals.
        for slot in chunk.slots.iter().filter(|slot| slot.kind != SlotKind::Tombstone) {
            if !each(slot.seq, slot.kind, chunk.payload_bytes(slot)) {
                return Ok(());
            }
        }
        if chunk.covered.to <= span.from {
            return Ok(());
        }
        span.from = chunk.covered.to;
    }
    Ok(())
}
