//! [`Tail`], a log that another process writes, followed through its `head` page.

use std::{
    path::Path,
    sync::{Arc, PoisonError},
    time::Duration,
};

use super::{
    directory::{self, HeadFile},
    format::{HeadPage, SegmentName},
    replay::Replay,
    segment::{Segment, check_header, is_begun},
    shared::Shared,
    walk::{Position, Stop},
};
use crate::{
    Damage, Env, Error, ErrorKind, Result,
    env::{
        OpenMode, Step, Storage, Task, Watch,
        sync::{
            Mutex,
            atomic::{AtomicBool, Ordering},
        },
    },
    keys::Keys,
    telemetry::events,
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
    /// How many of the replay's entries the segment has.
    extended: u64,
    /// What the head page said then.
    seen: Option<HeadPage>,
}

impl Tail {
    /// Opens a log to read only. Nothing is changed, damage is stepped over.
    pub(crate) fn open(env: &Env, dir: &Path, keys: Option<&Keys>) -> Result<Self> {
        let mut tries = 0;
        loop {
            tries += 1;
            match Self::try_open(env, dir, keys) {
                Err(error) if tries < TRIES && matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::NotFound) => {}
                other => return other,
            }
        }
    }

    fn try_open(env: &Env, dir: &Path, keys: Option<&Keys>) -> Result<Self> {
        let storage = &*env.storage;
        let (mut names, first) = match directory::list_segments(storage, dir) {
            // Where the log begins is not known; it is read from what there is.
            Err(error) if error.damage().is_some_and(|damage| damage.file == directory::first_path(dir)) => {
                (directory::found_segments(storage, dir)?, None)
            }
            listed => listed?,
        };
        let page = HeadFile::read(storage, dir)?;
        // A segment that was being made when the power went does not count.
        if let [.., _, last] = names[..]
            && page.is_none_or(|page| page.ordinal < last.ordinal)
            && !is_whole(storage, dir, last)?
        {
            names.pop();
        }
        // Beside a writer the page says how far one may look. Without one it may be from before a power cut, and older
        // than the log.
        let mut limit = u64::MAX;
        if let Some(page) = page
            && directory::is_locked(storage, dir)?
        {
            names.retain(|name| name.ordinal <= page.ordinal);
            limit = page.visible;
        }
        if let (Some(page), []) = (page, &names[..]) {
            return Err(directory::segments_gone(dir, &page));
        }
        let mut state = State::begin(env, dir, &names, keys)?;
        let shared = Arc::new(Shared::new(env.clone(), dir.to_owned(), state.segment.id(), keys.cloned()));
        for pair in names.windows(2) {
            if let [name, next] = pair {
                shared.table.push_sealed(*name, next.first - name.first);
            }
        }
        shared.table.push_active(state.segment.clone());
        if let Some(first) = first.filter(|first| first.id == shared.id) {
            shared.table.begin_at(&first);
        }
        state.read(&shared, page, limit)?;
        let tail = Self { shared, state: Mutex::new(state) };
        match tail.refresh() {
            // That much is gone must not hide what is there; whoever asks for the newest is told.
            Err(error) if error.kind() != ErrorKind::Corrupt => Err(error),
            _ => Ok(tail),
        }
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
            let ordinal = state.segment.name.ordinal;
            if page == state.seen && page.is_some_and(|page| page.ordinal <= ordinal) {
                return Ok(());
            }
            let limit = page.map_or(u64::MAX, |page| page.visible);
            state.read(&self.shared, page, limit)?;
            let is_behind = page.is_some_and(|page| page.ordinal > state.segment.name.ordinal);
            if !is_behind {
                return Ok(());
            }
            if !state.next_segment(&self.shared, page)? {
                let reason = "the segment after it is missing, though entries of it were on the disk";
                return Err(Error::corrupt(Damage::new(&state.segment.path, 0, 0, reason)));
            }
        }
    }
}

/// Whether the beginning of a segment is whole.
fn is_whole(storage: &dyn Storage, dir: &Path, name: SegmentName) -> Result<bool> {
    let path = dir.join(name.file_name());
    let file = storage.open(&path, OpenMode::Read).map_err(|error| Error::io("open", &path, error))?;
    is_begun(&*file, &path, name)
}

fn begin(env: &Env, dir: &Path, name: SegmentName, keys: Option<&Keys>) -> Result<(Arc<Segment>, Replay)> {
    let path = dir.join(name.file_name());
    let file = env.storage.open(&path, OpenMode::Read).map_err(|error| Error::io("open", &path, error))?;
    let header = check_header(&*file, &path, name, None)?;
    if header.is_compacted() {
        // It was followed by another; that is missing, or was made since one looked.
        let reason = "the segment after it is missing: it was compacted, which the last never is";
        return Err(Error::corrupt(Damage::new(path, 0, 0, reason)));
    }
    let position = Position::start(&header);
    let segment = Segment::active(name, path, file, header.id, position.offset).with_keys(keys.cloned());
    Ok((Arc::new(segment), Replay::new(position).with_keys(keys.cloned())))
}

