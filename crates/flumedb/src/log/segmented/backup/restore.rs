//! Making a database of a backup.

use std::{
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
};

use super::{
    OnProgress, Restored, Sharing, is_there, manifest::Manifest, place::refuse_inside, remove_if_there, take::Taker,
    verify::verify,
};
use crate::{
    Env, Error, ErrorKind, Result,
    env::{self, OpenMode, PathKind, Storage},
    log::segmented::directory::{self, HeadFile},
};

/// Is there until all of it is: what the manifest of the backup says.
const UNFINISHED: &str = "restoring";

fn mark(dir: &Path) -> PathBuf {
    dir.join(UNFINISHED)
}

pub(super) fn is_unfinished(storage: &dyn Storage, dir: &Path) -> Result<bool> {
    is_there(storage, &mark(dir))
}

/// Looks at every byte of the backup in `from`, and makes a database of it in `to`, or goes on where that was interrupted.
pub(crate) fn restore(env: &Env, from: &Path, to: &Path, mut on_progress: OnProgress) -> Result<Restored> {
    let storage = &*env.storage;
    refuse_inside(storage, to)?;
    let verified = verify(env, from)?;
    if let Some(damage) = verified.report.damage.first() {
        return Err(Error::corrupt(damage.clone()).context("the backup is not whole, and nothing was restored"));
    }
    let Some((manifest, raw)) = Manifest::read(storage, from)? else {
        return Err(Error::new(ErrorKind::NotFound, format!("{} is no backup", from.display())));
    };
    prepare(storage, to, &raw)?;
    // Nobody may take it for a database before it is one.
    let _lock = directory::lock(storage, to)?;
    env::replace(storage, &mark(to), &raw).map_err(|error| Error::io("write", &mark(to), error))?;

    let page = manifest.page().encode();
    let head = HeadFile::path(to);
    env::replace(storage, &head, &page).map_err(|error| Error::io("write", &head, error))?;
    if let Some(first) = &manifest.first {
        directory::write_first(storage, to, first)?;
    }
    let stop = AtomicBool::new(false);
    let mut taker = Taker { storage, from, to, sharing: Sharing::Share, link: false, stop: &stop, copied: &mut |_| () };
    for (number, listed) in manifest.files.iter().enumerate() {
        taker.restored(listed)?;
        on_progress(number as u64 + 1, manifest.files.len() as u64);
    }
    storage.sync_dir(to).map_err(|error| Error::io("sync", to, error))?;
    remove_if_there(storage, &mark(to))?;
    storage.sync_dir(to).map_err(|error| Error::io("sync", to, error))?;
    let (files, bytes) = (manifest.files.len() as u64, manifest.bytes());
    Ok(Restored { head: manifest.head(), proof: manifest.proof(), files, bytes })
}

/// Makes the directory, unless it holds anything but what the same restore has left.
fn prepare(storage: &dyn Storage, to: &Path, raw: &[u8]) -> Result<()> {
    let refuse = |what: &str| {
        Err(Error::new(ErrorKind::Invalid, format!("{} {what}; give the path of a new directory", to.display())))
    };
    match storage.kind(to).map_err(|error| Error::io("look at", to, error))? {
        Some(PathKind::File) => return refuse("is a file"),
        Some(PathKind::Dir) => {}
        None => {
            storage.create_dir_all(to).map_err(|error| Error::io("create", to, error))?;
            directory::sync_above(storage, to)?;
            directory::sync(storage, to)?;
        }
    }
    let path = mark(to);
    if is_there(storage, &path)? {
        let marked = storage.open(&path, OpenMode::Read).and_then(|file| file.read(0, file.len()? as usize));
        let marked = marked.map_err(|error| Error::io("read", &path, error))?;
        return if marked == raw { Ok(()) } else { refuse("has what a restore of another backup has left") };
    }
    let names = storage.list(to).map_err(|error| Error::io("list", to, error))?;
    let fresh = format!("{UNFINISHED}.new");
    match names.iter().all(|name| *name == directory::LOCK_FILE || *name == fresh) {
        true => Ok(()),
        false => refuse("is not empty"),
    }
}
