//! [`Stored`], what `check --views` finds of the views that a database keeps: each is built anew beside the one that is kept,
//! and both are held against each other. It works on a copy, so that the store stays as it is.

use std::path::Path;

use flumedb::{Env, Seq, view::StoredView};
use serde::Serialize;

use crate::{
    careful::Careful,
    copies::Copies,
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

impl Finding {
    /// Holds the copy of a view, which has these stores, against the log.
    fn of(path: &Path, copies: &Copies, stores: &[StoredView]) -> Result<Self, Failure> {
        const UNKNOWN: &str = "not held against the log: only the program whose view it is knows what is to be in it";
        const ANOTHER: &str = "not held against the log: another version of this program made it";
        const TO_GO: &str = "the store is damaged, or not of this log: the next program to use it will build it anew";
        let name = stores.first().map_or(String::new(), |stored| stored.name.clone());
        let found = |since, ok, reason: Option<String>| Ok(Self { name: name.clone(), since, ok, reason });
        let taken = stores.iter().try_for_each(|stored| copies.take(stored));
        if let Err(failure) = taken {
            copies.drop_all()?;
            return found(None, Some(false), Some(failure.to_string()));
        }
        let taken: Vec<_> = stores.iter().map(|stored| copies.of(stored)).collect();
        let storage = Careful::checking(path, taken.clone());
        let db = views::stored_on(path, &storage, Some(copies.dir()))?;
        let held = stores.first().map_or(Ok(None), |stored| hold(&db, stored));
        let closed = db.close().blocking();
        let used = copies.drop_all()?;
        match held {
            _ if storage.was_to_go() => found(None, Some(false), Some(TO_GO.to_owned())),
            Ok(Some(_)) if used.iter().any(|store| !taken.contains(store)) => {
                found(None, None, Some(ANOTHER.to_owned()))
            }
            Ok(Some(held)) => {
                closed?;
                found(held.since, Some(held.difference.is_none()), held.difference)
            }
            Ok(None) => found(None, None, Some(UNKNOWN.to_owned())),
            // It holds more than the log, or cannot be read.
            Err(failure) => found(None, Some(false), Some(failure.to_string())),
        }
    }
}

impl Stored {
    /// Holds the views that the database at `path` keeps against its log.
    pub(crate) fn check(path: &Path) -> Result<Self, Failure> {
        views::is_database(path)?;
        let dir = views::dir(path);
        let kept = StoredView::list(&Env::os(), &dir)?;
        if kept.is_empty() {
            // Whether it can be said is for the log to tell.
            views::stored(path)?.close().blocking()?;
            return Ok(Self(Vec::new()));
        }
        let copies = Copies::begin(&dir)?;
        // Stores of older definitions are under the same name.
        let views = kept.chunk_by(|one, next| one.name == next.name);
        views.map(|stores| Finding::of(path, &copies, stores)).collect::<Result<_, _>>().map(Self)
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
