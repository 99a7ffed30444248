//! A view of [`flumedb`] in SQLite: entries become rows of declared tables, and any SQL that reads asks them, on a snapshot
//! that is exactly at one position of the log.
//!
//! [`Sql`] is the view, [`SqlReader`] what it gives. [`scuttlebutt`] is a ready mapping for Scuttlebutt, with full-text
//! search.

pub mod scuttlebutt;

mod error;
mod guard;
mod reader;
mod schema;
mod snapshot;
mod sql;
mod store;
mod value;

pub use reader::{Cursor, FromRow, Query, Row, SqlReader};
pub use sql::Sql;
pub use store::Rows;
pub use value::{FromValue, Value};
