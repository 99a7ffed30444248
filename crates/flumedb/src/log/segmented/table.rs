//! [`Table`], the segments of a log in order, opened when first read.

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use super::{
    format::{LogId, SegmentName},
    segment::Segment,
};
use crate::{ErrorKind, Result, env::Storage, keys::Keys};

/// Sealed segments that are kept open, so that a long log does not use up the process's file descriptors.
const MAX_OPEN: usize = 128;

/// The segments of a log. Shared by the writer, which adds to it, and all readers.
pub(crate) struct Table {
    storage: Arc<dyn Storage>,
    dir: PathBuf,
    id: LogId,
    keys: Option<Keys>,
    list: RwLock<Vec<Arc<Listed>>>,
    /// Sealed segments that are open, in the order of opening.
    open: Mutex<VecDeque<Arc<Listed>>>,
}

/// A segment that may or may not be open.
struct Listed {
    name: SegmentName,
    /// How many seqs it holds, if it is sealed.
    count: Option<u64>,
    segment: RwLock<Option<Arc<Segment>>>,
}

impl Table {
    pub(crate) fn new(storage: Arc<dyn Storage>, dir: &Path, id: LogId, keys: Option<Keys>) -> Self {
        Self { storage, dir: dir.to_owned(), id, keys, list: RwLock::default(), open: Mutex::default() }
    }

    /// Adds a segment behind the last.
    pub(crate) fn push_sealed(&self, name: SegmentName, count: u64) {
        self.push(Listed { name, count: Some(count), segment: RwLock::default() });
    }

    /// Adds the segment that is appended to.
    pub(crate) fn push_active(&self, segment: Arc<Segment>) {
        self.push(Listed { name: segment.name, count: None, segment: RwLock::new(Some(segment)) });
    }

    /// The last segment, which was active, is sealed now: from here on it is read as it is on the disk.
    pub(crate) fn seal_last(&self, count: u64) {
        let mut list = self.list.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = list.last_mut() {
            *last = Arc::new(Listed { name: last.name, count: Some(count), segment: RwLock::default() });
        }
    }

    fn push(&self, listed: Listed) {
        self.list.write().unwrap_or_else(PoisonError::into_inner).push(Arc::new(listed));
    }

    /// The names of all segments.
    pub(crate) fn names(&self) -> Vec<SegmentName> {
        self.list.read().unwrap_or_else(PoisonError::into_inner).iter().map(|listed| listed.name).collect()
    }

    /// The segment in which `seq` lies, or would, and the number behind its last if it is sealed.
    pub(crate) fn find(&self, seq: u64) -> Result<Option<Arc<Segment>>> {
        self.listed(seq).map(|listed| self.segment(&listed)).transpose()
    }

    /// As [`find`](Self::find), for something quick: the segment stays open for as long as `with` takes.
    #[inline]
    pub(crate) fn with<T>(&self, seq: u64, with: impl FnOnce(&Segment) -> T) -> Result<Option<T>> {
        let list = self.list.read().unwrap_or_else(PoisonError::into_inner);
        let Some(listed) = at(&list, seq) else { return Ok(None) };
        if let Some(segment) = &*listed.segment.read().unwrap_or_else(PoisonError::into_inner) {
            return Ok(Some(with(segment)));
        }
        let listed = listed.clone();
        drop(list);
        self.segment(&listed).map(|segment| Some(with(&segment)))
    }

    fn listed(&self, seq: u64) -> Option<Arc<Listed>> {
        at(&self.list.read().unwrap_or_else(PoisonError::into_inner), seq).cloned()
    }

    fn segment(&self, listed: &Arc<Listed>) -> Result<Arc<Segment>> {
        if let Some(segment) = &*listed.segment.read().unwrap_or_else(PoisonError::into_inner) {
            return Ok(segment.clone());
        }
        let mut slot = listed.segment.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(segment) = &*slot {
            return Ok(segment.clone());
        }
        let count = listed.count.unwrap_or(0);
        let segment = match Segment::sealed(&*self.storage, &self.dir, listed.name, self.id, count) {
            // A damaged index must not hide entries that are whole.
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                Segment::walked(&*self.storage, &self.dir, listed.name, self.id, count).map_err(|_| error)?
            }
            other => other?,
        };
        let segment = Arc::new(segment.with_keys(self.keys.clone()));
        *slot = Some(segment.clone());
        drop(slot);
        let oldest = {
            let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            open.push_back(listed.clone());
            if open.len() > MAX_OPEN { open.pop_front() } else { None }
        };
        if let Some(oldest) = oldest {
            *oldest.segment.write().unwrap_or_else(PoisonError::into_inner) = None;
        }
        Ok(segment)
    }
}

/// The segment in which `seq` lies, or would.
fn at(list: &[Arc<Listed>], seq: u64) -> Option<&Arc<Listed>> {
    // A segment without entries has the same first as the one after it; the later one is meant.
    let behind = list.partition_point(|listed| listed.name.first <= seq);
    behind.checked_sub(1).and_then(|index| list.get(index))
}
