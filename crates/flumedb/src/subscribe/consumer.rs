//! Durable consumers: how far one has got is a [`Note`] in the log itself.

use crate::{Seq, log::Note};

impl Note {
    /// The note that says that the consumer `name` is done with everything up to `seq`. Append it with the entries that
    /// came of its work, and that work is done exactly once:
    ///
    /// ```
    /// use flumedb::{Flume, From, codec::Utf8, log::Note};
    /// let db = Flume::memory(Utf8)?;
    /// let order = db.append("order").blocking()?;
    /// db.append("invoice").note(Note::consumer("billing", order)).blocking()?;
    /// let next = db.subscribe(From::Stored("billing")).blocking().next();
    /// assert_eq!(next.unwrap()?.value, "invoice");
    /// # Ok::<(), flumedb::Error>(())
    /// ```
    pub fn consumer(name: &str, seq: Seq) -> Self {
        Self { name: Self::consumer_name(name), position: seq.get(), proof: Vec::new() }
    }

    pub(crate) fn consumer_name(name: &str) -> String {
        format!("consumer/{name}")
    }
}
