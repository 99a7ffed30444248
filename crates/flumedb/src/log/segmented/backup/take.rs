//! How one sealed segment gets into a backup.

use std::{
    io,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

use bytes::Bytes;

use super::{Sharing, crc64, manifest::Listed, remove_if_there};
use crate::{
    Damage, Error, Result,
    env::{
        File, OpenMode, Storage,
        planted::{Bug, planted},
    },
    log::segmented::{
        format::{SegmentName, TRAILER_LEN},
        sound::Sounding,
    },
};

/// Copies go in pieces of so many bytes.
const PIECE: usize = 1 << 20;

/// How a file came to be where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// An earlier run, which was interrupted, had got so far.
    Found,
    Cloned,
    Linked,
    Copied,
}

/// Takes files from one directory to another.
pub(super) struct Taker<'a> {
    pub(super) storage: &'a dyn Storage,
    pub(super) from: &'a Path,
    pub(super) to: &'a Path,
    pub(super) sharing: Sharing,
    /// Whether second names of files will do.
    pub(super) link: bool,
    pub(super) stop: &'a AtomicBool,
    /// Is told how many bytes more have been copied.
    pub(super) copied: &'a mut dyn FnMut(u64),
}

impl Taker<'_> {
    /// Takes a sealed segment, reads all of it, and says what there is to say of it in the manifest.
    ///
    /// # Errors
    /// `NotFound` if it is not there (any more), `Corrupt` if the log's own file is damaged: then it is not taken.
    pub(super) fn sealed(&mut self, name: SegmentName) -> Result<(Listed, Way)> {
        let (source, target) = (self.from.join(name.file_name()), self.to.join(name.file_name()));
        if let Some(listed) = self.found(name, &source, &target) {
            return Ok((listed, Way::Found));
        }
        let fresh = self.to.join(fresh_name(name));
        remove_if_there(self.storage, &fresh)?;
        let way = self.share(&source, &fresh)?;
        let taken = self.judge(name, &source, &fresh).and_then(|listed| {
            self.settle(&fresh, &target, way)?;
            Ok((listed, way))
        });
        if taken.is_err() {
            remove_if_there(self.storage, &fresh)?;
        }
        taken
    }

    /// Makes a file of what the manifest says that a file of a backup has.
    pub(super) fn restored(&mut self, listed: &Listed) -> Result<()> {
        let name = listed.name;
        let (source, target) = (self.from.join(name.file_name()), self.to.join(name.file_name()));
        let storage = self.storage;
        let is_listed = |path: &Path| {
            let file = storage.open(path, OpenMode::Read)?;
            Ok::<_, io::Error>(file.len()? == listed.bytes && is_as_listed(&*file, listed)?)
        };
        if is_listed(&target).unwrap_or(false) {
            return Ok(());
        }
        let fresh = self.to.join(fresh_name(name));
        remove_if_there(self.storage, &fresh)?;
        let way = self.share(&source, &fresh)?;
        // Behind it may be what a later run began with.
        let cut = self
            .storage
            .open(&fresh, OpenMode::Write)
            .and_then(|file| if file.len()? > listed.bytes { file.set_len(listed.bytes) } else { Ok(()) });
        cut.map_err(|error| Error::io("cut", &fresh, error))?;
        if !is_listed(&fresh).map_err(|error| Error::io("read", &fresh, error))? {
            let reason = "it is not what it was a moment ago";
            return Err(Error::corrupt(Damage::new(&source, 0, listed.bytes, reason)));
        }
        self.settle(&fresh, &target, way)
    }

    /// What an earlier run has brought here, if it is whole and the same as the log has it.
    fn found(&self, name: SegmentName, source: &Path, target: &Path) -> Option<Listed> {
        let end = |path: &Path| {
            let file = self.storage.open(path, OpenMode::Read).ok()?;
            let len = file.len().ok()?;
            // The trailer has the end of the chain, which depends on all before it.
            Some((len, file.read(len.saturating_sub(TRAILER_LEN as u64), TRAILER_LEN).ok()?))
        };
        if end(target)? != end(source)? {
            return None;
        }
        self.judge(name, target, target).ok()
    }

    /// Reads a whole segment. What is wrong with it is said to be in the file that it is from.
    fn judge(&self, name: SegmentName, source: &Path, path: &Path) -> Result<Listed> {
        let file = self.storage.open(path, OpenMode::Read).map_err(|error| Error::io("open", path, error))?;
        let mut sounding = Sounding::of(&*file, source, name)?;
        while !sounding.step(source, PIECE as u64)? {
            self.go_on()?;
        }
        let bytes = sounding.end().bytes;
        Ok(Listed { name, bytes: bytes.len() as u64, crc: crc64(&bytes) })
    }

    /// Makes `fresh` what `source` is, in the cheapest way that is allowed and that the machine has.
    fn share(&mut self, source: &Path, fresh: &Path) -> Result<Way> {
        if self.sharing == Sharing::Share {
            match self.storage.reflink(source, fresh) {
                Err(error) if cannot(&error) => {}
                done => return done.map(|()| Way::Cloned).map_err(|error| Error::io("clone", source, error)),
            }
            if self.link {
                match self.storage.link(source, fresh) {
                    Err(error) if cannot(&error) => {}
                    done => return done.map(|()| Way::Linked).map_err(|error| Error::io("link", source, error)),
                }
            }
        }
        let file = self.storage.open(source, OpenMode::Read).map_err(|error| Error::io("open", source, error))?;
        let len = file.len().map_err(|error| Error::io("read", source, error))?;
        self.write(fresh, len, |at, len| file.read(at, len).map_err(|error| Error::io("read", source, error)))?;
        Ok(Way::Copied)
    }

    /// Makes a file of its own of these bytes.
    pub(super) fn copy(&mut self, bytes: &Bytes, name: SegmentName) -> Result<Listed> {
        let (fresh, target) = (self.to.join(fresh_name(name)), self.to.join(name.file_name()));
        remove_if_there(self.storage, &fresh)?;
        let piece = |at: u64, len: usize| {
            let from = (at as usize).min(bytes.len());
            Ok(bytes.slice(from..from.saturating_add(len).min(bytes.len())))
        };
        self.write(&fresh, bytes.len() as u64, piece)?;
        self.settle(&fresh, &target, Way::Copied)?;
        Ok(Listed { name, bytes: bytes.len() as u64, crc: crc64(bytes) })
    }

    fn write(&mut self, path: &Path, len: u64, piece: impl Fn(u64, usize) -> Result<Bytes>) -> Result<()> {
        let io = |error| Error::io("write", path, error);
        let file = self.storage.open(path, OpenMode::CreateNew).map_err(io)?;
        let mut at = 0;
        while at < len {
            self.go_on()?;
            let bytes = piece(at, PIECE.min((len - at) as usize))?;
            if bytes.is_empty() {
                // It is shorter than it was; whoever reads it says where.
                break;
            }
            file.write_all(at, &bytes).map_err(io)?;
            at += bytes.len() as u64;
            (self.copied)(bytes.len() as u64);
        }
        Ok(())
    }

    /// Brings what is in a fresh file to the disk and gives it its name.
    fn settle(&self, fresh: &Path, target: &Path, way: Way) -> Result<()> {
        // What is linked is on the disk: it is the log's.
        if way != Way::Linked && !planted(Bug::BackupNotSynced) {
            let synced = self.storage.open(fresh, OpenMode::Write).and_then(|file| file.sync());
            synced.map_err(|error| Error::io("sync", fresh, error))?;
        }
        self.storage.rename(fresh, target).map_err(|error| Error::io("rename", fresh, error))
    }

    fn go_on(&self) -> Result<()> {
        if self.stop.load(Ordering::Acquire) { Err(Error::closed()) } else { Ok(()) }
    }
}

/// The first `len` bytes of a file are what a manifest says of them.
pub(super) fn is_as_listed(file: &dyn File, listed: &Listed) -> io::Result<bool> {
    let bytes = file.read(0, usize::try_from(listed.bytes).unwrap_or(usize::MAX))?;
    Ok(bytes.len() as u64 == listed.bytes && crc64(&bytes) == listed.crc)
}

/// What a segment is called until it is whole.
pub(super) fn fresh_name(name: SegmentName) -> String {
    format!("{}.new", name.file_name())
}

/// Whether the machine has no such way, or not between these two places.
fn cannot(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::Unsupported
            | io::ErrorKind::CrossesDevices
            | io::ErrorKind::PermissionDenied
            | io::ErrorKind::TooManyLinks
    )
}
