//! Questions about messages: the index that narrows most gives candidates, and each is held against all that was asked for.

use flumedb::{ErrorKind, Flume, Result, Seq};
use flumedb_ssb::{Doc, Docs, Message, views as ssb};

use super::asked::{Asked, unless_damaged};
use crate::{
    args::Query,
    exit::{Failure, Outcome, Verdict},
    output::{self, Damaged, Printer},
    views::{BY_AUTHOR, BY_KEY, BY_TIME, BY_TYPE, caught_up},
};

pub(super) fn answer(args: &Query) -> Outcome {
    let ask = |db: &Flume<Docs>, verdict: &mut Verdict| found(args, db, verdict);
    let Asked { opened, answer: seqs, verdict } = Asked::of(args, narrows(args).then_some(ask))?;
    let entries = match seqs {
        Some(mut seqs) => {
            if args.reverse {
                seqs.reverse();
            }
            let db = opened.db.clone();
            Box::new(seqs.into_iter().map(move |seq| db.get(seq).blocking().map(|doc| (seq, doc)))) as Entries
        }
        None => {
            let scan = opened.db.scan(..);
            let scan = if args.reverse { scan.rev() } else { scan };
            Box::new(scan.blocking().map(|entry| entry.map(|entry| (entry.seq, entry.value))))
        }
    };
    Ok(print(args, Printer::new(args.style, opened.payloads), entries)?.and(verdict))
}

type Entries = Box<dyn Iterator<Item = Result<(Seq, Doc)>>>;

/// Prints, or counts, those of the entries that are asked for.
fn print(args: &Query, mut printer: Printer, entries: Entries) -> Outcome {
    let mut damaged = Damaged::default();
    let (limit, mut found) = (args.limit.unwrap_or(u64::MAX), 0);
    for entry in entries {
        if found == limit {
            break;
        }
        let (seq, doc) = match entry {
            Ok(entry) => entry,
            // Deleted since the index was read, or no JSON and so no message.
            Err(error) if matches!(error.kind(), ErrorKind::Deleted | ErrorKind::NotFound | ErrorKind::Invalid) => {
                continue;
            }
            Err(error) => {
                damaged.step_over(error)?;
                continue;
            }
        };
        if asked_for(args, &doc) {
            found += 1;
            if !args.count {
                printer.entry(seq, doc.as_bytes())?;
            }
        }
    }
    let verdict = printer.finish()?.and(damaged.verdict());
    if args.count {
        output::line(found)?;
    }
    Ok(verdict)
}

/// Whether an index can narrow what is asked for.
fn narrows(args: &Query) -> bool {
    args.key.is_some() || args.author.is_some() || args.kind.is_some() || args.since.is_some() || args.until.is_some()
}

/// What the index says; nothing where damage keeps it from being built: then every entry is looked at.
fn found(args: &Query, db: &Flume<Docs>, verdict: &mut Verdict) -> Result<Option<Vec<Seq>>, Failure> {
    unless_damaged(candidates(args, db), verdict)
}

/// Entries that may be what is asked for, in the order of the log, and among them all that are.
fn candidates(args: &Query, db: &Flume<Docs>) -> Result<Vec<Seq>> {
    let mut seqs: Vec<Seq> = if let Some(key) = &args.key {
        let reader = caught_up(&db.view(BY_KEY, ssb::by_key()).blocking()?)?;
        reader.get(key.as_str()).seqs().collect::<Result<_>>()?
    } else if let Some(author) = &args.author {
        let reader = caught_up(&db.view(BY_AUTHOR, ssb::by_author()).blocking()?)?;
        reader.prefix(author.as_str()).seqs().collect::<Result<_>>()?
    } else if let Some(kind) = &args.kind {
        let reader = caught_up(&db.view(BY_TYPE, ssb::by_type()).blocking()?)?;
        reader.get(kind.as_str()).seqs().collect::<Result<_>>()?
    } else {
        let reader = caught_up(&db.view(BY_TIME, ssb::by_time()).blocking()?)?;
        let from = args.since.map_or(f64::NEG_INFINITY, |time| time.0);
        let to = args.until.map_or(f64::INFINITY, |time| time.0);
        reader.range(from..to).seqs().collect::<Result<_>>()?
    };
    seqs.sort_unstable();
    Ok(seqs)
}

fn asked_for(args: &Query, doc: &Doc) -> bool {
    let message = Message::new(doc);
    let is = |asked: &Option<String>, said: Option<std::borrow::Cow<'_, str>>| {
        asked.as_deref().is_none_or(|asked| said.as_deref() == Some(asked))
    };
    let time = |holds: &dyn Fn(f64) -> bool| message.timestamp().is_some_and(holds);
    is(&args.key, message.key())
        && is(&args.author, message.author())
        && is(&args.kind, message.kind())
        && args.since.is_none_or(|since| time(&|at| at >= since.0))
        && args.until.is_none_or(|until| time(&|at| at < until.0))
}
