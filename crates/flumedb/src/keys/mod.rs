//! [`Keys`], with which a database is encrypted: what stands in its log's entries and in its views' files.
//!
//! `docs/encryption.md` says against whom this helps, what is not hidden, and how keys are changed.

mod cipher;
mod files;
mod storage;
mod text;

use std::{
    collections::BTreeMap,
    fmt,
    path::Path,
    sync::{Arc, PoisonError, RwLock},
};

use zeroize::Zeroizing;

pub(crate) use cipher::Cipher;
pub(crate) use storage::{SealedStorage, claim};

use crate::{Env, Error, ErrorKind, Result, env::OpenMode};

/// The keys of a database: 32 bytes each under a number from 1 on. New entries are encrypted with the current one; the
/// others are for what was written before. Cheap to clone; the bytes are wiped when the last clone is gone.
///
/// ```
/// use flumedb::Keys;
/// let keys = Keys::new(1, [7; 32])?;
/// // Later: entries are encrypted with the new key, and older ones can still be read.
/// let keys = Keys::new(2, [8; 32])?.with(1, [7; 32])?;
/// assert_eq!(keys.current(), 2);
/// # Ok::<(), flumedb::Error>(())
/// ```
#[derive(Clone)]
pub struct Keys(Arc<Inner>);

struct Inner {
    current: u16,
    /// Where a key comes from that is not known yet.
    ask: Option<Ask>,
    /// Those that are known.
    ciphers: RwLock<BTreeMap<u16, Arc<Cipher>>>,
}

type Ask = Box<dyn Fn(u16) -> Result<Option<[u8; 32]>> + Send + Sync>;

impl Keys {
    /// The environment variable that programs take keys from, by custom.
    pub const VARIABLE: &'static str = "FLUME_KEY";

    /// One key, which is the current one.
    ///
    /// # Errors
    /// `Invalid` for the number 0.
    pub fn new(number: u16, key: [u8; 32]) -> Result<Self> {
        let keys = Self(Arc::new(Inner { current: number, ask: None, ciphers: RwLock::default() }));
        keys.with(number, key)
    }

    /// One more key, for what was written while it was the current one.
    ///
    /// # Errors
    /// `Invalid` for the number 0, or one that has another key already.
    pub fn with(self, number: u16, key: [u8; 32]) -> Result<Self> {
        let key = Zeroizing::new(key);
        if number == 0 {
            return Err(Error::new(ErrorKind::Invalid, "the number of a key is 1 or more"));
        }
        let mut ciphers = self.0.ciphers.write().unwrap_or_else(PoisonError::into_inner);
        let cipher = Cipher::new(number, &key);
        if ciphers.get(&number).is_some_and(|other| !other.is_same(&cipher)) {
            return Err(Error::new(ErrorKind::Invalid, format!("there are two keys with the number {number}")));
        }
        ciphers.insert(number, Arc::new(cipher));
        drop(ciphers);
        Ok(self)
    }

    /// Keys that `ask` gives when they are needed, each at most once: from the system's keyring, say. It answers `None`
    /// for a number that it does not know.
    ///
    /// ```
    /// use flumedb::Keys;
    /// let keys = Keys::from_fn(2, |number| Ok((number <= 2).then_some([number as u8; 32])))?;
    /// assert_eq!(keys.current(), 2);
    /// # Ok::<(), flumedb::Error>(())
    /// ```
    ///
    /// # Errors
    /// `Invalid` for the number 0.
    pub fn from_fn(
        current: u16,
        ask: impl Fn(u16) -> Result<Option<[u8; 32]>> + Send + Sync + 'static,
    ) -> Result<Self> {
        if current == 0 {
            return Err(Error::new(ErrorKind::Invalid, "the number of a key is 1 or more"));
        }
        Ok(Self(Arc::new(Inner { current, ask: Some(Box::new(ask)), ciphers: RwLock::default() })))
    }

    /// Keys as text: a line each, its number and 64 hexadecimal digits; the one with the highest number is the current
    /// one. Lines that begin with `#` are remarks, a line without a number is key 1, and `,` counts as the end of a line.
    ///
    /// ```
    /// use flumedb::Keys;
    /// let text = format!("# from May on\n2 {}\n1 {}\n", "ab".repeat(32), "cd".repeat(32));
    /// assert_eq!(Keys::parse(&text)?.current(), 2);
    /// # Ok::<(), flumedb::Error>(())
    /// ```
    ///
    /// # Errors
    /// `Invalid` if it is anything else. The message holds nothing of the text but the number of the line.
    pub fn parse(text: &str) -> Result<Self> {
        text::parse(text)
    }

    /// Keys from a file, written as for [`parse`](Self::parse). It may be a link, as files with secrets are wherever
    /// something else puts them into place.
    ///
    /// # Errors
    /// As [`parse`](Self::parse); `NotFound`, also where a link leads to nothing; `Io`.
    pub fn read(env: &Env, path: &Path) -> Result<Self> {
        let failed = |error| Error::io("read the keys in", path, error);
        let link = env.storage.points_to(path).map_err(|error| Error::io("follow the link", path, error))?;
        let file = env.storage.open(link.as_deref().unwrap_or(path), OpenMode::Read).map_err(failed)?;
        let bytes = file.read(0, text::LONGEST + 1).map_err(failed)?;
        let wrong = |what: &str| Error::new(ErrorKind::Invalid, format!("{} {what}", path.display()));
        if bytes.len() > text::LONGEST {
            return Err(wrong("is too long for a file of keys"));
        }
        let text = std::str::from_utf8(&bytes).map_err(|_| wrong("is no text, so it holds no keys"))?;
        Self::parse(text).map_err(|error| error.context(path.display()))
    }

    /// A new key, drawn at random, as a line of such a text.
    ///
    /// # Errors
    /// `Io` if the machine gives no randomness.
    pub fn generate(env: &Env, number: u16) -> Result<String> {
        let mut key = Zeroizing::new([0; 32]);
        let filled = env.random.fill(&mut *key);
        filled.map_err(|error| Error::io("get randomness for", Path::new("a key"), error))?;
        Ok(text::line(number, &key))
    }

    /// The number of the key that new entries are encrypted with.
    pub fn current(&self) -> u16 {
        self.0.current
    }

    /// What encrypts and decrypts with the key `number`.
    pub(crate) fn cipher(&self, number: u16) -> Result<Arc<Cipher>> {
        if let Some(cipher) = self.0.ciphers.read().unwrap_or_else(PoisonError::into_inner).get(&number) {
            return Ok(cipher.clone());
        }
        let key = self.0.ask.as_ref().map(|ask| ask(number)).transpose()?.flatten().ok_or_else(|| missing(number))?;
        let key = Zeroizing::new(key);
        let mut ciphers = self.0.ciphers.write().unwrap_or_else(PoisonError::into_inner);
        Ok(ciphers.entry(number).or_insert_with(|| Arc::new(Cipher::new(number, &key))).clone())
    }
}

/// It says nothing of the keys but their numbers.
impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("current", &self.0.current).finish_non_exhaustive()
    }
}

/// The key `number` is needed and was not given.
pub(crate) fn missing(number: u16) -> Error {
    Error::new(ErrorKind::Key, format!("it is encrypted with key {number}, which was not given; give that key, too"))
}

/// The key `number` that was given is not the one that was used.
pub(crate) fn wrong(number: u16) -> Error {
    let message = format!("it is encrypted with another key {number} than the one that was given; give the right one");
    Error::new(ErrorKind::Key, message)
}
