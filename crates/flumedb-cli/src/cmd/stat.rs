//! `flume stat`.

use flumedb::Seq;
use serde_json::{Value, json};

use crate::{
    args::Stat,
    exit::{Failure, Outcome},
    open::Opened,
    output,
    views::{self, Stored},
};

pub(crate) fn stat(args: &Stat) -> Outcome {
    let opened = Opened::read(&args.place)?;
    let stat = opened.db.stat()?;
    let head = opened.db.barrier().blocking()?;
    let views = if opened.is_own() { views(args)? } else { Some(Vec::new()) };
    if args.json {
        let views = views.map(|views| {
            views.iter().map(|(name, since)| json!({"name": name, "since": since})).collect::<Vec<Value>>()
        });
        let object = json!({
            "format": opened.format.to_string(), "codec": opened.payloads, "entries": stat.entries,
            "deleted": stat.deleted, "bytes": stat.bytes, "head": head, "views": views, "evidence": opened.evidence,
        });
        output::line(object)?;
        return opened.verdict();
    }
    let say = |seq: Option<Seq>| seq.map_or("none".to_owned(), |seq| seq.to_string());
    output::line(format_args!("format   {}", opened.format))?;
    output::line(format_args!("codec    {}", opened.payloads))?;
    output::line(format_args!("entries  {}", stat.entries))?;
    output::line(format_args!("deleted  {}", stat.deleted))?;
    output::line(format_args!("bytes    {}", stat.bytes))?;
    output::line(format_args!("head     {}", say(head)))?;
    match views {
        Some(views) => {
            for (name, since) in views {
                output::line(format_args!("view     {name} at {} of {}", say(since), say(head)))?;
            }
        }
        None => output::line("views    not to be had: another program writes, or the log needs repair")?,
    }
    for reason in &opened.evidence {
        output::line(format_args!("because  {reason}"))?;
    }
    opened.verdict()
}

/// How far each view is; nothing while somebody else has them.
fn views(args: &Stat) -> Result<Option<Vec<(String, Option<Seq>)>>, Failure> {
    let db = match views::stored(&args.place.path) {
        Ok(db) => db,
        Err(Stored::Failed(failure)) => return Err(failure),
        Err(_) => return Ok(None),
    };
    let mut views = Vec::new();
    for name in views::NAMES {
        views.push((name.to_owned(), views::open(&db, name, false)?.stored()?));
    }
    db.close().blocking()?;
    Ok(Some(views))
}
