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
                member(self.body(), |at| {
                    at.strip_prefix(tag.bytes()).is_some_and(|rest| rest.starts_with(name.as_bytes()))
                })
            }
            Kind::Array => self.values().nth(position(name)?),
            _ => None,
        }
    }

    /// What stands at a path.
    pub fn seek(self, path: &BipfPath) -> Option<Self> {
        path.steps.iter().try_fold(self, |value, step| match value.kind() {
            Kind::Object => member(value.body(), |at| at.starts_with(&step.name)),
            Kind::Array => value.values().nth(step.position?),
            _ => None,
        })
    }
}

/// The value behind the first name that is hit, in the body of an object.
fn member<'a>(mut body: &'a [u8], hit: impl Fn(&[u8]) -> bool) -> Option<Value<'a>> {
    while !body.is_empty() {
        let value = after(body)?;
        if hit(body) {
            return Some(Value::split(value).ok()?.0);
        }
        body = after(value)?;
    }
    None
}

/// What follows the value that starts `bytes`.
fn after(bytes: &[u8]) -> Option<&[u8]> {
    let (_, tag, body) = tag::read(bytes).ok()?;
    bytes.get(tag.checked_add(body)?..)
}

/// A name in a path as a position in an array.
fn position(name: &str) -> Option<usize> {
    let canonical = name == "0" || name.starts_with(|first: char| first.is_ascii_digit() && first != '0');
    if canonical { name.parse().ok() } else { None }
}
