//! [`StoredView`], what a directory of views holds: each view says in a small file beside its store how far it is, so that
//! other processes can tell. It is news and not truth: it may be a second old, or from before a crash.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{
    Definition,
    host::{lock, split_store},
};
use crate::{
    Env, Error, ErrorKind, Result, Seq,
    env::{self, OpenMode, PathKind, Storage},
    log::SegmentedLog,
};

/// What a view that keeps a store was doing when it said so last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum StoredState {
    /// Catching up with the log.
    Building,
    /// Following the log.
    Live,
    /// The system refused something; it is tried again.
    Retrying,
    /// Stopped until it is rebuilt.
    Faulted,
    /// Its database was closed.
    Closed,
}

/// What a view says of itself beside its store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Status {
    /// What it was doing.
    pub state: StoredState,
    /// The newest entry that it had taken in.
    pub since: Option<Seq>,
    /// How many entries it passed over because they do not decode.
    pub skipped: u64,
    /// What kind of view it is, and in which version.
    pub definition: Definition,
    /// When it said so, in microseconds since 1970.
    pub unix_us: i64,
}

impl Status {
    pub(super) fn new(
        state: StoredState,
        (since, skipped): (Option<Seq>, u64),
        definition: Definition,
        unix_us: i64,
    ) -> Self {
        Self { state, since, skipped, definition, unix_us }
    }

    /// Says it beside the store in `dir`.
    pub(super) fn write(&self, storage: &dyn Storage, dir: &Path) -> Result<()> {
        let path = path(dir);
        let text = serde_json::to_vec(self)
            .map_err(|error| Error::with_source(ErrorKind::Invalid, error.to_string(), error))?;
        let fresh = path.with_extension("status.new");
        let written = (|| {
            env::remove_if_there(storage, &fresh)?;
            storage.open(&fresh, OpenMode::CreateNew)?.write_all(0, &text)?;
            // Not synced: whoever reads it after a crash takes it for what it is.
            storage.rename(&fresh, &path)
        })();
        written.map_err(|error| Error::io("write", &path, error))
    }

    /// What is said beside the store in `dir`, if it can be understood.
    fn read(storage: &dyn Storage, dir: &Path) -> Option<Self> {
        let file = storage.open(&path(dir), OpenMode::Read).ok()?;
        let len = usize::try_from(file.len().ok()?).ok().filter(|len| *len <= 64 << 10)?;
        serde_json::from_slice(&file.read(0, len).ok()?).ok()
    }
}

fn path(dir: &Path) -> PathBuf {
    dir.with_extension("status")
}

/// A store that a view keeps in a directory of views.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StoredView {
    /// The view's name.
    pub name: String,
    /// Where its store is.
    pub dir: PathBuf,
    /// What it said of itself last; `None` if it has not, or it cannot be understood.
    pub status: Option<Status>,
}

impl StoredView {
    /// The views that have a store in the directory `dir` (`views` in that of a database), by name. Opens none of them, so
    /// that it works whoever has them open.
    ///
    /// ```
    /// use flumedb::{Env, Flume, codec::Utf8, view::{StoredState, StoredView}, views::Index};
    /// let env = Env::memory();
    /// let db = Flume::builder(Utf8).env(env.clone()).open("db").blocking()?;
    /// let texts = db.view("texts", Index::new(1, |text: &String| Some(text.clone()))).blocking()?;
    /// let seq = db.append("hello").blocking()?;
    /// texts.read().blocking()?;
    /// db.close().blocking()?;
    /// let stored = StoredView::list(&env, "db/views".as_ref())?;
    /// assert_eq!(stored[0].name, "texts");
    /// let status = stored[0].status.as_ref().unwrap();
    /// assert_eq!((status.state, status.since), (StoredState::Closed, Some(seq)));
    /// # Ok::<(), flumedb::Error>(())
    /// ```
    ///
    /// # Errors
    /// `Io`.
    pub fn list(env: &Env, dir: &Path) -> Result<Vec<Self>> {
        let storage = &*env.storage;
        let io = |error| Error::io("list", dir, error);
        // A directory that a program has named may be reached by a link, that of a database may not.
        if dir.file_name().is_some_and(|name| name == "views")
            && let Some(database) = dir.parent()
            && SegmentedLog::is_at(env, database)?
        {
            env::refuse_link(storage, dir).map_err(io)?;
        }
        if storage.kind(dir).map_err(io)? != Some(PathKind::Dir) {
            return Ok(Vec::new());
        }
        let mut found = Vec::new();
        for entry in storage.list(dir).map_err(io)? {
            let Some(name) = split_store(&entry) else { continue };
            let dir = dir.join(&entry);
            let status = Status::read(storage, &dir);
            found.push(Self { name: name.to_owned(), dir, status });
        }
        Ok(found)
    }

    /// Removes the stores of the view `name` from the directory `dir`, of whatever definition, and says how many there were.
    /// Whoever asks for the view next builds it anew.
    ///
    /// # Errors
    /// `NotFound` if it has none, `Locked` if a database has its views there open, `Io`.
    pub fn discard(env: &Env, dir: &Path, name: &str) -> Result<usize> {
        let stores: Vec<Self> = Self::list(env, dir)?.into_iter().filter(|stored| stored.name == name).collect();
        if stores.is_empty() {
            return Err(Error::new(ErrorKind::NotFound, format!("no view \"{name}\" is kept in {}", dir.display())));
        }
        let _lock = lock(env, dir)?;
        for stored in &stores {
            remove(&*env.storage, &stored.dir).map_err(|error| Error::io("remove", &stored.dir, error))?;
        }
        Ok(stores.len())
    }
}

/// Removes a store and what is said beside it.
pub(super) fn remove(storage: &dyn Storage, dir: &Path) -> std::io::Result<()> {
    storage.remove_dir_all(dir)?;
    env::remove_if_there(storage, &path(dir))
}
