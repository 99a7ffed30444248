//! [`Builder`], a database that is about to be opened, and [`Settings`], what can be set about it.

use std::sync::Arc;

use super::Flume;
use crate::{
    Call, Env, Result,
    codec::Codec,
    log::{Log, MemoryLog},
};

/// What can be set about a database: plain values, apart from components such as [`Env`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settings {
    /// How many entries the condition of one append ([`Append::if_none`](super::Append::if_none)) may test, while other
    /// appends wait.
    pub condition_limit: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { condition_limit: 100_000 }
    }
}

/// A database that is about to be opened.
///
/// ```
/// use flumedb::{Flume, codec::Utf8};
/// let db = Flume::builder(Utf8).set(|settings| settings.condition_limit = 1000).memory()?;
/// # Ok::<(), flumedb::Error>(())
/// ```
#[must_use = "nothing is opened until it is told where"]
pub struct Builder<C> {
    codec: C,
    env: Env,
    settings: Settings,
}

impl<C: Codec> Builder<C> {
    pub(super) fn new(codec: C) -> Self {
        Self { codec, env: Env::os(), settings: Settings::default() }
    }

    /// Another machine than the real one: its storage, clock, randomness and threads.
    pub fn env(mut self, env: Env) -> Self {
        self.env = env;
        self
    }

    /// Changes settings.
    pub fn set(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.settings);
        self
    }

    /// A database in memory. See [`Flume::memory`].
    ///
    /// # Errors
    /// `Io` if the machine gives no randomness or no thread.
    pub fn memory(self) -> Result<Flume<C>> {
        let log = MemoryLog::new(&self.env)?;
        Ok(Flume::start(Arc::new(log), self.codec, self.settings))
    }

    /// A database over any log. See [`Flume::with_log`].
    ///
    /// # Errors
    /// `Io` if the machine gives no thread.
    pub fn with_log(self, log: Arc<dyn Log>) -> Call<'static, Result<Flume<C>>> {
        Call::new(async move { Ok(Flume::start(log, self.codec, self.settings)) })
    }
}
