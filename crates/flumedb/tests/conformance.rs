//! Every log keeps the same promises. The failure it guards against: a view or a subscription that is right on one log
//! and loses entries on another, because the two read a promise of the trait differently.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
};

use flumedb::{
    Env, Keys,
    log::{Compression, Durability, LogSettings, MemoryLog, SegmentedLog},
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

/// Compressed, with segments so short that dictionaries come and go.
mod compressed {
    use super::*;

    fn subject() -> Subject {
        packed(LogSettings { compression: Compression::Lz4, ..LogSettings::default() })
    }
    flumedb_sim::conformance!(subject());
}

mod encrypted {
    use super::*;

    fn subject() -> Subject {
        packed(LogSettings { keys: Some(Keys::new(1, [7; 32]).expect("a key")), ..LogSettings::default() })
    }
    flumedb_sim::conformance!(subject());
}

/// Both at once, and each opening in turn with other settings, so that the segments of one log are of all kinds.
mod mixed {
    use super::*;

    fn subject() -> Subject {
        let place = || {
            let env = Env::memory();
            let turn = AtomicU16::new(0);
            Place::new(move || {
                let turn = turn.fetch_add(1, Ordering::Relaxed);
                let key = turn / 2 + 1;
                let keys = (1..=key).try_fold(Keys::new(key, [key as u8; 32]).expect("a key"), |keys, older| {
                    keys.with(older, [older as u8; 32])
                });
                let settings = LogSettings {
                    segment_bytes: 4096,
                    durability: Durability::System,
                    compression: if turn.is_multiple_of(2) { Compression::Lz4 } else { Compression::None },
                    keys: Some(keys.expect("keys")),
                    ..LogSettings::default()
                };
                Arc::new(open(&env, "log".as_ref(), settings))
            })
        };
        Subject { features: Features::ALL, place: Box::new(place) }
    }
    flumedb_sim::conformance!(subject());
}

fn packed(settings: LogSettings) -> Subject {
    let place = move || {
        let env = Env::memory();
        let settings = LogSettings { segment_bytes: 4096, durability: Durability::System, ..settings.clone() };
        Place::new(move || Arc::new(open(&env, "log".as_ref(), settings.clone())))
    };
    Subject { features: Features::ALL, place: Box::new(place) }
}

fn open(env: &Env, dir: &Path, settings: LogSettings) -> SegmentedLog {
    SegmentedLog::open(env, dir, settings).expect("the log opens")
}
