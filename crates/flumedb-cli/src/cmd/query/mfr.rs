//! `--mfr`: the language map-filter-reduce. An index gives candidates, and each goes through the stages of the query.

use flumedb::{
    ErrorKind, Flume, Result, Seq,
    mfr::{Compat, Language, Pipeline, Row},
    views::{
        IndexOn, Query as Indexes,
        query::{Ask, Explain},
    },
};
use flumedb_ssb::{Doc, Docs};
use serde_json::{Value, json};

use super::asked::{Asked, unless_damaged};
use crate::{
    args::Query,
    exit::{Failure, Outcome, Verdict},
    open::Opened,
    output::{self, Damaged, Printer, say},
    views::caught_up,
};

/// Those that ssb-query had for messages. One is built when a query first needs it.
const INDEXES: &str = r#"[
    {"key": "log", "value": ["timestamp"]},
    {"key": "clk", "value": [["value", "author"], ["value", "sequence"]]},
    {"key": "typ", "value": [["value", "content", "type"], "timestamp"]},
    {"key": "tya", "value": [["value", "content", "type"], ["value", "timestamp"]]},
    {"key": "cha", "value": [["value", "content", "channel"], "timestamp"]},
    {"key": "aty", "value": [["value", "author"], ["value", "content", "type"], "timestamp"]},
    {"key": "ata", "value": [["value", "author"], ["value", "content", "type"], ["value", "timestamp"]]},
    {"key": "art", "value": [["value", "content", "root"], ["value", "timestamp"]]}
]"#;

/// What the views said.
enum Answer {
    Seqs(Vec<Seq>),
    Explain(Explain),
}

pub(super) fn answer(args: &Query, text: &str) -> Outcome {
    let query = parse(args, text)?;
    let index = best(args, &query)?.filter(|_| args.sort.as_deref() != Some("arrival"));
    let ask = |db: &Flume<Docs>, verdict: &mut Verdict| {
        let asked = ask(args, db, &query, index.clone());
        if args.explain {
            Ok(Some(Answer::Explain(asked?.explain().blocking()?)))
        } else {
            unless_damaged(asked.and_then(|ask| ask.candidates().blocking()), verdict)
                .map(|seqs| seqs.map(Answer::Seqs))
        }
    };
    let Asked { opened, answer, verdict } = Asked::of(args, (index.is_some() || args.explain).then_some(ask))?;
    match answer {
        Some(Answer::Explain(explain)) => {
            output::line(serde_json::to_string(&explain).unwrap_or_default())?;
            Ok(verdict)
        }
        Some(Answer::Seqs(seqs)) => {
            let db = opened.db.clone();
            let entries = seqs.into_iter().map(move |seq| db.get(seq).blocking().map(|doc| (seq, doc)));
            Ok(Run::new(args, &opened, false).all(&query, entries)?.and(verdict))
        }
        None => {
            let scan = opened.db.scan(..);
            let scan = if args.reverse { scan.rev() } else { scan };
            let entries = scan.blocking().map(|entry| entry.map(|entry| (entry.seq, entry.value)));
            Ok(Run::new(args, &opened, args.sort.as_deref().is_none_or(|sort| sort == "arrival"))
                .all(&query, entries)?
                .and(verdict))
        }
    }
}

fn parse(args: &Query, text: &str) -> Result<Pipeline> {
    let language = Language::new().compat(if args.compat { Compat::Originals } else { Compat::Corrected });
    let query = language.parse(text)?;
    match args.sort.as_deref() {
        None | Some("arrival") => Ok(query),
        Some(path) => {
            let path: Vec<_> = path.split('.').collect();
            let path = if args.reverse { json!({ "$reverse": path }) } else { json!(path) };
            Ok(query.then(&language.parse_value(&json!([{ "$sort": [path] }]))?))
        }
    }
}

/// The index that fits best; of those that fit alike, the first.
fn best(args: &Query, query: &Pipeline) -> Result<Option<IndexOn>> {
    let indexes = IndexOn::parse_list(args.indexes.as_deref().unwrap_or(INDEXES))?;
    let fitting = indexes.into_iter().rev().filter(|index| index.fits(query) > 0);
    Ok(fitting.max_by_key(|index| index.fits(query)))
}

fn ask(args: &Query, db: &Flume<Docs>, query: &Pipeline, index: Option<IndexOn>) -> Result<Ask<Docs>> {
    let set = Indexes::open(db, "query", index).blocking()?;
    // Shows how far the index is, if that takes long.
    set.views().try_for_each(|view| caught_up(view).map(drop))?;
    let ask = set.ask(query);
    Ok(if args.reverse { ask.reverse() } else { ask })
}

