//! [`Watch`], the records of a collection and then their changes, in one stream.

use std::{
    pin::Pin as PinBox,
    sync::Arc,
    task::{Context, Poll},
};

use futures_core::Stream;
use futures_util::stream;

use super::{
    after,
    database::Database,
    envelope::ChangeKind,
    find::{self, Found, KeyBounds, found_key},
    pins::Pin,
    record::Record,
    records::{
        RecordsReader, TableRange,
        row::{self, Version},
    },
    snapshot::Snapshot,
};
use crate::Result;

/// What happens in a collection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change<T: Record> {
    /// The record with this key is this now.
    Put(T),
    /// There is no record with this key any more. May be said of one that was never told, if it came and went meanwhile.
    Deleted(T::Key),
    /// All records that there were at the beginning have been told; what follows is new.
    CaughtUp,
    /// Forget what was told: all is told anew, up to another [`CaughtUp`](Change::CaughtUp). Comes when an entry was
    /// deleted from the log by hand, or the view was opened again after a failure.
    Reset,
}

/// What [`Collection::watch`](super::Collection::watch) makes: a stream that goes on until the database is closed.
///
/// It holds a place and no queue. One that is read slowly is told what records are by then, not each state that they went
/// through; the last state is always told. While it has not come past something that is superseded, that stays in the
/// log: read it, or drop it.
///
/// # Cancel safety
/// Waiting for a change can be given up at any time; nothing is lost.
pub struct Watch<T: Record>(PinBox<Box<dyn Stream<Item = Result<Change<T>>> + Send>>);

impl<T: Record> Watch<T> {
    pub(super) fn new(db: Database) -> Self {
        let watcher = Watcher { db, stage: Stage::Start };
        Self(Box::pin(stream::unfold(Some(watcher), |watcher| async {
            let mut watcher = watcher?;
            match watcher.next().await {
                Ok(change) => Some((Ok(change), Some(watcher))),
                Err(error) => Some((Err(error), None)),
            }
        })))
    }

    /// The next change; `None` after the error that ended the stream. What `StreamExt::next` does, without the import.
    pub async fn next(&mut self) -> Option<Result<Change<T>>> {
        std::future::poll_fn(|cx| self.0.as_mut().poll_next(cx)).await
    }

    /// The same as an iterator that blocks while there is nothing new.
    pub fn blocking(self) -> crate::Blocking<Self> {
        crate::Blocking(self)
    }
}

impl<T: Record> Stream for Watch<T> {
    type Item = Result<Change<T>>;

    fn poll_next(mut self: PinBox<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.as_mut().poll_next(cx)
    }
}

struct Watcher<T> {
    db: Database,
    stage: Stage<T>,
}

enum Stage<T> {
    /// Nothing has been told.
    Start,
    /// The records are being told.
    Old { found: Found<T>, snapshot: Snapshot },
    /// Everything before `place` has been told.
    Wait(Place),
    /// What `reader` shows from `place` on is being told.
    New { place: Place, reader: RecordsReader, rows: TableRange },
}

/// How far it has come.
#[derive(Clone)]
struct Place {
    next: u64,
    epoch: u64,
    /// What was deleted since can still be told.
    _pin: Arc<Pin>,
}

impl<T: Record> Watcher<T> {
    async fn next(&mut self) -> Result<Change<T>> {
        loop {
            match &mut self.stage {
                Stage::Start => {
                    let snapshot = self.db.snapshot().await?;
                    let found = find::in_range(&snapshot, &KeyBounds { from: Vec::new(), to: None })?;
                    self.stage = Stage::Old { found, snapshot };
                }
                Stage::Old { found, snapshot } => {
                    if let Some(found) = found.next() {
                        return found.map(|(_, record)| Change::Put(record));
                    }
                    self.stage = Stage::Wait(Place {
                        next: after(snapshot.reader.since()),
                        epoch: snapshot.reader.epoch(),
                        _pin: snapshot.pin.clone(),
                    });
                    return Ok(Change::CaughtUp);
                }
                Stage::Wait(place) => {
                    let reader = self.db.records().read_with_entry_at(place.next).await?;
                    if reader.epoch() != place.epoch {
                        self.stage = Stage::Start;
                        return Ok(Change::Reset);
                    }
                    let rows = reader.range(&row::entry(row::VERSION, place.next), &[row::VERSION + 1])?;
                    self.stage = Stage::New { place: place.clone(), reader, rows };
                }
                Stage::New { place, reader, rows } => {
                    let Some(row) = rows.next() else {
                        let next = after(reader.since()).max(place.next);
                        let pin = Arc::new(self.db.0.pins.pin(next));
                        self.stage = Stage::Wait(Place { next, epoch: place.epoch, _pin: pin });
                        continue;
                    };
                    if let Some(change) = told(row?, place.next, reader)? {
                        return Ok(change);
                    }
                }
            }
        }
    }
}

/// What there is to tell of a version that came at or after `next`, if it is the newest of its record.
fn told<T: Record>(
    (place, version): (Vec<u8>, Vec<u8>),
    next: u64,
    reader: &RecordsReader,
) -> Result<Option<Change<T>>> {
    let at = reader.decoded(row::parse_version(&place))?;
    let version = reader.decoded(Version::decode(&version))?;
    if version.collection != T::NAME {
        return Ok(None);
    }
    let current = reader.current(T::NAME, &version.key)?;
    let Some(current) = current.filter(|current| current.at == at) else { return Ok(None) };
    match current.kind {
        ChangeKind::Delete => Ok(Some(Change::Deleted(found_key::<T>(&version.key)?))),
        // It was told already, as what it was before it was written anew.
        ChangeKind::Rewrite if current.origin < next => Ok(None),
        ChangeKind::Put | ChangeKind::Rewrite => {
            let change = match reader.change(at) {
                // Somebody has deleted it from the log; a reset follows.
                Err(error) if error.kind() == crate::ErrorKind::Deleted => return Ok(None),
                change => change?,
            };
            super::value::record(&change.value, change.version).map(|record| Some(Change::Put(record)))
        }
    }
}
