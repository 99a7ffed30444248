//! Reading the log through a codec: one entry ([`Get`]), a stretch of entries ([`Scan`]).
//!
//! Everything here pulls: it holds a place in the log and at most one chunk of it, never a queue.

mod blocking;
mod call;
mod cursor;
mod get;
mod open;
mod scan;

use std::sync::Arc;

pub use blocking::Blocking;
pub use call::Call;
pub(crate) use cursor::Cursor;
pub use get::Get;
pub(crate) use open::{Held, Open};
pub use scan::{Scan, ScanEvents};

use crate::{Bytes, Entry, Result, Seq, codec::Codec, log::Log};

/// A log, the codec that its entries are read with, and who reads.
#[derive(Clone)]
pub(crate) struct Source<C> {
    pub(crate) log: Arc<dyn Log>,
    pub(crate) codec: C,
    pub(crate) readers: Arc<Open>,
    pub(crate) subscribers: Arc<Open>,
}

impl<C: Codec> Source<C> {
    /// The entry `seq`, of which these are the bytes.
    pub(crate) fn entry(&self, seq: Seq, bytes: &Bytes) -> Result<Entry<C::Item>> {
        match self.codec.decode(bytes) {
            Ok(value) => Ok(Entry { seq, value }),
            Err(error) => Err(error.at(seq)),
        }
    }

    /// The same log, read with another codec.
    pub(crate) fn with_codec<D>(self, codec: D) -> Source<D> {
        Source { log: self.log, codec, readers: self.readers, subscribers: self.subscribers }
    }
}
