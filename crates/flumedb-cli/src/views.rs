//! The default views of a database: their names, how they are opened, and waiting for them while a bar shows how far they
//! are.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use flumedb::{
    Builder, Env, Error, ErrorKind, Flume, Seq,
    view::{Live, Phase, View},
    views::{Index, Key},
};
use flumedb_sql::{Sql, scuttlebutt};
use flumedb_ssb::{Doc, Docs, views};

use crate::{
    careful::Careful,
    exit::Failure,
    keys,
    open::{Opened, told},
    progress::Progress,
};

pub(crate) const BY_KEY: &str = "by-key";
pub(crate) const BY_AUTHOR: &str = "by-author";
pub(crate) const BY_TYPE: &str = "by-type";
pub(crate) const BY_TIME: &str = "by-time";
/// Built when it is first asked.
pub(crate) const SQL: &str = "sql";

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

impl<K: Key> Running for Live<Index<Doc, K>> {
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
        build(self)
    }
}

impl Running for Live<Sql<Doc>> {
    fn name(&self) -> &str {
        Live::name(self)
    }

    fn stored(&self) -> Result<Option<Seq>, Failure> {
        Ok(self.read_stale().and_then(|reader| reader.since()))
    }

    fn keys(&self) -> Result<u64, Failure> {
        let Some(reader) = self.read_stale() else { return Ok(0) };
        Ok(reader.query("SELECT count(*) FROM messages").time_limit(Duration::MAX).one()?.unwrap_or(0))
    }

    fn rebuild(&self) -> Result<(), Failure> {
        Ok(pollster::block_on(Live::rebuild(self))?)
    }

    fn build(&self) -> Result<(), Failure> {
        build(self)
    }
}

fn build<V: View>(view: &Live<V>) -> Result<(), Failure> {
    let mut bar = Some(Progress::new(view.name().to_owned(), Some(1)));
    follow(view, &mut bar).map_err(unusable)?;
    bar.iter().for_each(Progress::finish);
    Ok(())
}

/// Opens the default view of this name. `accept_loss`: also where it holds entries that the log has lost.
pub(crate) fn open(db: &Flume<Docs>, name: &str, accept_loss: bool) -> Result<Box<dyn Running>, Failure> {
    fn add<V: View<Item = Doc>>(
        db: &Flume<Docs>,
        name: &str,
        view: V,
        accept_loss: bool,
    ) -> Result<Box<dyn Running>, Failure>
    where
        Live<V>: Running + 'static,
    {
        let view = db.view(name, view);
        let view = if accept_loss { view.accept_loss() } else { view };
        Ok(Box::new(view.blocking().map_err(unusable)?))
    }
    Ok(match name {
        BY_KEY => add(db, name, views::by_key(), accept_loss)?,
        BY_AUTHOR => add(db, name, views::by_author(), accept_loss)?,
        BY_TYPE => add(db, name, views::by_type(), accept_loss)?,
        BY_TIME => add(db, name, views::by_time(), accept_loss)?,
        SQL => add(db, name, scuttlebutt::view()?, accept_loss)?,
        _ => {
            let message = format!("there is no view {name}; there are {}, {SQL}", NAMES.join(", "));
            return Err(Failure::lacking(message));
        }
    })
}

/// Why a view could not be opened, or stopped.
pub(crate) fn unusable(error: Error) -> Failure {
    // Damage of the log is told with its place; without one it is the view that holds more than the log.
    let lost = error.kind() == ErrorKind::Corrupt && error.damage().is_none();
    let failure = Failure::from(error);
    if lost { failure.context("run `flume rebuild`, which builds the views of what the log has now") } else { failure }
}

/// Opens the database at `path` with its own views, for writing: it must not be open for that elsewhere, and what a
/// stopped writer left is cut.
pub(crate) fn database(path: &Path) -> Result<Flume<Docs>, Failure> {
    is_database(path)?;
    let db = keys::on(Flume::builder(Docs::json())).open(path).blocking()?;
    told(db.recovery());
    Ok(db)
}

/// Opens the database at `path` with its own views, for reading. They want the writer's place; a torn log is not cut.
pub(crate) fn stored(path: &Path) -> Result<Flume<Docs>, Stored> {
    is_database(path).map_err(Stored::Failed)?;
    stored_on(path, &Careful::new(path), None)
}

/// The same on this storage, with views that are kept in `views`, if that is elsewhere.
pub(crate) fn stored_on(path: &Path, storage: &Arc<Careful>, views: Option<&Path>) -> Result<Flume<Docs>, Stored> {
    let env = Env { storage: storage.clone(), ..Env::os() };
    let builder = keys::on(Flume::builder(Docs::json())).env(env);
    let builder = views.into_iter().fold(builder, Builder::views_in);
    builder.open(path).blocking().map_err(|error| match error.kind() {
        _ if storage.refused() => Stored::Torn,
        ErrorKind::Locked | ErrorKind::Io | ErrorKind::Corrupt => Stored::NotToBeHad(error),
        _ => Stored::Failed(error.into()),
    })
}

/// Why the views that a database keeps cannot be read.
pub(crate) enum Stored {
    /// The log is torn: only `flume repair` and those who write cut it.
    Torn,
    /// Another program has them, they may not be written to, or the log is damaged.
    NotToBeHad(Error),
    Failed(Failure),
}

impl From<Stored> for Failure {
    fn from(stored: Stored) -> Self {
        match stored {
            Stored::Torn => Self::lacking("the log is torn; `flume repair` cuts what a stopped writer left"),
            Stored::NotToBeHad(error) => error.into(),
            Stored::Failed(failure) => failure,
        }
    }
}

/// Where the database at `path` keeps its views.
pub(crate) fn dir(path: &Path) -> PathBuf {
    path.join("views")
}

pub(crate) fn is_database(path: &Path) -> Result<(), Failure> {
    if Opened::is_database(path)? {
        return Ok(());
    }
    let path = path.display();
    Err(Failure::lacking(format!("there is no flume database at {path}, and only those keep views")))
}

/// Waits until a view has caught up, and gives its reader; shows how far it is if that takes long.
pub(crate) fn caught_up<V: View>(view: &Live<V>) -> flumedb::Result<V::Reader> {
    follow(view, &mut None)
}

fn follow<V: View>(view: &Live<V>, bar: &mut Option<Progress>) -> flumedb::Result<V::Reader> {
    const LOOK: Duration = Duration::from_millis(50);
    // So many looks in a row the system may refuse to keep the view: a few seconds.
    const PATIENCE: u32 = 60;
    let mut refused = 0;
    loop {
        match view.read().timeout(LOOK).blocking() {
            Err(error) if error.kind() == ErrorKind::TimedOut => {}
            reader => return reader,
        }
        refused = match view.progress().phase {
            Phase::Retrying { error } if refused >= PATIENCE => return Err(error),
            Phase::Retrying { .. } => refused + 1,
            Phase::Building { done, total, .. } => {
                bar.get_or_insert_with(|| Progress::new(view.name().to_owned(), Some(total))).of(done, total);
                0
            }
            _ => 0,
        };
    }
}

/// Builds what is missing of all default views of the database at `path`.
pub(crate) fn build_all(path: &Path) -> Result<(), Failure> {
    let db = database(path)?;
    let views = NAMES.iter().map(|name| open(&db, name, false)).collect::<Result<Vec<_>, _>>()?;
    views.iter().try_for_each(|view| view.build())?;
    Ok(db.close().blocking()?)
}
