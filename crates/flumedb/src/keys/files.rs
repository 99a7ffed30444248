//! [`SealedFile`], a file that is encrypted on its way to the disk: what views keep.
//!
//! Each file has a key of its own, random, which stands in front under the database's key (a page, of which 112 bytes are
//! used). Behind it are the file's bytes under AES-256 in XTS mode (IEEE 1619), sectors of 512 bytes. Such a block of 16
//! bytes depends on its own bytes and its place only, so a torn write does what it does to a file in the clear, as long as
//! the disk does not tear within 16 bytes; XTS has no checksums, but the stores have. The last block is whole, too: the
//! file is longer by 16 bytes than what it holds, so that its length says where that ends. 16 bytes of zeros stand for
//! themselves, as space that was claimed and not written.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use aes::{Aes256, cipher::KeyInit};
use bytes::Bytes;
use xts_mode::{Xts128, get_tweak_default};
use zeroize::Zeroizing;

use super::{Cipher, Keys};
use crate::{
    Damage, Error,
    env::{File, Random},
};

const MAGIC: &[u8; 8] = b"FLUMEXTS";
const VERSION: u32 = 1;
/// Where a file's bytes begin.
const START: u64 = 4096;
/// What of the page in front is used: magic, version, number of the key, 2 bytes of zeros, nonce, the file's key, tag,
/// and a CRC-32C of all that.
const HEADER: usize = SEALED + 4;
const SEALED: usize = PREFIX + Cipher::NONCE + FILE_KEY + Cipher::TAG;
const PREFIX: usize = 16;
const FILE_KEY: usize = 64;
const SECTOR: usize = 512;
const BLOCK: usize = 16;

/// A file that is encrypted. Two who write to it must share one of these, since what they write may share a block.
pub(super) struct SealedFile {
    file: Arc<dyn File>,
    path: PathBuf,
    random: Arc<dyn Random>,
    keys: Keys,
    /// Its key, once it has one: an empty file has none. Held to write while blocks change.
    xts: RwLock<Option<Xts128<Aes256>>>,
}

impl SealedFile {
    /// Takes `file` for one; whether it is shows when its key is read, now if it has one.
    pub(super) fn open(file: Arc<dyn File>, path: &Path, random: Arc<dyn Random>, keys: Keys) -> io::Result<Self> {
        let sealed = Self { file, path: path.to_owned(), random, keys, xts: RwLock::default() };
        drop(sealed.read_lock()?);
        Ok(sealed)
    }

    fn read_lock(&self) -> io::Result<RwLockReadGuard<'_, Option<Xts128<Aes256>>>> {
        let held = self.xts.read().unwrap_or_else(PoisonError::into_inner);
        if held.is_some() {
            return Ok(held);
        }
        drop(held);
        let found = self.load()?;
        if found.is_some() {
            *self.xts.write().unwrap_or_else(PoisonError::into_inner) = found;
        }
        Ok(self.xts.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write_lock(&self) -> io::Result<RwLockWriteGuard<'_, Option<Xts128<Aes256>>>> {
        drop(self.read_lock()?);
        let mut held = self.xts.write().unwrap_or_else(PoisonError::into_inner);
        if held.is_none() {
            *held = Some(self.create()?);
        }
        Ok(held)
    }

    fn bad(&self, reason: &str) -> io::Error {
        let damage = Damage::new(&self.path, 0, HEADER as u64, reason);
        io::Error::new(io::ErrorKind::InvalidData, Error::corrupt(damage))
    }

