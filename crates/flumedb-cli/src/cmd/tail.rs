//! `flume tail`.

use flumedb::{Event, From};

use crate::{
    args::Tail,
    exit::{Failure, Outcome},
    open::{Kind, Opened},
    output::Printer,
};

pub(crate) fn tail(args: &Tail) -> Outcome {
    let opened = Opened::read(&args.place)?;
    // A file says what is wrong with it; a database is likely being written to.
    if !matches!(Kind::of(&args.place)?, Kind::Database) {
        opened.verdict()?;
    }
    let mut printer = Printer::new(args.style);
    let head = opened.db.barrier().blocking()?;
    let bounds = ..=head.unwrap_or(flumedb::Seq::new(0));
    let newest: Result<Vec<_>, _> = opened.db.scan(bounds).rev().limit(args.lines).blocking().collect();
    for entry in newest?.iter().rev() {
        printer.entry(entry.seq, &entry.value)?;
    }
    printer.flush()?;
    let from = head.map_or(From::Start, From::After);
    for event in opened.db.subscribe(from).events().blocking() {
        match event? {
            Event::Entry(entry) => printer.entry(entry.seq, &entry.value)?,
            Event::Deleted(seq) => printer.deleted(seq)?,
            _ => continue,
        }
        printer.flush()?;
    }
    Err(Failure::system("the log was closed"))
}
