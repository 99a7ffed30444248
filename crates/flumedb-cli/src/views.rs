//! The default views of a database: their names, how they are opened, and waiting for them while a bar shows how far they
//! are.

use std::{path::Path, time::Duration};

use flumedb::{
    ErrorKind, Flume, Seq,
    codec::{JsonDoc, JsonDocs},
    view::{Live, Phase, View},
    views::{Index, Key},
};
use flumedb_ssb::views;

use crate::{exit::Failure, open::Opened, progress::Progress};

pub(crate) const BY_KEY: &str = "by-key";
pub(crate) const BY_AUTHOR: &str = "by-author";
pub(crate) const BY_TYPE: &str = "by-type";
pub(crate) const BY_TIME: &str = "by-time";

/// Their names, in the order in which they are shown.
pub(crate) const NAMES: [&str; 4] = [BY_KEY, BY_AUTHOR, BY_TYPE, BY_TIME];

/// A default view that runs, whatever its keys are.
pub(crate) trait Running {
    fn name(&self) -> &str;
    /// The newest entry that it had taken in when its store was opened, or later.
    fn stored(&self) -> Result<Option<Seq>, Failure>;
    /// How many keys it holds.
    fn keys(&self) -> Result<u64, Failure>;
    /// Begins anew.
    fn rebuild(&self) -> Result<(), Failure>;
    /// Waits until it has caught up, and shows how far it is.
    fn build(&self) -> Result<(), Failure>;
}

impl<K: Key> Running for Live<Index<JsonDoc, K>> {
    fn name(&self) -> &str {
        Live::name(self)
    }

    fn stored(&self) -> Result<Option<Seq>, Failure> {
        Ok(self.read_stale().and_then(|reader| reader.since()))
    }

    fn keys(&self) -> Result<u64, Failure> {
        Ok(self.read_stale().map_or(Ok(0), |reader| reader.count())?)
    }

    fn rebuild(&self) -> Result<(), Failure> {
        Ok(pollster::block_on(Live::rebuild(self))?)
    }

    fn build(&self) -> Result<(), Failure> {
        let mut bar = Some(Progress::new(Live::name(self).to_owned(), Some(1)));
        follow(self, &mut bar)?;
        bar.iter().for_each(Progress::finish);
        Ok(())
    }
}

/// Opens the default view of this name.
pub(crate) fn open(db: &Flume<JsonDocs>, name: &str) -> Result<Box<dyn Running>, Failure> {
    Ok(match name {
        BY_KEY => Box::new(db.view(name, views::by_key()).blocking()?),
        BY_AUTHOR => Box::new(db.view(name, views::by_author()).blocking()?),
        BY_TYPE => Box::new(db.view(name, views::by_type()).blocking()?),
        BY_TIME => Box::new(db.view(name, views::by_time()).blocking()?),
        _ => {
            let message = format!("there is no view {name}; there are {}", NAMES.join(", "));
            return Err(Failure::lacking(message));
        }
    })
}

/// Opens the database at `path` with its own views: it must not be open for writing elsewhere.
pub(crate) fn database(path: &Path) -> Result<Flume<JsonDocs>, Failure> {
    if !Opened::is_database(path)? {
        let path = path.display();
        return Err(Failure::lacking(format!("there is no flume database at {path}, and only those keep views")));
    }
    Ok(Flume::open(path, JsonDocs).blocking()?)
}

/// Waits until a view has caught up, and gives its reader; shows how far it is if that takes long.
pub(crate) fn caught_up<V: View>(view: &Live<V>) -> Result<V::Reader, Failure> {
    follow(view, &mut None)
}

fn follow<V: View>(view: &Live<V>, bar: &mut Option<Progress>) -> Result<V::Reader, Failure> {
    const LOOK: Duration = Duration::from_millis(50);
    loop {
        match view.read().timeout(LOOK).blocking() {
            Err(error) if error.kind() == ErrorKind::TimedOut => {}
            reader => return Ok(reader?),
        }
        if let Phase::Building { done, total, .. } = view.progress().phase {
            bar.get_or_insert_with(|| Progress::new(view.name().to_owned(), Some(total))).of(done, total);
        }
    }
}

/// Builds what is missing of all default views of the database at `path`.
pub(crate) fn build_all(path: &Path) -> Result<(), Failure> {
    let db = database(path)?;
    let views = NAMES.iter().map(|name| open(&db, name)).collect::<Result<Vec<_>, _>>()?;
    views.iter().try_for_each(|view| view.build())?;
    Ok(db.close().blocking()?)
}