/// Prints, or counts, the rows.
struct Run<'a> {
    args: &'a Query,
    db: Flume<Docs>,
    printer: Printer,
    damaged: Damaged,
    /// Whether rows come in the order of the log, or backwards.
    in_log_order: bool,
    /// Whether the entry that rows come behind has not been met.
    waits: bool,
    found: u64,
    /// How many entries were too deep for the query, and the first of them.
    too_deep: Option<(u64, Seq)>,
}

impl<'a> Run<'a> {
    fn new(args: &'a Query, opened: &Opened<Docs>, in_log_order: bool) -> Self {
        let printer = Printer::new(args.style, opened.payloads);
        let waits = args.after.is_some() && !in_log_order;
        Self {
            args,
            db: opened.db.clone(),
            printer,
            damaged: Damaged::default(),
            in_log_order,
            waits,
            found: 0,
            too_deep: None,
        }
    }

    fn all(mut self, query: &Pipeline, entries: impl Iterator<Item = Result<(Seq, Doc)>>) -> Outcome {
        let mut running = query.start();
        for entry in entries {
            if self.is_full() {
                break;
            }
            let (seq, doc) = match entry {
                Ok(entry) => entry,
                // Deleted since the index was read, or no JSON.
                Err(error) if matches!(error.kind(), ErrorKind::Deleted | ErrorKind::NotFound | ErrorKind::Invalid) => {
                    continue;
                }
                Err(error) => {
                    self.damaged.step_over(error)?;
                    continue;
                }
            };
            match running.push(Some(seq), &doc) {
                Ok(Some(row)) => self.row(row, Some(&doc))?,
                Ok(None) => {}
                // Too deep to be a value. Where nothing is kept for the end, it has come through all stages as it is, and is
                // printed from its bytes like any other.
                Err(error) if error.kind() == ErrorKind::Unsupported && error.seq().is_some() => {
                    if query.is_streaming() {
                        self.row(Row { seq: Some(seq), value: Value::Null }, Some(&doc))?;
                    } else {
                        let (count, first) = self.too_deep.unwrap_or((0, seq));
                        self.too_deep = Some((count + 1, first));
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        for row in running.finish() {
            if self.is_full() {
                break;
            }
            self.row(row?, None)?;
        }
        if self.waits && !self.is_full() {
            let after = self.args.after.unwrap_or_default();
            return Err(Failure::lacking(format!("entry {after} is not among the rows, so nothing comes behind it")));
        }
        let mut verdict = self.printer.finish()?.and(self.damaged.verdict());
        if let Some((count, first)) = self.too_deep {
            let entries = if count == 1 { "entry is" } else { "entries are" };
            say(format_args!("{count} {entries} too deep to be sorted ({first} is the first), and left out"));
            verdict = verdict.and(Verdict::Lacking);
        }
        if self.args.count {
            output::line(self.found)?;
        }
        Ok(verdict)
    }

    fn is_full(&self) -> bool {
        self.args.limit.is_some_and(|limit| self.found >= limit)
    }

    fn row(&mut self, row: Row, doc: Option<&Doc>) -> Result<(), Failure> {
        if self.is_before(row.seq)? {
            return Ok(());
        }
        self.found += 1;
        match row.seq {
            _ if self.args.count => {}
            Some(seq) if self.args.seqs => self.printer.seq(seq)?,
            Some(seq) => match doc {
                Some(doc) => self.printer.entry(seq, doc.as_bytes())?,
                None => {
                    let doc = self.db.get(seq).blocking()?;
                    self.printer.entry(seq, doc.as_bytes())?;
                }
            },
            None if self.args.seqs => {
                return Err(Failure::usage("the rows are no entries, so they have no numbers; leave out --seqs"));
            }
            None => self.printer.value(&row.value)?,
        }
        Ok(())
    }

    /// Whether a row does not come behind the entry that was named.
    fn is_before(&mut self, row: Option<Seq>) -> Result<bool, Failure> {
        let Some(after) = self.args.after.map(Seq::new) else { return Ok(false) };
        let Some(row) = row else {
            return Err(Failure::usage("the rows are no entries, so none comes behind one; leave out --after"));
        };
        if self.in_log_order {
            return Ok(if self.args.reverse { row >= after } else { row <= after });
        }
        let before = self.waits;
        self.waits &= row != after;
        Ok(before)
    }
}
