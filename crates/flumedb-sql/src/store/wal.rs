//! Keeping the write-ahead log short.

use std::{
    path::{Path, PathBuf},
    sync::Weak,
};

use flumedb::Result;

use super::Store;

/// From so many pages on it is copied into the database: seldom enough that waiting for the disk does not show.
const COPY_FROM: i64 = (64 << 20) / PAGE;
const PAGE: i64 = 4096;

/// Where the write-ahead log of the database at `path` is.
pub(super) fn path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

/// The state of the write-ahead log, in pages.
struct Wal {
    pages: i64,
    /// How many of them are in the database, too.
    copied: i64,
}

impl Store {
    /// Copies the write-ahead log into the database if it is long, and makes the readers that keep it from beginning anew
    /// let go of it when it is too long.
    pub(super) fn keep_wal_short(&mut self) -> Result<()> {
        let wal = self.wal("NOOP")?;
        if wal.pages < COPY_FROM {
            return Ok(());
        }
        let wal = self.wal("PASSIVE")?;
        if wal.copied == wal.pages
            && let Some(newest) = self.shown.last().and_then(Weak::upgrade)
        {
            // It sees the same again, now from the database alone; so the next page goes to the start of the file.
            newest.again();
        }
        if wal.pages.saturating_mul(PAGE) > i64::try_from(self.settings.wal_bytes).unwrap_or(i64::MAX) {
            let newest = self.shown.len().saturating_sub(1);
            self.shown.iter().take(newest).filter_map(Weak::upgrade).for_each(|shown| shown.retire());
        }
        Ok(())
    }

    fn wal(&self, mode: &str) -> Result<Wal> {
        let mut checkpoint = self.db.prepare_cached(&format!("PRAGMA wal_checkpoint({mode})"))
            .map_err(|error| self.failed(error))?;
        let wal = checkpoint.query_row([], |row| Ok(Wal { pages: row.get(1)?, copied: row.get(2)? }));
        wal.map_err(|error| self.failed(error))
    }
}
