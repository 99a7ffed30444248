//! flumelog-offset files.

use flumedb_ssb::{Framing, OffsetLog, offset as format};

use crate::{
    machine::Machine,
    torture::{Subject, torture},
};

const PATH: &str = "log.offset";

/// Takes the bytes for a flumelog-offset file, its framing told from its bytes and named.
pub fn offset(bytes: &[u8]) {
    let machine = Machine::new([(PATH, bytes)]);
    for framing in [None, Some(Framing::Bits32), Some(Framing::Bits48), Some(Framing::Bits53), Some(Framing::Basic)] {
        let builder = |env: &flumedb::Env| {
            let builder = OffsetLog::builder().env(env.clone());
            if let Some(framing) = framing { builder.framing(framing) } else { builder }
        };
        torture(
            &machine.twin(),
            &Subject {
                read: &|env| Ok(Box::new(builder(env).open(PATH)?)),
                write: &|env| Ok(Box::new(builder(env).append().open(PATH)?)),
                check: &|env| format::check(env, PATH, framing),
                repair: &|env, skip_damage| format::repair(env, PATH, framing, skip_damage),
                forged: false,
            },
        );
    }
}
