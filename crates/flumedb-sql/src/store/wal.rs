//! Keeping the write-ahead log short.

use std::{
    path::{Path, PathBuf},
    sync::Weak,
};

use flumedb::Result;

use super::Store;

/// From so many bytes on it is copied into the database: seldom enough that waiting for the disk does not show. Sooner
/// where it may not become much longer.
const COPY_FROM: u64 = 64 << 20;

/// Where the write-ahead log of the database at `path` is.
pub(super) fn path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

/// The state of the write-ahead log.
struct Wal {
    bytes: u64,
    /// All of it is in the database, too.
    copied: bool,
}

impl Store {
    /// Copies the write-ahead log into the database if it is long, and makes the readers that keep it from beginning anew
    /// let go of it when it is too long.
    pub(super) fn keep_wal_short(&mut self) -> Result<()> {
        if self.wal("NOOP")?.bytes < COPY_FROM.min(self.settings.wal_bytes / 4) {
            return Ok(());
        }
        let mut copied = self.wal("PASSIVE")?;
        if !copied.copied && copied.bytes > self.settings.wal_bytes {
            let newest = self.shown.len().saturating_sub(1);
            self.shown.iter().take(newest).filter_map(Weak::upgrade).for_each(|shown| shown.retire());
            copied = self.wal("PASSIVE")?;
        }
        if copied.copied
            && let Some(newest) = self.shown.last().and_then(Weak::upgrade)
        {
            // It sees the same again, now from the database alone; so the next page goes to the start of the file.
            newest.again();
        }
        Ok(())
    }

    fn wal(&self, mode: &str) -> Result<Wal> {
        let mut checkpoint =
            self.db.prepare_cached(&format!("PRAGMA wal_checkpoint({mode})")).map_err(|error| self.failed(error))?;
        let wal = checkpoint.query_row([], |row| {
            // -1 where there is none.
            let count = |at| Ok::<_, rusqlite::Error>(u64::try_from(row.get::<_, i64>(at)?).unwrap_or(0));
            let (pages, copied) = (count(1)?, count(2)?);
            Ok(Wal { bytes: pages.saturating_mul(u64::from(self.page_bytes)), copied: copied == pages })
        });
        wal.map_err(|error| self.failed(error))
    }
}
