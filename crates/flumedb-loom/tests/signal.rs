//! Guards against a raised signal that does not wake whoever waits, in any order of threads: everything else sleeps on one.
#![cfg(loom)]

use std::sync::Arc;

use flumedb::env::Signal;
use loom::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

#[test]
fn whoever_waits_sees_what_was_done_before_each_raise() {
    loom::model(|| {
        let signal = Arc::new(Signal::new());
        let done = Arc::new(AtomicUsize::new(0));
        for _ in 0..2 {
            let (signal, done) = (signal.clone(), done.clone());
            thread::spawn(move || {
                // The signal alone must carry it over.
                done.fetch_add(1, Ordering::Relaxed);
                signal.raise();
            });
        }
        let mut waits = 0;
        while done.load(Ordering::Relaxed) < 2 {
            assert!(signal.wait(None));
            waits += 1;
        }
        assert!(waits <= 2, "{waits} waits ended by two raises");
    });
}
