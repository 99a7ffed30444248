//! `flume append`.

use std::io;

use crate::{
    args::Place,
    exit::{Failure, Outcome, Verdict},
    lines::Lines,
    open::Opened,
    output,
};

pub(crate) fn append(place: &Place) -> Outcome {
    let mut lines = Lines::new(io::stdin().lock());
    let (opened, mut next);
    if Opened::is_new(place)? {
        // Lines that are no JSON leave no database behind.
        next = lines.next_group()?;
        opened = Opened::write_or_create(place)?;
    } else {
        opened = Opened::write_or_create(place)?;
        next = lines.next_group()?;
    }
    while let Some(group) = next {
        // What comes together is appended together, so that a line that is no JSON leaves nothing half done.
        let seqs = opened.db.append_all(group.iter().map(String::as_bytes)).blocking()?;
        let printed: Vec<String> = seqs.iter().map(ToString::to_string).collect();
        if !printed.is_empty() {
            output::line(printed.join("\n"))?;
        }
        next = lines.next_group()?;
    }
    opened.db.close().blocking().map_err(Failure::from)?;
    Ok(Verdict::Fine)
}
