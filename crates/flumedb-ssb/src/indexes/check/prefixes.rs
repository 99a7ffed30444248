//! [`Prefixes`], what each prefix index should hold. Neither the field nor the place of the four bytes in it is in the
//! file, so every place is tried at once, and the one with the fewest differences is taken.

use super::{
    finding::{Fault, Finding},
    judged::Judged,
    paths::Paths,
    records::{Records, Tally},
    values::Entry,
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
    pub(super) fn take(&mut self, entry: &Entry<'_, '_>, held: u32, encrypted: bool, paths: &Paths) {
        let record = entry.record;
        for reading in &mut self.readings {
            if encrypted && paths.is_content(reading.path) {
                continue;
            }
            let value = entry.value(&paths.names(reading.path));
            let body = value.as_ref().map_or(&[][..], |value| value.value().body());
            for (place, tried) in reading.places.iter_mut().enumerate() {
                match prefix(body, place) {
                    // jitdb would not have come past it.
                    None if record < self.covered => tried.extra.add(record),
                    None => tried.stuck = tried.stuck.or(Some((record, body.len()))),
                    Some(expected) if record >= self.covered || expected == held => {}
                    Some(_) if held == 0 => tried.missing.add(record),
                    Some(_) => tried.extra.add(record),
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

/// The four bytes at `place`; of a value of at most four bytes those, with zeros behind. `None`: jitdb throws.
fn prefix(body: &[u8], place: usize) -> Option<u32> {
    if body.len() <= 4 {
        let mut bytes = [0; 4];
        bytes.iter_mut().zip(body).for_each(|(to, from)| *to = *from);
        return Some(u32::from_le_bytes(bytes));
    }
    Some(u32::from_le_bytes(*body.get(place..)?.first_chunk()?))
}