impl State {
    /// The last of these segments, of which nothing is read yet.
    fn begin(env: &Env, dir: &Path, names: &[SegmentName], keys: Option<&Keys>) -> Result<Self> {
        let Some(&last) = names.last() else {
            let message = format!("{} holds no log", dir.display());
            return Err(Error::new(ErrorKind::NotFound, message));
        };
        let (segment, replay) = begin(env, dir, last, keys)?;
        Ok(Self { segment, replay, extended: 0, seen: None })
    }

    /// Reads on in the segment, up to the entry `limit`. Says how far that was.
    fn replay_to(&mut self, page: Option<HeadPage>, limit: u64) -> Result<(u64, u64)> {
        let path = &self.segment.path;
        // A writer that is at work may claim and cut what is behind the page's end at any time.
        let len = match page {
            Some(page) if limit < u64::MAX && page.ordinal == self.segment.name.ordinal => page.end,
            _ => self.segment.file.len().map_err(|error| Error::io("read", path, error))?,
        };
        let bytes = self.segment.file.read(0, len as usize).map_err(|error| Error::io("read", path, error))?;
        let known = match page {
            // What was seen but never synced, a power cut may have taken.
            Some(page) if page.ordinal == self.segment.name.ordinal => page.watermark,
            _ => 0,
        };
        self.replay.run_around(&bytes, self.segment.id(), known, limit);
        Ok((self.replay.position.next, bytes.len() as u64))
    }

    /// Reads on in the segment, and lets readers see it. What the page does not tell of yet may be seen only once it
    /// does, deletions above all; that is the limit.
    fn read(&mut self, shared: &Shared, page: Option<HeadPage>, limit: u64) -> Result<()> {
        let (next, len) = self.replay_to(page, limit)?;
        let end = match self.replay.stop {
            Stop::Bad { .. } => len,
            _ => self.replay.position.offset,
        };
        self.segment.change(end, |places| places.extend_from(&self.replay.places, self.extended));
        self.extended = self.replay.places.there();
        self.replay.lacks.inspect(|&key| shared.lack(key));
        shared.set_durable(page.map_or(next, |page| page.watermark));
        shared.replace(next, &self.replay.deletions, &self.replay.notes);
        self.seen = page;
        Ok(())
    }

    /// Goes on to the segment that the page names, if it can be seen. Those between need not be read: it says what of them
    /// still counts.
    fn next_segment(&mut self, shared: &Shared, page: Option<HeadPage>) -> Result<bool> {
        let (mut names, first) = directory::list_segments(&*shared.env.storage, &shared.dir)?;
        let here = self.segment.name.ordinal;
        names.retain(|name| name.ordinal > here && page.is_none_or(|page| name.ordinal <= page.ordinal));
        let Some(&last) = names.last() else { return Ok(false) };
        let (segment, replay) = begin(&shared.env, &shared.dir, last, shared.keys.as_ref())?;
        let after = names.first().map_or(last.first, |next| next.first);
        shared.table.seal_last(after.saturating_sub(self.segment.name.first));
        for pair in names.windows(2) {
            if let [name, next] = pair {
                shared.table.push_sealed(*name, next.first - name.first);
            }
        }
        shared.table.push_active(segment.clone());
        if let Some(first) = first.filter(|first| first.id == shared.id) {
            shared.table.begin_at(&first);
        }
        // What it says is deleted need not be all: what was erased before it was made, the segments written anew know.
        // They are looked for now that it is there, and those that they replace are read no more.
        for name in directory::found_segments(&*shared.env.storage, &shared.dir)? {
            shared.table.supersede(name);
        }
        *self = Self { segment, replay, extended: 0, seen: None };
        Ok(true)
    }
}

/// Follows the head page until it is told to stop.
pub(crate) struct Follower {
    tail: Arc<Tail>,
    watch: Box<dyn Watch>,
    stop: Arc<AtomicBool>,
    /// The last look failed.
    lost: bool,
}

impl Follower {
    pub(crate) fn new(tail: Arc<Tail>, stop: Arc<AtomicBool>) -> Result<Self> {
        let path = HeadFile::path(&tail.shared.dir);
        let watch = tail.shared.env.storage.watch(&path).map_err(|error| Error::io("watch", &path, error))?;
        Ok(Self { tail, watch, stop, lost: false })
    }
}

impl Task for Follower {
    fn step(&mut self) -> Step {
        if self.stop.load(Ordering::Acquire) {
            return Step::Done;
        }
        self.watch.wait(PATIENCE);
        // A failed look is not the end: the next may find the writer done with what it does. `barrier` tells.
        let looked = self.tail.refresh();
        match &looked {
            Err(error) if !self.lost => events::lost_touch(&self.tail.shared.label, error),
            _ => {}
        }
        self.lost = looked.is_err();
        Step::Again
    }
}
