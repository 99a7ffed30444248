//! Which segments at the beginning of a log go, and when the next one will.

use std::time::Duration;

use super::super::{format::SegmentName, segment::check_header, settings::Retention, shared::Shared};
use crate::{
    Error, ErrorKind, Result,
    env::{
        OpenMode,
        planted::{Bug, planted},
    },
    log::Before,
};

/// The first number that is kept when what is before that goes.
pub(super) fn before(shared: &Shared, limit: Before) -> Result<u64> {
    match limit {
        Before::Seq(seq) => {
            let kept = shared.table.names().into_iter().rfind(|name| name.first <= seq.get());
            Ok(kept.map_or(0, |name| name.first).max(shared.table.first()))
        }
        Before::Age(age) => Ok(older(shared, age)?.0),
    }
}

/// The first number that settings keep, and in how long there may be more to drop if no segment is ended meanwhile.
pub(super) fn kept(shared: &Shared, retention: &Retention) -> Result<(u64, Option<Duration>)> {
    let (mut end, mut again) = (shared.table.first(), None);
    if let Some(age) = retention.age {
        let (older, next) = older(shared, age)?;
        (end, again) = (end.max(older), next);
    }
    if let Some(entries) = retention.entries {
        let head = shared.visible();
        let is_enough = |name: &SegmentName| head.saturating_sub(name.first) >= entries;
        let mut names = shared.table.names().into_iter().rev();
        let kept = names.find(|name| planted(Bug::RetentionTooMuch) || is_enough(name));
        end = end.max(kept.map_or(0, |name| name.first));
    }
    if let Some(bytes) = retention.bytes {
        end = end.max(last_of(shared, bytes)?);
    }
    Ok((end, again))
}

/// Behind the segments in which everything is older than that; and how long it takes the next one to become so.
fn older(shared: &Shared, age: Duration) -> Result<(u64, Option<Duration>)> {
    let age = i64::try_from(age.as_micros()).unwrap_or(i64::MAX);
    let now = shared.env.clock.unix_us();
    let mut end = shared.table.first();
    for name in shared.table.names().into_iter().skip(1) {
        // What is before it was appended before it was made.
        let Some(created) = made(shared, name)? else { continue };
        let left = created.saturating_add(age).saturating_sub(now);
        if left > 0 {
            return Ok((end, Some(Duration::from_micros(left.unsigned_abs()))));
        }
        end = end.max(name.first);
    }
    Ok((end, None))
}

/// When a segment was begun, by the clock of the machine that did it; `None` if it has been dropped or written anew since, or
/// cannot be read.
fn made(shared: &Shared, name: SegmentName) -> Result<Option<i64>> {
    let path = shared.dir.join(name.file_name());
    match shared.env.storage.open(&path, OpenMode::Read) {
        Ok(file) => match check_header(&*file, &path, name, Some(shared.id)) {
            Err(error) if error.kind() == ErrorKind::Corrupt => Ok(None),
            header => Ok(Some(header?.created_us)),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("open", &path, error)),
    }
}

/// Where the segments begin at the end of the log that have just so many bytes or more.
fn last_of(shared: &Shared, bytes: u64) -> Result<u64> {
    let mut names = shared.table.names();
    let Some(active) = names.pop() else { return Ok(0) };
    // Its file is longer than what is in it.
    let mut kept = shared.table.find(active.first)?.map_or(0, |segment| segment.ends_at());
    let mut first = active.first;
    while kept < bytes {
        let Some(name) = names.pop() else { return Ok(0) };
        kept += len(shared, name)?;
        first = name.first;
    }
    Ok(first)
}

/// Bytes of a segment; 0 if it has been dropped since, or written anew, which is when it is looked at again.
fn len(shared: &Shared, name: SegmentName) -> Result<u64> {
    let path = shared.dir.join(name.file_name());
    match shared.env.storage.open(&path, OpenMode::Read).and_then(|file| file.len()) {
        Ok(len) => Ok(len),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(Error::io("read", &path, error)),
    }
}
