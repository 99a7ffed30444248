//! [`Gathered`], rows on their way into a store, in one piece of memory.

/// Rows that are gathered, then sorted: stores take them many times as fast in order. A row is a key, and perhaps a value
/// behind it.
#[derive(Default)]
pub(crate) struct Gathered {
    bytes: Vec<u8>,
    places: Vec<RowPlace>,
}

/// Where a row starts, where its value does, and where it ends.
#[derive(Clone, Copy)]
struct RowPlace {
    /// The key's first bytes, as a number (zeros behind a short one): they mostly tell it from others.
    head: u128,
    start: usize,
    key: u32,
    value: u32,
}

impl Gathered {
    /// Adds the row of the key that `write` appends, without a value.
    pub(crate) fn push(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.push_with(write, |_| ());
    }

    /// Adds the row of the key and the value that these append.
    pub(crate) fn push_with(&mut self, key: impl FnOnce(&mut Vec<u8>), value: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        key(&mut self.bytes);
        let end = self.bytes.len();
        value(&mut self.bytes);
        let written = self.bytes.get(start..end).unwrap_or_default();
        let head = match written.first_chunk() {
            Some(head) => *head,
            None => {
                let mut head = [0; 16];
                head.iter_mut().zip(written).for_each(|(head, byte)| *head = *byte);
                head
            }
        };
        let (key, value) = ((end - start) as u32, (self.bytes.len() - end) as u32);
        self.places.push(RowPlace { head: u128::from_be_bytes(head), start, key, value });
    }

    /// The rows by key, with their values. Of two with the same key the one that was added last is left.
    pub(crate) fn sorted(&mut self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let (bytes, places) = (self.bytes.as_slice(), &mut self.places);
        let key = move |place: &RowPlace| bytes.get(place.start..place.start + place.key as usize).unwrap_or_default();
        // The heads alone need no look at the keys; and the order in which rows came is kept, which is often that of the keys
        // that begin alike.
        places.sort_by_key(|place| place.head);
        for alike in places.chunk_by_mut(|one, two| one.head == two.head) {
            if !alike.is_sorted_by_key(key) {
                alike.sort_by(|one, two| key(one).cmp(key(two)));
            }
        }
        places.dedup_by(|later, former| {
            let same = later.head == former.head && key(later) == key(former);
            if same {
                *former = *later;
            }
            same
        });
        self.rows()
    }

    /// The rows as they came, for those that came in order.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.places.iter().map(|place| {
            let row = self.bytes.get(place.start..).unwrap_or_default();
            let (key, rest) = row.split_at_checked(place.key as usize).unwrap_or_default();
            (key, rest.get(..place.value as usize).unwrap_or_default())
        })
    }

    /// About how much memory they take.
    pub(crate) fn memory(&self) -> usize {
        self.bytes.len() + self.places.len() * size_of::<RowPlace>()
    }

    /// Forgets the rows; keeps the memory for the next ones.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.places.clear();
    }
}
