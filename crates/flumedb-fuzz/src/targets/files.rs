//! The logs of others.

use std::sync::Arc;

use flumedb_ssb::{
    AaolLog, AlignedLog, FileLog, FileLogBuilder, Framing, LinesLog, Offset2Log, OffsetLog, Shape, file::Records,
};

use crate::{
    bundle,
    machine::Machine,
    torture::{Subject, torture},
};

const PATH: &str = "log";

/// Takes the bytes for a file of flumelog-offset, its framing told from its bytes and named.
pub fn offset(bytes: &[u8]) {
    let framings = [Framing::Bits32, Framing::Bits48, Framing::Bits53, Framing::Basic];
    for framing in framings.map(Some).into_iter().chain([None]) {
        file(&OffsetLog::builder(), bytes, framing);
    }
}

/// Takes the bytes for a file of async-append-only-log, its block size told from its bytes and named.
pub fn aaol(bytes: &[u8]) {
    for block in [None, Some(5), Some(32), Some(1024), Some(65_536)] {
        file(&AaolLog::builder(), bytes, block);
    }
}

/// Takes the bytes for a file of flumelog-aligned-offset, its block size told from its bytes and named.
pub fn aligned(bytes: &[u8]) {
    for block in [None, Some(11), Some(32), Some(1024), Some(65_536)] {
        file(&AlignedLog::builder(), bytes, block);
    }
}

/// Takes the bytes for JSON lines, bare or as flumelog-memory has them.
pub fn lines(bytes: &[u8]) {
    for shape in [None, Some(Shape::Bare), Some(Shape::Numbered)] {
        file(&LinesLog::builder(), bytes, shape);
    }
}

/// Takes the bytes for the three files of a directory of offset2.
pub fn offset2(bytes: &[u8]) {
    let machine = Machine::new(bundle::files(bytes, &["log/data", "log/ofst", "log/jrnl"]));
    machine.env().storage.create_dir_all(PATH.as_ref()).unwrap();
    put(&machine, &Offset2Log::builder(), &Default::default(), false);
}

fn file<R: Records>(builder: &FileLogBuilder<R>, bytes: &[u8], options: R::Options) {
    put(&Machine::new([(PATH, bytes)]), builder, &options, false);
}

/// Puts what a machine holds through everything, as the kind of log that `builder` opens.
pub(super) fn put<R: Records>(machine: &Machine, builder: &FileLogBuilder<R>, options: &R::Options, forged: bool) {
    let builder = |env: &flumedb::Env| builder.clone().env(env.clone()).options(options.clone());
    torture(
        machine,
        &Subject {
            read: &|env| Ok(Arc::new(builder(env).open(PATH)?)),
            write: &|env| Ok(Arc::new(builder(env).append().open(PATH)?)),
            check: &|env| FileLog::<R>::check(env, PATH, options),
            repair: &|env, skip_damage| FileLog::<R>::repair(env, PATH, options, skip_damage),
            forged,
        },
    );
}
