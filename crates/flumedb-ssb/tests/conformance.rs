//! Logs in other people's files keep the promises that views and subscriptions rely on, as far as their formats can. The
//! failure it guards against: names with gaps between them, or deletion in place, that a reader made for our own log gets
//! wrong.

use std::sync::Arc;

use flumedb::Env;
use flumedb_sim::conformance::{Features, Place, Subject};
use flumedb_ssb::{AaolLog, Aligned, AlignedLog, FileLogBuilder, Framing, OffsetLog, file::Records};

/// A log of this kind in memory.
fn subject<R: Records>(
    builder: impl Fn() -> FileLogBuilder<R> + Send + Sync + 'static,
    empty_payloads: bool,
    payload_bytes: usize,
) -> Subject {
    let place = move || {
        let builder = builder().env(Env::memory()).create();
        Place::new(move || Arc::new(builder.clone().open("log").expect("the file opens")))
    };
    Subject {
        features: Features {
            dense: false,
            tombstones: false,
            notes: false,
            empty_payloads,
            zero_payloads: false,
            payload_bytes,
            ..Features::ALL
        },
        place: Box::new(place),
    }
}

fn offset(framing: Framing) -> Subject {
    subject(move || OffsetLog::builder().framing(framing), true, Features::ALL.payload_bytes)
}

fn aligned(block: u32) -> Subject {
    subject(move || AlignedLog::builder().block_size(block), false, block as usize - 10)
}

fn aaol(block: u32) -> Subject {
    subject(move || AaolLog::builder().block_size(block), false, block as usize - 4)
}

mod aaol_64k {
    flumedb_sim::conformance!(super::aaol(65_536));
}

mod aaol_small {
    flumedb_sim::conformance!(super::aaol(300));
}

mod bits32 {
    flumedb_sim::conformance!(super::offset(super::Framing::Bits32));
}

mod bits48 {
    flumedb_sim::conformance!(super::offset(super::Framing::Bits48));
}

mod bits53 {
    flumedb_sim::conformance!(super::offset(super::Framing::Bits53));
}

mod aligned_small {
    flumedb_sim::conformance!(super::aligned(4096));
}

mod aligned_odd {
    flumedb_sim::conformance!(super::aligned(10_007));
}

mod aligned_largest {
    flumedb_sim::conformance!(super::aligned(super::Aligned::MOST));
}

mod offset2 {
    use super::{Arc, Env, Features, Place, Subject};
    use flumedb_ssb::Offset2Log;

    fn subject() -> Subject {
        let place = || {
            let builder = Offset2Log::builder().env(Env::memory()).create();
            Place::new(move || Arc::new(builder.clone().open("log").expect("the directory opens")))
        };
        Subject { features: Features { tombstones: false, notes: false, ..Features::ALL }, place: Box::new(place) }
    }

    flumedb_sim::conformance!(subject());
}
