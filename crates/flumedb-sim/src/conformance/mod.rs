//! One suite for every [`Log`]: what the trait promises, as properties that any implementation is held against.
//!
//! A test file of any crate names its log with a [`Subject`] and gets one test per property:
//!
//! ```no_run
//! use std::sync::Arc;
//! use flumedb::{Env, log::MemoryLog};
//! use flumedb_sim::conformance::{Features, Place, Subject};
//!
//! fn subject() -> Subject {
//!     Subject {
//!         features: Features { survives: false, ..Features::ALL },
//!         place: Box::new(|| Place::new(|| Arc::new(MemoryLog::new(&Env::memory()).unwrap()))),
//!     }
//! }
//! flumedb_sim::conformance!(subject());
//! ```

mod model;
mod properties;
mod walk;

use std::{future::Future, sync::Arc};

use flumedb::{
    Error, ErrorKind, Result, Seq,
    log::{Batch, Log},
};

pub use model::against_a_model;
pub use properties::{
    a_batch_is_seen_whole, a_closed_log_says_so, a_condition_is_tested_by_the_writer, a_dropped_call_does_nothing,
    concurrent_appends_get_their_own_names, deleting_what_is_not_there_deletes_nothing, large_and_empty_payloads,
    notes_keep_positions, the_head_only_grows, the_same_log_after_reopening,
};

/// A log to hold against the suite.
pub struct Subject {
    /// What this log offers.
    pub features: Features,
    /// Makes a place with no log in it yet.
    pub place: Box<dyn Fn() -> Place>,
}

/// Where a log is, or will be once it has been opened.
pub struct Place(Box<dyn FnMut() -> Arc<dyn Log>>);

impl Place {
    /// A place whose log is opened with `open`, again each time after it was closed.
    pub fn new(open: impl FnMut() -> Arc<dyn Log> + 'static) -> Self {
        Self(Box::new(open))
    }

    fn open(&mut self) -> Arc<dyn Log> {
        (self.0)()
    }
}

/// What a log may or may not offer. The trait promises the rest.
#[derive(Clone, Copy, Debug)]
pub struct Features {
    /// Names are 0, 1, 2 ….
    pub dense: bool,
    /// It is there again after it was closed.
    pub survives: bool,
    /// Entries can be deleted.
    pub deletes: bool,
    /// A deletion is recorded as a tombstone, which has a name of its own.
    pub tombstones: bool,
    /// It keeps notes, in one commit with entries.
    pub notes: bool,
    /// It takes payloads of no bytes.
    pub empty_payloads: bool,
    /// It takes payloads of nothing but zeros.
    pub zero_payloads: bool,
    /// The largest payload to try.
    pub payload_bytes: usize,
}

impl Features {
    /// Everything.
    pub const ALL: Self = Self {
        dense: true,
        survives: true,
        deletes: true,
        tombstones: true,
        notes: true,
        empty_payloads: true,
        zero_payloads: true,
        payload_bytes: 64 << 20,
    };
}

/// One test per property, for the [`Subject`] that the expression makes.
#[macro_export]
macro_rules! conformance {
    ($subject:expr) => {
        $crate::conformance!(@
            $subject;
            against_a_model, a_batch_is_seen_whole, a_closed_log_says_so, a_condition_is_tested_by_the_writer,
            a_dropped_call_does_nothing, concurrent_appends_get_their_own_names,
            deleting_what_is_not_there_deletes_nothing, large_and_empty_payloads, notes_keep_positions,
            the_head_only_grows, the_same_log_after_reopening
        );
    };
    (@ $subject:expr; $($property:ident),*) => {
        $(
            #[test]
            fn $property() {
                $crate::conformance::$property(&$subject);
            }
        )*
    };
}

impl Subject {
    /// A log with nothing in it, at a place of its own.
    fn fresh(&self) -> (Place, Arc<dyn Log>) {
        let mut place = (self.place)();
        let log = place.open();
        (place, log)
    }
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    pollster::block_on(future)
}

fn batch<T: AsRef<[u8]>>(payloads: impl IntoIterator<Item = T>) -> Batch {
    let mut batch = Batch::new();
    payloads.into_iter().for_each(|payload| batch.push(payload.as_ref()));
    batch
}

/// Appends and expects it to succeed.
fn append<T: AsRef<[u8]>>(log: &dyn Log, payloads: impl IntoIterator<Item = T>) -> Vec<Seq> {
    wait(log.append(batch(payloads))).expect("an append of good entries succeeds")
}

fn get(log: &dyn Log, seq: Seq) -> Result<Vec<u8>> {
    let answer = wait(log.get(seq));
    if let Some(now) = log.get_now(seq) {
        assert_eq!(kind(&now), kind(&answer), "get and get_now agree on {seq}");
        assert_eq!(now.as_ref().ok(), answer.as_ref().ok(), "get and get_now agree on {seq}");
    }
    Ok(answer?.to_vec())
}

fn kind<T>(answer: &Result<T>) -> Option<ErrorKind> {
    answer.as_ref().err().map(Error::kind)
}
