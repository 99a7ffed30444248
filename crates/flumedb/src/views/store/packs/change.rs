//! [`Packs`], rows in packs, and how they are changed.

use std::ops::Bound;

use redb::{ReadableTable, Table, WriteTransaction};

use super::{
    COUNT, Definition, corrupted, count,
    pack::{MOST, Reader, Row, Unpacked},
};

/// So many rows are brought in at a time: they are listed in memory.
const AT_ONCE: usize = 4096;

/// Rows in packs, in a transaction that changes them.
pub(crate) struct Packs<'t> {
    table: Table<'t, &'static [u8], &'static [u8]>,
    near: Option<Near>,
}

/// The pack that was looked into last.
struct Near {
    /// Its key, unless there is none at all.
    key: Option<Vec<u8>>,
    /// What belongs to it: keys from here, or all before the second one's, to before there.
    from: Option<Vec<u8>>,
    to: Option<Vec<u8>>,
    rows: Unpacked,
}

impl Near {
    fn has(&self, key: &[u8]) -> bool {
        self.from.as_ref().is_none_or(|from| from.as_slice() <= key) && self.is_before_end(key)
    }

    fn is_before_end(&self, key: &[u8]) -> bool {
        self.to.as_ref().is_none_or(|to| key < to.as_slice())
    }
}

impl<'t> Packs<'t> {
    pub(crate) fn open(transaction: &'t WriteTransaction, table: Definition) -> Result<Self, redb::Error> {
        Ok(Self { table: transaction.open_table(table)?, near: None })
    }

    /// The pack to which `key` belongs.
    fn near(&mut self, key: &[u8]) -> Result<Near, redb::Error> {
        match self.near.take() {
            Some(near) if near.has(key) => Ok(near),
            former => {
                let rows = former.map(|near| near.rows).unwrap_or_default();
                find(&self.table, key, rows)
            }
        }
    }

    /// The last row that does not stand behind `key`.
    pub(crate) fn last_to<T>(
        &mut self,
        key: &[u8],
        read: impl FnOnce(&[u8], &[u8]) -> T,
    ) -> Result<Option<T>, redb::Error> {
        let near = self.near(key)?;
        let found = near.rows.last_to(key).map(|(key, value)| read(key, value));
        self.near = Some(near);
        Ok(found)
    }

    /// The key of the first row behind `key`.
    pub(crate) fn next_after(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, redb::Error> {
        let near = self.near(key)?;
        let next = near.rows.first_after(key).map(<[u8]>::to_owned).or_else(|| near.to.clone());
        self.near = Some(near);
        Ok(next)
    }

    /// Adds rows, which are in order, or gives them another value.
    pub(crate) fn put<'r>(&mut self, rows: impl IntoIterator<Item = (&'r [u8], &'r [u8])>) -> Result<(), redb::Error> {
        self.change(rows.into_iter().map(|(key, value)| (key, Some(value))))
    }

