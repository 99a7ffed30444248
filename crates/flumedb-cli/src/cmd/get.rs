//! `flume get`.

use flumedb::{ErrorKind, Seq};

use crate::{
    args::Get,
    exit::{Failure, Outcome},
    open::Opened,
    output::Printer,
};

pub(crate) fn get(args: &Get) -> Outcome {
    let opened = Opened::read(&args.place)?;
    let missing = || Failure::lacking(format!("there is no entry {} in {}", args.seq, args.place.path.display()));
    let seq = Seq::new(u64::try_from(args.seq).map_err(|_| missing())?);
    let mut printer = Printer::new(args.style, opened.payloads);
    match opened.db.get(seq).blocking() {
        Ok(payload) => printer.entry(seq, &payload)?,
        Err(error) if error.kind() == ErrorKind::Deleted => {
            printer.deleted(seq)?;
            printer.flush()?;
            return Err(error.into());
        }
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(missing()),
        Err(error) => return Err(error.into()),
    }
    Ok(printer.finish()?.and(opened.verdict()?))
}
