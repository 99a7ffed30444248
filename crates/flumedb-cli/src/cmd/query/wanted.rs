//! `--where`: a tree of operators, answered by bitmaps.

use flumedb::{
    ErrorKind, Flume, Result, Seq,
    views::{
        Bitmaps, Op,
        bitmaps::{Cursor, Query as Bits},
    },
};
use flumedb_ssb::Docs;
use serde_json::json;

use super::asked::Asked;
use crate::{
    args::Query,
    exit::{Failure, Outcome, Verdict},
    output::{self, Damaged, Printer},
};

/// What the views said.
enum Answer {
    Seqs(Vec<Seq>),
    Count(u64),
    Explain(String),
}

pub(super) fn answer(args: &Query, text: &str) -> Outcome {
    let op = Op::from_json(text)?;
    let ask = |db: &Flume<Docs>, _: &mut Verdict| ask(args, db, &op).map(Some);
    let Asked { opened, answer, mut verdict } = Asked::of(args, Some(ask))?;
    let seqs = match answer {
        Some(Answer::Explain(explain)) => {
            output::line(explain)?;
            return Ok(verdict);
        }
        Some(Answer::Count(count)) => {
            output::line(count)?;
            return Ok(verdict);
        }
        Some(Answer::Seqs(seqs)) => seqs,
        None => Vec::new(),
    };
    let mut printer = Printer::new(args.style, opened.payloads);
    let mut damaged = Damaged::default();
    for seq in seqs {
        if args.seqs {
            printer.seq(seq)?;
            continue;
        }
        match opened.db.get(seq).blocking() {
            Ok(doc) => printer.entry(seq, doc.as_bytes())?,
            // Deleted since the bitmaps were read.
            Err(error) if matches!(error.kind(), ErrorKind::Deleted | ErrorKind::NotFound) => {}
            Err(error) => damaged.step_over(error)?,
        }
    }
    verdict = printer.finish()?.and(damaged.verdict()).and(verdict);
    Ok(verdict)
}

fn ask(args: &Query, db: &Flume<Docs>, op: &Op) -> Result<Answer, Failure> {
    let mut query = Bitmaps::new(db).query(op.clone());
    let sorted = args.sort.as_deref().filter(|sort| *sort != "arrival");
    if let Some(path) = sorted {
        query = query.sort(path);
    }
    if args.reverse {
        query = query.descending();
    }
    if args.explain {
        return explain(db, &query).map(Answer::Explain);
    }
    if args.count && args.after.is_none() {
        let count = query.count().blocking()?;
        return Ok(Answer::Count(args.limit.map_or(count, |limit| count.min(limit))));
    }
    let seqs = match (args.after.map(Seq::new), sorted) {
        (Some(after), Some(_)) => behind(args, &query, after)?,
        (Some(after), None) => limited(args, query.after(Cursor::after(after))).seqs().blocking()?,
        (None, _) => limited(args, query).seqs().blocking()?,
    };
    Ok(if args.count { Answer::Count(seqs.len() as u64) } else { Answer::Seqs(seqs) })
}

fn limited(args: &Query, query: Bits<Docs>) -> Bits<Docs> {
    match args.limit {
        Some(limit) => query.limit(limit),
        None => query,
    }
}

/// What comes behind an entry in the order of a number, which is known when the entry is met.
fn behind(args: &Query, query: &Bits<Docs>, after: Seq) -> Result<Vec<Seq>, Failure> {
    pollster::block_on(async {
        let mut matches = query.run().await?;
        while let Some(seq) = matches.next().await {
            if seq? == after
                && let Some(cursor) = matches.cursor()
            {
                return Ok(limited(args, query.clone().after(cursor)).seqs().await?);
            }
        }
        Err(Failure::lacking(format!("entry {after} is not among the rows, so nothing comes behind it")))
    })
}

/// Which bitmaps are asked, and how many entries they have in common.
fn explain(db: &Flume<Docs>, query: &Bits<Docs>) -> Result<String, Failure> {
    let rows = query.count().blocking()?;
    pollster::block_on(async { query.clone().limit(0).seqs().await })?;
    // No other view has been added.
    let views: Vec<_> = db.progress().into_iter().map(|(name, _)| name).collect();
    Ok(json!({"query": query.op().to_json(), "views": views, "rows": rows}).to_string())
}
