//! `flume query`: the index that narrows most gives candidates, and each is held against all that was asked for.

use flumedb::{
    ErrorKind, Flume, Result, Seq,
    codec::{JsonDoc, JsonDocs},
};
use flumedb_ssb::{Message, views as ssb};

use crate::{
    args::Query,
    exit::{Failure, Outcome, Verdict},
    open::{Kind, Opened},
    output::{self, Printer, say},
    views::{BY_AUTHOR, BY_KEY, BY_TIME, BY_TYPE, caught_up},
};

pub(crate) fn query(args: &Query) -> Outcome {
    let (db, mut verdict) = open(args)?;
    let mut printer = Printer::new(args.style);
    let (limit, mut found) = (args.limit.unwrap_or(u64::MAX), 0);
    for seq in candidates(args, &db)? {
        if found == limit {
            break;
        }
        let seq = seq?;
        let doc = match db.get(seq).blocking() {
            Ok(doc) => doc,
            // Deleted since the index was read, or no JSON and so no message.
            Err(error) if matches!(error.kind(), ErrorKind::Deleted | ErrorKind::NotFound | ErrorKind::Invalid) => {
                continue;
            }
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                say(error);
                verdict = Verdict::Lacking;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        if asked_for(args, &doc) {
            found += 1;
            if !args.count {
                printer.entry(seq, doc.as_bytes())?;
            }
        }
    }
    verdict = printer.finish()?.and(verdict);
    if args.count {
        output::line(found)?;
    }
    db.close().blocking()?;
    Ok(verdict)
}

/// The log with a place for its views: the database's own; where somebody else has that, or another one was named, that
/// or memory.
fn open(args: &Query) -> Result<(Flume<JsonDocs>, Verdict), Failure> {
    let mut builder = Flume::builder(JsonDocs);
    if let Some(dir) = &args.views {
        builder = builder.views_in(dir);
    }
    let mut damaged = Verdict::Fine;
    let database = Kind::of(&args.place)? == Kind::Database;
    if let Some(dir) = args.views.as_ref().filter(|_| database) {
        say(format_args!("views are kept in {}, not in the database", dir.display()));
    } else if database {
        match Flume::open(&args.place.path, JsonDocs).blocking() {
            Ok(db) => return Ok((db, Verdict::Fine)),
            Err(error) if matches!(error.kind(), ErrorKind::Locked | ErrorKind::Io | ErrorKind::Corrupt) => {
                say(format_args!("{error}; views are built in memory (--views DIR keeps them)"));
                if error.kind() == ErrorKind::Corrupt {
                    damaged = Verdict::Lacking;
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
    let opened = Opened::read_with(&args.place, builder)?;
    let verdict = if database { damaged } else { opened.verdict()? };
    Ok((opened.db, verdict))
}

type Seqs = Box<dyn Iterator<Item = Result<Seq>>>;

/// Entries that may be what is asked for, in order, and among them all that are.
fn candidates(args: &Query, db: &Flume<JsonDocs>) -> Result<Seqs, Failure> {
    let directed = |seqs: Box<dyn DoubleEndedIterator<Item = Result<Seq>>>| -> Seqs {
        if args.reverse { Box::new(seqs.rev()) } else { seqs }
    };
    let sorted = |seqs: &mut dyn Iterator<Item = Result<Seq>>| -> Result<Seqs, Failure> {
        let mut seqs = seqs.collect::<Result<Vec<_>>>()?;
        seqs.sort_unstable();
        Ok(directed(Box::new(seqs.into_iter().map(Ok))))
    };
    if let Some(key) = &args.key {
        let reader = caught_up(&db.view(BY_KEY, ssb::by_key()).blocking()?)?;
        return Ok(directed(Box::new(reader.get(key.as_str()).seqs())));
    }
    if let Some(author) = &args.author {
        let reader = caught_up(&db.view(BY_AUTHOR, ssb::by_author()).blocking()?)?;
        return sorted(&mut reader.prefix(author.as_str()).seqs());
    }
    if let Some(kind) = &args.kind {
        // Of one type they are in the order of the log already.
        let reader = caught_up(&db.view(BY_TYPE, ssb::by_type()).blocking()?)?;
        return Ok(directed(Box::new(reader.get(kind.as_str()).seqs())));
    }
    if args.since.is_some() || args.until.is_some() {
        let reader = caught_up(&db.view(BY_TIME, ssb::by_time()).blocking()?)?;
        let from = args.since.map_or(f64::NEG_INFINITY, |time| time.0);
        let to = args.until.map_or(f64::INFINITY, |time| time.0);
        return sorted(&mut reader.range(from..to).seqs());
    }
    let scan = db.scan(..);
    let scan = if args.reverse { scan.rev() } else { scan };
    Ok(Box::new(scan.raw().blocking().map(|entry| Ok(entry?.seq))))
}

fn asked_for(args: &Query, doc: &JsonDoc) -> bool {
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
