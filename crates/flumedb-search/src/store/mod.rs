//! [`Store`], the index of a search: segments of tantivy's on `env::Storage`, or in memory, with the checkpoint that says
//! what they cover. It runs on the thread that calls it.
//!
//! The newest entries are kept as they are ([`recent`]). When they are enough they become a segment in memory, and small
//! segments are merged there. [`Store::sync`] brings to the disk what is still in memory, and then the commit that names it
//! all. So a publish costs what is new, and few segments are ever written. What was taken in since the last publish
//! ([`Pending`]) is kept apart, as a commit has exactly what its checkpoint covers.

pub(crate) mod bits;
mod blob;
mod draft;
mod error;
mod files;
mod form;
mod held;
mod load;
mod merge;
mod meta;
pub(crate) mod recent;
mod segment;

use std::{path::PathBuf, sync::Arc};

use flumedb::{
    Error, Result,
    env::planted::{Bug, planted},
    view::{Checkpoint, Place},
};

pub(crate) use self::{bits::Dead, error::attempt, form::Form, held::Part, segment::Segment};
use self::{
    draft::Draft,
    files::file_path,
    held::Held,
    merge::Size,
    meta::{DeleteMeta, Meta, SegmentMeta},
    recent::Recent,
};

/// How much is gathered in memory.
#[derive(Clone, Copy)]
pub(crate) struct Sizes {
    /// Entries before they become a segment.
    pub(crate) recent: usize,
    /// Bytes of words that become one segment.
    pub(crate) memory_bytes: usize,
}

/// What was taken in since the last publish.
struct Pending {
    /// Entries whose documents among what was published are to go.
    removed: Vec<u64>,
    /// The first entries, as long as they are few.
    recent: Recent,
    /// Where they are more: segments that are done, and the one that is being made.
    segments: Vec<Held>,
    draft: Option<Draft>,
}

impl Pending {
    fn new(recent: usize) -> Self {
        Self { removed: Vec::new(), recent: Recent::new(recent), segments: Vec::new(), draft: None }
    }

    fn is_many(&self) -> bool {
        self.draft.is_some() || !self.segments.is_empty()
    }
}

/// The writer's side.
pub(crate) struct Store {
    pub(crate) form: Arc<Form>,
    place: Option<Place>,
    memory: usize,
    /// What was published: the oldest first, and the newest entries.
    segments: Vec<Held>,
    recent: Recent,
    pending: Pending,
    next: u64,
    opstamp: u64,
    published: Option<Checkpoint>,
    unsynced: bool,
    /// Files that the next commit does without.
    old: Vec<PathBuf>,
}

impl Store {
    /// A publish merges no more than this; the rest is left to `sync`.
    const QUICK_MERGE: u64 = 256 << 10;
    /// More than this in memory goes to the disk at once.
    const IN_MEMORY: u64 = 4 << 20;

    /// Opens or creates the store in `place`, or one in memory; gives the checkpoint of what it holds.
    pub(crate) fn open(place: Option<&Place>, form: Form, sizes: Sizes) -> Result<(Self, Option<Checkpoint>)> {
        let mut store = Self {
            form: Arc::new(form),
            place: place.cloned(),
            memory: sizes.memory_bytes,
            segments: Vec::new(),
            recent: Recent::new(sizes.recent),
            pending: Pending::new(sizes.recent),
            next: 0,
            opstamp: 0,
            published: None,
            unsynced: false,
            old: Vec::new(),
        };
        let checkpoint = match place {
            Some(place) => store.load(place)?,
            None => None,
        };
        store.published = checkpoint.clone();
        Ok((store, checkpoint))
    }

    /// Takes in the texts of entry `seq`, each with the number of its field.
    pub(crate) fn add(&mut self, seq: u64, texts: Vec<(usize, String)>) -> Result<()> {
        let bytes = texts.iter().map(|(_, text)| text.len()).sum();
        if !self.pending.is_many() && !self.pending.recent.is_full(bytes, &self.recent) {
            self.pending.recent.add(seq, texts, self.form.words);
            return Ok(());
        }
        let (mut draft, before) = (self.pending.draft.take(), self.pending.recent.take());
        before.iter().try_for_each(|entry| self.draft(&mut draft, entry.seq, &entry.texts).map(drop))?;
        if self.draft(&mut draft, seq, &texts)? {
            let done = self.finish(draft.take())?;
            self.pending.segments.extend(done);
            self.spill()?;
        }
        self.pending.draft = draft;
        Ok(())
    }

