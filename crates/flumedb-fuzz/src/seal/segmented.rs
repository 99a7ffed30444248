//! Checksums of a segment and of a head page, as `docs/format.md` has them.

use crc_fast::crc32_iscsi as crc;

const HEADER: usize = 128;
const RECORD: usize = 16;
const TRAILER: usize = 48;
const PAGE: usize = 96;
/// The kind of the record that lists where the others are: the trailer's chain leaves it out.
const INDEX: u8 = 5;

/// Seals what is named `name`.
pub(crate) fn segmented(name: &str, bytes: &mut [u8]) {
    if name.ends_with(".seg") {
        seal_segment(bytes);
    } else if let Some(page) = bytes.get_mut(..PAGE) {
        close(page);
    }
}

fn seal_segment(bytes: &mut [u8]) {
    if bytes.len() < HEADER {
        return;
    }
    let (header, mut rest) = bytes.split_at_mut(HEADER);
    close(header);
    let key = u64_at(header, 16) ^ u64_at(header, 24).rotate_left(32);
    let (mut chain, mut next) = (u32_at(header, 52), u64_at(header, 40));
    while rest.len() >= RECORD && rest.iter().any(|&byte| byte != 0) && !rest.starts_with(b"FLUMEEND") {
        let len = u32_at(rest, 8) as usize;
        let Some(size) = RECORD.checked_add(len).map(|end| end.next_multiple_of(8)).filter(|size| *size <= rest.len())
        else {
            return;
        };
        let (record, behind) = rest.split_at_mut(size);
        let (kind, keeps, place) = (record[12], record[13] & 1 == 1, place(key, next));
        record[4..8].copy_from_slice(&chain.to_le_bytes());
        if !keeps {
            let sum = crc(&record[4..RECORD + len]) ^ place;
            record[..4].copy_from_slice(&sum.to_le_bytes());
        } else if len >= 4 {
            let end = RECORD + len - 4;
            let sum = crc(&record[..end]) ^ place;
            record[end..end + 4].copy_from_slice(&sum.to_le_bytes());
        }
        if kind != INDEX {
            chain = u32_at(record, 0);
        }
        next = next.wrapping_add(u64::from(matches!(kind, 2 | 3)));
        rest = behind;
    }
    if rest.len() >= TRAILER {
        rest[32..36].copy_from_slice(&chain.to_le_bytes());
        close(&mut rest[..TRAILER]);
    }
}

/// Ends a page with the checksum over the rest of it.
fn close(page: &mut [u8]) {
    let end = page.len() - 4;
    let sum = crc(&page[..end]);
    page[end..].copy_from_slice(&sum.to_le_bytes());
}

fn place(key: u64, number: u64) -> u32 {
    let mut z = key.wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)) as u32
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The failure: a seal that the log does not take, so that nothing behind a checksum is ever reached.
    #[test]
    fn what_is_whole_is_sealed_already() {
        let bytes = include_bytes!("../../../../fuzz/corpus/segmented/three-segments");
        for (name, content) in crate::targets::segmented_files(bytes) {
            let mut sealed = content.to_vec();
            segmented(name, &mut sealed);
            assert!(sealed == content, "{name}");
        }
    }
}
