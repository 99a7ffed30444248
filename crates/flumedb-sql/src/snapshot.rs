//! [`Snapshot`], the store as it was after an entry: a connection that only reads, in a transaction that goes on for as long
//! as somebody holds it; and [`Pool`], where connections wait that nobody needs.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use flumedb::{Error, ErrorKind, Result, Seq};
use parking_lot::{Mutex, ReentrantMutex, ReentrantMutexGuard};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::{error, guard::Guard};

/// Connections that are kept for the next snapshots.
const IDLE: usize = 8;

/// Connections that read one store.
pub(crate) struct Pool {
    path: PathBuf,
    cache_bytes: usize,
    idle: Mutex<Vec<Reading>>,
    closed: AtomicBool,
    /// Goes with the last reader.
    _temp: Option<TempDir>,
}

/// A connection that only reads.
struct Reading {
    db: Connection,
    guard: Arc<Guard>,
}

impl Pool {
    pub(crate) fn new(path: PathBuf, cache_bytes: usize, temp: Option<TempDir>) -> Self {
        Self { path, cache_bytes, idle: Mutex::default(), closed: AtomicBool::new(false), _temp: temp }
    }

    /// No connection is kept any more.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.idle.lock().clear();
    }

    fn take(&self) -> rusqlite::Result<Reading> {
        if let Some(reading) = self.idle.lock().pop() {
            return Ok(reading);
        }
        let guard = Arc::<Guard>::default();
        let db = guard.connect(&self.path, self.cache_bytes)?;
        Ok(Reading { db, guard })
    }
}

impl Reading {
    /// Begins to see the newest commit, and goes on seeing that.
    fn begin(&self) -> rusqlite::Result<()> {
        let _own = self.guard.own();
        self.db.prepare_cached("BEGIN")?.execute([])?;
        self.db.prepare_cached("SELECT id FROM flume_meta")?.exists([]).map(drop)
    }

    fn end(&self) -> rusqlite::Result<()> {
        let _own = self.guard.own();
        self.db.prepare_cached("COMMIT")?.execute([]).map(drop)
    }
}

/// A connection in its transaction.
pub(crate) struct Session {
    reading: Option<Reading>,
    pool: Arc<Pool>,
}

impl Session {
    pub(crate) fn db(&self) -> Option<(&Connection, &Guard)> {
        self.reading.as_ref().map(|reading| (&reading.db, &*reading.guard))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let Some(reading) = self.reading.take() else { return };
        if reading.end().is_ok() && !self.pool.closed.load(Ordering::Acquire) {
            let mut idle = self.pool.idle.lock();
            if idle.len() < IDLE {
                idle.push(reading);
            }
        }
    }
}

/// The store as it was after an entry.
pub(crate) struct Snapshot {
    since: Option<Seq>,
    path: PathBuf,
    guard: Arc<Guard>,
    /// `None` once it is retired. One thread reads at a time, which may ask while it walks through an answer.
    session: Mutex<Option<Arc<ReentrantMutex<Session>>>>,
}

impl Snapshot {
    /// What the newest commit, which covers `since`, has left.
    pub(crate) fn new(pool: &Arc<Pool>, since: Option<Seq>) -> Result<Self> {
        let begun = pool.take().and_then(|reading| reading.begin().map(|()| reading));
        let reading = begun.map_err(|error| error::failed(error, &pool.path))?;
        let guard = reading.guard.clone();
        guard.renew();
        let session = Session { reading: Some(reading), pool: pool.clone() };
        let session = Mutex::new(Some(Arc::new(ReentrantMutex::new(session))));
        Ok(Self { since, path: pool.path.clone(), guard, session })
    }

    pub(crate) fn since(&self) -> Option<Seq> {
        self.since
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Ends it: whoever still holds it is told that it is closed, and so is a query that runs.
    pub(crate) fn retire(&self) {
        let session = self.session.lock().take();
        if session.is_some() {
            self.guard.retire();
        }
    }

    /// Begins anew to see what it sees; nothing has been committed since. Not while somebody reads.
    pub(crate) fn again(&self) {
        let Some(shared) = self.session.lock().clone() else { return };
        let Some(session) = shared.try_lock() else { return };
        let begun =
            session.reading.as_ref().is_some_and(|reading| reading.end().and_then(|()| reading.begin()).is_ok());
        if !begun {
            // It would see what comes later.
            self.retire();
        }
    }

    /// Lets `read` work with the connection, when no other thread does any more.
    pub(crate) fn with<R>(
        &self,
        patience: Duration,
        read: impl FnOnce(&ReentrantMutexGuard<'_, Session>) -> Result<R>,
    ) -> Result<R> {
        let session = self.session.lock().clone().ok_or_else(closed)?;
        let Some(session) = session.try_lock_for(patience) else {
            return Err(Error::new(
                ErrorKind::TimedOut,
                "another query of this reader has not ended in the time given; queries of one reader wait for each other, \
                 those of readers that were read apart do not",
            ));
        };
        read(&session)
    }
}

/// The reader's connection is no more.
pub(crate) fn closed() -> Error {
    Error::new(
        ErrorKind::Closed,
        "the view was closed or opened again after this reader was made, or the reader was held for so long that the store \
         could not be kept short; read again",
    )
}
