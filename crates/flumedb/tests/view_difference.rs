//! Guards against a check of views that passes one with other entries, or condemns one that keeps the same in another way: with
//! what was deleted in between, or in other blocks.
#![allow(clippy::unwrap_used, reason = "a test")]

use flumedb::{
    Flume, Seq,
    codec::{JsonDoc, JsonDocs},
    view::View,
    views::{
        IndexOn,
        bitmaps::{BitmapReader, BitmapView, Number},
        query::{QueryIndex, QueryReader},
    },
};

/// Entries that have a kind, tags, a text and a number; one of them is of the `odd` kind.
fn filled(odd: Option<usize>) -> Flume<JsonDocs> {
    let db = Flume::memory(JsonDocs).unwrap();
    for at in 0..300 {
        let kind = if Some(at) == odd { "odd".to_owned() } else { (at % 7).to_string() };
        let number = if Some(at) == odd { 999 } else { at % 13 };
        let doc = format!(r#"{{"kind":"{kind}","tags":["{kind}",{}],"number":{number}}}"#, at % 3);
        db.append(&doc).blocking().unwrap();
    }
    db
}

/// A view that followed while entries were deleted, and one that came afterwards; and one of a log in which an entry is another.
fn differences<V: View<Item = JsonDoc>>(
    view: impl Fn() -> V,
    difference: impl Fn(&V::Reader, &V::Reader) -> flumedb::Result<Option<String>>,
) -> [Option<String>; 3] {
    let (db, other) = (filled(None), filled(Some(200)));
    let followed = db.view("followed", view()).blocking().unwrap();
    followed.read().blocking().unwrap();
    for db in [&db, &other] {
        db.delete([3, 4, 70, 299].map(Seq::new)).blocking().unwrap();
    }
    let late = db.view("late", view()).blocking().unwrap().read().blocking().unwrap();
    let other = other.view("other", view()).blocking().unwrap().read().blocking().unwrap();
    let followed = followed.read().blocking().unwrap();
    [(&followed, &late), (&followed, &other), (&other, &late)].map(|(one, two)| difference(one, two).unwrap())
}

#[test]
fn bitmaps_differ_in_what_they_find_only() {
    let views: [fn() -> BitmapView<JsonDoc>; 4] = [
        || BitmapView::values("kind"),
        || BitmapView::items("tags", None),
        || BitmapView::parts("kind", 2, 0),
        || BitmapView::numbers("number"),
    ];
    for view in views {
        let [same, one, two] = differences(view, BitmapReader::difference);
        assert_eq!(same, None);
        for found in [one, two] {
            assert!(found.unwrap().starts_with("entry 200 is "), "{:?}", view().definition());
        }
    }
    let [same, one, two] = differences(BitmapView::entries, BitmapReader::difference);
    assert_eq!([same, one, two], [None, None, None], "both have an entry there");
}

#[test]
fn indexes_of_queries_differ_in_their_rows() {
    let view = || QueryIndex::new(IndexOn::new("kinds", [["kind"], ["number"]])).unwrap();
    let [same, one, two] = differences(view, QueryReader::difference);
    assert_eq!(same, None);
    assert!(one.unwrap().contains("entry 200") && two.unwrap().contains("entry 200"));
}

#[test]
fn a_view_is_known_from_its_definition() {
    type Bitmap = BitmapView<JsonDoc>;
    let bitmaps = [
        Bitmap::entries(),
        Bitmap::values(["a", "b.c"]),
        Bitmap::items("a", None),
        Bitmap::items("a", Some("b".into())),
        Bitmap::parts("a", 4, 8),
        Bitmap::numbers("a"),
        Bitmap::numbers(Number::Named("timestamp".into())),
    ];
    for view in bitmaps {
        assert_eq!(Bitmap::defined(&view.definition()).unwrap().definition(), view.definition());
        assert!(QueryIndex::<JsonDoc>::defined("a", &view.definition()).is_none());
    }
    let predicate = Bitmap::predicate("a", "is long", 1, |_| true);
    assert!(Bitmap::defined(&predicate.definition()).is_none(), "its function is not known");
    let index = QueryIndex::<JsonDoc>::new(IndexOn::new("a", [vec!["b"], vec!["c", "d"]])).unwrap();
    let known = QueryIndex::<JsonDoc>::defined("a", &index.definition()).unwrap();
    assert_eq!(known.definition(), index.definition());
    assert!(Bitmap::defined(&index.definition()).is_none());
    let mut later = index.definition();
    later.version += 1;
    assert!(QueryIndex::<JsonDoc>::defined("a", &later).is_none());
}
