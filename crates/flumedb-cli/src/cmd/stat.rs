//! `flume stat`.

use serde_json::json;

use crate::{args::Stat, exit::Outcome, open::Opened, output};

pub(crate) fn stat(args: &Stat) -> Outcome {
    let opened = Opened::read(&args.place)?;
    let stat = opened.db.stat()?;
    let head = opened.db.barrier().blocking()?;
    if args.json {
        let object = json!({
            "format": stat.format, "entries": stat.entries, "deleted": stat.deleted, "bytes": stat.bytes, "head": head,
        });
        output::line(object)?;
    } else {
        output::line(format_args!("format   {}", stat.format))?;
        output::line(format_args!("entries  {}", stat.entries))?;
        output::line(format_args!("deleted  {}", stat.deleted))?;
        output::line(format_args!("bytes    {}", stat.bytes))?;
        output::line(format_args!("head     {}", head.map_or("none".to_owned(), |head| head.to_string())))?;
    }
    Ok(opened.verdict())
}
