//! Every log keeps the same promises. The failure it guards against: a view or a subscription that is right on one log
//! and loses entries on another, because the two read a promise of the trait differently.

use std::sync::Arc;

use flumedb::{Env, log::MemoryLog};
use flumedb_sim::conformance::{Features, Place, Subject};

mod memory {
    use super::*;

    fn subject() -> Subject {
        let open = || Arc::new(MemoryLog::new(&Env::memory()).expect("a log in memory needs nothing")) as _;
        Subject { features: Features { survives: false, ..Features::ALL }, place: Box::new(move || Place::new(open)) }
    }
    flumedb_sim::conformance!(subject());
}
