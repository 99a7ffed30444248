//! Map, filter, reduce: a query language in JSON, over anything that is a [`Document`](crate::codec::Document).
//!
//! A query is a list of stages through which values pass, each an object with one of `$filter`, `$map`, `$reduce` and
//! `$sort`. An object that is no stage is a filter.
//!
//! ```
//! use flumedb::mfr::Pipeline;
//! use serde_json::json;
//!
//! let posts = [
//!     json!({"author": "alice", "type": "post", "likes": 3}),
//!     json!({"author": "bob", "type": "vote", "likes": 0}),
//!     json!({"author": "alice", "type": "post", "likes": 4}),
//! ];
//! let query = Pipeline::parse(
//!     r#"[{"$filter": {"type": "post"}}, {"$reduce": {"author": "author", "likes": {"$sum": "likes"}}}]"#,
//! )?;
//! let rows = query.run(&posts).collect::<Result<Vec<_>, _>>()?;
//! assert_eq!(rows[0].value, json!({"author": "alice", "likes": 7}));
//!
//! let error = Pipeline::parse(r#"[{"$filter": {"likes": {"$more": 1}}}]"#).unwrap_err();
//! assert!(error.to_string().starts_with("at /0/$filter/likes/$more in the query"));
//! # Ok::<(), flumedb::Error>(())
//! ```
//!
//! # Stages
//! * **`$filter`** lets through what matches. A scalar matches itself. An object without operators matches what has all
//!   its members, a list what has its items at its positions. An object with operators matches where all of them hold.
//! * **`$map`** makes something else of each value: a name, a position (from the end if negative), `true` for all of
//!   it; a list of those and of operators, one after another; an object of rules makes an object, where `true` stands for
//!   the member of that name. What comes to nothing is left out.
//! * **`$reduce`** makes one of many. An object may hold reducers and rules: the values are grouped by what the rules
//!   make of them, and each group, in order, becomes one object. `$reduce` within is a reduction of each group.
//! * **`$sort`** takes a list of paths, each perhaps in `{"$reverse": path}`.
//!
//! # Operators
//! | | |
//! | --- | --- |
//! | `$eq` `$ne` | is the same, is not |
//! | `$lt` `$lte` `$gt` `$gte` | is of the same kind, and less, … |
//! | `$prefix` | is a text that begins so; an array that begins so and goes on |
//! | `$in` | is in a list |
//! | `$is` | is of a kind: `undefined`, `null`, `boolean`, `number`, `string`, `array`, `object` (as for `$type`, also arrays and null) |
//! | `$type` | the kind as JavaScript names it |
//! | `$truthy` `$not` | counts as true, does not (what is missing, null, false, 0, the empty text) |
//! | `$int` | is a whole number |
//! | `$mod` | the remainder |
//! | `$get` | what stands at a path |
//! | `$map` `$filter` | a rule, a filter |
//!
//! Reducers: `$count`, `$sum`, `$product`, `$min`, `$max`, `$collect`, each with the rule for what it takes of a value.
//! `$sum` and `$product` take numbers; `$min` and `$max` what comes first and last in the order of values, but for null.
//!
//! # Order of values
//! Null, false, true, numbers, texts by code points, arrays, objects; what is missing comes last. Nothing is taken for a
//! value of another kind. For those who depend on what the JavaScript originals do, there is [`Compat::Originals`].

mod budget;
mod constraint;
mod filter;
mod operator;
mod order;
mod path;
mod pipeline;
mod place;
mod reduce;
mod room;
mod rule;
mod running;
mod sort;
mod tree;

pub(crate) use constraint::Constraint;
pub(crate) use path::with_names;
pub use pipeline::{Language, Pipeline};
pub use running::{Finish, Row, Running};

/// Whether a query does what it says, or what the JavaScript originals (map-filter-reduce 3.2, flumeview-query 8) do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Compat {
    /// What it says.
    #[default]
    Corrected,
    /// The results of the originals: `$map` leaves out all that counts as false; values of unlike kinds compare as
    /// JavaScript has it; `$min` and `$max` alone begin at 0; what `$reduce` makes without groups comes out in pieces; a
    /// query that is a bare object picks an index's range and filters nothing; what is not-a-number is null. Crashes and
    /// the order of members in objects are not reproduced.
    Originals,
}
