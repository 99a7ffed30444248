//! Whatever there is at a path.

use flumedb::Env;
use flumedb_ssb::{Format, any};

use crate::{
    bundle,
    machine::Machine,
    torture::{Subject, torture},
};

/// Names of the files that directories of all formats have.
const NAMES: [&str; 9] = [
    "log/data",
    "log/ofst",
    "log/jrnl",
    "log/CURRENT",
    "log/MANIFEST-000001",
    "log/000003.log",
    "log/000004.ldb",
    "log/head",
    "log/0000000000-00000000000000000000-0000.seg",
];

/// Takes the bytes for a file, and for the files of a directory, of whatever format they may be.
pub fn open_any(bytes: &[u8]) {
    run(&Machine::new([("log", bytes)]));
    let files = bundle::files(bytes, &NAMES);
    if !files.is_empty() {
        run(&Machine::new(files));
    }
}

fn run(machine: &Machine) {
    let open = |env: &Env| any::builder().env(env.clone());
    let Ok(opened) = open(machine.env()).open("log") else { return };
    drop(opened.report());
    if opened.format == Format::Flume {
        // It has targets of its own, with segments of a size that memory can hold.
        return;
    }
    torture(
        machine,
        &Subject {
            read: &|env| Ok(open(env).open("log")?.log),
            write: &|env| Ok(open(env).append().open("log")?.log),
            check: &|env| any::check(env, "log", None),
            repair: &|env, skip_damage| any::repair(env, "log", None, skip_damage),
            forged: false,
        },
    );
}