    /// The file's key; `None` if the file is as good as empty.
    fn load(&self) -> io::Result<Option<Xts128<Aes256>>> {
        let header = self.file.read(0, HEADER)?;
        // The page in front is synced with the rest: without it the power went before anything was.
        if header.iter().all(|&byte| byte == 0) {
            return Ok(None);
        }
        let (content, sum) = header.split_at_checked(SEALED).unwrap_or_default();
        if !content.starts_with(MAGIC) || crc_fast::crc32_iscsi(content).to_le_bytes() != sum {
            return Err(self.bad("it is no encrypted file"));
        }
        let (prefix, sealed) = content.split_at_checked(PREFIX).unwrap_or_default();
        let number = prefix.get(12..).and_then(|rest| rest.first_chunk()).map_or(0, |raw| u16::from_le_bytes(*raw));
        // What cannot be read here can be built anew from the log, which says itself if a key of its own is missing.
        let cipher = self.keys.cipher(number).map_err(|error| self.bad(&error.to_string()))?;
        let mut sealed = Zeroizing::new(sealed.to_vec());
        let key = cipher.open(prefix, &mut sealed).and_then(|key| key.first_chunk::<FILE_KEY>());
        key.map(|key| Some(xts(key))).ok_or_else(|| self.bad("it was encrypted with another key"))
    }

    fn create(&self) -> io::Result<Xts128<Aes256>> {
        let cipher = self.keys.cipher(self.keys.current()).map_err(io::Error::other)?;
        let mut key = Zeroizing::new([0; FILE_KEY]);
        let mut nonce = [0; Cipher::NONCE];
        self.random.fill(&mut *key)?;
        self.random.fill(&mut nonce)?;
        let mut header = MAGIC.to_vec();
        header.extend_from_slice(&VERSION.to_le_bytes());
        header.extend_from_slice(&cipher.number().to_le_bytes());
        header.extend_from_slice(&[0; 2]);
        let mut sealed = *key;
        let tag = cipher.seal(nonce, &header, &mut sealed);
        header.extend_from_slice(&nonce);
        header.extend_from_slice(&sealed);
        header.extend_from_slice(&tag);
        let sum = crc_fast::crc32_iscsi(&header);
        header.extend_from_slice(&sum.to_le_bytes());
        // What is there was never synced, and stands under a key that is lost.
        self.file.set_len(0)?;
        header.resize(START as usize + BLOCK, 0);
        self.file.write_all(0, &header)?;
        Ok(xts(&key))
    }

    /// How many bytes it holds, by the length that it has on the disk.
    fn held(&self) -> io::Result<u64> {
        Ok(self.file.len()?.saturating_sub(START + BLOCK as u64))
    }

    /// The bytes of the blocks from the one at `from` to before `to`, both multiples of a block.
    fn blocks(&self, xts: &Xts128<Aes256>, from: u64, to: u64) -> io::Result<Vec<u8>> {
        let stored = self.file.read(START + from, (to - from) as usize)?;
        let lead = (from % SECTOR as u64) as usize;
        let mut plain = vec![0; lead + (to - from) as usize];
        if let Some(target) = plain.get_mut(lead..lead + stored.len()) {
            target.copy_from_slice(&stored);
        }
        xts.decrypt_area(&mut plain, SECTOR, u128::from(from / SECTOR as u64), get_tweak_default);
        plain.drain(..lead);
        // Blocks that were never written read as zeros; so do those past the end.
        for (block, stored) in plain.chunks_mut(BLOCK).zip(stored.chunks(BLOCK).chain(std::iter::repeat(&[][..]))) {
            if stored.iter().all(|&byte| byte == 0) {
                block.fill(0);
            }
        }
        Ok(plain)
    }

    /// Encrypts whole blocks, of which the first is at `from`.
    fn seal(xts: &Xts128<Aes256>, from: u64, plain: &[u8]) -> Vec<u8> {
        let lead = (from % SECTOR as u64) as usize;
        let mut sealed = vec![0; lead];
        sealed.extend_from_slice(plain);
        xts.encrypt_area(&mut sealed, SECTOR, u128::from(from / SECTOR as u64), get_tweak_default);
        sealed.drain(..lead);
        sealed
    }

    /// Makes the rest of the block in which the file ends, at `held`, and what is behind it, zeros: before it is cut or
    /// after, other bytes may have been there.
    fn clear_end(&self, xts: &Xts128<Aes256>, held: u64) -> io::Result<()> {
        let (from, to) = (held - held % BLOCK as u64, held.next_multiple_of(BLOCK as u64));
        if from < to {
            let old = self.blocks(xts, from, to)?;
            let mut plain = old.clone();
            plain.get_mut((held - from) as usize..).unwrap_or_default().fill(0);
            if plain != old {
                self.file.write_all(START + from, &Self::seal(xts, from, &plain))?;
            }
        }
        let behind = self.file.read(START + to, (held + BLOCK as u64 - to) as usize)?;
        if behind.iter().any(|&byte| byte != 0) {
            self.file.write_all(START + to, &vec![0; behind.len()])?;
        }
        Ok(())
    }
}