    /// Removes the rows with these keys, which are in order, where there are such.
    pub(crate) fn remove<'r>(&mut self, keys: impl IntoIterator<Item = &'r [u8]>) -> Result<(), redb::Error> {
        self.change(keys.into_iter().map(|key| (key, None)))
    }

    fn change<'r>(&mut self, changes: impl Iterator<Item = (&'r [u8], Option<&'r [u8]>)>) -> Result<(), redb::Error> {
        let mut changes = changes.peekable();
        let (mut added, mut removed, mut bytes) = (0_u64, 0_u64, Vec::new());
        while let Some(&(first, _)) = changes.peek() {
            let near = self.near(first)?;
            let mut old = near.rows.rows().peekable();
            let mut rows = Listed::default();
            // More is likely to come behind what came behind all others.
            let fill = near.rows.last().is_none_or(|(last, _)| last < first);
            let mut taken = 0;
            while rows.list.len() < AT_ONCE
                && let Some((key, value)) = changes.next_if(|(key, _)| near.is_before_end(key))
            {
                taken += 1;
                while let Some(row) = old.next_if(|row| row.0 < key) {
                    rows.push(row);
                }
                removed += u64::from(old.next_if(|row| row.0 == key).is_some());
                if let Some(value) = value {
                    added += 1;
                    rows.push((key, value));
                }
            }
            if taken == 0 {
                return Err(corrupted("packs that are not in order"));
            }
            old.for_each(|row| rows.push(row));
            write(&mut self.table, near.key.as_deref(), &rows, fill, &mut bytes)?;
        }
        self.add(added, removed)
    }

    /// Shows each row.
    pub(crate) fn each(
        &self,
        mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), redb::Error>,
    ) -> Result<(), redb::Error> {
        for pack in self.table.range::<&[u8]>((Bound::Excluded(COUNT), Bound::Unbounded))? {
            let (key, bytes) = pack?;
            let mut reader = Reader::new(key.value(), bytes.value());
            while let Some(value) = reader.next()? {
                visit(&reader.key, value)?;
            }
        }
        Ok(())
    }

    /// Keeps the rows of which `keep` says so. Looks at all of them.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&[u8], &[u8]) -> bool) -> Result<(), redb::Error> {
        let (mut at, mut removed, mut bytes) = (COUNT.to_vec(), 0, Vec::new());
        let mut unpacked = Unpacked::default();
        self.near = None;
        loop {
            let behind = (Bound::Excluded(at.as_slice()), Bound::Unbounded);
            let Some(pack) = self.table.range::<&[u8]>(behind)?.next() else { break };
            let (key, value) = pack?;
            unpacked.read(key.value(), value.value())?;
            let next = key.value().to_vec();
            drop((key, value));
            let mut rows = Listed::default();
            unpacked.rows().filter(|row| keep(row.0, row.1)).for_each(|row| rows.push(row));
            let gone = unpacked.len() - rows.list.len();
            if gone > 0 {
                removed += gone as u64;
                write(&mut self.table, Some(&next), &rows, false, &mut bytes)?;
            }
            // What is left of it begins there at the earliest.
            at = rows.list.last().map_or(next.as_slice(), |last| last.key).to_vec();
        }
        self.add(0, removed)
    }

    /// Counts rows that came and went.
    fn add(&mut self, added: u64, removed: u64) -> Result<(), redb::Error> {
        if added == removed {
            return Ok(());
        }
        let former = self.table.get(COUNT)?.map_or(Ok(0), |bytes| count(bytes.value()))?;
        let now = former.checked_add(added).and_then(|rows| rows.checked_sub(removed));
        let now = now.ok_or_else(|| corrupted("fewer rows than were removed"))?;
        self.table.insert(COUNT, now.to_le_bytes().as_slice())?;
        Ok(())
    }
}

/// The pack to which `key` belongs, read into `rows`.
fn find(
    table: &impl ReadableTable<&'static [u8], &'static [u8]>,
    key: &[u8],
    mut rows: Unpacked,
) -> Result<Near, redb::Error> {
    rows.clear();
    let packs = Bound::Excluded(COUNT);
    let found = table.range::<&[u8]>((packs, Bound::Included(key)))?.next_back().transpose()?;
    let from = found.as_ref().map(|(key, _)| key.value().to_vec());
    let pack = match found {
        Some(found) => Some(found),
        None => table.range::<&[u8]>((packs, Bound::Unbounded))?.next().transpose()?,
    };
    let Some((key, value)) = pack else { return Ok(Near { key: None, from: None, to: None, rows }) };
    rows.read(key.value(), value.value())?;
    let next = table.range::<&[u8]>((Bound::Excluded(key.value()), Bound::Unbounded))?.next().transpose()?;
    let to = next.map(|(key, _)| key.value().to_vec());
    if let (Some((last, _)), Some(to)) = (rows.last(), &to)
        && last >= to.as_slice()
    {
        return Err(corrupted("a pack with rows of the next one"));
    }
    Ok(Near { key: Some(key.value().to_vec()), from, to, rows })
}

/// Rows of packs that are to be written.
#[derive(Default)]
struct Listed<'a> {
    list: Vec<Row<'a>>,
    len: usize,
}

impl<'a> Listed<'a> {
    fn push(&mut self, (key, value): (&'a [u8], &'a [u8])) {
        let row = Row::new(self.list.last().map_or(&[], |before| before.key), key, value);
        self.len += row.len();
        self.list.push(row);
    }
}

/// Puts rows in the place of the pack with the key `former`: into as few packs as they need, of about the same size; or with
/// `fill` the first ones as full as can be.
fn write(
    table: &mut Table<'_, &'static [u8], &'static [u8]>,
    former: Option<&[u8]>,
    rows: &Listed<'_>,
    fill: bool,
    bytes: &mut Vec<u8>,
) -> Result<(), redb::Error> {
    if let Some(former) = former
        && rows.list.first().is_none_or(|first| first.key != former)
    {
        table.remove(former)?;
    }
    let enough = if fill { MOST } else { rows.len / rows.len.div_ceil(MOST).max(1) };
    let mut key: &[u8] = &[];
    bytes.clear();
    for row in &rows.list {
        let len = key.len() + bytes.len();
        if !bytes.is_empty() && (len >= enough || len + row.len() > MOST) {
            table.insert(key, bytes.as_slice())?;
            bytes.clear();
        }
        let first = bytes.is_empty();
        if first {
            key = row.key;
        }
        row.write(first, bytes);
    }
    if !bytes.is_empty() {
        table.insert(key, bytes.as_slice())?;
    }
    Ok(())
}
