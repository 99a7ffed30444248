//! What follows a log: the trait [`View`], and the host that runs views and answers when they have caught up.

mod actor;
mod block;
mod checkpoint;
mod horizons;
mod host;
mod live;
mod pool;
mod progress;
mod ring;
mod run;
mod scan;
mod shared;
mod status;

use std::{path::PathBuf, sync::Arc};

pub use checkpoint::{Checkpoint, Definition};
pub use host::{Host, HostSettings};
pub use live::{Live, LiveSet, Read};
pub use progress::{Phase, Progress};
pub use run::{Entries, Run};
pub use status::{Status, StoredState, StoredView};

use crate::{Result, Seq, env::Storage};

/// Something that follows a log and builds whatever answers its questions.
///
/// A view is synchronous and deterministic: no executor, no clock, no input but its entries, no output but its own
/// store. Everything else is the host's: when to read, publish, sync, reopen or rebuild, and how far the view has got.
///
/// # What an implementer must guarantee
/// The same entries in the same order give the same state, however they are cut into runs. What [`publish`](View::publish)
/// returns shows everything applied so far and never changes. What was published last before a successful
/// [`sync`](View::sync) is what a later [`open`](View::open) finds, or something published after that, with the checkpoint
/// that was given with it: data and checkpoint are stored in one transaction.
///
/// # What an implementer must not assume
/// That `publish` comes after each run, that `sync` comes after each `publish`, that `open` is called once.
pub trait View: Sized + Send + 'static {
    /// What the codec yields.
    type Item: Send + Sync + 'static;
    /// A consistent snapshot that queries run on.
    type Reader: Clone + Send + Sync + 'static;

    /// Version and a declarative definition of what is built. Together with the codec's identity it names the view's
    /// place on the disk: a changed definition is another place, built from the log.
    fn definition(&self) -> Definition;

    /// Forgets what is in memory; opens or creates the store in the place given (memory only if there is none); says
    /// what the stored state covers, `None` for nothing. Readers given out before may still be held; those that
    /// need the former store may answer with `Closed` from then on.
    ///
    /// # Errors
    /// `Corrupt` if the store calls itself so: the host then rebuilds. Others are tried again or park the view.
    fn open(&mut self, cx: &ViewContext<Self::Item>) -> Result<Option<Checkpoint>>;

    /// Takes in a run of entries. Each entry comes exactly once, in order (what [`reprocess`](View::reprocess) takes in
    /// again apart).
    fn apply(&mut self, run: &Run<Self::Item>) -> Result<()>;

    /// An entry that was applied has been deleted. `item` is there while its bytes still are.
    fn retract(&mut self, seq: Seq, item: Option<&Self::Item>) -> Result<Retraction> {
        let _ = (seq, item);
        Ok(Retraction::Rebuild)
    }

    /// The entry `seq`, which was taken in or passed over before, reads otherwise now (a key to decrypt it has come, say):
    /// forgets what was made of it then and takes in `item` in its place, `None` if it does not decode. What it was is not
    /// known any more. An entry that never was taken in is asked for as well, and so is one that has not changed.
    fn reprocess(&mut self, seq: Seq, item: Option<&Self::Item>) -> Result<Retraction> {
        let _ = (seq, item);
        Ok(Retraction::Rebuild)
    }

    /// Makes everything applied so far visible and stores it with `at`, atomically. Need not reach the disk. Costs what
    /// changed since the last time, never the whole state. With nothing applied since `open` it gives a reader of what
    /// `open` found.
    fn publish(&mut self, at: &Checkpoint) -> Result<Self::Reader>;

    /// About how much memory what was taken in since the last publish takes. A view that tells is published less often while
    /// it is built (the more it publishes at once, the less each entry costs) but before it takes
    /// [much](HostSettings::pending_bytes). `None` if that does not grow, or nobody knows.
    fn pending_bytes(&self) -> Option<usize> {
        None
    }

    /// Brings what was published to the disk.
    fn sync(&mut self) -> Result<()> {
        Ok(())
    }
}

/// What a view did about an entry that is gone, or is another now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retraction {
    /// Its state is as if the entry had never been, or had always been what it is now.
    Done,
    /// It cannot take it back: the host builds it anew from the log.
    Rebuild,
}

/// What a view is opened with.
pub struct ViewContext<T> {
    /// Where to keep the store; `None`: in memory only.
    pub place: Option<Place>,
    /// Entries of the log, for readers that give values.
    pub entries: Entries<T>,
}

/// A directory that belongs to one view alone. It exists.
#[derive(Clone)]
pub struct Place {
    /// Through which it is reached.
    pub storage: Arc<dyn Storage>,
    /// The directory.
    pub dir: PathBuf,
}

/// The position after an entry: the least number that may come next.
fn after(seq: Option<Seq>) -> u64 {
    seq.map_or(0, |seq| seq.get().saturating_add(1))
}
