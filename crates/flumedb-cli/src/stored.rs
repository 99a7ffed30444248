//! [`Stored`], what `check --views` finds of the views that a database keeps: each is built anew beside the one that is kept,
//! and both are held against each other.

use std::path::Path;

use flumedb::{Env, Seq, view::StoredView};
use serde::Serialize;

use crate::{
    exit::{Failure, Verdict},
    held::hold,
    output::{self, say},
    views,
};

#[derive(Serialize)]
#[serde(transparent)]
pub(crate) struct Stored(Vec<Finding>);

/// What was found of one view.
#[derive(Serialize)]
struct Finding {
    name: String,
    /// The newest entry that it had taken in.
    since: Option<Seq>,
    /// Nothing if nobody here can say.
    ok: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl Stored {
    /// Holds the views that the database at `path` keeps against its log.
    pub(crate) fn check(path: &Path) -> Result<Self, Failure> {
        const UNKNOWN: &str = "not held against the log: only the program whose view it is knows what is to be in it";
        let db = views::stored(path)?;
        let mut found = Vec::new();
        let mut kept = StoredView::list(&Env::os(), &views::dir(path))?;
        // Stores of older definitions are under the same name.
        kept.dedup_by(|next, one| next.name == one.name);
        for stored in kept {
            let (since, ok, reason) = match hold(&db, &stored) {
                Ok(Some(held)) => (held.since, Some(held.difference.is_none()), held.difference),
                Ok(None) => (None, None, Some(UNKNOWN.to_owned())),
                // It holds more than the log, or cannot be read.
                Err(failure) => (None, Some(false), Some(failure.to_string())),
            };
            found.push(Finding { name: stored.name, since, ok, reason });
        }
        db.close().blocking()?;
        Ok(Self(found))
    }

    /// Prints a line for each view.
    pub(crate) fn print(&self) -> Result<(), Failure> {
        for Finding { name, since, ok, reason } in &self.0 {
            let since = since.map_or("none".to_owned(), |since| since.to_string());
            let verdict = match ok {
                Some(true) => "right",
                Some(false) => "wrong",
                None => "unknown",
            };
            output::line(format_args!("{verdict:<8} {name} at {since}"))?;
            reason.iter().try_for_each(|reason| output::line(format_args!("         {reason}")))?;
        }
        Ok(())
    }

    /// Says how many cannot be relied on.
    pub(crate) fn verdict(&self) -> Verdict {
        let bad = self.0.iter().filter(|finding| finding.ok == Some(false)).count();
        if bad == 0 {
            return Verdict::Fine;
        }
        say(format!("{bad} of the {} views are not right; `flume rebuild` builds them anew", self.0.len()));
        Verdict::Lacking
    }
}
