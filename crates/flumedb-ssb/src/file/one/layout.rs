//! [`Layout`], how records lie one after another in one file. A layout judges bytes and frames payloads; it reads no file.

use std::path::PathBuf;

use flumedb::{Damage, Env, Error, ErrorKind, Result};

use super::Chain;
use crate::file::{One, Staged, source::Source};

/// How records lie in a file: a head, the payload and a trailer each, perhaps in blocks.
pub trait Layout: Clone + Send + Sync + 'static {
    /// What the bytes may not tell.
    type Options: Clone + Default + Send + Sync;

    /// Bytes in front of a payload.
    const HEAD: u32;

    /// Whether records behind a bad place are found only by looking at every byte, because no block says where one may
    /// start. Sixteen zeros are the beginning of none of them.
    const RESEEKS: bool = false;

    /// Whether all of a record is there once its framing is. Where nothing comes behind the payload, one that ends in
    /// zeros may be half written.
    const PROVEN: bool = true;

    /// The name of the format, as `flume` prints it.
    fn name(&self) -> &'static str;

    /// Bytes behind a payload.
    fn trailer(&self) -> u32;

    /// Tells the layout of the file behind `source`, of `len` bytes, from its bytes, or sees whether the one that was
    /// named fits.
    ///
    /// # Errors
    /// `Invalid` if one was named and the bytes are another's.
    fn detect(source: &Source, len: u64, options: &Self::Options) -> Result<Detected<Self>>;

    /// What a writer that was stopped has left half done beside the file, and only a writer may finish.
    ///
    /// # Errors
    /// `Io`.
    fn unfinished(env: &Env, source: &Source) -> Result<Option<Damage>> {
        let (_, _) = (env, source);
        Ok(None)
    }

    /// Finishes that; with `skip_damage`, takes it out of the way where it cannot be finished.
    ///
    /// # Errors
    /// `Corrupt` if it cannot be finished without loss: nothing was changed then.
    fn finish(env: &Env, source: &Source, skip_damage: bool) -> Result<Finish> {
        let (_, _, _) = (env, source, skip_damage);
        Ok(Finish::Nothing)
    }

    /// What is new once the positions of entries have changed: part of the log's identity.
    ///
    /// # Errors
    /// `Io`.
    fn lineage(env: &Env, source: &Source) -> Result<Vec<u8>> {
        let (_, _) = (env, source);
        Ok(Vec::new())
    }

    /// Whether a file of `len` bytes that was of no such layout when it was opened has come to be of this one.
    ///
    /// # Errors
    /// `Io`.
    fn may_be(&self, source: &Source, len: u64) -> Result<bool> {
        Chain::starts(self, source, len)
    }

    /// What stands at byte `at` of a file of `len` bytes, where a record may start. `bytes` are those from `at` on: as
    /// many as were asked for or more, fewer only at the end of the file. `at` is below `len`.
    fn judge(&self, at: u64, bytes: &[u8], len: u64) -> Verdict;

    /// Whether the bytes from `end`, where records end, to the end of the file are what a file has that was closed in
    /// order.
    fn is_closed(&self, end: u64, source: &Source, len: u64) -> Result<bool> {
        let _ = source;
        Ok(end == len)
    }

    /// How far the bytes behind `end`, where records end, are what a file has that was closed in order.
    ///
    /// # Errors
    /// `Io`.
    fn sound_to(&self, end: u64, source: &Source, len: u64) -> Result<u64> {
        let (_, _) = (source, len);
        Ok(end)
    }

    /// How long a file is whose records end at `end`.
    fn closed_len(&self, end: u64) -> u64 {
        end
    }

    /// How far one has to see to judge the records that end at `end`.
    fn reach(&self, end: u64) -> u64 {
        end
    }

    /// Where whole records start again behind the bad place `from`, as far as the layout can tell without proof: the
    /// file must not be cut there unasked.
    fn resumes(&self, from: u64, source: &Source, len: u64) -> Result<Option<u64>> {
        let (_, _, _) = (from, source, len);
        Ok(None)
    }

    /// Finishes what another program left half done between the records of `chain`, before something is appended.
    fn tidy(&self, chain: &Chain, source: &Source) -> Result<()> {
        let (_, _) = (chain, source);
        Ok(())
    }

    /// Appends the record of `payload` to what is staged, which will stand at `base` of the file. Answers where the
    /// record starts. If it fails, the caller takes back what was added.
    ///
    /// # Errors
    /// `Invalid` if the layout cannot hold it: too long, past the last position, or something that reads back as another
    /// thing than it is.
    fn frame(&self, base: u64, payload: &[u8], staged: &mut Staged) -> Result<u64>;

    /// Makes room for a batch of payloads of these lengths in one block.
    ///
    /// # Errors
    /// `Unsupported` where there are no blocks, `Invalid` if no block is large enough.
    fn make_room(&self, base: u64, payloads: &mut dyn Iterator<Item = usize>, staged: &mut Staged) -> Result<()> {
        let (_, _, _) = (base, payloads, staged);
        let message = format!("an {} log has no blocks, so no batch can be written as a whole", self.name());
        Err(Error::new(ErrorKind::Unsupported, message))
    }

    /// A stretch of exactly `bytes` bytes at `start` that reads as deleted records, or as nothing.
    ///
    /// # Errors
    /// `Unsupported` if no record is of that size.
    fn filler(&self, start: u64, bytes: u64) -> Result<Vec<u8>>;

    /// What else is kept of deletions, once `bytes` bytes of records are deleted.
    fn count_deleted(&self, log: &One<Self>, bytes: u64) -> Result<()> {
        let (_, _) = (log, bytes);
        Ok(())
    }
}

/// What became of what a stopped writer had left half done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finish {
    /// There was nothing.
    Nothing,
    /// It is done.
    Done,
    /// It cannot be, and what was known of it is kept there.
    SetAside(PathBuf),
}

/// What stands at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A whole record with a payload of this length.
    Record(u32),
    /// The end of a block: it goes on there.
    Skip(u64),
    /// So many bytes are needed to tell, and the file has them.
    More(usize),
    /// Nothing, yet.
    End,
    /// No record, and why; the next one may start there, where that is known without it.
    Broken(&'static str, Option<u64>),
}

/// Why records stop.
pub(crate) const CUT_OFF: &str = "the file ends inside the record";

impl Verdict {
    /// What a layout says that needs `bytes` bytes at `at` and has fewer in hand.
    pub fn more(at: u64, bytes: u64, len: u64) -> Self {
        match usize::try_from(bytes) {
            Ok(bytes) if at.checked_add(bytes as u64).is_some_and(|end| end <= len) => Self::More(bytes),
            _ => Self::Broken(CUT_OFF, None),
        }
    }
}

/// What the bytes of a file say of its layout.
pub struct Detected<L> {
    /// The layout.
    pub layout: L,
    /// The records.
    pub chain: super::Chain,
    /// Whether the bytes fit any layout of this kind at all.
    pub known: bool,
    /// Whether they can be no other, so that writing is safe; if not, what to say.
    pub certain: Result<()>,
    /// Why this one, in words for people.
    pub evidence: Vec<String>,
}
