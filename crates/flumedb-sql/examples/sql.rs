//! A view in SQLite: entries become rows, and SQL asks them, full text among it.

use flumedb::{Flume, Result, codec::Json};
use flumedb_sql::{Rows, Sql};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Book {
    title: String,
    year: i64,
    authors: Vec<String>,
}

const TABLES: &str = "
    CREATE TABLE books (seq INTEGER PRIMARY KEY, title TEXT NOT NULL, year INTEGER);
    CREATE TABLE authors (seq INTEGER NOT NULL, author TEXT NOT NULL);
    CREATE INDEX by_author ON authors (author);
    CREATE VIRTUAL TABLE search USING fts5(title, content = 'books', content_rowid = 'seq')";

fn main() -> Result<()> {
    let db = Flume::open("library", Json::<Book>::new()).blocking()?;
    let books = Sql::new(1, TABLES, |book: &Book, rows: &mut Rows<'_>| {
        rows.insert("books", &[(&book.title).into(), book.year.into()]);
        rows.insert("search", &[(&book.title).into()]);
        for author in &book.authors {
            rows.insert("authors", &[author.into()]);
        }
    })?;
    let books = db.view("books", books).blocking()?;

    let book = |title: &str, year, authors: &[&str]| Book {
        title: title.into(),
        year,
        authors: authors.iter().map(|author| author.to_string()).collect(),
    };
    db.append(&book("Good Omens", 1990, &["Pratchett", "Gaiman"])).blocking()?;
    db.append(&book("The Left Hand of Darkness", 1969, &["Le Guin"])).blocking()?;
    let mort = db.append(&book("Mort", 1987, &["Pratchett"])).blocking()?;

    // Has caught up with the appends above, and shows that whatever comes.
    let reader = books.read().blocking()?;
    db.delete([mort]).blocking()?;
    let by = "SELECT title, year FROM books JOIN authors USING (seq) WHERE author = ?1 ORDER BY year";
    println!("then: {:?}", reader.query(by).bind("Pratchett").all::<(String, i64)>()?);
    println!("now: {:?}", books.read().blocking()?.query(by).bind("Pratchett").all::<(String, i64)>()?);

    let hands = "SELECT snippet(search, 0, '[', ']', '…', 6) FROM search WHERE search MATCH :words";
    println!("{:?}", reader.query(hands).bind_named("words", "hand dark*").one::<String>()?);
    let refused = reader.query("DELETE FROM books").one::<i64>();
    println!("{:?}", refused.map_err(|error| error.kind()));
    db.close().blocking()
}

// prints:
// then: [("Mort", 1987), ("Good Omens", 1990)]
// now: [("Good Omens", 1990)]
// Some("The Left [Hand] of [Darkness]")
// Err(Invalid)
