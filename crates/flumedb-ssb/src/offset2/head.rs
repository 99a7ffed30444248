//! [`Head`], the eight bytes in front of a payload. Owns every byte of framing, reads no file.

/// The length of a payload, as a signed number of 64 bits; negative once the entry is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) size: u32,
    pub(super) deleted: bool,
}

impl Head {
    pub(super) const BYTES: usize = 8;

    /// `None` for a length that no entry here has, whatever its sign.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let length = i64::from_be_bytes(*bytes.first_chunk()?);
        Some(Self { size: u32::try_from(length.unsigned_abs()).ok()?, deleted: length < 0 })
    }

    pub(super) fn bytes(self) -> [u8; Self::BYTES] {
        let length = i64::from(self.size);
        if self.deleted { -length } else { length }.to_be_bytes()
    }

    /// Where the entry ends that starts at `start`.
    pub(super) fn end(self, start: u64) -> u64 {
        start.saturating_add(Self::BYTES as u64 + u64::from(self.size))
    }

    /// Whether an append that was stopped may have left these bytes: none is deleted yet, and none is so long.
    pub(super) fn may_begin(bytes: &[u8]) -> bool {
        bytes.iter().take(4).all(|&byte| byte == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The failure: a length that overflows when its sign is taken off, or that makes a reader skip past the end.
    #[test]
    fn absurd_lengths_are_none() {
        for length in [i64::MIN, i64::MIN + 1, i64::MAX, 1 << 32, -(1 << 32), 1 << 62] {
            assert_eq!(Head::parse(&length.to_be_bytes()), None, "{length}");
        }
        assert_eq!(Head::parse(&[0; 7]), None);
        for length in [0, 1, -1, i64::from(u32::MAX), -i64::from(u32::MAX)] {
            let head = Head::parse(&length.to_be_bytes()).unwrap();
            assert_eq!((head.deleted, head.bytes()), (length < 0, length.to_be_bytes()));
        }
        assert_eq!(Head { size: 3, deleted: false }.end(u64::MAX), u64::MAX);
    }

    #[test]
    fn what_begins_an_append_begins_with_zeros() {
        assert!(Head::may_begin(b"") && Head::may_begin(b"\0\0") && Head::may_begin(b"\0\0\0\0\xff"));
        assert!(!Head::may_begin(b"{\"ty") && !Head::may_begin(&[0xff; 8]));
    }
}
