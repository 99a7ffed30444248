//! [`Header`], the 16 bytes that every index file of jitdb begins with.

use bytes::Bytes;
use crc_fast::{CrcAlgorithm, Digest};

use crate::indexes::file::Checksum;

/// Version, position of the last record covered, a count whose meaning is the body's, and a CRC-32.
#[derive(Clone, Copy, Debug)]
pub(in crate::indexes) struct Header {
    pub(in crate::indexes) version: u32,
    pub(in crate::indexes) offset: u32,
    pub(in crate::indexes) count: u32,
    pub(in crate::indexes) checksum: Checksum,
}

impl Header {
    const LEN: usize = 16;

    /// The header of a file and the body behind it; `None` if the file is too short for a header.
    pub(in crate::indexes) fn read(file: &Bytes) -> Option<(Self, Bytes)> {
        let head: &[u8; Self::LEN] = file.first_chunk()?;
        let [version, offset, count, stored] = *head.as_chunks::<4>().0 else { return None };
        let (version, offset) = (u32::from_le_bytes(version), u32::from_le_bytes(offset));
        let (count, stored) = (u32::from_le_bytes(count), u32::from_le_bytes(stored));
        let body = file.slice(Self::LEN..);
        let checksum = match stored {
            0 => Checksum::Off,
            _ if stored == checksum(head, &body) => Checksum::Right,
            _ => Checksum::Wrong,
        };
        Some((Self { version, offset, count, checksum }, body))
    }
}

/// CRC-32 (IEEE 802.3) of the whole file with its own four bytes taken as zeros.
fn checksum(head: &[u8; Header::LEN], body: &[u8]) -> u32 {
    let [a, b, c, d, e, f, g, h, i, j, k, l, ..] = *head;
    let mut digest = Digest::new(CrcAlgorithm::Crc32IsoHdlc);
    digest.update(&[a, b, c, d, e, f, g, h, i, j, k, l, 0, 0, 0, 0]);
    digest.update(body);
    u32::try_from(digest.finalize()).unwrap_or(u32::MAX)
}
