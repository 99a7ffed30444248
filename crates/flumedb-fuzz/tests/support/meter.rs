//! [`Meter`], an allocator that counts, thread by thread, what is allocated.
#![allow(unsafe_code, reason = "an allocator is unsafe by its signature; this one passes every call on")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

pub(crate) struct Meter;

/// What a stretch of work took.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// The largest piece of memory that was asked for at once.
    pub(crate) largest: usize,
    /// The most that was held at one time, above what was held before.
    pub(crate) peak: usize,
    live: isize,
}

thread_local! {
    static USAGE: Cell<Usage> = const { Cell::new(Usage { largest: 0, peak: 0, live: 0 }) };
}

/// Does `work` and says what it took.
pub(crate) fn measure(work: impl FnOnce()) -> Usage {
    USAGE.set(Usage::default());
    work();
    USAGE.get()
}

fn note(taken: usize, freed: usize) {
    // A thread that is ending has no cell any more, and nobody measures it.
    let _ = USAGE.try_with(|cell| {
        let mut usage = cell.get();
        usage.live += taken as isize - freed as isize;
        usage.largest = usage.largest.max(taken);
        usage.peak = usage.peak.max(usize::try_from(usage.live).unwrap_or(0));
        cell.set(usage);
    });
}

// SAFETY: each call is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Meter {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size(), 0);
        // SAFETY: the caller's promise is this call's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(layout.size(), 0);
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        note(0, layout.size());
        // SAFETY: as above.
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size, layout.size());
        // SAFETY: as above.
        unsafe { System.realloc(place, layout, size) }
    }
}
