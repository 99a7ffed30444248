//! [`Prefixes`], what each prefix index should hold. Neither the field nor the place of the four bytes in it is in the
//! file, so every place is tried at once, and the one with the fewest differences is taken.

use std::borrow::Cow;

use flumedb::codec::Field;

use super::{
    finding::{Fault, Finding},
    judged::Judged,
    paths::Paths,
    records::{Records, Tally},
};

/// Places of the four bytes that are tried: 0 up to this one.
const FURTHEST: usize = 40;

/// A prefix index: for each reading of its name as a path, how each place fares.
pub(super) struct Prefixes {
    covered: u32,
    readings: Vec<Tried>,
}

struct Tried {
    path: usize,
    places: Vec<Place>,
    /// Records that can be judged and have a prefix.
    answers: u64,
}

#[derive(Clone, Default)]
struct Place {
    missing: Tally,
    extra: Tally,
    /// The first record not yet covered whose value makes jitdb throw, and the length of that value.
    stuck: Option<(u32, usize)>,
}

impl Prefixes {
    /// An index that covers the first `covered` records, called `stem`.
    pub(super) fn new(stem: &str, covered: u32, paths: &mut Paths) -> Self {
        let tried = |(path, _)| Tried { path, places: vec![Place::default(); FURTHEST + 1], answers: 0 };
        Self { covered, readings: paths.whole(stem).into_iter().map(tried).collect() }
    }

    /// Takes in a record that can be looked into; `encrypted`: but for its content. `held`: what the index has for it.
    pub(super) fn take(
        &mut self,
        record: u32,
        held: u32,
        encrypted: bool,
        fields: &[Option<Field<'_>>],
        paths: &Paths,
    ) {
        for reading in &mut self.readings {
            let field = fields.get(reading.path).and_then(Option::as_ref);
            let Some(body) = body(field) else { continue };
            if encrypted && paths.is_content(reading.path) {
                continue;
            }
            for (place, tried) in reading.places.iter_mut().enumerate() {
                let Some(expected) = prefix(&body, place) else {
                    if record >= self.covered && tried.stuck.is_none() {
                        tried.stuck = Some((record, body.len()));
                    }
                    continue;
                };
                if record < self.covered && expected != held {
                    if held == 0 { tried.missing.add(record) } else { tried.extra.add(record) }
                }
            }
            reading.answers += u64::from(record < self.covered && !body.is_empty());
        }
    }

    /// What to say of it.
    pub(super) fn judge(&self, judged: Judged, paths: &Paths, records: &Records) -> Finding {
        let places = self.readings.iter().filter(|reading| paths.is_seen(reading.path) && reading.answers > 0);
        let places = places.flat_map(|reading| reading.places.iter().enumerate().map(move |place| (reading, place)));
        let Some((reading, (place, best))) =
            places.min_by_key(|(_, (_, place))| place.missing.count.saturating_add(place.extra.count))
        else {
            return judged.unknown("no entry has a field of this name: the index is over something else");
        };
        let untold = records.untold(self.covered, paths.is_content(reading.path));
        let mut finding = if best.missing.is_empty() && best.extra.is_empty() {
            judged.covers(untold)
        } else {
            let mut finding = judged.wrong_in(&best.missing, &best.extra, records);
            finding.reason = Some("the four bytes of some records are not those of their field".to_owned());
            finding
        };
        finding.holds = Some(format!("four bytes of {} from byte {place} on", paths.text(reading.path)));
        finding.untold = untold;
        if let Some((record, len)) = best.stuck {
            finding.faults.push(Fault::ShortValue);
            finding.reason = Some(format!("jitdb throws at record {record}, whose value has {len} bytes"));
        }
        finding
    }
}

/// A value's bytes as BIPF keeps them, without the tag; nothing for a value that is not there. `None`: not to be told here.
fn body<'a>(field: Option<&'a Field<'_>>) -> Option<Cow<'a, [u8]>> {
    Some(match field {
        None | Some(Field::Null) => Cow::Borrowed(&[]),
        Some(Field::Bool(truth)) => Cow::Owned(vec![u8::from(*truth)]),
        Some(Field::Integer(number)) => number_body(*number as f64),
        Some(Field::Float(number)) => number_body(*number),
        Some(Field::Text(text)) => Cow::Borrowed(text.as_bytes()),
        Some(Field::Bytes(bytes)) => Cow::Borrowed(bytes),
        Some(_) => return None,
    })
}

fn number_body(number: f64) -> Cow<'static, [u8]> {
    let small = number.trunc() == number && number.abs() <= f64::from(i32::MAX);
    if small { Cow::Owned((number as i32).to_le_bytes().to_vec()) } else { Cow::Owned(number.to_le_bytes().to_vec()) }
}

/// The four bytes at `place`; of a value of at most four bytes those, with zeros behind. `None`: jitdb throws.
fn prefix(body: &[u8], place: usize) -> Option<u32> {
    if body.len() <= 4 {
        let mut bytes = [0; 4];
        bytes.iter_mut().zip(body).for_each(|(to, from)| *to = *from);
        return Some(u32::from_le_bytes(bytes));
    }
    Some(u32::from_le_bytes(*body.get(place..)?.first_chunk()?))
}
