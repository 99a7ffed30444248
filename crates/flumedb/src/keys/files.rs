//! [`SealedStorage`], files that are encrypted on their way to the disk: what views keep.
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
    Damage, Env, Error, ErrorKind, Result,
    env::{File, Lock, OpenMode, PathKind, Random, Storage, Watch},
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

/// In the directory of the views: what is in it is encrypted.
const MARK: &str = "encrypted";

/// A storage whose files are encrypted. Names are not.
pub(crate) struct SealedStorage {
    storage: Arc<dyn Storage>,
    random: Arc<dyn Random>,
    keys: Keys,
}

impl SealedStorage {
    pub(crate) fn new(env: &Env, keys: Keys) -> Self {
        Self { storage: env.storage.clone(), random: env.random.clone(), keys }
    }
}

/// Makes sure that nothing in the views' directory `dir` is in the clear, if there are keys; and that nothing there is
/// encrypted, if there are none.
pub(crate) fn claim(storage: &dyn Storage, dir: &Path, keys: Option<&Keys>) -> Result<()> {
    let io = |action, path: &Path| {
        let path = path.to_owned();
        move |error| Error::io(action, &path, error)
    };
    let mark = dir.join(MARK);
    let is_marked = storage.kind(&mark).map_err(io("look at", &mark))?.is_some();
    match keys {
        None if is_marked => {
            let message = format!(
                "the views in {} are encrypted, and no key was given; give the keys, or another directory for views",
                dir.display()
            );
            return Err(Error::new(ErrorKind::Key, message));
        }
        Some(_) if !is_marked => {}
        _ => return Ok(()),
    }
    storage.create_dir_all(dir).map_err(io("create", dir))?;
    let lock = dir.join("lock");
    // Whoever has it will be told of when the views are added.
    let Some(_lock) = storage.lock(&lock).map_err(io("lock", &lock))? else { return Ok(()) };
    for name in storage.list(dir).map_err(io("list", dir))? {
        let path = dir.join(&name);
        if is_store(&name) && storage.kind(&path).map_err(io("look at", &path))? == Some(PathKind::Dir) {
            storage.remove_dir_all(&path).map_err(io("remove", &path))?;
        }
    }
    storage.open(&mark, OpenMode::CreateNew).and_then(|file| file.sync()).map_err(io("create", &mark))?;
    storage.sync_dir(dir).map_err(io("sync", dir))
}

/// Whether a directory of this name is a view's: its name and 16 hexadecimal digits.
fn is_store(name: &str) -> bool {
    let digits = name.rsplit_once('-').map_or("", |(_, digits)| digits);
    digits.len() == 16 && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
}

impl Storage for SealedStorage {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let file = self.storage.open(path, mode)?;
        let (random, keys) = (self.random.clone(), self.keys.clone());
        let sealed = SealedFile { file, path: path.to_owned(), random, keys, xts: RwLock::default() };
        drop(sealed.read_lock()?);
        Ok(Arc::new(sealed))
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.storage.create_dir_all(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.storage.list(dir)
    }

    fn kind(&self, path: &Path) -> io::Result<Option<PathKind>> {
        self.storage.kind(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.storage.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.storage.remove(path)
    }

    fn remove_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.storage.remove_dir_all(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.storage.sync_dir(dir)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Lock>>> {
        self.storage.lock(path)
    }

    fn watch(&self, path: &Path) -> io::Result<Box<dyn Watch>> {
        self.storage.watch(path)
    }
}

/// A file that is encrypted. Two who write to it must share one of these, since what they write may share a block.
struct SealedFile {
    file: Arc<dyn File>,
    path: PathBuf,
    random: Arc<dyn Random>,
    keys: Keys,
    /// Its key, once it has one: an empty file has none. Held to write while blocks change.
    xts: RwLock<Option<Xts128<Aes256>>>,
}

impl SealedFile {
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
                plain.get_mut((at - from) as usize..).unwrap_or_default().iter_mut().zip(old).for_each(|(to, old)| *to = old);
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