fn xts(key: &[u8; FILE_KEY]) -> Xts128<Aes256> {
    let (data, tweak) = key.split_at(FILE_KEY / 2);
    let half = |half: &[u8]| Aes256::new(&half.first_chunk::<{ FILE_KEY / 2 }>().copied().unwrap_or_default().into());
    Xts128::new(half(data), half(tweak))
}

impl File for SealedFile {
    fn len(&self) -> io::Result<u64> {
        let held = self.read_lock()?;
        if held.is_some() { self.held() } else { Ok(0) }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let guard = self.write_lock()?;
        let Some(xts) = &*guard else { return Ok(()) };
        let held = self.held()?;
        if len > held {
            self.clear_end(xts, held)?;
        }
        self.file.set_len(START + len + BLOCK as u64)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        let guard = self.write_lock()?;
        let Some(xts) = &*guard else { return Ok(()) };
        let held = self.held()?;
        if len <= held {
            return Ok(());
        }
        self.clear_end(xts, held)?;
        self.file.allocate(START + len + BLOCK as u64)
    }

    fn read(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        let guard = self.read_lock()?;
        let Some(xts) = &*guard else { return Ok(Bytes::new()) };
        let end = offset.saturating_add(len as u64).min(self.held()?);
        if offset >= end {
            return Ok(Bytes::new());
        }
        let from = offset - offset % BLOCK as u64;
        let plain = Bytes::from(self.blocks(xts, from, end.next_multiple_of(BLOCK as u64))?);
        Ok(plain.slice((offset - from) as usize..(end - from) as usize))
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        let guard = self.write_lock()?;
        let Some(xts) = &*guard else { return Ok(0) };
        let held = self.held()?;
        let end = offset.checked_add(bytes.len() as u64).ok_or(io::ErrorKind::FileTooLarge)?;
        if end > held {
            self.clear_end(xts, held)?;
        }
        let (from, to) = (offset - offset % BLOCK as u64, end.next_multiple_of(BLOCK as u64));
        let mut plain = vec![0; (to - from) as usize];
        // What shares the first and the last block with these bytes stays.
        for at in [from, to - BLOCK as u64] {
            let is_whole = at >= offset && at + BLOCK as u64 <= end;
            if !is_whole && at < held {
                let old = self.blocks(xts, at, at + BLOCK as u64)?;
                plain
                    .get_mut((at - from) as usize..)
                    .unwrap_or_default()
                    .iter_mut()
                    .zip(old)
                    .for_each(|(to, old)| *to = old);
            }
        }
        let start = (offset - from) as usize;
        plain.get_mut(start..start + bytes.len()).unwrap_or_default().copy_from_slice(bytes);
        let mut sealed = Self::seal(xts, from, &plain);
        if end > held {
            // In the same call as the bytes it stands for.
            sealed.resize((end - from) as usize + BLOCK, 0);
        }
        self.file.write_all(START + from, &sealed)?;
        Ok(bytes.len())
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Env, env::OpenMode};

