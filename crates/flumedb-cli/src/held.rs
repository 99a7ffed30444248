//! [`hold`], the views that a database keeps against what its log says: all that are of this program's making.

use flumedb::{
    Flume, Seq,
    view::{StoredView, View},
    views::{
        bitmaps::{BitmapReader, BitmapView},
        index::IndexReader,
        query::{QueryIndex, QueryReader},
    },
};
use flumedb_sql::{SqlReader, scuttlebutt};
use flumedb_ssb::{Doc, Docs, views};

use crate::{
    exit::Failure,
    views::{BY_AUTHOR, BY_KEY, BY_TIME, BY_TYPE, SQL, unusable},
};

/// What came of holding a view against one that is built anew.
pub(crate) struct Held {
    /// The newest entry that it had taken in when it was opened.
    pub(crate) since: Option<Seq>,
    /// The first difference.
    pub(crate) difference: Option<String>,
}

/// Builds a view anew beside the one that the database keeps, and holds both against each other; nothing for one that only
/// another program can build.
pub(crate) fn hold(db: &Flume<Docs>, stored: &StoredView) -> Result<Option<Held>, Failure> {
    let name = stored.name.as_str();
    let definition = stored.status.as_ref().map(|status| &status.definition);
    match name {
        BY_KEY => held(db, name, || Some(views::by_key()), IndexReader::since, IndexReader::difference),
        BY_AUTHOR => held(db, name, || Some(views::by_author()), IndexReader::since, IndexReader::difference),
        BY_TYPE => held(db, name, || Some(views::by_type()), IndexReader::since, IndexReader::difference),
        BY_TIME => held(db, name, || Some(views::by_time()), IndexReader::since, IndexReader::difference),
        _ => match definition {
            Some(definition) if definition.kind == "query-index" => {
                let view = || QueryIndex::defined(name, definition);
                held(db, name, view, QueryReader::since, QueryReader::difference)
            }
            Some(definition) if definition.kind == "bitmaps" => {
                let view = || BitmapView::defined(definition);
                held(db, name, view, BitmapReader::since, BitmapReader::difference)
            }
            Some(definition) if name == SQL => {
                let view = || scuttlebutt::view().ok().filter(|view| view.definition() == *definition);
                held(db, name, view, SqlReader::since, SqlReader::difference)
            }
            _ => Ok(None),
        },
    }
}

fn held<V: View<Item = Doc>>(
    db: &Flume<Docs>,
    name: &str,
    view: impl Fn() -> Option<V>,
    since: impl Fn(&V::Reader) -> Option<Seq>,
    difference: impl FnOnce(&V::Reader, &V::Reader) -> flumedb::Result<Option<String>> + Send,
) -> Result<Option<Held>, Failure> {
    let Some((kept, fresh)) = view().zip(view()) else { return Ok(None) };
    let kept = db.view(name, kept).blocking().map_err(unusable)?;
    let since = kept.read_stale().as_ref().and_then(since);
    let difference = db.verify_view(&kept, fresh, difference).blocking().map_err(unusable)?;
    Ok(Some(Held { since, difference }))
}
