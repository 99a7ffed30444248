//! `flume cat`.

use flumedb::{Bytes, Event, From, Seq, Span};

use crate::{
    args::{Bounds, Cat},
    exit::{Failure, Outcome, Verdict},
    open::Opened,
    output::{Damaged, Printer},
};

pub(crate) fn cat(args: &Cat) -> Outcome {
    let opened = Opened::read(&args.place)?;
    let span = span(&args.bounds);
    let mut run = Run {
        printer: Printer::new(args.style, opened.payloads),
        deleted: args.deleted,
        left: args.limit.unwrap_or(u64::MAX),
        damaged: Damaged::default(),
    };
    let head = opened.db.barrier().blocking()?;
    run.history(&opened, span, args.reverse)?;
    if args.live {
        run.printer.flush()?;
        // What comes, and what of the span the log has not reached yet.
        let after = head.map_or(0, |head| head.get().saturating_add(1)).max(span.from);
        if after < span.to {
            run.live(&opened, after, span)?;
        }
    }
    let verdict = run.printer.finish()?.and(run.damaged.verdict());
    // What has been met has been told of.
    if verdict == Verdict::Lacking { Ok(verdict) } else { opened.verdict() }
}

struct Run {
    printer: Printer,
    deleted: bool,
    left: u64,
    damaged: Damaged,
}

impl Run {
    fn history(&mut self, opened: &Opened, span: Span, reverse: bool) -> Result<(), Failure> {
        let scan = opened.db.scan(Seq::new(span.from)..Seq::new(span.to));
        let scan = if reverse { scan.rev() } else { scan };
        for event in scan.events().blocking() {
            if self.left == 0 {
                break;
            }
            self.print(event)?;
        }
        Ok(())
    }

    fn live(&mut self, opened: &Opened, start: u64, span: Span) -> Result<(), Failure> {
        let from = start.checked_sub(1).map_or(From::Start, |before| From::After(Seq::new(before)));
        let mut caught_up = false;
        let mut events = opened.db.subscribe(from).events().blocking();
        while self.left > 0 {
            let Some(event) = events.next() else { break };
            match &event {
                Ok(Event::Entry(entry)) if entry.seq.get() >= span.to => break,
                Ok(Event::Deleted(seq)) if !span.contains(seq.get()) => continue,
                Ok(Event::CaughtUp) => caught_up = true,
                _ => {}
            }
            let last = matches!(&event, Ok(Event::Entry(entry)) if entry.seq.get().saturating_add(1) == span.to);
            self.print(event)?;
            if caught_up {
                self.printer.flush()?;
            }
            if last {
                break;
            }
        }
        Ok(())
    }

    fn print(&mut self, event: flumedb::Result<Event<Bytes>>) -> Result<(), Failure> {
        match event {
            Ok(Event::Entry(entry)) => self.printer.entry(entry.seq, &entry.value)?,
            Ok(Event::Deleted(seq)) if self.deleted => self.printer.deleted(seq)?,
            Ok(_) => return Ok(()),
            Err(error) => return self.damaged.step_over(error),
        }
        self.left -= 1;
        Ok(())
    }
}

/// The numbers that all bounds let through.
fn span(bounds: &Bounds) -> Span {
    let number = |number: i128| u64::try_from(number.max(0)).unwrap_or(u64::MAX);
    let after = |bound: i128| number(bound.saturating_add(1));
    let from = bounds.gt.map_or(0, after).max(bounds.gte.map_or(0, number));
    let to = bounds.lte.map_or(u64::MAX, after).min(bounds.lt.map_or(u64::MAX, number));
    Span { from, to }
}
