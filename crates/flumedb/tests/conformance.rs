//! Every log keeps the same promises. The failure it guards against: a view or a subscription that is right on one log
//! and loses entries on another, because the two read a promise of the trait differently.

use std::{path::Path, sync::Arc};

use flumedb::{
    Env,
    log::{Durability, LogSettings, MemoryLog, SegmentedLog},
};
use flumedb_sim::conformance::{Features, Place, Subject};

mod memory {
    use super::*;

    fn subject() -> Subject {
        let open = || Arc::new(MemoryLog::new(&Env::memory()).expect("a log in memory needs nothing")) as _;
        Subject { features: Features { survives: false, ..Features::ALL }, place: Box::new(move || Place::new(open)) }
    }
    flumedb_sim::conformance!(subject());
}

/// On the disk, as anybody would have it.
mod segmented {
    use super::*;

    fn subject() -> Subject {
        let place = || {
            let dir = tempfile::tempdir().expect("a directory for the test");
            Place::new(move || Arc::new(open(&Env::os(), dir.path(), LogSettings::default())))
        };
        Subject { features: Features::ALL, place: Box::new(place) }
    }
    flumedb_sim::conformance!(subject());
}

/// Segments so short that reads, batches and tombstones cross their borders all the time, and entries that are
/// acknowledged before they are synced.
mod short_segments {
    use super::*;

    fn subject() -> Subject {
        let place = || {
            let env = Env::memory();
            let settings =
                LogSettings { segment_bytes: 4096, durability: Durability::System, ..LogSettings::default() };
            Place::new(move || Arc::new(open(&env, "log".as_ref(), settings.clone())))
        };
        Subject { features: Features::ALL, place: Box::new(place) }
    }
    flumedb_sim::conformance!(subject());
}

fn open(env: &Env, dir: &Path, settings: LogSettings) -> SegmentedLog {
    SegmentedLog::open(env, dir, settings).expect("the log opens")
}
