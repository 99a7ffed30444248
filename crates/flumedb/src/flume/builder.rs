//! [`Builder`], a database that is about to be opened, and [`Settings`], what can be set about it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::Flume;
use crate::{
    Call, Env, Error, Keys, Result,
    codec::Codec,
    env,
    keys::{SealedStorage, claim},
    log::{Compression, Log, LogSettings, MemoryLog, SegmentedLog},
    view::HostSettings,
};

/// What can be set about a database: plain values, apart from components such as [`Env`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// The log: when an append is durable, how long a segment is, how large an entry may be.
    pub log: LogSettings,
    /// How views are run, and where they keep their stores.
    pub views: HostSettings,
    /// Views build, but reads of them wait until [`Flume::open_gate`](super::Flume::open_gate).
    pub gated: bool,
    /// How many entries the condition of one append ([`Append::if_none`](super::Append::if_none)) may test, while other
    /// appends wait.
    pub condition_limit: u64,
    /// So many [scans](super::Flume::scan) may be under way at the same time, each with at most one chunk of the log in
    /// memory.
    pub readers: usize,
    /// So many [subscriptions](super::Flume::subscribe) may be open, each with at most 256 KiB of the log in memory, or one
    /// entry that is larger.
    pub subscribers: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            log: LogSettings::default(),
            views: HostSettings::default(),
            gated: false,
            condition_limit: 100_000,
            readers: 10_000,
            subscribers: 10_000,
        }
    }
}

/// A database that is about to be opened.
///
/// ```
/// use flumedb::{Env, Flume, codec::Utf8, log::Durability};
/// let db = Flume::builder(Utf8)
///     .env(Env::memory())
///     .set(|settings| settings.log.durability = Durability::System)
///     .open("data")
///     .blocking()?;
/// assert_eq!(db.append("hello").blocking()?.get(), 0);
/// # Ok::<(), flumedb::Error>(())
/// ```
#[must_use = "nothing is opened until it is told where"]
pub struct Builder<C> {
    codec: C,
    env: Env,
    settings: Settings,
    views_in_memory: bool,
}

impl<C: Codec> Builder<C> {
    pub(super) fn new(codec: C) -> Self {
        Self { codec, env: Env::os(), settings: Settings::default(), views_in_memory: false }
    }

    /// Another machine than the real one: its storage, clock, randomness and threads. Where those threads run only when a
    /// future is polled, as in a simulation, `.blocking()` waits for ever; await instead.
    pub fn env(mut self, env: Env) -> Self {
        self.env = env;
        self
    }

    /// Changes settings.
    pub fn set(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.settings);
        self
    }

    /// Whether new entries are compressed on the disk.
    ///
    /// ```
    /// use flumedb::{Env, Flume, codec::Utf8, log::Compression};
    /// let db = Flume::builder(Utf8).env(Env::memory()).compression(Compression::Lz4).open("data").blocking()?;
    /// # Ok::<(), flumedb::Error>(())
    /// ```
    pub fn compression(self, compression: Compression) -> Self {
        self.set(|settings| settings.log.compression = compression)
    }

    /// Encrypts new entries, notes and the stores of views, and reads what is encrypted. `docs/encryption.md` says what
    /// that hides, and what it does not. Views that were stored without keys are built anew.
    ///
    /// ```
    /// use flumedb::{Env, ErrorKind, Flume, Keys, codec::Utf8};
    /// let env = Env::memory();
    /// let db = Flume::builder(Utf8).env(env.clone()).keys(Keys::new(1, [7; 32])?).open("data").blocking()?;
    /// db.append("a secret").blocking()?;
    /// drop(db);
    /// let without = Flume::builder(Utf8).env(env).open("data").blocking();
    /// assert_eq!(without.unwrap_err().kind(), ErrorKind::Key);
    /// # Ok::<(), flumedb::Error>(())
    /// ```
    pub fn keys(self, keys: Keys) -> Self {
        self.set(|settings| settings.log.keys = Some(keys))
    }

    /// Keeps the views' stores in this directory. Without it they are in the directory `views` of a database that is
    /// opened to write, and in memory otherwise. No two handles share one: the second one's
    /// views are refused with `Locked`.
    pub fn views_in(self, dir: impl Into<PathBuf>) -> Self {
        self.set(|settings| settings.views.dir = Some(dir.into()))
    }

    /// Keeps views in memory only, to be built at every opening.
    pub fn views_in_memory(mut self) -> Self {
        self.views_in_memory = true;
        self
    }

    /// Lets views build while reads of them wait, until [`Flume::open_gate`]: for a program that adds its views one after
    /// another and answers nobody before all are there.
    ///
    /// ```
    /// use flumedb::{Flume, codec::Utf8};
    /// let db = Flume::builder(Utf8).gated().memory()?;
    /// // … add views …
    /// db.open_gate();
    /// # Ok::<(), flumedb::Error>(())
    /// ```
    pub fn gated(self) -> Self {
        self.set(|settings| settings.gated = true)
    }

    /// The database in the directory `path`, made if there is none. See [`Flume::open`].
    ///
    /// # Errors
    /// As [`Flume::open`].
    pub fn open(mut self, path: impl AsRef<Path>) -> Call<'static, Result<Flume<C>>> {
        let path = path.as_ref().to_owned();
        Call::new(async move {
            if self.settings.views.dir.is_none() && !self.views_in_memory {
                let views = path.join("views");
                // Whoever wants them elsewhere says so with `views_in`.
                env::refuse_link(&*self.env.storage, &views).map_err(|error| Error::io("use", &views, error))?;
                self.settings.views.dir = Some(views);
            }
            let log = SegmentedLog::open(&self.env, &path, self.settings.log.clone())?;
            self.start(Arc::new(log))
        })
    }

    /// The database in the directory `path`, to read and follow only. See [`Flume::read_only`].
    ///
    /// # Errors
    /// As [`Flume::read_only`].
    pub fn read_only(self, path: impl AsRef<Path>) -> Call<'static, Result<Flume<C>>> {
        let path = path.as_ref().to_owned();
        Call::new(async move {
            let log = match &self.settings.log.keys {
                Some(keys) => SegmentedLog::with_keys(keys).read_only(&self.env, &path)?,
                None => SegmentedLog::read_only(&self.env, &path)?,
            };
            self.start(Arc::new(log))
        })
    }

    /// A database in memory. See [`Flume::memory`].
    ///
    /// # Errors
    /// `Io` if the machine gives no randomness.
    pub fn memory(self) -> Result<Flume<C>> {
        let log = MemoryLog::with_settings(&self.env, self.settings.log.clone())?;
        self.start(Arc::new(log))
    }

    /// A database over any log. See [`Flume::with_log`].
    ///
    /// # Errors
    /// As [`Flume::with_log`].
    pub fn with_log(self, log: Arc<dyn Log>) -> Call<'static, Result<Flume<C>>> {
        Call::new(async move { self.start(log) })
    }

    fn start(mut self, log: Arc<dyn Log>) -> Result<Flume<C>> {
        if self.views_in_memory {
            self.settings.views.dir = None;
        }
        let keys = self.settings.log.keys.clone();
        if let Some(dir) = &self.settings.views.dir {
            claim(&*self.env.storage, dir, keys.as_ref())?;
        }
        if let Some(keys) = keys {
            self.env.storage = Arc::new(SealedStorage::new(&self.env, keys));
        }
        Ok(Flume::start(self.env, log, self.codec, self.settings))
    }
}
