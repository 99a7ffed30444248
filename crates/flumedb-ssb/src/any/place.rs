//! What is at a path, as far as names tell: nothing, a file, or which kind of log a directory is. Opens nothing.

use std::path::{Path, PathBuf};

use flumedb::{Env, Error, ErrorKind, Result, env::PathKind, log::SegmentedLog};

use super::Format;

/// The files of a directory of margaret's offset2.
const OFFSET2: [&str; 3] = ["data", "jrnl", "ofst"];

/// Where the programs that people have keep their logs, below the directory that they call theirs.
const LOGS: [&str; 6] = ["flume/log.offset", "db2/log.bipf", "log.offset", "log.bipf", "log", "flume/log"];

/// What is at a path.
pub(super) enum Place {
    File,
    /// A directory that is a log, and what tells that.
    Directory(Format, String),
}

/// What is at `path`.
///
/// # Errors
/// `NotFound` if there is nothing; `Unsupported` for a directory that is no log: where logs are found inside of it the
/// message names them. `Io`.
pub(super) fn look(env: &Env, path: &Path) -> Result<Place> {
    match kind(env, path)? {
        None => Err(Error::new(ErrorKind::NotFound, format!("there is nothing at {}", path.display()))),
        Some(PathKind::File) => Ok(Place::File),
        Some(PathKind::Dir) => directory(env, path),
    }
}

pub(super) fn kind(env: &Env, path: &Path) -> Result<Option<PathKind>> {
    env.storage.kind(path).map_err(|error| Error::io("look at", path, error))
}

fn directory(env: &Env, path: &Path) -> Result<Place> {
    if SegmentedLog::is_at(env, path)? {
        return Ok(Place::Directory(Format::Flume, "it is a directory with segments of a flume database".to_owned()));
    }
    let names = env.storage.list(path).map_err(|error| Error::io("list", path, error))?;
    let has = |name: &str| names.iter().any(|held| held == name);
    if OFFSET2.into_iter().all(has) {
        return Ok(Place::Directory(
            Format::Offset2,
            "it is a directory with the files data, jrnl and ofst".to_owned(),
        ));
    }
    if has("CURRENT") && names.iter().any(|name| name.starts_with("MANIFEST-")) {
        let evidence = "it is a directory with the files CURRENT and MANIFEST of a LevelDB".to_owned();
        return Ok(Place::Directory(Format::Level, evidence));
    }
    Err(Error::new(ErrorKind::Unsupported, hint(env, path)))
}

/// Says of a directory that is no log which logs are in it.
fn hint(env: &Env, path: &Path) -> String {
    let is_log = |inside: &PathBuf| match env.storage.kind(inside) {
        Ok(Some(PathKind::File)) => true,
        Ok(Some(PathKind::Dir)) => {
            OFFSET2.iter().all(|name| env.storage.kind(&inside.join(name)).is_ok_and(|kind| kind.is_some()))
        }
        _ => false,
    };
    let found: Vec<String> =
        LOGS.iter().map(|name| path.join(name)).filter(is_log).map(|inside| inside.display().to_string()).collect();
    let path = path.display();
    match found.as_slice() {
        [] => format!("{path} is a directory without a log in it that is known here"),
        found => format!("{path} is a directory; its log is {}: give that path", found.join(" or ")),
    }
}
