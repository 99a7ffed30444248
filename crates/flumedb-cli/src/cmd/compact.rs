//! `flume compact`.

use flumedb::{Env, Error, ErrorKind, Seq, log::Before};
use flumedb_ssb::any;

use crate::{
    args::Compact,
    exit::{Failure, Outcome, Verdict},
    open::Opened,
    output::{self, say},
};

pub(crate) fn compact(args: &Compact) -> Outcome {
    let place = &args.place;
    let before = args.before.map(|seq| Before::Seq(Seq::new(seq))).or(args.older_than.map(Before::Age));
    let is_own = place.format.is_none_or(|format| format == flumedb_ssb::Format::Flume);
    let (removed, bytes) = match is_own && Opened::is_database(&place.path)? {
        true => own(args, before)?,
        false if before.is_some() && place.path.exists() => {
            let message =
                "only a database of flume's own can lose its beginning; `flume convert` makes one of this log";
            return Err(Error::new(ErrorKind::Unsupported, message).into());
        }
        false => {
            let done = any::compact(&Env::os(), &place.path, place.format)?;
            (done.removed, [done.bytes_before, done.bytes_after])
        }
    };
    let [bytes_before, bytes_after] = bytes;
    output::line(format_args!("took out {removed} deleted entries; {bytes_before} bytes are {bytes_after} now"))?;
    Ok(Verdict::Fine)
}

/// A database of flume's own: names stay as they are.
fn own(args: &Compact, before: Option<Before>) -> Result<(u64, [u64; 2]), Failure> {
    let opened = Opened::write(&args.place, false)?;
    let done = match before {
        Some(before) => opened.db.drop_before(before).blocking()?,
        None => opened.db.compact().blocking()?,
    };
    if before.is_some() {
        let first = opened.db.first().map_or("its next entry".to_owned(), |first| first.to_string());
        output::line(format_args!("dropped {} whole segments; the log begins at {first}", done.dropped))?;
    }
    opened.db.close().blocking()?;
    if done.bytes_aside > 0 {
        let (bytes, path) = (done.bytes_aside, args.place.path.display());
        say(format!(
            "{bytes} bytes that a recovery or a repair has cut are kept in {path}/torn and {path}/damaged; they may hold what \
             was deleted: remove them once nobody wants to look at them"
        ));
    }
    Ok((done.erased, [done.bytes_before, done.bytes_after]))
}
