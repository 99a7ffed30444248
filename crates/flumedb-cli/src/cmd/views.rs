//! `flume views`.

use flumedb::{Env, Seq, view::StoredView};
use serde_json::json;

use crate::{
    args::Views,
    exit::{Outcome, Verdict},
    output, views,
};

pub(crate) fn views(args: &Views) -> Outcome {
    let say = |seq: Option<Seq>| seq.map_or("none".to_owned(), |seq| seq.to_string());
    let db = views::stored(&args.path)?;
    let head = db.head();
    let mut open = Vec::new();
    for name in views::NAMES {
        let view = views::open(&db, name, false)?;
        let (since, keys) = (view.stored()?, view.keys()?);
        if args.json {
            output::line(json!({"name": name, "since": since, "keys": keys}))?;
        } else {
            output::line(format_args!("{name:10} at {} of {}, {keys} keys", say(since), say(head)))?;
        }
        open.push(view);
    }
    // Those that queries have made, and others that only a program knows.
    for stored in StoredView::list(&Env::os(), &views::dir(&args.path))? {
        let (name, status) = (&stored.name, stored.status.as_ref());
        if views::NAMES.contains(&&**name) {
            continue;
        }
        let since = status.and_then(|status| status.since);
        let kind = status.map(|status| status.definition.kind.as_str());
        if args.json {
            output::line(json!({"name": name, "since": since, "keys": null, "kind": kind}))?;
        } else {
            let kind = kind.unwrap_or("unknown");
            output::line(format_args!("{name:10} at {} of {}, {kind}", say(since), say(head)))?;
        }
    }
    if args.prune {
        for removed in db.prune_views()? {
            output::line(format_args!("removed {removed}"))?;
        }
    }
    db.close().blocking()?;
    Ok(Verdict::Fine)
}
