//! `flume compact`.

use flumedb::Env;
use flumedb_ssb::any;

use crate::{
    args::Place,
    exit::{Outcome, Verdict},
    output,
};

pub(crate) fn compact(place: &Place) -> Outcome {
    let done = any::compact(&Env::os(), &place.path, place.format)?;
    let (before, after) = (done.bytes_before, done.bytes_after);
    output::line(format_args!("took out {} deleted entries; {before} bytes are {after} now", done.removed))?;
    Ok(Verdict::Fine)
}
