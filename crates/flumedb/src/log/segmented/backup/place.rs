//! Where no backup is made and nothing restored: inside of a database or a backup. What owns that directory may remove what is
//! in it, a copy of it would hold a copy of itself, and one mistake would take both.

use std::path::{Component, Path, PathBuf};

use super::{manifest, restore};
use crate::{
    Error, ErrorKind, Result,
    env::Storage,
    log::segmented::{directory::HeadFile, format::SegmentName},
};

/// Says no to a place that is inside of a database or a backup.
pub(super) fn refuse_inside(storage: &dyn Storage, to: &Path) -> Result<()> {
    let above = resolve(storage, to)?;
    let mut above = above.ancestors().skip(1).filter(|dir| !dir.as_os_str().is_empty());
    match above.find(|dir| is_ours(storage, dir)) {
        None => Ok(()),
        Some(outer) => {
            let (to, outer) = (to.display(), outer.display());
            let message =
                format!("{to} is inside of {outer}, which is a database or a backup; give a directory elsewhere");
            Err(Error::new(ErrorKind::Invalid, message))
        }
    }
}

/// Whether there is a database, a backup, or what will be one. Who may not look has none there.
fn is_ours(storage: &dyn Storage, dir: &Path) -> bool {
    let has_segments =
        || storage.list(dir).is_ok_and(|names| names.iter().any(|name| SegmentName::parse(name).is_some()));
    // Others have files that are called `head`, too.
    matches!(HeadFile::read(storage, dir), Ok(Some(_)))
        || manifest::is_there(storage, dir).unwrap_or(false)
        || restore::is_unfinished(storage, dir).unwrap_or(false)
        || has_segments()
}

/// The path without links and corners, as far as there is anything.
fn resolve(storage: &dyn Storage, path: &Path) -> Result<PathBuf> {
    let absolute = match storage.local_path(path) {
        Some(_) => std::path::absolute(path).map_err(|error| Error::io("look for", path, error))?,
        None => path.to_owned(),
    };
    let mut found = PathBuf::new();
    for part in absolute.components() {
        match part {
            Component::CurDir => {}
            // Those before are no links any more, so that this is the one above.
            Component::ParentDir => drop(found.pop()),
            part => {
                found.push(part);
                if let Ok(Some(target)) = storage.points_to(&found) {
                    found = target;
                }
            }
        }
    }
    Ok(found)
}
