//! [`IndexFile`], one index file as far as it can be told without its log, and [`read_dir`], all that are in a directory.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use flumedb::{
    Env, Error, Result,
    env::{OpenMode, PathKind},
};
use serde::{Serialize, Serializer};

use super::{
    hashtable::Hashtable,
    jitdb::{Bits, Doubles, Header, PrefixMap, Words},
    numbers::Numbers,
    snapshot::Snapshot,
};

/// Which index files there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum IndexKind {
    /// jitdb's `seq.index`: where each record lies.
    Positions,
    /// jitdb's `timestamp.index`: when each message was written.
    Times,
    /// jitdb's `sequence.index`: each message's number among its author's.
    Sequences,
    /// jitdb's `….index`: the records that a query selects.
    Bitvector,
    /// jitdb's `….32prefix`: four bytes of a field of each record.
    Prefixes,
    /// jitdb's `….32prefixmap`: the records that have the same four bytes.
    PrefixMap,
    /// flumeview-hashtable's `….ht`.
    Hashtable,
    /// flumeview-reduce's `….json`.
    Snapshot,
    /// ssb-db2's `decrypted.index` and `encrypted-….index`.
    Numbers,
    /// A file that says by its name that a compaction has not ended.
    Marker,
}

impl IndexKind {
    /// Whether it is one of jitdb's, which name records by their number.
    pub(super) fn is_jitdb(self) -> bool {
        !matches!(self, Self::Hashtable | Self::Snapshot | Self::Numbers | Self::Marker)
    }
}

/// What a file's checksum says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Checksum {
    /// The bytes are as they were written.
    Right,
    /// They are not.
    Wrong,
    /// The file switches its checksum off.
    Off,
    /// The format has none.
    None,
}

/// What an index file holds.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Content {
    /// Positions, sequences or prefixes.
    Words(Words),
    /// Times.
    Doubles(Doubles),
    /// A bitvector.
    Bits(Bits),
    /// A map of prefixes.
    PrefixMap(PrefixMap),
    /// A hashtable.
    Hashtable(Hashtable),
    /// A fold's value.
    Snapshot(Snapshot),
    /// A list of positions.
    Numbers(Numbers),
    /// Nothing, or nothing that could be read.
    Nothing,
}

/// An index file, as far as it can be told without its log.
#[derive(Clone, Serialize)]
#[non_exhaustive]
pub struct IndexFile {
    /// Where it is.
    #[serde(serialize_with = "lossy")]
    pub path: PathBuf,
    /// What it is.
    pub kind: IndexKind,
    /// Its length.
    pub bytes: u64,
    /// The version in its header, where that is a number.
    pub version: Option<i64>,
    /// The position of the newest record that it covers.
    pub offset: Option<u64>,
    /// The count in its header: records, words of a bitvector, taken slots, positions.
    pub count: Option<u64>,
    /// What its checksum says.
    pub checksum: Checksum,
    /// Why its bytes cannot be used, if they cannot.
    pub damage: Option<String>,
    #[serde(skip)]
    content: Content,
}

impl IndexFile {
    /// Reads the bytes of the file at `path`; `None` if that is not the name of an index.
    ///
    /// ```
    /// use flumedb_ssb::indexes::{Content, IndexFile};
    /// let bytes = b"\x01\0\0\0\xb6\x01\0\0\x01\0\0\0\xdb\x16\x25\xd9\x0a\0\0\0";
    /// let file = IndexFile::parse("value_content_type_post.index", bytes.to_vec()).unwrap();
    /// let Content::Bits(bits) = file.content() else { panic!("{file:?}") };
    /// assert_eq!(bits.iter().collect::<Vec<_>>(), [1, 3]);
    /// ```
    pub fn parse(path: impl Into<PathBuf>, bytes: impl Into<Bytes>) -> Option<Self> {
        let (path, bytes) = (path.into(), bytes.into());
        let kind = kind(path.file_name()?.to_str()?)?;
        let mut file = Self {
            path,
            kind,
            bytes: bytes.len() as u64,
            version: None,
            offset: None,
            count: None,
            checksum: Checksum::None,
            damage: None,
            content: Content::Nothing,
        };
        match file.read(bytes) {
            Ok(content) => file.content = content,
            Err(damage) => file.damage = Some(damage),
        }
        Some(file)
    }

    /// What it holds.
    pub fn content(&self) -> &Content {
        &self.content
    }

    /// Its name without the ending.
    pub(super) fn stem(&self) -> &str {
        self.path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default()
    }

