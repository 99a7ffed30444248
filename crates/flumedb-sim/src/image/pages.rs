//! [`Pages`], the bytes of a file in shared pages, so that a copy of a disk costs next to nothing.

use std::sync::Arc;

pub(super) const PAGE: usize = 4096;

/// A file's bytes. A page that was never written takes no room, as a hole on a real disk.
#[derive(Clone, Default)]
pub(crate) struct Pages {
    len: u64,
    pages: Vec<Option<Arc<[u8; PAGE]>>>,
}

impl Pages {
    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut pages = Self::default();
        pages.write(0, bytes);
        pages
    }

    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// How many pages take room.
    pub(crate) fn claimed(&self) -> u64 {
        self.pages.iter().flatten().count() as u64
    }

    pub(crate) fn set_len(&mut self, len: u64) {
        if len < self.len {
            // What is cut must read as zeros if the file grows again.
            let keep = (len as usize).div_ceil(PAGE);
            self.pages.truncate(keep);
            let within = len as usize % PAGE;
            if within > 0
                && let Some(Some(page)) = self.pages.get_mut(keep - 1)
            {
                Arc::make_mut(page)[within..].fill(0);
            }
        }
        self.len = len;
        self.pages.resize((len as usize).div_ceil(PAGE), None);
    }

    pub(crate) fn claim(&mut self, from: u64, to: u64) {
        let zeros = Arc::new([0; PAGE]);
        let pages = (from as usize / PAGE)..(to as usize).div_ceil(PAGE).min(self.pages.len());
        for page in &mut self.pages[pages] {
            page.get_or_insert_with(|| zeros.clone());
        }
    }

    /// How many pages a write of `len` bytes at `offset` would have to claim, page by page.
    pub(crate) fn unclaimed(&self, offset: u64, len: usize) -> impl Iterator<Item = u64> {
        let pages = (offset as usize / PAGE)..(offset as usize + len).div_ceil(PAGE);
        pages.filter(|page| !matches!(self.pages.get(*page), Some(Some(_)))).map(|page| page as u64)
    }

    pub(crate) fn write(&mut self, offset: u64, mut bytes: &[u8]) {
        let end = offset + bytes.len() as u64;
        if end > self.len {
            self.set_len(end);
        }
        let mut at = offset as usize;
        while !bytes.is_empty() {
            let within = at % PAGE;
            let (now, rest) = bytes.split_at(bytes.len().min(PAGE - within));
            let page = self.pages[at / PAGE].get_or_insert_with(|| Arc::new([0; PAGE]));
            Arc::make_mut(page)[within..within + now.len()].copy_from_slice(now);
            at += now.len();
            bytes = rest;
        }
    }

    pub(crate) fn read(&self, offset: u64, len: usize) -> Vec<u8> {
        let start = offset.min(self.len) as usize;
        let end = offset.saturating_add(len as u64).min(self.len) as usize;
        let mut out = Vec::with_capacity(end - start);
        let mut at = start;
        while at < end {
            let within = at % PAGE;
            let take = (end - at).min(PAGE - within);
            match &self.pages[at / PAGE] {
                Some(page) => out.extend_from_slice(&page[within..within + take]),
                None => out.resize(out.len() + take, 0),
            }
            at += take;
        }
        out
    }

    /// Whether both have the same bytes. Quick where they share their pages.
    pub(super) fn reads_as(&self, other: &Self) -> bool {
        let same = |(one, other): (&Option<Arc<_>>, &Option<Arc<_>>)| match (one, other) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other) || one == other,
            (one, other) => one.is_none() && other.is_none(),
        };
        self.len == other.len && self.pages.iter().zip(&other.pages).all(same)
    }

    pub(crate) fn feed(&self, mut take: impl FnMut(&[u8])) {
        take(&self.len.to_le_bytes());
        for (number, page) in self.pages.iter().enumerate() {
            if let Some(page) = page {
                take(&number.to_le_bytes());
                take(page.as_slice());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_reads_as_zeros_when_the_file_grows_again() {
        let mut pages = Pages::default();
        pages.write(PAGE as u64 - 2, &[7; 4]);
        pages.set_len(PAGE as u64 - 1);
        pages.set_len(PAGE as u64 + 2);
        assert_eq!(pages.read(PAGE as u64 - 3, 10), [0, 7, 0, 0, 0]);
        assert_eq!(pages.claimed(), 1);
    }
}
