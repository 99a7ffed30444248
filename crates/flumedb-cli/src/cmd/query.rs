//! `flume query`: the index that narrows most gives candidates, and each is held against all that was asked for.

use flumedb::{ErrorKind, Flume, Result, Seq};
use flumedb_ssb::{Doc, Docs, Message, views as ssb};

use crate::{
    args::Query,
    exit::{Failure, Outcome, Verdict},
    open::Opened,
    output::{self, Damaged, Printer, say},
    views::{self, BY_AUTHOR, BY_KEY, BY_TIME, BY_TYPE, Stored, caught_up},
};

pub(crate) fn query(args: &Query) -> Outcome {
    let (mut seqs, mut verdict) = (None, Verdict::Fine);
    let mut builder = Flume::builder(Docs::json());
    if let Some(dir) = &args.views {
        builder = builder.views_in(dir);
    }
    if narrows(args) && Opened::is_database(&args.place.path)? {
        match &args.views {
            Some(dir) => say(format_args!("views are kept in {}, not in the database", dir.display())),
            None => match views::stored(&args.place.path) {
                // The writer's place is free again before anything is printed, however slowly that is taken.
                Ok(db) => {
                    seqs = found(args, &db, &mut verdict)?;
                    db.close().blocking()?;
                }
                Err(Stored::Failed(failure)) => return Err(failure),
                Err(reason) => {
                    if !matches!(&reason, Stored::NotToBeHad(error) if error.kind() != ErrorKind::Corrupt) {
                        verdict = Verdict::Lacking;
                    }
                    say(format_args!("{}; views are built in memory (--views DIR keeps them)", Failure::from(reason)));
                }
            },
        }
    }
    let opened = Opened::read_with(&args.place, builder)?;
    if narrows(args) && seqs.is_none() {
        seqs = found(args, &opened.db, &mut verdict)?;
    }
    if verdict == Verdict::Fine {
        verdict = opened.verdict()?;
    }
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
    match candidates(args, db) {
        Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Faulted) => {
            *verdict = Verdict::Lacking;
            say(format_args!("{}; every entry that can be read is looked at", views::unusable(error)));
            Ok(None)
        }
        seqs => Ok(Some(seqs?)),
    }
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
