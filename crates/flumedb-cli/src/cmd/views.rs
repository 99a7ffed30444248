//! `flume views`.

use serde_json::json;

use crate::{
    args::Views,
    exit::{Outcome, Verdict},
    output, views,
};

pub(crate) fn views(args: &Views) -> Outcome {
    let db = views::stored(&args.path)?;
    let head = db.head();
    let mut open = Vec::new();
    for name in views::NAMES {
        let view = views::open(&db, name, false)?;
        let (since, keys) = (view.stored()?, view.keys()?);
        if args.json {
            output::line(json!({"name": name, "since": since, "keys": keys}))?;
        } else {
            let say = |seq: Option<flumedb::Seq>| seq.map_or("none".to_owned(), |seq| seq.to_string());
            output::line(format_args!("{name:10} at {} of {}, {keys} keys", say(since), say(head)))?;
        }
        open.push(view);
    }
    if args.prune {
        for removed in db.prune_views()? {
            output::line(format_args!("removed {removed}"))?;
        }
    }
    db.close().blocking()?;
    Ok(Verdict::Fine)
}
