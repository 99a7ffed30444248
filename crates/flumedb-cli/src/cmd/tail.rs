//! `flume tail`.

use flumedb::{Event, From};

use crate::{
    args::Tail,
    exit::{Failure, Outcome},
    open::Opened,
    output::{Damaged, Printer},
};

pub(crate) fn tail(args: &Tail) -> Outcome {
    let opened = Opened::read(&args.place)?;
    // A file says what is wrong with it; a database is likely being written to, and says it where it is met.
    if !opened.is_own() {
        opened.verdict()?;
    }
    let mut damaged = Damaged::default();
    let mut printer = Printer::new(args.style, opened.payloads);
    let head = opened.db.barrier().blocking()?;
    let bounds = ..=head.unwrap_or(flumedb::Seq::new(0));
    let mut newest = Vec::new();
    if args.lines > 0 {
        for entry in opened.db.scan(bounds).rev().blocking() {
            match entry {
                Ok(entry) => newest.push(entry),
                Err(error) => damaged.step_over(error)?,
            }
            if newest.len() as u64 == args.lines {
                break;
            }
        }
    }
    for entry in newest.iter().rev() {
        printer.entry(entry.seq, &entry.value)?;
    }
    printer.flush()?;
    let from = head.map_or(From::Start, From::After);
    for event in opened.db.subscribe(from).events().blocking() {
        match event {
            Ok(Event::Entry(entry)) => printer.entry(entry.seq, &entry.value)?,
            Ok(Event::Deleted(seq)) => printer.deleted(seq)?,
            Ok(_) => continue,
            Err(error) => damaged.step_over(error)?,
        }
        printer.flush()?;
    }
    Err(Failure::system("the log was closed"))
}
