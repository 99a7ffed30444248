//! [`Tail`], a log that another process writes, followed through its `head` page.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError, atomic::AtomicBool, atomic::Ordering},
    time::Duration,
};

use super::{
    directory::{self, HeadFile},
    format::{HeadPage, SegmentName},
    replay::Replay,
    segment::{Segment, check_header},
    shared::Shared,
    walk::{Position, Stop},
};
use crate::{
    Damage, Env, Error, ErrorKind, Result,
    env::{OpenMode, Step, Task, Watch},
};

/// How long it sleeps at most before it looks again.
const PATIENCE: Duration = Duration::from_millis(50);

/// How often opening is tried while the writer rolls segments under it.
const TRIES: usize = 5;

/// How far a log that another process writes has been read.
pub(crate) struct Tail {
    shared: Arc<Shared>,
    state: Mutex<State>,
}

struct State {
    segment: Arc<Segment>,
    replay: Replay,
    /// How many of the replay's offsets the segment has.
    extended: usize,
}

impl Tail {
    /// Opens a log to read only. Nothing is changed, damage is stepped over.
    pub(crate) fn open(env: &Env, dir: &Path) -> Result<Self> {
        let mut tries = 0;
        loop {
            tries += 1;
            match Self::try_open(env, dir) {
                Err(error) if tries < TRIES && matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::NotFound) => {}
                other => return other,
            }
        }
    }

    fn try_open(env: &Env, dir: &Path) -> Result<Self> {
        let storage = &*env.storage;
        let names = directory::list_segments(storage, dir)?;
        let Some(&last) = names.last() else {
            let message = format!("{} holds no log", dir.display());
            return Err(Error::new(ErrorKind::NotFound, message));
        };
        let (segment, replay) = begin(env, dir, last)?;
        let shared = Arc::new(Shared::new(env.clone(), dir.to_owned(), segment.id()));
        for pair in names.windows(2) {
            if let [name, next] = pair {
                shared.table.push_sealed(*name, next.first - name.first);
            }
        }
        shared.table.push_active(segment.clone());
        let tail = Self { shared, state: Mutex::new(State { segment, replay, extended: 0 }) };
        tail.refresh()?;
        Ok(tail)
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// The head page. Read again if it cannot be trusted: the writer may have been at it.
    fn page(&self) -> Result<Option<HeadPage>> {
        let read = || HeadFile::read(&*self.shared.env.storage, &self.shared.dir);
        (1..TRIES).try_fold(read()?, |page, _| if page.is_some() { Ok(page) } else { read() })
    }

    /// Reads what the writer has added.
    pub(crate) fn refresh(&self) -> Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let page = self.page()?;
            if page.is_some_and(|page| page.id != self.shared.id) {
                let reason = "it belongs to another log now; open it again";
                return Err(Error::corrupt(Damage::new(HeadFile::path(&self.shared.dir), 16, 16, reason)));
            }
            if page.is_some_and(|page| page.visible <= self.shared.visible()) {
                return Ok(());
            }
            state.read(&self.shared, page)?;
            let is_behind = page.is_some_and(|page| page.ordinal > state.segment.name.ordinal);
            if !is_behind || !state.next_segment(&self.shared)? {
                return Ok(());
            }
        }
    }
}

fn begin(env: &Env, dir: &Path, name: SegmentName) -> Result<(Arc<Segment>, Replay)> {
    let path = dir.join(name.file_name());
    let file = env.storage.open(&path, OpenMode::Read).map_err(|error| Error::io("open", &path, error))?;
    let header = check_header(&*file, &path, name, None)?;
    let position = Position::start(&header);
    let segment = Arc::new(Segment::active(name, path, file, header.id, position.offset));
    Ok((segment, Replay::new(position)))
}

impl State {
    /// Reads on in the segment, as far as the page says that readers may.
    fn read(&mut self, shared: &Shared, page: Option<HeadPage>) -> Result<()> {
        let path = &self.segment.path;
        let len = self.segment.file.len().map_err(|error| Error::io("read", path, error))?;
        let bytes = self.segment.file.read(0, len as usize).map_err(|error| Error::io("read", path, error))?;
        let known = match page {
            Some(page) if page.ordinal == self.segment.name.ordinal => page.visible,
            _ => 0,
        };
        // What the page does not tell of yet may be seen only once it does, deletions above all.
        let limit = page.map_or(u64::MAX, |page| page.visible);
        self.replay.run_around(&bytes, shared.id, known, limit);
        let end = match self.replay.stop {
            Stop::Bad { .. } => bytes.len() as u64,
            _ => self.replay.position.offset,
        };
        self.segment.extend(self.replay.offsets.get(self.extended..).unwrap_or_default().iter().copied(), end);
        self.extended = self.replay.offsets.len();
        let next = self.replay.position.next;
        shared.carry(self.replay.deletions.clone());
        shared.set_durable(page.map_or(next, |page| page.watermark));
        shared.publish(next, Vec::new(), self.replay.notes.values().cloned().collect());
        Ok(())
    }

    /// Goes on to the next segment, if its name can be seen.
    fn next_segment(&mut self, shared: &Shared) -> Result<bool> {
        let names = directory::list_segments(&*shared.env.storage, &shared.dir)?;
        let Some(&next) = names.iter().find(|name| name.ordinal == self.segment.name.ordinal + 1) else {
            return Ok(false);
        };
        let (segment, replay) = begin(&shared.env, &shared.dir, next)?;
        shared.table.seal_last(next.first - self.segment.name.first);
        shared.table.push_active(segment.clone());
        *self = Self { segment, replay, extended: 0 };
        Ok(true)
    }
}

/// Follows the head page until it is told to stop.
pub(crate) struct Follower {
    tail: Arc<Tail>,
    watch: Box<dyn Watch>,
    stop: Arc<AtomicBool>,
}

impl Follower {
    pub(crate) fn new(tail: Arc<Tail>, stop: Arc<AtomicBool>) -> Result<Self> {
        let path = HeadFile::path(&tail.shared.dir);
        let watch = tail.shared.env.storage.watch(&path).map_err(|error| Error::io("watch", &path, error))?;
        Ok(Self { tail, watch, stop })
    }
}

impl Task for Follower {
    fn step(&mut self) -> Step {
        if self.stop.load(Ordering::Acquire) {
            return Step::Done;
        }
        self.watch.wait(PATIENCE);
        // A failed look is not the end: the next may find the writer done with what it does. `barrier` tells.
        drop(self.tail.refresh());
        Step::Again
    }
}