    /// Adds a document to a segment that is being made; says whether it is large enough.
    fn draft(&mut self, draft: &mut Option<Draft>, seq: u64, texts: &[(usize, String)]) -> Result<bool> {
        let bytes = texts.iter().map(|(_, text)| text.len()).sum();
        let document = self.form.document(seq, texts);
        let (form, path, memory) = (self.form.clone(), self.path(), self.memory);
        let number = if draft.is_none() { self.take_number() } else { 0 };
        attempt(&path, || {
            let mut taken = match draft.take() {
                Some(taken) => taken,
                None => Draft::new(&form, number)?,
            };
            let full = taken.add(seq, document, bytes, memory)?;
            *draft = Some(taken);
            Ok(full)
        })
    }

    fn finish(&self, draft: Option<Draft>) -> Result<Option<Held>> {
        let Some(draft) = draft else { return Ok(None) };
        let (segment, dead) = attempt(&self.path(), || draft.finish(&self.form))?;
        let mut held = Held::new(segment, dead);
        held.dead_since = !held.dead.is_empty();
        Ok(Some(held))
    }

    /// Has the recent entries become a segment.
    fn settle_recent(&mut self) -> Result<()> {
        let (mut draft, recent) = (None, self.recent.take());
        recent.iter().try_for_each(|entry| self.draft(&mut draft, entry.seq, &entry.texts).map(drop))?;
        let done = self.finish(draft)?;
        self.segments.extend(done);
        Ok(())
    }

    /// Takes back what there is of entry `seq`.
    pub(crate) fn remove(&mut self, seq: u64) -> Result<()> {
        let path = self.path();
        let Pending { removed, recent, segments, draft } = &mut self.pending;
        removed.push(seq);
        recent.remove(seq);
        if let Some(draft) = draft {
            draft.remove(seq);
        }
        attempt(&path, || {
            segments.iter_mut().for_each(|held| held.remove(seq));
            Ok(())
        })
    }

    /// Shows everything that was taken in, and keeps in mind that it is what `at` covers.
    pub(crate) fn publish(&mut self, at: &Checkpoint) -> Result<(Vec<Part>, Recent)> {
        let path = self.path();
        for seq in std::mem::take(&mut self.pending.removed) {
            self.recent.remove(seq);
            attempt(&path, || {
                self.segments.iter_mut().for_each(|held| held.remove(seq));
                Ok(())
            })?;
        }
        if self.pending.is_many() {
            self.settle_recent()?;
            let last = self.pending.draft.take();
            self.segments.append(&mut self.pending.segments);
            let last = self.finish(last)?;
            self.segments.extend(last);
        } else {
            let new = self.pending.recent.take();
            self.recent.append(new);
        }
        self.drop_empty();
        let most = if self.place.is_some() { Self::QUICK_MERGE } else { u64::MAX };
        while let Some(range) = self.due(most) {
            self.merge(range)?;
        }
        self.spill()?;
        self.published = Some(at.clone());
        self.unsynced = true;
        Ok((self.segments.iter().map(Held::part).collect(), self.recent.clone()))
    }

    /// Brings what was published to the disk, and does what is left of merging.
    pub(crate) fn sync(&mut self) -> Result<()> {
        let (Some(place), Some(at)) = (self.place.clone(), self.published.clone()) else { return Ok(()) };
        if !std::mem::take(&mut self.unsynced) {
            return Ok(());
        }
        let synced = self.bring_to_disk(&place, &at);
        self.unsynced = synced.is_err();
        synced
    }

