//! How an [`Offset2`] is opened: for reading as it is, for appending under the lock, with what a stopped writer left cut
//! and kept.

use std::{
    path::{Path, PathBuf},
    sync::{
        RwLock,
        atomic::{AtomicBool, AtomicU64},
    },
};

use flumedb::{
    Env, Error, ErrorKind, Result, Seq,
    check::TornTail,
    env::{Lock, OpenMode},
    log::Recovery,
};

use super::{
    Offset2,
    chain::{Chain, number},
    files::{self, Files, Journal},
    head::Head,
    survey::Survey,
};
use crate::file::{Access, Opening, keep, lock};

pub(super) fn open(env: &Env, dir: PathBuf, access: Access) -> Result<Opening<Offset2>> {
    if access == Access::Read {
        let files = Files::open(env, &dir, OpenMode::Read)?;
        let chain = Chain::walk(&files)?;
        return Ok(Opening { records: offset2(files, chain)?, recovery: None, lock: None });
    }
    if access == Access::Create {
        Files::create(env, &dir)?;
    }
    let Some((files, lock)) = take(env, &dir)? else {
        let message = format!("{} is no log of margaret's offset2; nothing was changed", dir.display());
        return Err(Error::new(ErrorKind::Unsupported, message));
    };
    let chain = Chain::walk(&files)?;
    let survey = Survey::of(&files, &chain)?;
    if let Some(damage) = survey.damage().next() {
        return Err(Error::corrupt(damage.clone()));
    }
    let recovery = match survey.torn_tail {
        Some(tail) => {
            let kept = settle(env, &files, &chain)?;
            // Where the count alone was behind, nothing was dropped.
            kept.into_iter().next().map(|kept| {
                let kept_to = chain.count().checked_sub(1).map(Seq::new);
                let TornTail { file, offset, bytes } = tail;
                let mut recovery = Recovery::new(kept_to, file, offset, bytes);
                recovery.kept_in = Some(kept);
                recovery
            })
        }
        None => None,
    };
    Ok(Opening { records: offset2(files, chain)?, recovery, lock: Some(lock) })
}

/// Takes the lock of the log in `dir`, unless it is no such log: then there will be no lock in it.
pub(super) fn take(env: &Env, dir: &Path) -> Result<Option<(Files, Box<dyn Lock>)>> {
    let files = Files::open(env, dir, OpenMode::Read)?;
    if !is_known(&files, &Chain::walk(&files)?)? {
        return Ok(None);
    }
    let lock = lock(env, &files::beside(dir))?;
    Ok(Some((Files::open(env, dir, OpenMode::Write)?, lock)))
}

/// Whether the bytes are those of such a log: there are entries, or what may be the first, or none was ever completed.
pub(super) fn is_known(files: &Files, chain: &Chain) -> Result<bool> {
    if chain.count() > 0 || matches!(files.journal()?, Journal::Count(0 | 1) | Journal::Torn) {
        return Ok(true);
    }
    let (place, length) = (files.ofst.up_to(0, Head::BYTES)?, files.data.up_to(0, Head::BYTES)?);
    Ok(number(&place) == Some(0) && (length.len() < Head::BYTES || Head::parse(&length).is_some()))
}

fn offset2(files: Files, chain: Chain) -> Result<Offset2> {
    let known = is_known(&files, &chain)?;
    let written = AtomicU64::new(chain.count());
    let (chain, deleted, unsynced) = (RwLock::new(chain), AtomicU64::new(0), AtomicBool::new(false));
    Ok(Offset2 { files, chain, known, deleted, written, unsynced })
}

/// Cuts what lies behind the last entry, keeping its bytes, and makes `jrnl` count the entries. Answers where.
pub(super) fn settle(env: &Env, files: &Files, chain: &Chain) -> Result<Vec<PathBuf>> {
    let mut kept = Vec::new();
    let ends = [(&files.data, chain.end()), (&files.ofst, chain.count() * Head::BYTES as u64)];
    for (source, end) in ends {
        let behind = source.len()?.saturating_sub(end);
        if behind > 0 {
            kept.push(keep(env, source, end, behind, "torn")?);
        }
    }
    // First the places, so that at no time there is one without an entry.
    for (source, end) in ends.into_iter().rev() {
        files.cut(source, end)?;
    }
    if files.journal()? != Journal::Count(chain.count()) {
        files.set_journal(chain.count())?;
    }
    Ok(kept)
}
