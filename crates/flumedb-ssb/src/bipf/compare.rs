//! The order of values, told from their bytes.

use std::cmp::Ordering;

use super::{seek::BipfPath, tag::Kind, value::Value};

/// Compares two values by what stands at each of `paths` in turn, the first that differs deciding.
///
/// ```
/// use flumedb_ssb::bipf::{self, BipfPath, Value};
/// let [one, two] = [bipf::to_vec(&("a", 2))?, bipf::to_vec(&("a", 10))?];
/// let paths = [BipfPath::new(&["0"]), BipfPath::new(&["1"])];
/// assert!(bipf::compare_at(&paths, Value::new(&one)?, Value::new(&two)?).is_lt());
/// # Ok::<(), flumedb::Error>(())
/// ```
pub fn compare_at(paths: &[BipfPath], one: Value<'_>, two: Value<'_>) -> Ordering {
    paths.iter().map(|path| one.seek(path).cmp(&two.seek(path))).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

const TEXT: u8 = 1;
const NUMBER: u8 = 3;

impl Value<'_> {
    /// How it compares to text.
    pub fn compare_text(self, text: &str) -> Ordering {
        self.rank().cmp(&TEXT).then_with(|| self.body().cmp(text.as_bytes()))
    }

    fn rank(self) -> u8 {
        match self.kind() {
            Kind::String => TEXT,
            Kind::Buffer => 2,
            Kind::Int | Kind::Double => NUMBER,
            Kind::Array => 4,
            Kind::Object => 5,
            Kind::Atom => match self.atom() {
                None => 0,
                Some(0) => 6,
                Some(1) => 7,
                Some(2) => 8,
                Some(_) => 9,
            },
            Kind::Extended => 10,
        }
    }
}

impl Ord for Value<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let rank = self.rank();
        rank.cmp(&other.rank()).then_with(|| match self.kind() {
            _ if rank == NUMBER => compare_numbers(self.number(), other.number()),
            Kind::Atom => self.atom().cmp(&other.atom()),
            _ => self.body().cmp(other.body()),
        })
    }
}

impl PartialOrd for Value<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Value<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Value<'_> {}

/// Not-a-number is equal to itself and after all numbers.
fn compare_numbers(one: Option<f64>, two: Option<f64>) -> Ordering {
    let nan = |number: Option<f64>| number.is_some_and(f64::is_nan);
    one.partial_cmp(&two).unwrap_or_else(|| nan(one).cmp(&nan(two)))
}
