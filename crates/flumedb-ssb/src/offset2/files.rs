//! [`Files`], the three files and the numbers in them. Says what is in them, never whether it is right.

use std::path::{Path, PathBuf};

use flumedb::{
    Env, Error, ErrorKind, Result,
    env::{OpenMode, PathKind},
};

use super::head::Head;
use crate::file::{Source, sync_dir, zero};

/// The names of the files, in the order in which they are made: `jrnl` vouches for the other two.
const NAMES: [&str; 3] = ["data", "ofst", "jrnl"];

/// The files of a directory.
pub(super) struct Files {
    /// The entries: a [`Head`] and a payload each.
    pub(super) data: Source,
    /// Where each entry starts in `data`, eight bytes each.
    pub(super) ofst: Source,
    /// The number of the last entry, in eight bytes; empty if there was none yet.
    pub(super) jrnl: Source,
}

/// What `jrnl` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Journal {
    /// There were so many entries.
    Count(u64),
    /// It was cut while it was written.
    Torn,
    /// No such file.
    Damaged,
}

impl Files {
    /// Opens the files in `dir`.
    ///
    /// # Errors
    /// `NotFound` if there is nothing, `Unsupported` if it is no such directory, `Io`.
    pub(super) fn open(env: &Env, dir: &Path, mode: OpenMode) -> Result<Self> {
        match kind(env, dir)? {
            None => {
                let message = format!("there is no directory {}", dir.display());
                return Err(Error::new(ErrorKind::NotFound, message));
            }
            Some(PathKind::File) => return Err(unsupported(dir, "it is a file; give the directory that holds it")),
            Some(PathKind::Dir) => {}
        }
        for name in NAMES {
            if kind(env, &dir.join(name))? != Some(PathKind::File) {
                return Err(unsupported(dir, &format!("there is no file {name} in it")));
            }
        }
        let [data, ofst, jrnl] = NAMES.map(|name| Source::open(env, dir.join(name), mode));
        Ok(Self { data: data?, ofst: ofst?, jrnl: jrnl? })
    }

    /// Makes the directory and the files that are not there. Files are filled once all of them are there, durably.
    ///
    /// # Errors
    /// `Unsupported` if some of the files are missing and others are not empty, `Io`.
    pub(super) fn create(env: &Env, dir: &Path) -> Result<()> {
        if kind(env, dir)? == Some(PathKind::File) {
            return Err(unsupported(dir, "it is a file"));
        }
        let (mut missing, mut held) = (Vec::new(), false);
        for name in NAMES {
            let path = dir.join(name);
            match kind(env, &path)? {
                None => missing.push(path),
                Some(_) => held |= Source::open(env, path, OpenMode::Read)?.len()? > 0,
            }
        }
        if held && !missing.is_empty() {
            return Err(unsupported(dir, "it has some of the files data, ofst and jrnl, but not all"));
        }
        env.storage.create_dir_all(dir).map_err(|error| Error::io("create", dir, error))?;
        for path in missing {
            Source::open(env, path, OpenMode::CreateNew)?;
        }
        sync_dir(env, &beside(dir))?;
        sync_dir(env, dir)
    }

    /// How many offsets there are.
    pub(super) fn words(&self) -> Result<u64> {
        Ok(self.ofst.len()? / Head::BYTES as u64)
    }

    /// How many bytes there are in all three.
    pub(super) fn bytes(&self) -> Result<u64> {
        Ok(self.data.len()?.saturating_add(self.ofst.len()?).saturating_add(self.jrnl.len()?))
    }

    /// What `jrnl` says.
    pub(super) fn journal(&self) -> Result<Journal> {
        let len = self.jrnl.len()?.min(2 * Head::BYTES as u64);
        let bytes = self.jrnl.up_to(0, usize::try_from(len).unwrap_or(0))?;
        Ok(match <[u8; 8]>::try_from(&bytes[..]).map(i64::from_be_bytes) {
            // margaret's own name for none.
            Ok(last @ -1..) => Journal::Count(last.saturating_add(1).unsigned_abs()),
            Ok(_) => Journal::Damaged,
            Err(_) if bytes.is_empty() => Journal::Count(0),
            Err(_) if bytes.len() < Head::BYTES => Journal::Torn,
            Err(_) => Journal::Damaged,
        })
    }

    /// Makes `jrnl` say, durably, that there are `count` entries.
    pub(super) fn set_journal(&self, count: u64) -> Result<()> {
        let Some(last) = count.checked_sub(1) else { return self.cut(&self.jrnl, 0) };
        if self.jrnl.len()? > Head::BYTES as u64 {
            self.cut(&self.jrnl, Head::BYTES as u64)?;
        }
        write_at(&self.jrnl, 0, &last.to_be_bytes())?;
        self.jrnl.sync()
    }

    /// Cuts a file to `len` bytes, durably.
    pub(super) fn cut(&self, source: &Source, len: u64) -> Result<()> {
        if source.len()? > len {
            source.file.set_len(len).map_err(|error| Error::io("cut", &source.path, error))?;
        }
        source.sync()
    }
}

/// Writes all of `bytes` at `offset`.
pub(super) fn write_at(source: &Source, offset: u64, bytes: &[u8]) -> Result<()> {
    source.file.write_all(offset, bytes).map_err(|error| Error::io("write to", &source.path, error))
}

/// Writes `bytes` zeros at `offset`.
pub(super) fn zero_at(source: &Source, offset: u64, bytes: u64) -> Result<()> {
    zero(&*source.file, offset, bytes).map_err(|error| Error::io("write to", &source.path, error))
}

/// Where the lock and what is kept lie beside: margaret opens the three files and looks at no other.
pub(super) fn beside(dir: &Path) -> PathBuf {
    dir.join("data")
}

fn kind(env: &Env, path: &Path) -> Result<Option<PathKind>> {
    env.storage.kind(path).map_err(|error| Error::io("look at", path, error))
}

fn unsupported(dir: &Path, why: &str) -> Error {
    Error::new(ErrorKind::Unsupported, format!("{} is no directory of margaret's offset2: {why}", dir.display()))
}
