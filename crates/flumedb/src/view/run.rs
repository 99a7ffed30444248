//! [`Run`], decoded entries that views share, and [`Entries`], a view's handle on the log.

use std::{
    any::Any,
    ops::Deref,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;

use crate::{Entry, Error, Result, Seq, log::Log};

/// Consecutive entries, decoded once and shared by all views that take them in: cheap to clone and to cut.
pub struct Run<T> {
    entries: Arc<[Entry<T>]>,
    from: usize,
    to: usize,
    memory: usize,
    notes: Arc<Notes>,
}

/// What was found out about the entries.
#[derive(Default)]
struct Notes {
    begun: AtomicBool,
    found: OnceLock<Box<dyn Any + Send + Sync>>,
}

impl<T> Run<T> {
    /// A run of these entries, which are in order.
    pub fn new(entries: impl Into<Arc<[Entry<T>]>>) -> Self {
        let entries = entries.into();
        Self { from: 0, to: entries.len(), memory: size_of_val(&*entries), entries, notes: Arc::default() }
    }

    /// The same, for entries that hold about so many bytes all together.
    pub(crate) fn with_memory(self, memory: usize) -> Self {
        Self { memory, ..self }
    }

    /// About how many bytes are kept in memory by whoever holds this run; a cut holds all that it was cut from.
    pub fn memory(&self) -> usize {
        self.memory
    }

    /// Whether the two hold the same memory.
    pub fn shares_memory(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.entries, &other.entries)
    }

    /// What was found out about the entries of all runs that share this memory, for all who hold them: whoever is the first to be
    /// `ready` with a way to find it takes it upon himself, and for those who ask meanwhile, or for something of another type,
    /// there is nothing.
    pub(crate) fn noted<N: Any + Send + Sync, F: FnOnce(&[Entry<T>]) -> N>(
        &self,
        ready: impl FnOnce(&[Entry<T>]) -> Option<F>,
    ) -> Option<&N> {
        if !self.notes.begun.load(Ordering::Relaxed)
            && let Some(find) = ready(&self.entries)
            && !self.notes.begun.swap(true, Ordering::Relaxed)
        {
            // Nobody else sets it.
            let _ = self.notes.found.set(Box::new(find(&self.entries)));
        }
        self.notes.found.get()?.downcast_ref()
    }

    /// How many entries of the memory stand before this run.
    pub(crate) fn offset(&self) -> usize {
        self.from
    }

    /// The entries at `from..to` of this run (cut to what there is), sharing its memory.
    pub fn cut(&self, from: usize, to: usize) -> Self {
        let to = (self.from + to).min(self.to);
        Self { from: (self.from + from).min(to), to, ..self.clone() }
    }
}

impl<T> Clone for Run<T> {
    fn clone(&self) -> Self {
        Self { entries: self.entries.clone(), notes: self.notes.clone(), ..*self }
    }
}

impl<T> Deref for Run<T> {
    type Target = [Entry<T>];

    fn deref(&self) -> &[Entry<T>] {
        self.entries.get(self.from..self.to).unwrap_or_default()
    }
}

/// A handle on the log's entries, decoded. Cheap to clone.
pub struct Entries<T> {
    log: Arc<dyn Log>,
    decode: Arc<dyn Fn(&Bytes) -> Result<T> + Send + Sync>,
}

impl<T> Clone for Entries<T> {
    fn clone(&self) -> Self {
        Self { log: self.log.clone(), decode: self.decode.clone() }
    }
}

impl<T> Entries<T> {
    /// The entries of `log`, read by `decode`.
    pub fn new(log: Arc<dyn Log>, decode: impl Fn(&Bytes) -> Result<T> + Send + Sync + 'static) -> Self {
        Self { log, decode: Arc::new(decode) }
    }

    /// The log.
    pub fn log(&self) -> &Arc<dyn Log> {
        &self.log
    }

    /// Decodes one payload.
    ///
    /// # Errors
    /// What the codec says.
    pub fn decode(&self, bytes: &Bytes) -> Result<T> {
        (self.decode)(bytes)
    }

    /// The entry `seq`.
    ///
    /// # Errors
    /// `NotFound`, `Deleted`, `Corrupt`, or what the codec says of its bytes.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub async fn get(&self, seq: Seq) -> Result<T> {
        let bytes = match self.log.get_now(seq) {
            Some(answer) => answer?,
            None => self.log.get(seq).await?,
        };
        self.decode(&bytes).map_err(|error: Error| error.at(seq))
    }
}
