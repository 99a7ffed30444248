//! [`Hashtable`], the file of flumeview-hashtable. Keys are not in it, only where their entries are.

use bytes::Bytes;

/// Each table has twice the slots of the one before, and slots are counted in 32 bits.
const MAX_TABLES: usize = 32;

/// The tables of a `.ht` file, the oldest and smallest first.
#[derive(Clone, Debug)]
pub struct Hashtable {
    /// The view's version.
    pub version: u32,
    /// The position of the newest entry that it covers.
    pub since: Option<u32>,
    /// The tables.
    pub tables: Vec<Table>,
}

/// One table.
#[derive(Clone, Debug)]
pub struct Table {
    /// How many slots it says are taken.
    pub count: u32,
    slots: Bytes,
}

impl Hashtable {
    pub(super) fn parse(file: &Bytes) -> Result<Self, String> {
        if !file.len().is_multiple_of(4) {
            return Err("its length is no multiple of 4".to_owned());
        }
        let word = |at: usize| Some(u32::from_be_bytes(*file.get(at..)?.first_chunk()?));
        let (Some(version), Some(end)) = (word(0), word(4)) else {
            return Err("it is too short for a header".to_owned());
        };
        let (mut at, mut tables) = (8, Vec::new());
        while at < file.len() {
            let (Some(slots), Some(count)) = (word(at), word(at + 4)) else {
                return Err("its last table is cut".to_owned());
            };
            let start = at + 8;
            let bytes = usize::try_from(slots).ok().and_then(|slots| slots.checked_mul(4));
            let Some(stop) = bytes.and_then(|bytes| start.checked_add(bytes)).filter(|stop| *stop <= file.len()) else {
                return Err(format!("a table of {slots} slots does not fit the file"));
            };
            if slots == 0 || tables.len() == MAX_TABLES {
                return Err("a table has no slots, or there are too many tables".to_owned());
            }
            let table = Table { count, slots: file.slice(start..stop) };
            let taken = table.iter().filter(Option::is_some).count();
            if taken as u64 != u64::from(count) {
                return Err(format!("a table says that {count} slots are taken, and {taken} are"));
            }
            tables.push(table);
            at = stop;
        }
        Ok(Self { version, since: end.checked_sub(1), tables })
    }
}

impl Table {
    /// How many slots it has.
    pub fn slots(&self) -> usize {
        self.slots.len() / 4
    }

    /// The slots: the position of an entry, or nothing.
    pub fn iter(&self) -> impl Iterator<Item = Option<u32>> {
        self.slots.as_chunks().0.iter().map(|bytes| u32::from_be_bytes(*bytes).checked_sub(1))
    }
}
