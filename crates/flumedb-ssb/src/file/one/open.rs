//! How a [`One`] is opened: for reading as it is, for appending under the lock, with a torn tail cut and kept.

use std::{
    path::PathBuf,
    sync::{
        Mutex, RwLock,
        atomic::{AtomicBool, AtomicU64},
    },
};

use flumedb::{
    Damage, Env, Error, ErrorKind, Result, Seq,
    env::{OpenMode, PathKind},
    log::Recovery,
};

use super::{Detected, Layout, One, check, settle::detect, survey, write::close};
use crate::file::{
    keep,
    records::{Access, Opening},
    source::Source,
};

pub(super) fn open<L: Layout>(
    env: &Env,
    path: PathBuf,
    options: &L::Options,
    access: Access,
) -> Result<Opening<One<L>>> {
    if access == Access::Read {
        let source = Source::open(env, path, OpenMode::Read)?;
        return found(env, source, options, |source| detect(env, source, options));
    }
    let found = env.storage.kind(&path).map_err(|error| Error::io("look for", &path, error))?;
    if found.is_none() && access != Access::Create {
        return Err(Error::new(ErrorKind::NotFound, format!("there is no file {}", path.display())));
    }
    if found == Some(PathKind::Dir) {
        return Err(Error::new(ErrorKind::Invalid, format!("{} is a directory, not a log file", path.display())));
    }
    if found.is_some() {
        // What is no log gets no lock beside it.
        let source = Source::open(env, path.clone(), OpenMode::Read)?;
        if L::unfinished(env, &source)?.is_none() && !L::detect(&source, source.len()?, options)?.known {
            let message = format!("{} is no such log; nothing was changed", path.display());
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
    }
    let lock = keep::lock(env, &path)?;
    let source = match found {
        Some(_) => Source::open(env, path, OpenMode::Write)?,
        None => {
            let source = Source::open(env, path, OpenMode::CreateNew)?;
            keep::sync_dir(env, &source.path)?;
            source
        }
    };
    L::finish(env, &source, false)?;
    let detected = detect(env, &source, options)?;
    let recovery = recover(env, &source, &detected)?;
    Ok(Opening { records: one(env, source, detected, options)?, recovery, lock: Some(lock) })
}

/// What a file holds of which `detected` tells the layout, to be read. `options`: what it was told with.
pub(super) fn found<L: Layout>(
    env: &Env,
    source: Source,
    options: &L::Options,
    detected: impl FnOnce(&Source) -> Result<Detected<L>>,
) -> Result<Opening<One<L>>> {
    if let Some(damage) = L::unfinished(env, &source)? {
        return Err(Error::new(ErrorKind::Corrupt, unfinished(&damage)));
    }
    let detected = detected(&source)?;
    Ok(Opening { records: one(env, source, detected, options)?, recovery: None, lock: None })
}

fn one<L: Layout>(env: &Env, source: Source, detected: Detected<L>, options: &L::Options) -> Result<One<L>> {
    let Detected { layout, chain, known, certain, .. } = detected;
    Ok(One {
        env: env.clone(),
        lineage: L::lineage(env, &source)?,
        moved: AtomicBool::new(false),
        refreshing: Mutex::new(()),
        source,
        options: options.clone(),
        guessed: AtomicBool::new(certain.is_err() || chain.count() == 0),
        layout: RwLock::new(layout),
        chain: RwLock::new(chain),
        deleted: AtomicU64::new(0),
        deleted_bytes: AtomicU64::new(0),
        known: AtomicBool::new(known),
    })
}

/// Cuts what a stopped writer left behind the last record, keeping its bytes.
fn recover<L: Layout>(env: &Env, source: &Source, detected: &Detected<L>) -> Result<Option<Recovery>> {
    let Detected { layout, chain, .. } = detected;
    detected.certain.clone()?;
    if chain.doubts() {
        let message = format!("another program writes to {}; stop it first", source.path.display());
        return Err(Error::new(ErrorKind::Locked, message));
    }
    let len = source.len()?;
    let survey = survey::survey(source, layout, chain, len)?;
    if let Some(damage) = survey.damage.into_iter().next() {
        return Err(Error::corrupt(damage));
    }
    let recovery = match survey.torn_tail {
        Some(tail) => {
            let kept = check::cut(env, source, layout, &tail)?;
            let mut recovery = Recovery::new(chain.last().map(Seq::new), tail.file, tail.offset, tail.bytes);
            recovery.kept_in = kept;
            Some(recovery)
        }
        None if len != layout.closed_len(chain.end()) => {
            close_behind(source, layout, chain.end())?;
            None
        }
        None => None,
    };
    layout.tidy(chain, source)?;
    Ok(recovery)
}

/// What to say of a log in the middle of a change.
fn unfinished(damage: &Damage) -> String {
    let path = damage.file.display();
    format!("{path}: {}; `flume repair {path}` finishes it", damage.reason)
}

/// Makes what lies behind the records as it should be.
pub(super) fn close_behind<L: Layout>(source: &Source, layout: &L, end: u64) -> Result<()> {
    close(&*source.file, end, layout.closed_len(end)).map_err(|error| Error::io("cut", &source.path, error))?;
    source.sync()
}