    fn bring_to_disk(&mut self, place: &Place, at: &Checkpoint) -> Result<()> {
        self.settle_recent()?;
        self.tidy()?;
        for held in &mut self.segments {
            held.store(&self.form, place)?;
        }
        self.opstamp += 1;
        let opstamp = self.opstamp;
        for held in &mut self.segments {
            if !std::mem::take(&mut held.dead_since) {
                continue;
            }
            let name = segment::name(held.segment.number);
            if let Some(before) = held.dead_file.replace(opstamp) {
                self.old.push(file_path(place, &name, &format!("{before}.del")));
            }
            let bytes = segment::dead_bytes(&self.form, &held.dead, held.segment.docs, &place.dir)?;
            files::write_new(place, &file_path(place, &name, &format!("{opstamp}.del")), &bytes)?;
        }
        if !planted(Bug::SearchSkipDirSync) {
            place.storage.sync_dir(&place.dir).map_err(|error| Error::io("sync", &place.dir, error))?;
        }
        let segments = self.segments.iter().map(|held| SegmentMeta {
            segment_id: segment::name(held.segment.number),
            max_doc: held.segment.docs,
            deletes: held.dead_file.map(|file| DeleteMeta::new(held.dead.count(), file)),
        });
        let unsorted = self.segments.iter().filter(|held| !held.segment.sorted);
        let unsorted = unsorted.map(|held| segment::name(held.segment.number)).collect();
        Meta::new(self.form.schema.clone(), segments.collect(), opstamp).write(place, at, unsorted)?;
        for path in self.old.drain(..) {
            // One that cannot be removed is swept at the next opening.
            let _ = place.storage.remove(&path);
        }
        Ok(())
    }

    /// Makes one segment of those in memory, merges what is to be merged, and writes anew what is mostly gone.
    fn tidy(&mut self) -> Result<()> {
        let new = self.segments.iter().rev().take_while(|held| !held.stored && held.segment.bytes < merge::SETTLED);
        let new = new.count();
        if new > 1 {
            self.merge(self.segments.len() - new..self.segments.len())?;
        }
        while let Some(range) = self.due(u64::MAX) {
            self.merge(range)?;
        }
        let mostly_gone = |held: &Held| u64::from(held.living()) * 2 < u64::from(held.segment.docs);
        while let Some(at) = self.segments.iter().position(mostly_gone) {
            self.merge(at..at + 1)?;
        }
        Ok(())
    }

    /// What is to be merged, if that is no more than `most` bytes.
    fn due(&self, most: u64) -> Option<std::ops::Range<usize>> {
        let sizes = self.segments.iter().map(|held| Size { docs: held.segment.docs, bytes: held.segment.bytes });
        let range = merge::due(&sizes.collect::<Vec<_>>())?;
        let bytes: u64 = self.segments.get(range.clone())?.iter().map(|held| held.segment.bytes).sum();
        (bytes <= most).then_some(range)
    }

    fn merge(&mut self, range: std::ops::Range<usize>) -> Result<()> {
        let parts = self.segments.get(range.clone()).unwrap_or_default();
        let living = parts.iter().filter(|held| held.living() > 0);
        let living: Vec<_> = living.map(|held| (held.segment.clone(), held.dead.clone())).collect();
        let mut made = None;
        if !living.is_empty() {
            let number = self.take_number();
            let segment = attempt(&self.path(), || Segment::merged(&self.form, &living, number))?;
            made = Some(Held::new(segment, Dead::default()));
        }
        let gone: Vec<Held> = self.segments.splice(range, made).collect();
        gone.iter().for_each(|held| self.forget(held));
        Ok(())
    }

    /// Lets go of segments with nothing in them.
    fn drop_empty(&mut self) {
        let (kept, gone) = std::mem::take(&mut self.segments).into_iter().partition(|held| held.living() > 0);
        self.segments = kept;
        let gone: Vec<Held> = gone;
        gone.iter().for_each(|held| self.forget(held));
    }

    fn forget(&mut self, held: &Held) {
        if let Some(place) = self.place.as_ref().filter(|_| held.stored) {
            self.old.extend(held.files(place));
        }
    }

    /// Brings segments to the disk if there are too many bytes of them in memory. No commit names them yet.
    fn spill(&mut self) -> Result<()> {
        let Some(place) = &self.place else { return Ok(()) };
        let all = || self.segments.iter().chain(&self.pending.segments);
        if all().filter(|held| !held.stored).map(|held| held.segment.bytes).sum::<u64>() > Self::IN_MEMORY {
            for held in self.segments.iter_mut().chain(&mut self.pending.segments) {
                held.store(&self.form, place)?;
            }
        }
        Ok(())
    }

    fn take_number(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }

    /// For messages.
    pub(crate) fn path(&self) -> PathBuf {
        self.place.as_ref().map_or_else(|| PathBuf::from("(memory)"), |place| place.dir.clone())
    }
}