    /// A file of its own kind beside one in the clear: whatever is done to both, both say the same.
    #[test]
    fn is_a_file_like_any_other() {
        for seed in 0..200_u64 {
            let env = Env::memory();
            let keys = Keys::new(1, [7; 32]).unwrap();
            let plain = env.storage.open("plain".as_ref(), OpenMode::CreateNew).unwrap();
            let inner = env.storage.open("sealed".as_ref(), OpenMode::CreateNew).unwrap();
            let open = || SealedFile::open(inner.clone(), "sealed".as_ref(), env.random.clone(), keys.clone()).unwrap();
            let mut sealed = open();
            let mut state = seed;
            let mut pick = |bound: u64| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 33) % bound
            };
            for _ in 0..60 {
                let (at, len) = (pick(2000), pick(700));
                match pick(8) {
                    0 => [&*plain, &sealed as &dyn File].iter().for_each(|file| file.set_len(at).unwrap()),
                    1 => [&*plain, &sealed as &dyn File].iter().for_each(|file| file.allocate(at).unwrap()),
                    2 => sealed = open(),
                    _ => {
                        // To the end, as often as anywhere else.
                        let at = if pick(2) == 0 { plain.len().unwrap() } else { at };
                        let bytes: Vec<u8> = (0..len).map(|_| pick(256) as u8).collect();
                        plain.write_all(at, &bytes).unwrap();
                        sealed.write_all(at, &bytes).unwrap();
                    }
                }
                assert_eq!(plain.len().unwrap(), sealed.len().unwrap(), "seed {seed}");
                let (at, len) = (pick(2500), pick(2500) as usize);
                assert_eq!(plain.read(at, len).unwrap(), sealed.read(at, len).unwrap(), "seed {seed}");
                assert_eq!(plain.read(0, 9999).unwrap(), sealed.read(0, 9999).unwrap(), "seed {seed}");
            }
        }
    }

    /// What is not whole, of another key, or in the clear is damage, so that a view is built anew.
    #[test]
    fn is_refused_if_it_is_not_what_it_was() {
        let env = Env::memory();
        let keys = Keys::new(1, [7; 32]).unwrap();
        let inner = env.storage.open("sealed".as_ref(), OpenMode::CreateNew).unwrap();
        let open = |keys: &Keys| SealedFile::open(inner.clone(), "sealed".as_ref(), env.random.clone(), keys.clone());
        open(&keys).unwrap().write_all(0, b"some bytes").unwrap();
        assert_eq!(open(&keys).unwrap().read(0, 100).unwrap(), "some bytes");
        let whole = inner.read(0, 9999).unwrap();
        assert!(!whole.windows(4).any(|it| it == b"some"));
        for other in [Keys::new(1, [8; 32]).unwrap(), Keys::new(2, [7; 32]).unwrap()] {
            assert_eq!(open(&other).err().unwrap().kind(), io::ErrorKind::InvalidData);
        }
        for bit in 0..HEADER * 8 {
            inner.write_all((bit / 8) as u64, &[whole[bit / 8] ^ (1 << (bit % 8))]).unwrap();
            let error = Error::io("open", "sealed".as_ref(), open(&keys).err().unwrap());
            assert_eq!(error.kind(), crate::ErrorKind::Corrupt, "bit {bit}");
            inner.write_all((bit / 8) as u64, &[whole[bit / 8]]).unwrap();
        }
        inner.set_len(0).unwrap();
        inner.write_all(0, b"a file in the clear, long enough to have a header of its own").unwrap();
        assert!(open(&keys).is_err());
        // Nothing was synced when the power went.
        inner.set_len(0).unwrap();
        inner.set_len(9000).unwrap();
        assert_eq!(open(&keys).unwrap().len().unwrap(), 0);
    }

    /// The vectors of IEEE 1619-2007, annex B, for XTS-AES-256: number 10.
    #[test]
    fn is_xts_as_the_standard_has_it() {
        let digits = "2718281828459045235360287471352662497757247093699959574966967627\
                      3141592653589793238462643383279502884197169399375105820974944592";
        let mut key = [0; FILE_KEY];
        for (byte, pair) in key.iter_mut().zip(digits.as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        }
        let plain: Vec<u8> = (0..512).map(|byte| byte as u8).collect();
        let sealed = SealedFile::seal(&xts(&key), 0xff * SECTOR as u64, &plain);
        assert_eq!(u128::from_be_bytes(*sealed.first_chunk().unwrap()), 0x1c3b_3a10_2f77_0386_e483_6c99_e370_cf9b);
        assert_eq!(u128::from_be_bytes(*sealed.last_chunk().unwrap()), 0xc4f3_6ffd_a9fc_ea70_b9c6_e693_e148_c151);
    }
}
