//! `flume compact`.

use flumedb::Env;
use flumedb_ssb::any;

use crate::{
    args::Place,
    exit::{Failure, Outcome, Verdict},
    open::Opened,
    output::{self, say},
};

pub(crate) fn compact(place: &Place) -> Outcome {
    let (removed, before, after) = match place.format.is_none_or(|format| format == flumedb_ssb::Format::Flume)
        && Opened::is_database(&place.path)?
    {
        true => own(place)?,
        false => {
            let done = any::compact(&Env::os(), &place.path, place.format)?;
            (done.removed, done.bytes_before, done.bytes_after)
        }
    };
    output::line(format_args!("took out {removed} deleted entries; {before} bytes are {after} now"))?;
    Ok(Verdict::Fine)
}

/// A database of flume's own: names stay as they are.
fn own(place: &Place) -> Result<(u64, u64, u64), Failure> {
    let opened = Opened::write(place, false)?;
    let done = opened.db.compact().blocking()?;
    opened.db.close().blocking()?;
    if done.bytes_aside > 0 {
        let (bytes, path) = (done.bytes_aside, place.path.display());
        say(format!(
            "{bytes} bytes that a recovery or a repair has cut are kept in {path}/torn and {path}/damaged; they may hold what \
             was deleted: remove them once nobody wants to look at them"
        ));
    }
    Ok((done.erased, done.bytes_before, done.bytes_after))
}
