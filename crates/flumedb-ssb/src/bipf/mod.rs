//! BIPF, the binary JSON of ssb-db2: each value is a tag with its kind and length, then its bytes, so that a field is
//! found by stepping over what stands before it. `docs/format-bipf.md` has the format.
//!
//! Three ways to read: [`Value`] finds fields in bytes as they lie and believes none of them; [`BipfDoc`] has been checked
//! whole and is a [`Document`](flumedb::codec::Document) for views; [`from_slice`] gives a serde type. Two ways to write:
//! [`to_vec`] from a serde type, and [`from_json`] from JSON text, byte for byte as the JavaScript library does.
//!
//! ```
//! use flumedb_ssb::bipf::{self, BipfPath, Value};
//! let mut bytes = Vec::new();
//! bipf::from_json(br#"{"value":{"author":"@a","content":{"type":"post"}}}"#, &mut bytes)?;
//!
//! let kind = BipfPath::new(&["value", "content", "type"]);
//! assert_eq!(Value::new(&bytes)?.seek(&kind).and_then(Value::text), Some("post"));
//! # Ok::<(), flumedb::Error>(())
//! ```

mod check;
mod children;
mod codec;
mod compare;
mod de;
mod doc;
mod encoded;
mod from_json;
mod key;
mod members;
mod number;
mod seek;
mod ser;
mod tag;
mod to_json;
mod value;
mod write;

pub use check::check;
pub use children::{Members, Values};
pub use codec::Bipf;
pub use compare::compare_at;
pub use de::from_slice;
pub use doc::{BipfDoc, BipfDocs};
pub use encoded::Encoded;
pub use from_json::from_json;
pub use seek::BipfPath;
pub use ser::{encode, to_vec};
pub use tag::{Kind, MAX_BODY, MAX_DEPTH};
pub use to_json::to_json;
pub use value::{Content, Value};
