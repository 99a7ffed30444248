//! [`Batch`], what is appended: entries that get into the log together or not at all.

use bytes::Bytes;

use crate::{Result, Seq};

/// A position that somebody keeps in the log itself, in one commit with the entries that belong to it: how far an
/// import has read its source, how far a consumer has got. The newest note of each name counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Who keeps it.
    pub name: String,
    /// The position; what it means is the keeper's business.
    pub position: u64,
    /// Evidence for the position, or anything else of at most 64 KiB.
    pub proof: Vec<u8>,
}

/// What must hold for a batch to be appended; tested by the writer, so that nothing comes between test and append.
pub enum Condition {
    /// The newest entry is this one (`None`: the log is empty).
    Head(Option<Seq>),
    /// No entry after `after` (`None`: no entry at all) is one that `matches` says yes to. At most `limit` entries are
    /// tested; past that the answer is `Conflict` too.
    NoneAfter {
        /// Entries up to here do not count.
        after: Option<Seq>,
        /// The test of one payload.
        matches: Box<dyn Fn(&Bytes) -> Result<bool> + Send + Sync>,
        /// How many entries are tested at most.
        limit: u64,
    },
}

/// Entries to append together, with what belongs to them.
///
/// Payloads lie in one buffer with [`Batch::ROOM`] bytes free in front of each and padded to a multiple of 8, so that a
/// log can frame them in place.
///
/// ```
/// use flumedb::log::Batch;
/// let mut batch = Batch::new();
/// batch.push(b"one");
/// batch.push(b"");
/// assert_eq!(batch.payloads().collect::<Vec<_>>(), [&b"one"[..], b""]);
/// ```
#[derive(Default)]
pub struct Batch {
    buffer: Vec<u8>,
    /// Start and length of each payload in the buffer.
    ranges: Vec<(usize, usize)>,
    /// Kept with the entries, if given.
    pub note: Option<Note>,
    /// Tested before appending, if given.
    pub condition: Option<Condition>,
    /// Answer as soon as the system has the bytes, without waiting for the disk.
    pub buffered: bool,
}

impl Batch {
    /// Bytes left free in front of each payload.
    pub const ROOM: usize = 16;

    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty batch with memory for so many bytes of buffer.
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self { buffer: Vec::with_capacity(bytes), ..Self::default() }
    }

    /// Adds an entry.
    pub fn push(&mut self, payload: &[u8]) {
        let written: Result<()> = self.push_with(|out| {
            out.extend_from_slice(payload);
            Ok(())
        });
        debug_assert!(written.is_ok());
    }

    /// Adds an entry whose payload `write` appends to the buffer. If it fails, the batch is as before.
    ///
    /// # Errors
    /// What `write` says.
    pub fn push_with<E>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<(), E> {
        let before = self.buffer.len();
        let start = before + Self::ROOM;
        self.buffer.resize(start, 0);
        if let Err(error) = write(&mut self.buffer) {
            self.buffer.truncate(before);
            return Err(error);
        }
        let len = self.buffer.len() - start;
        self.buffer.resize(self.buffer.len().next_multiple_of(8), 0);
        self.ranges.push((start, len));
        Ok(())
    }

    /// How many entries it holds.
    pub fn len(&self) -> usize {
        self.ranges.len()
    }

    /// Whether it holds no entry.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The payloads, in order.
    pub fn payloads(&self) -> impl Iterator<Item = &[u8]> {
        self.ranges.iter().map(|&(start, len)| self.buffer.get(start..start + len).unwrap_or_default())
    }

    /// Bytes of the buffer, room and padding included.
    pub fn buffer_len(&self) -> usize {
        self.buffer.len()
    }

    /// The buffer and the start and length of each payload in it.
    pub fn into_parts(self) -> (Vec<u8>, Vec<(usize, usize)>) {
        (self.buffer, self.ranges)
    }
}
