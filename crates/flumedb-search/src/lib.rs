//! Full-text search for [`flumedb`]: a view that finds entries by the words of their texts.
//!
//! [`Search`] is the view, [`SearchReader`] a snapshot of it that answers questions, [`Query`] what can be asked, and
//! [`Words`] what a word is. The index is made of segments of [tantivy](https://crates.io/crates/tantivy)'s, kept on
//! flumedb's own storage; data and checkpoint are one commit. See [`Search`] for an example.

mod query;
mod reader;
pub mod ssb;
mod store;
mod view;
mod words;

pub use query::Query;
pub use reader::{Ask, Cursor, Found, Hit, Hits, Marks, Order, SearchReader};
pub use view::{Search, Texts};
pub use words::Words;
