//! Our own log: a directory of segments.

use std::{path::Path, sync::Arc};

use flumedb::log::{LogSettings, SegmentedLog};

use crate::{
    bundle,
    machine::Machine,
    seal,
    torture::{Subject, torture},
};

const NAMES: [&str; 9] = [
    "log/0000000000-00000000000000000000-0000.seg",
    "log/0000000001-00000000000000000003-0000.seg",
    "log/0000000000-00000000000000000000-0001.seg",
    "log/0000000002-00000000000000000008-0000.seg",
    "log/head",
    "log/lock",
    "log/0000000001-18446744073709551615-0000.seg",
    "log/0000000001-00000000000268435455-0000.seg",
    "log/9999999999-00000000000000000003-9999.seg",
];

/// Takes the bytes for a directory of segments.
pub fn segmented(bytes: &[u8]) {
    run(&Machine::new(files(bytes)), false);
}

/// The same, with every checksum made right.
pub fn segmented_sealed(bytes: &[u8]) {
    let sealed: Vec<(&str, Vec<u8>)> = files(bytes)
        .into_iter()
        .map(|(name, content)| {
            let mut content = content.to_vec();
            seal::segmented(name, &mut content);
            (name, content)
        })
        .collect();
    run(&Machine::new(sealed.iter().map(|(name, content)| (*name, content.as_slice()))), true);
}

/// The files of the directory.
pub(crate) fn files(bytes: &[u8]) -> Vec<(&'static str, &[u8])> {
    bundle::files(bytes, &NAMES)
}

fn run(machine: &Machine, forged: bool) {
    let dir = Path::new("log");
    // Small segments, as a new one claims its whole length.
    let settings = LogSettings { segment_bytes: 4096, ..LogSettings::default() };
    torture(
        machine,
        &Subject {
            read: &|env| Ok(Arc::new(SegmentedLog::read_only(env, dir)?)),
            write: &|env| Ok(Arc::new(SegmentedLog::open(env, dir, settings.clone())?)),
            check: &|env| SegmentedLog::check(env, dir),
            repair: &|env, skip_damage| SegmentedLog::repair(env, dir, &settings, skip_damage),
            forged,
        },
    );
}
