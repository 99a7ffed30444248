//! Holding the tables of a reader against those of another one.

use std::time::Duration;

use flumedb::Result;

use super::{Row, SqlReader};

/// Tables that were declared; not what SQLite, full text and the view itself keep for themselves.
const TABLES: &str = "SELECT name, ncol FROM pragma_table_list WHERE schema = 'main' AND type = 'table' \
                      AND name NOT LIKE 'sqlite%' AND name NOT LIKE 'flume%' ORDER BY name";

impl SqlReader {
    /// The first row that is another than in `other`, in words; `None` if there is none. All pages are
    /// [looked at](Self::check), too. Full text is compared by the tables that it is made of. For
    /// [`Flume::verify_view`](flumedb::Flume::verify_view).
    ///
    /// # Errors
    /// `Corrupt` if the store is damaged; `Closed`.
    pub fn difference(&self, other: &Self) -> Result<Option<String>> {
        self.check()?;
        let tables = |reader: &Self| reader.query(TABLES).all::<(String, i64)>();
        let ours = tables(self)?;
        if ours != tables(other)? {
            return Ok(Some("there are other tables".to_owned()));
        }
        for (table, columns) in ours {
            // Rows of one entry are in no order of their own.
            let order: String = (1..=columns).map(|column| format!(", {column}")).collect();
            let rows = format!("SELECT * FROM \"{}\" ORDER BY seq{order}", table.replace('"', "\"\""));
            if let Some(number) = self.first_other(other, &rows)? {
                return Ok(Some(format!("row {number} of the table {table} is another, missing or too many")));
            }
        }
        Ok(None)
    }

    fn first_other(&self, other: &Self, rows: &str) -> Result<Option<u64>> {
        let rows = |reader| Self::query(reader, rows).time_limit(Duration::MAX).memory_bytes(usize::MAX);
        rows(self).walk(|ours| {
            rows(other).walk(|theirs| {
                for number in 0.. {
                    match (ours.next()?, theirs.next()?) {
                        (None, None) => break,
                        (Some(one), Some(two)) if is_same(&one, &two) => {}
                        _ => return Ok(Some(number)),
                    }
                }
                Ok(None)
            })
        })
    }
}

fn is_same(one: &Row<'_>, two: &Row<'_>) -> bool {
    (0..one.columns().len().max(two.columns().len())).all(|at| one.value(at) == two.value(at))
}
