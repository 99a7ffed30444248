//! Checksums of the files of a LevelDB: of each record of a log or manifest, and of each block of a table.

use crc_fast::crc32_iscsi as crc;

/// A log is written in blocks of this size.
const BLOCK: usize = 1 << 15;
const HEADER: usize = 7;
const FOOTER: usize = 48;

/// Seals what is named `name`.
pub(crate) fn level(name: &str, bytes: &mut [u8]) {
    if name.ends_with(".ldb") || name.ends_with(".sst") {
        seal_table(bytes);
    } else if name != "log/CURRENT" {
        bytes.chunks_mut(BLOCK).for_each(seal_block);
    }
}

/// A block of a log: records of checksum, length, kind and content.
fn seal_block(mut rest: &mut [u8]) {
    while rest.len() >= HEADER {
        let len = usize::from(u16::from_le_bytes([rest[4], rest[5]]));
        let Some((record, behind)) = rest.split_at_mut_checked(HEADER + len) else { return };
        let sum = masked(crc(&record[6..]));
        record[..4].copy_from_slice(&sum);
        rest = behind;
    }
}

/// A table: its footer says where the list of blocks is, and that says where the blocks are. A list that is compressed is
/// not read.
fn seal_table(bytes: &mut [u8]) {
    let Some(footer) = bytes.len().checked_sub(FOOTER) else { return };
    let mut handles = bytes[footer..].iter().copied();
    let numbers: Vec<u64> = (0..4).map_while(|_| varint(&mut handles)).collect();
    let [_, _, offset, len] = numbers[..] else { return };
    let Some(list) = seal_piece(bytes, offset, len) else { return };
    let mut list = list.into_iter();
    // Each entry: how much of its key it shares, the rest of the key, and where its block is.
    while let (Some(_), Some(key), Some(_)) = (varint(&mut list), varint(&mut list), varint(&mut list)) {
        for _ in 0..key.min(64) {
            list.next();
        }
        let (Some(offset), Some(len)) = (varint(&mut list), varint(&mut list)) else { return };
        seal_piece(bytes, offset, len);
    }
}

/// Seals one block, and gives its content, unless that is compressed.
fn seal_piece(bytes: &mut [u8], offset: u64, len: u64) -> Option<Vec<u8>> {
    let (offset, len) = (usize::try_from(offset).ok()?, usize::try_from(len).ok()?);
    let end = offset.checked_add(len)?.checked_add(1)?;
    let sum = masked(crc(bytes.get(offset..end)?));
    bytes.get_mut(end..end.checked_add(4)?)?.copy_from_slice(&sum);
    (bytes[end - 1] == 0).then(|| bytes[offset..end - 1].to_vec())
}

fn varint(bytes: &mut impl Iterator<Item = u8>) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = bytes.next()?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

fn masked(sum: u32) -> [u8; 4] {
    sum.rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The failure: a seal that nobody takes, so that nothing behind a checksum is ever reached.
    #[test]
    fn what_is_whole_is_sealed_already() {
        let files: [(&str, &[u8]); 3] = [
            ("000005.ldb", include_bytes!("../../../../crates/flumedb-ssb/fixtures/level/log/000005.ldb")),
            ("000009.log", include_bytes!("../../../../crates/flumedb-ssb/fixtures/level/log/000009.log")),
            ("MANIFEST-000007", include_bytes!("../../../../crates/flumedb-ssb/fixtures/level/log/MANIFEST-000007")),
        ];
        for (name, content) in files {
            let mut sealed = content.to_vec();
            level(name, &mut sealed);
            assert!(sealed == content, "{name}");
        }
    }
}
