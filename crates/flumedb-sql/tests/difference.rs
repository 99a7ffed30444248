//! Guards against a check of a view in SQL that passes other rows, or condemns the same rows for the order in which they came.
#![allow(clippy::unwrap_used, reason = "a test")]

use flumedb::{Flume, Seq, codec::Utf8};
use flumedb_sql::{Rows, Sql, SqlReader};

const TABLES: &str = "CREATE TABLE texts (seq INTEGER PRIMARY KEY, text TEXT NOT NULL, len INTEGER NOT NULL);
                      CREATE TABLE words (seq INTEGER NOT NULL, word TEXT NOT NULL);
                      CREATE VIRTUAL TABLE search USING fts5(text, content = 'texts', content_rowid = 'seq')";

/// `reverse`: the rows of an entry in the other order.
fn view(reverse: bool) -> Sql<String> {
    let map = move |text: &String, rows: &mut Rows<'_>| {
        rows.insert("texts", &[text.as_str().into(), (text.len() as i64).into()]);
        rows.insert("search", &[text.as_str().into()]);
        let mut words: Vec<&str> = text.split(' ').collect();
        if reverse {
            words.reverse();
        }
        words.into_iter().for_each(|word| rows.insert("words", &[word.into()]));
    };
    Sql::new(1, TABLES, map).unwrap()
}

/// With the database, whose view goes with it.
fn reader(other: Option<usize>, reverse: bool) -> (Flume<Utf8>, SqlReader) {
    let db = Flume::memory(Utf8).unwrap();
    let text = |at: usize| if Some(at) == other { "a boat".to_owned() } else { format!("the tide {at}") };
    for at in 0..50 {
        db.append(&text(at)).blocking().unwrap();
    }
    db.delete([Seq::new(7)]).blocking().unwrap();
    let reader = db.view("sql", view(reverse)).blocking().unwrap().read().blocking().unwrap();
    (db, reader)
}

#[test]
fn only_other_rows_are_a_difference() {
    let (_db, one) = reader(None, false);
    let difference = |other, reverse| one.difference(&reader(other, reverse).1).unwrap();
    assert_eq!(difference(None, false), None);
    assert_eq!(difference(None, true), None);
    // An entry that was deleted has no rows.
    assert_eq!(difference(Some(7), false), None);
    let found = difference(Some(20), false);
    assert_eq!(found.as_deref(), Some("row 19 of the table texts is another, missing or too many"));
}
