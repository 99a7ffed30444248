//! [`Version`], a record as it was at some time.

use std::time::{Duration, SystemTime};

use super::{envelope::ChangeKind, record::Record, records::row::State, snapshot::Snapshot, value};
use crate::{ErrorKind, Result};

/// A record as it was from some time on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Version<T> {
    /// What it was; nothing from when it was deleted.
    pub record: Option<T>,
    /// Since when, by the clock of whoever wrote it.
    pub since: SystemTime,
}

/// The versions of a record that are kept, the newest first.
pub(super) fn versions<T: Record>(snapshot: &Snapshot, key: &[u8]) -> Result<Vec<Version<T>>> {
    let reader = &snapshot.reader;
    let mut versions = Vec::new();
    let mut next = reader.current(T::NAME, key)?.map(|current| current.at);
    while let Some(at) = next {
        let Some(version) = reader.version(at)? else { break };
        next = version.before;
        if version.state == State::Rewritten {
            continue;
        }
        if version.state == State::Dead {
            break;
        }
        let entry = match reader.entry(crate::Seq::new(at.0)) {
            // Somebody has deleted it from the log since.
            Err(error) if error.kind() == ErrorKind::Deleted => continue,
            entry => entry?,
        };
        let Some(change) = entry.changes.get(at.1 as usize) else { continue };
        let record = match version.kind {
            ChangeKind::Delete => None,
            ChangeKind::Put | ChangeKind::Rewrite => Some(value::record(&change.value, change.version)?),
        };
        let since = SystemTime::UNIX_EPOCH + Duration::from_millis(entry.time_ms);
        versions.push(Version { record, since });
    }
    Ok(versions)
}
