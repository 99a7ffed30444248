//! `flume since`.

use crate::{
    args::Place,
    exit::{Failure, Outcome},
    open::Opened,
    output,
};

pub(crate) fn since(place: &Place) -> Outcome {
    let opened = Opened::read(place)?;
    let verdict = opened.verdict()?;
    match opened.db.barrier().blocking()? {
        Some(head) => output::line(head)?,
        None => return Err(Failure::lacking(format!("{} is empty", place.path.display()))),
    }
    Ok(verdict)
}
