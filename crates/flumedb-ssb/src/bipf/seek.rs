//! Finding what stands at a name or at a path, stepping over all before it.

use super::{
    tag::{self, Kind, Tag},
    value::Value,
};

/// A path whose names have been encoded once, for finding the same field in many values. In an array, a name is a position
/// (`"0"`).
///
/// ```
/// use flumedb_ssb::bipf::{self, BipfPath, Value};
/// let second = BipfPath::new(&["tags", "1"]);
/// let mut bytes = Vec::new();
/// bipf::from_json(br#"{"tags":["a","b"]}"#, &mut bytes)?;
/// assert_eq!(Value::new(&bytes)?.seek(&second).and_then(Value::text), Some("b"));
/// # Ok::<(), flumedb::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BipfPath {
    steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Step {
    /// The name as a value.
    name: Box<[u8]>,
    position: Option<usize>,
}

impl BipfPath {
    /// The path of these names. Of no names, it is the path to the value itself.
    pub fn new(names: &[&str]) -> Self {
        let step = |name: &&str| Step {
            name: [Tag::new(Kind::String, name.len()).bytes(), name.as_bytes()].concat().into(),
            position: position(name),
        };
        Self { steps: names.iter().map(step).collect() }
    }
}

impl<'a> Value<'a> {
    /// What stands at `name`: in an object the value of the first member called so; in an array a position.
    pub fn get(self, name: &str) -> Option<Self> {
        match self.kind() {
            Kind::Object => {
                let tag = Tag::new(Kind::String, name.len());
                member(self.body(), tag.bytes(), name.as_bytes())
            }
            Kind::Array => self.values().nth(position(name)?),
            _ => None,
        }
    }

    /// What stands at a path.
    pub fn seek(self, path: &BipfPath) -> Option<Self> {
        path.steps.iter().try_fold(self, |value, step| match value.kind() {
            Kind::Object => member(value.body(), &step.name, &[]),
            Kind::Array => value.values().nth(step.position?),
            _ => None,
        })
    }
}

/// The value behind the first name that is `start` and then `rest`, in the body of an object.
fn member<'a>(mut body: &'a [u8], start: &[u8], rest: &[u8]) -> Option<Value<'a>> {
    while !body.is_empty() {
        let value = after(body)?;
        if begins(body, start) && begins(body.get(start.len()..)?, rest) {
            return Some(Value::split(value).ok()?.0);
        }
        body = after(value)?;
    }
    None
}

/// Whether `bytes` begin with `start`. Most do not in their first byte, which has the length of a name in it, and names are
/// short: byte by byte is faster than `starts_with`, which calls for a comparison of any length.
#[inline]
fn begins(bytes: &[u8], start: &[u8]) -> bool {
    bytes.len() >= start.len() && bytes.iter().zip(start).all(|(one, two)| one == two)
}

/// What follows the value that starts `bytes`.
#[inline]
fn after(bytes: &[u8]) -> Option<&[u8]> {
    let (_, tag, body) = tag::read(bytes).ok()?;
    bytes.get(tag.checked_add(body)?..)
}

/// A name in a path as a position in an array.
fn position(name: &str) -> Option<usize> {
    let canonical = name == "0" || name.starts_with(|first: char| first.is_ascii_digit() && first != '0');
    if canonical { name.parse().ok() } else { None }
}
