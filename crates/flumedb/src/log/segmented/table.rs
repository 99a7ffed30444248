//! [`Table`], the segments of a log in order, opened when first read.

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{
    directory,
    format::{FirstPage, Gone, LogId, SegmentName},
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
    /// The first seq that it has segments for.
    first: AtomicU64,
    /// What is known of the segments before.
    gone: Mutex<Gone>,
}

/// A segment that may or may not be open.
struct Listed {
    name: SegmentName,
    /// How many seqs it holds, if it is sealed.
    count: Option<u64>,
    segment: RwLock<Option<Arc<Segment>>>,
}

/// What came of looking for a segment whose file is not there.
enum Found {
    /// Another generation of it.
    Anew(Arc<Listed>),
    /// The log begins behind it.
    Gone,
    Missing,
}

impl Table {
    pub(crate) fn new(storage: Arc<dyn Storage>, dir: &Path, id: LogId, keys: Option<Keys>) -> Self {
        Self {
            storage,
            dir: dir.to_owned(),
            id,
            keys,
            list: RwLock::default(),
            open: Mutex::default(),
            first: AtomicU64::new(0),
            gone: Mutex::default(),
        }
    }

    /// The first seq that it has segments for.
    pub(crate) fn first(&self) -> u64 {
        self.first.load(Ordering::Acquire)
    }

    /// What is known of the segments before that.
    pub(crate) fn gone(&self) -> Gone {
        *self.gone.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The log begins here: forgets the segments before.
    pub(crate) fn begin_at(&self, page: &FirstPage) {
        let mut list = self.list.write().unwrap_or_else(PoisonError::into_inner);
        *self.gone.lock().unwrap_or_else(PoisonError::into_inner) = page.gone;
        self.first.fetch_max(page.first, Ordering::AcqRel);
        list.retain(|listed| listed.name.ordinal >= page.ordinal);
    }

    /// The segment has been written anew.
    pub(crate) fn supersede(&self, name: SegmentName) {
        let mut list = self.list.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(listed) = list.iter_mut().find(|listed| listed.name.ordinal == name.ordinal)
            && listed.name.generation < name.generation
        {
            *listed = Arc::new(Listed { name, count: listed.count, segment: RwLock::default() });
        }
    }

    /// The sealed segments that another follows, and how many seqs each holds.
    pub(crate) fn settled(&self) -> Vec<(SegmentName, u64)> {
        let list = self.list.read().unwrap_or_else(PoisonError::into_inner);
        let settled = list.split_last().map_or(&[][..], |(_, settled)| settled);
        settled.iter().filter_map(|listed| Some((listed.name, listed.count?))).collect()
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

    /// The segment in which `seq` lies, or would.
    pub(crate) fn find(&self, seq: u64) -> Result<Option<Arc<Segment>>> {
        self.listed(seq).map_or(Ok(None), |listed| self.segment(listed))
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
        Ok(self.segment(listed)?.map(|segment| with(&segment)))
    }

    fn listed(&self, seq: u64) -> Option<Arc<Listed>> {
        at(&self.list.read().unwrap_or_else(PoisonError::into_inner), seq).cloned()
    }

    /// The segment, opened if need be. `None` if it is gone from the log.
    fn segment(&self, mut listed: Arc<Listed>) -> Result<Option<Arc<Segment>>> {
        /// So often it may be written anew while one opens it.
        const TRIES: usize = 8;
        for _ in 1..TRIES {
            match self.open(&listed) {
                Err(error) if error.kind() == ErrorKind::NotFound => match self.look_again(&listed)? {
                    Found::Anew(again) => listed = again,
                    Found::Gone => return Ok(None),
                    Found::Missing => return Err(error),
                },
                opened => return opened.map(Some),
            }
        }
        self.open(&listed).map(Some)
    }

    /// The file is not there: whoever writes the log may have written the segment anew since, or dropped it.
    fn look_again(&self, listed: &Arc<Listed>) -> Result<Found> {
        let ordinal = listed.name.ordinal;
        // Names and page in this order: see `list_segments`.
        let names = directory::found_segments(&*self.storage, &self.dir)?;
        let page = directory::read_first(&*self.storage, &self.dir).ok().flatten();
        if let Some(page) = page.filter(|page| page.ordinal > ordinal && page.id == self.id) {
            self.begin_at(&page);
            return Ok(Found::Gone);
        }
        if let Some(&name) = names.iter().find(|name| name.ordinal == ordinal && name.first == listed.name.first) {
            self.supersede(name);
        }
        let list = self.list.read().unwrap_or_else(PoisonError::into_inner);
        Ok(match list.iter().find(|listed| listed.name.ordinal == ordinal) {
            Some(again) if !Arc::ptr_eq(again, listed) => Found::Anew(again.clone()),
            Some(_) => Found::Missing,
            None => Found::Gone,
        })
    }

    fn open(&self, listed: &Arc<Listed>) -> Result<Arc<Segment>> {
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
