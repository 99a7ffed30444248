//! [`FileLogBuilder`], how a log in other people's files is opened.

use std::path::PathBuf;

use flumedb::{Env, Result};

use super::{Access, FileLog, Records};

/// How a [`FileLog`] is opened: read-only, on this machine, its layout told from its bytes, unless said otherwise.
#[must_use]
pub struct FileLogBuilder<R: Records> {
    env: Env,
    pub(crate) options: R::Options,
    access: Access,
}

impl<R: Records> FileLogBuilder<R> {
    pub(super) fn new() -> Self {
        Self { env: Env::os(), options: R::Options::default(), access: Access::Read }
    }

    /// Reaches the files through `env`.
    pub fn env(mut self, env: Env) -> Self {
        self.env = env;
        self
    }

    /// Says what the bytes may not tell.
    pub fn options(mut self, options: R::Options) -> Self {
        self.options = options;
        self
    }

    /// Opens to append and delete: takes the lock, and cuts a torn tail after keeping its bytes in a `.torn` file.
    pub fn append(mut self) -> Self {
        self.access = Access::Append;
        self
    }

    /// As [`append`](Self::append), and makes a new log if there is none.
    pub fn create(mut self) -> Self {
        self.access = Access::Create;
        self
    }

    /// Opens the log.
    ///
    /// # Errors
    /// `NotFound`, `Io`; `Invalid` if the bytes are not what the options say. To append also `Locked`, `Corrupt` if
    /// whole records follow a damaged place, `Invalid` if the layout cannot be told for certain, and `Unsupported` if
    /// none fits.
    pub fn open(self, path: impl Into<PathBuf>) -> Result<FileLog<R>> {
        let opening = R::open(&self.env, path.into(), &self.options, self.access)?;
        FileLog::start(&self.env, opening)
    }
}

impl<R: Records> Clone for FileLogBuilder<R> {
    fn clone(&self) -> Self {
        Self { env: self.env.clone(), options: self.options.clone(), access: self.access }
    }
}
