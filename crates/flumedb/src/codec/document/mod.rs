//! [`Document`], a value with fields that are found by path, whatever bytes it is kept in; and [`JsonDoc`], the one over
//! JSON text. Views that look into fields are written against the trait, once. Nothing here changes a document.

mod copy;
mod field;
mod json_doc;
mod scan;
mod value;
mod well_formed;

pub use field::Field;
pub use json_doc::{JsonDoc, JsonDocs};

/// A value with fields that are found by path.
///
/// A path is a list of names; in an array, a name is a position (`"0"`). The empty path is the document itself. A path
/// that leads nowhere gives `None`, as does one through a value that has no fields. The trait is object-safe.
///
/// ```
/// use flumedb::codec::{Document, Field, JsonDoc};
/// let doc = JsonDoc::parse(r#"{"value":{"sequence":3,"mentions":[{"link":"@a"},{"link":"@b"}]}}"#)?;
/// assert_eq!(doc.field(&["value", "sequence"]), Some(Field::Integer(3)));
/// assert_eq!(doc.field(&["value", "text"]), None);
///
/// let mut links = Vec::new();
/// doc.items(&["value", "mentions"], &mut |item| links.extend(item.text(&["link"]).map(String::from)));
/// assert_eq!(links, ["@a", "@b"]);
/// # Ok::<(), flumedb::Error>(())
/// ```
pub trait Document {
    /// What stands at `path`.
    fn field(&self, path: &[&str]) -> Option<Field<'_>>;

    /// Shows `visit` what stands at each of `paths`, once, with the path's place among them; in any order. Quicker than to ask for each
    /// where one look at the document finds all.
    ///
    /// ```
    /// use flumedb::codec::{Document, JsonDoc};
    /// let doc = JsonDoc::parse(r#"{"author":"@a","content":{"type":"post"}}"#)?;
    /// let mut found = [None, None];
    /// doc.fields(&[&["content", "type"], &["author"]], &mut |place, field| found[place] = field);
    /// assert_eq!(found, [doc.field(&["content", "type"]), doc.field(&["author"])]);
    /// # Ok::<(), flumedb::Error>(())
    /// ```
    fn fields<'a>(&'a self, paths: &[&[&str]], visit: &mut dyn FnMut(usize, Option<Field<'a>>)) {
        paths.iter().enumerate().for_each(|(place, path)| visit(place, self.field(path)));
    }

    /// Shows `visit` each item of the array at `path`, in order; none if no array is there.
    fn items(&self, path: &[&str], visit: &mut dyn FnMut(&dyn Document));

    /// Shows `visit` each member of the object at `path` with its name, in order; none if no object is there. A name that
    /// stands twice is shown twice; the first counts.
    fn members(&self, path: &[&str], visit: &mut dyn FnMut(&str, &dyn Document));

    /// A copy of what stands at `path`. `None` also for a value with more than 127 values around another, which would
    /// not fit the stack. What JSON cannot say becomes null (a number that is none) or an array of numbers (bytes).
    ///
    /// ```
    /// use flumedb::codec::{Document, JsonDoc};
    /// let doc = JsonDoc::parse(r#"{"value":{"mentions":[{"link":"@a"}]}}"#)?;
    /// assert_eq!(doc.to_value(&["value", "mentions"]), Some(serde_json::json!([{"link":"@a"}])));
    /// # Ok::<(), flumedb::Error>(())
    /// ```
    fn to_value(&self, path: &[&str]) -> Option<serde_json::Value> {
        copy::copy(self, path, copy::DEPTH)
    }

    /// The text at `path`, if text is there.
    fn text(&self, path: &[&str]) -> Option<std::borrow::Cow<'_, str>> {
        match self.field(path)? {
            Field::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The whole number at `path`, if one is there (`3.0` is none).
    fn integer(&self, path: &[&str]) -> Option<i64> {
        match self.field(path)? {
            Field::Integer(number) => Some(number),
            _ => None,
        }
    }

    /// The number at `path`, if one is there: the nearest `f64`.
    fn number(&self, path: &[&str]) -> Option<f64> {
        match self.field(path)? {
            Field::Integer(number) => Some(number as f64),
            Field::Float(number) => Some(number),
            _ => None,
        }
    }

    /// The truth value at `path`, if one is there.
    fn boolean(&self, path: &[&str]) -> Option<bool> {
        match self.field(path)? {
            Field::Bool(truth) => Some(truth),
            _ => None,
        }
    }
}
