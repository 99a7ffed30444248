//! [`Message`], MessagePack that is read piece by piece, its binary parts without a copy.

use rmp::decode as read;

use crate::Bytes;

/// What is left to read of some MessagePack.
pub(super) struct Message<'a> {
    all: &'a Bytes,
    rest: &'a [u8],
}

impl<'a> Message<'a> {
    pub(super) fn new(all: &'a Bytes) -> Self {
        Self { all, rest: all }
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn number(&mut self) -> Option<u64> {
        read::read_int(&mut self.rest).ok()
    }

    pub(super) fn number_or_nil(&mut self) -> Option<Option<u64>> {
        self.unless_nil(Self::number)
    }

    pub(super) fn bytes_or_nil(&mut self) -> Option<Option<Bytes>> {
        self.unless_nil(Self::bytes)
    }

    fn unless_nil<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        match self.rest.split_first()? {
            (0xc0, rest) => {
                self.rest = rest;
                Some(None)
            }
            _ => read(self).map(Some),
        }
    }

    /// The length of an array.
    pub(super) fn len(&mut self) -> Option<u32> {
        read::read_array_len(&mut self.rest).ok()
    }

    /// The beginning of an array of this length.
    pub(super) fn array(&mut self, len: u32) -> Option<()> {
        (self.len()? == len).then_some(())
    }

    /// An array, by what reads one of its items.
    pub(super) fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        // What it says of its length is not to be trusted with memory.
        let len = self.len()?;
        let mut items = Vec::with_capacity(len.min(16) as usize);
        for _ in 0..len {
            items.push(item(self)?);
        }
        Some(items)
    }

    pub(super) fn text(&mut self) -> Option<String> {
        let len = read::read_str_len(&mut self.rest).ok()?;
        let (text, rest) = self.rest.split_at_checked(usize::try_from(len).ok()?)?;
        self.rest = rest;
        std::str::from_utf8(text).ok().map(str::to_owned)
    }

    pub(super) fn bytes(&mut self) -> Option<Bytes> {
        let len = usize::try_from(read::read_bin_len(&mut self.rest).ok()?).ok()?;
        let from = self.all.len().checked_sub(self.rest.len())?;
        self.rest = self.rest.split_at_checked(len)?.1;
        Some(self.all.slice(from..from.checked_add(len)?))
    }
}