    fn read(&mut self, bytes: Bytes) -> Result<Content, String> {
        Ok(match self.kind {
            IndexKind::Marker => Content::Nothing,
            IndexKind::Hashtable => {
                let table = Hashtable::parse(&bytes)?;
                self.version = Some(table.version.into());
                self.offset = table.since.map(u64::from);
                self.count = Some(table.tables.iter().map(|table| u64::from(table.count)).sum());
                Content::Hashtable(table)
            }
            IndexKind::Snapshot => {
                let Some(snapshot) = Snapshot::parse(bytes)? else { return Ok(Content::Nothing) };
                self.version = snapshot.version.as_ref().and_then(|version| version.as_str().parse().ok());
                self.offset = snapshot.since;
                Content::Snapshot(snapshot)
            }
            IndexKind::Numbers => {
                let numbers = Numbers::parse(&bytes)?;
                self.offset = u64::try_from(numbers.since).ok();
                self.count = Some(numbers.count);
                Content::Numbers(numbers)
            }
            _ => self.read_jitdb(&bytes)?,
        })
    }

    fn read_jitdb(&mut self, bytes: &Bytes) -> Result<Content, String> {
        let (header, body) = Header::read(bytes).ok_or("it is too short for a header")?;
        self.version = Some(header.version.into());
        self.offset = Some(header.offset.into());
        self.count = Some(header.count.into());
        self.checksum = header.checksum;
        if header.checksum == Checksum::Wrong {
            return Err("its checksum does not fit its bytes".to_owned());
        }
        Ok(match self.kind {
            IndexKind::Times => Content::Doubles(Doubles::new(&body, header.count)?),
            IndexKind::Bitvector => Content::Bits(Bits::new(&body, header.count)?),
            IndexKind::PrefixMap => Content::PrefixMap(PrefixMap::new(body)?),
            _ => Content::Words(Words::new(&body, header.count)?),
        })
    }
}

impl fmt::Debug for IndexFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, kind, version, offset, count, checksum, damage, .. } = self;
        let mut file = f.debug_struct("IndexFile");
        file.field("path", path).field("kind", kind).field("version", version).field("offset", offset);
        file.field("count", count).field("checksum", checksum).field("damage", damage).finish_non_exhaustive()
    }
}

/// What a file of this name is.
fn kind(name: &str) -> Option<IndexKind> {
    Some(match name {
        "seq.index" => IndexKind::Positions,
        "timestamp.index" => IndexKind::Times,
        "sequence.index" => IndexKind::Sequences,
        "post-compact-reindex" | "post-compact-reset-level" | "post-compact-reset-private" => IndexKind::Marker,
        _ => match name.rsplit_once('.')? {
            ("decrypted", "index") => IndexKind::Numbers,
            (stem, "index") if stem.starts_with("encrypted-") => IndexKind::Numbers,
            (_, "index") => IndexKind::Bitvector,
            (_, "32prefix") => IndexKind::Prefixes,
            (_, "32prefixmap") => IndexKind::PrefixMap,
            (_, "ht") => IndexKind::Hashtable,
            (_, "json") => IndexKind::Snapshot,
            _ => return None,
        },
    })
}

/// Reads the index files in `dir`, and those in the folders `jit` and `indexes` that ssb-db2 keeps in its own. Other files,
/// LevelDB directories among them, are passed over.
///
/// # Errors
/// `NotFound`, `Io`. A file that is damaged says so itself.
pub fn read_dir(env: &Env, dir: impl AsRef<Path>) -> Result<Vec<IndexFile>> {
    let dir = dir.as_ref();
    let mut files = read_folder(env, dir)?;
    for folder in ["jit", "indexes"] {
        let inner = dir.join(folder);
        if path_kind(env, &inner)? == Some(PathKind::Dir) {
            files.extend(read_folder(env, &inner)?);
        }
    }
    Ok(files)
}

fn read_folder(env: &Env, dir: &Path) -> Result<Vec<IndexFile>> {
    let mut files = Vec::new();
    for name in env.storage.list(dir).map_err(|error| Error::io("list", dir, error))? {
        let path = dir.join(&name);
        if kind(&name).is_none() || path_kind(env, &path)? != Some(PathKind::File) {
            continue;
        }
        let file = env.storage.open(&path, OpenMode::Read).map_err(|error| Error::io("open", &path, error))?;
        let read = file.len().and_then(|len| file.read(0, usize::try_from(len).unwrap_or(usize::MAX)));
        let bytes = read.map_err(|error| Error::io("read", &path, error))?;
        files.extend(IndexFile::parse(path, bytes));
    }
    Ok(files)
}

fn path_kind(env: &Env, path: &Path) -> Result<Option<PathKind>> {
    env.storage.kind(path).map_err(|error| Error::io("look at", path, error))
}

/// A path as text, also where it is no Unicode.
pub(super) fn lossy<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}
