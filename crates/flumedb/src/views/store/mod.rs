//! [`Store`], the ordered tables that views on disk are kept in, together with the checkpoint that says what they cover.
//! It runs on `env::Storage` or in memory. It knows nothing of what views put into it.

mod blocks;
mod error;
mod gathered;
pub(crate) mod packs;
pub(crate) mod varint;

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use redb::{
    Database, Durability, ReadTransaction, ReadableDatabase, TableDefinition, WriteTransaction,
    backends::InMemoryBackend,
};

use self::blocks::Blocks;
pub(crate) use self::{error::failed, gathered::Gathered};
use crate::{
    Damage, Error, Result,
    env::{
        OpenMode, PathKind,
        planted::{Bug, planted},
    },
    view::{Checkpoint, Place},
};

const NAME: &str = "store";
const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");
const CHECKPOINT: &str = "checkpoint";

/// Tables with a checkpoint. Each commit is seen by readers at once and is on the disk after the next [`Store::sync`];
/// a crash leaves what was synced last, or a later commit, with the checkpoint of that commit.
pub(crate) struct Store {
    db: Database,
    path: PathBuf,
    unsynced: bool,
}

impl Store {
    /// Opens or creates the store in `place`, or one in memory, with this many bytes of cache.
    pub(crate) fn open(place: Option<&Place>, cache_bytes: usize) -> Result<Self> {
        let mut builder = Database::builder();
        builder.set_cache_size(cache_bytes);
        let Some(place) = place else {
            let path = PathBuf::from("(memory)");
            let db = attempt(&path, || Ok(builder.create_with_backend(InMemoryBackend::new())?))?;
            return Ok(Self { db, path, unsynced: false });
        };
        let path = place.dir.join(NAME);
        let blocks = open_blocks(place, &path).map_err(|error| failed(error, &path))?;
        let db = attempt(&path, || Ok(builder.create_with_backend(blocks)?))?;
        Ok(Self { db, path, unsynced: false })
    }

    /// The checkpoint of the newest commit.
    pub(crate) fn checkpoint(&self) -> Result<Option<Checkpoint>> {
        let bytes = self.attempt(|| {
            let meta = match self.db.begin_read()?.open_table(META) {
                Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
                meta => meta?,
            };
            Ok(meta.get(CHECKPOINT)?.map(|bytes| bytes.value().to_vec()))
        })?;
        bytes.map(|bytes| Checkpoint::from_bytes(&bytes)).transpose()
    }

    /// Changes tables and the checkpoint: all of it or nothing.
    pub(crate) fn commit(
        &mut self,
        at: &Checkpoint,
        change: impl FnOnce(&WriteTransaction) -> Result<(), redb::Error>,
    ) -> Result<()> {
        self.attempt(|| {
            let mut transaction = self.db.begin_write()?;
            transaction.set_durability(Durability::None)?;
            change(&transaction)?;
            if planted(Bug::StateWithoutPosition) {
                transaction.set_durability(Durability::Immediate)?;
                transaction.commit()?;
                transaction = self.db.begin_write()?;
                transaction.set_durability(Durability::None)?;
            }
            transaction.open_table(META)?.insert(CHECKPOINT, at.to_bytes().as_slice())?;
            Ok(transaction.commit()?)
        })?;
        self.unsynced = true;
        Ok(())
    }

    /// What the newest commit left, for as long as the transaction lives.
    pub(crate) fn read(&self) -> Result<ReadTransaction> {
        self.db.begin_read().map_err(|error| self.failed(error))
    }

    /// Brings the newest commit to the disk. Opening is quick after a crash, too: the state of the allocator is stored.
    pub(crate) fn sync(&mut self) -> Result<()> {
        if !self.unsynced {
            return Ok(());
        }
        self.attempt(|| {
            let mut transaction = self.db.begin_write()?;
            transaction.set_quick_repair(true);
            Ok(transaction.commit()?)
        })?;
        self.unsynced = false;
        Ok(())
    }

    /// Says what went wrong with this store.
    pub(crate) fn failed(&self, error: impl Into<redb::Error>) -> Error {
        failed(error, &self.path)
    }

    /// Where it is, for messages.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn attempt<T>(&self, work: impl FnOnce() -> Result<T, redb::Error>) -> Result<T> {
        attempt(&self.path, work)
    }
}

/// Lets redb work. It panics on some files that were cut or put together from several: what is not as it left it.
fn attempt<T>(path: &Path, work: impl FnOnce() -> Result<T, redb::Error>) -> Result<T> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(done) => done.map_err(|error| failed(error, path)),
        Err(_) => Err(Error::corrupt(Damage::new(path, 0, 0, "the store broke off its work"))),
    }
}

fn open_blocks(place: &Place, path: &Path) -> Result<Blocks, redb::Error> {
    let storage = &place.storage;
    let open = || -> io::Result<Blocks> {
        if storage.kind(path)? == Some(PathKind::File) {
            let file = storage.open(path, OpenMode::Write)?;
            // redb writes the first bytes of its header once the rest is on the disk: a file without them was never used.
            if file.read(0, 512)?.iter().skip(8).take(9).all(|byte| *byte == 0) {
                file.set_len(0)?;
            }
            return Ok(Blocks::new(file, path.to_owned()));
        }
        let file = storage.open(path, OpenMode::CreateNew)?;
        storage.sync_dir(&place.dir)?;
        Ok(Blocks::new(file, path.to_owned()))
    };
    open().map_err(redb::Error::Io)
}
