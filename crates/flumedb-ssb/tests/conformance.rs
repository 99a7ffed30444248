//! Logs in other people's files keep the promises that views and subscriptions rely on, as far as their formats can. The
//! failure it guards against: names with gaps between them, or deletion in place, that a reader made for our own log gets
//! wrong.

use std::sync::Arc;

use flumedb::Env;
use flumedb_sim::conformance::{Features, Place, Subject};
use flumedb_ssb::{AaolLog, Framing, OffsetLog};

fn subject(framing: Framing, empty_payloads: bool) -> Subject {
    let place = move || {
        let env = Env::memory();
        let builder = OffsetLog::builder().env(env).framing(framing).create();
        Place::new(move || Arc::new(builder.clone().open("log.offset").expect("the file opens")))
    };
    Subject {
        features: Features {
            dense: false,
            tombstones: false,
            notes: false,
            empty_payloads,
            zero_payloads: false,
            ..Features::ALL
        },
        place: Box::new(place),
    }
}

fn blocks(size: u32) -> Subject {
    let place = move || {
        let env = Env::memory();
        let builder = AaolLog::builder().env(env).block_size(size).create();
        Place::new(move || Arc::new(builder.clone().open("log.bipf").expect("the file opens")))
    };
    Subject {
        features: Features {
            dense: false,
            tombstones: false,
            notes: false,
            empty_payloads: false,
            zero_payloads: false,
            payload_bytes: size as usize - 4,
            ..Features::ALL
        },
        place: Box::new(place),
    }
}

mod aaol_64k {
    flumedb_sim::conformance!(super::blocks(65_536));
}

mod aaol_small {
    flumedb_sim::conformance!(super::blocks(300));
}

mod bits32 {
    flumedb_sim::conformance!(super::subject(super::Framing::Bits32, true));
}

mod bits48 {
    flumedb_sim::conformance!(super::subject(super::Framing::Bits48, true));
}

mod bits53 {
    flumedb_sim::conformance!(super::subject(super::Framing::Bits53, true));
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
