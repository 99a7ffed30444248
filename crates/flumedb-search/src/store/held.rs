//! [`Held`], a segment as the writer has it, and [`Part`], as readers have it.

use std::{path::PathBuf, sync::Arc};

use flumedb::{Result, view::Place};

use super::{Dead, Form, Segment, files::file_path, segment};

/// A segment, and which of its documents are gone.
#[derive(Clone)]
pub(crate) struct Part {
    pub(crate) segment: Arc<Segment>,
    pub(crate) dead: Dead,
    pub(crate) living: u32,
}

/// A segment as the writer has it.
pub(super) struct Held {
    pub(super) segment: Arc<Segment>,
    pub(super) dead: Dead,
    /// Its files are on the disk.
    pub(super) stored: bool,
    /// The number of the file that says which documents are gone.
    pub(super) dead_file: Option<u64>,
    /// More are gone than that file says.
    pub(super) dead_since: bool,
}

impl Held {
    pub(super) fn new(segment: Segment, dead: Dead) -> Self {
        Self { segment: Arc::new(segment), dead, stored: false, dead_file: None, dead_since: false }
    }

    /// How many of its documents are not gone.
    pub(super) fn living(&self) -> u32 {
        self.segment.docs.saturating_sub(self.dead.count())
    }

    /// As readers have it.
    pub(super) fn part(&self) -> Part {
        Part { segment: self.segment.clone(), dead: self.dead.clone(), living: self.living() }
    }

    /// Marks the document of entry `seq` as gone.
    pub(super) fn remove(&mut self, seq: u64) {
        for doc in self.segment.find(seq) {
            if !self.dead.contains(doc) {
                self.dead.insert(doc, self.segment.docs);
                self.dead_since = true;
            }
        }
    }

    /// Brings its files to the disk.
    pub(super) fn store(&mut self, form: &Form, place: &Place) -> Result<()> {
        if !self.stored {
            self.segment = Arc::new(self.segment.stored(form, place)?);
            self.stored = true;
        }
        Ok(())
    }

    /// Its files on the disk.
    pub(super) fn files(&self, place: &Place) -> Vec<PathBuf> {
        let name = segment::name(self.segment.number);
        let dead = self.dead_file.map(|number| format!("{number}.del"));
        let endings = self.segment.files.endings().into_iter().chain(dead);
        endings.map(|ending| file_path(place, &name, &ending)).collect()
    }
}
