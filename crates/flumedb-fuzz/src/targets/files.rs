//! The logs of others.

use std::sync::Arc;

use flumedb_ssb::{FileLog, FileLogBuilder, Framing, LinesLog, OffsetLog, Shape, file::Records};

use crate::{
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

/// Takes the bytes for JSON lines, bare or as flumelog-memory has them.
pub fn lines(bytes: &[u8]) {
    for shape in [None, Some(Shape::Bare), Some(Shape::Numbered)] {
        file(&LinesLog::builder(), bytes, shape);
    }
}

/// Puts a file through everything, as the kind of log that `builder` opens.
fn file<R: Records>(builder: &FileLogBuilder<R>, bytes: &[u8], options: R::Options) {
    let machine = Machine::new([(PATH, bytes)]);
    let builder = |env: &flumedb::Env| builder.clone().env(env.clone()).options(options.clone());
    torture(
        &machine,
        &Subject {
            read: &|env| Ok(Arc::new(builder(env).open(PATH)?)),
            write: &|env| Ok(Arc::new(builder(env).append().open(PATH)?)),
            check: &|env| FileLog::<R>::check(env, PATH, &options),
            repair: &|env, skip_damage| FileLog::<R>::repair(env, PATH, &options, skip_damage),
            forged: false,
        },
    );
}
