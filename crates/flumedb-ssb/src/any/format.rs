//! [`Format`], the one list of the names of formats, and how a name is read and printed. Knows no bytes of any of them.

use std::{fmt, ops::RangeInclusive, str::FromStr};

use flumedb::{Error, ErrorKind, Result};

use crate::{Aaol, Aligned, Framing};

/// What a log is stored as.
///
/// Its name is what `flume` takes and prints. A block size stands behind a colon; without one it is told from the bytes,
/// and for a new file it is the one that everybody uses, 65536.
///
/// ```
/// use flumedb_ssb::{Format, Framing};
/// assert_eq!("offset48".parse::<Format>()?, Format::Offset(Framing::Bits48));
/// assert_eq!("aaol:8192".parse::<Format>()?, Format::Aaol(Some(8192)));
/// assert_eq!(Format::Aligned(None).to_string(), "aligned");
/// assert!("aligned:70000".parse::<Format>().is_err());
/// # Ok::<(), flumedb::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// A database of flume's own: a directory.
    Flume,
    /// A file of flumelog-offset.
    Offset(Framing),
    /// A file of flumelog-aligned-offset, with blocks of this size.
    Aligned(Option<u32>),
    /// A file of async-append-only-log, ssb-db2's `log.bipf`, with blocks of this size.
    Aaol(Option<u32>),
    /// A directory of margaret's offset2, go-ssb's log.
    Offset2,
    /// A file of flumelog-memory: lines of `{"seq":…,"value":…}`.
    Memory,
    /// A directory of flumelog-level: a LevelDB.
    Level,
    /// JSON lines: one value a line.
    JsonLines,
}

impl Format {
    /// The block size of a new file, where none is named.
    pub const BLOCK_BYTES: u32 = 65536;

    /// All of them, those with blocks without a size.
    pub const ALL: [Self; 11] = [
        Self::Flume,
        Self::Offset(Framing::Bits32),
        Self::Offset(Framing::Bits48),
        Self::Offset(Framing::Bits53),
        Self::Offset(Framing::Basic),
        Self::Aligned(None),
        Self::Aaol(None),
        Self::Offset2,
        Self::Memory,
        Self::Level,
        Self::JsonLines,
    ];

    /// Its name without a block size.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Flume => "flume",
            Self::Offset(framing) => framing.name(),
            Self::Aligned(_) => "aligned",
            Self::Aaol(_) => "aaol",
            Self::Offset2 => "offset2",
            Self::Memory => "memory",
            Self::Level => "level",
            Self::JsonLines => "jsonl",
        }
    }

    /// The block size, if it is a format with blocks and one is named.
    pub const fn block_bytes(self) -> Option<u32> {
        match self {
            Self::Aligned(size) | Self::Aaol(size) => size,
            _ => None,
        }
    }

    /// Whether a log of this format is a directory; else it is a file.
    pub const fn is_directory(self) -> bool {
        matches!(self, Self::Flume | Self::Offset2 | Self::Level)
    }

    /// The names of all, as a list in a sentence.
    pub fn names() -> String {
        Self::ALL.map(Self::name).join(", ")
    }

    /// The same format with blocks of this size.
    fn with_block(self, size: u32) -> Option<Self> {
        match self {
            Self::Aligned(_) => Some(Self::Aligned(Some(size))),
            Self::Aaol(_) => Some(Self::Aaol(Some(size))),
            _ => None,
        }
    }

    /// Whether the two are told apart by one layout: widths of one format, sizes of its blocks, shapes of lines.
    pub(super) fn is_like(self, other: Self) -> bool {
        match (self, other) {
            (Self::Offset(_), Self::Offset(_)) => true,
            (Self::Memory | Self::JsonLines, Self::Memory | Self::JsonLines) => true,
            _ => self.name() == other.name(),
        }
    }

    /// The same format with blocks of a size that is not known.
    pub(super) fn without_block(self) -> Self {
        match self {
            Self::Aligned(_) => Self::Aligned(None),
            Self::Aaol(_) => Self::Aaol(None),
            format => format,
        }
    }

    /// The sizes that its blocks may have.
    fn block_sizes(self) -> RangeInclusive<u32> {
        match self {
            Self::Aligned(_) => Aligned::LEAST..=Aligned::MOST,
            _ => Aaol::LEAST..=Aaol::MOST,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self.block_bytes() {
            Some(size) => write!(f, ":{size}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Format {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let invalid = |message: String| Err(Error::new(ErrorKind::Invalid, message));
        let (name, size) = match text.split_once(':') {
            Some((name, size)) => (name, Some(size)),
            None => (text, None),
        };
        let Some(format) = Self::ALL.into_iter().find(|format| format.name() == name) else {
            return invalid(format!("there is no format {name}; there are {}", Self::names()));
        };
        let Some(size) = size else { return Ok(format) };
        if format.with_block(0).is_none() {
            return invalid(format!("{name} has no blocks; give the name alone"));
        }
        let sizes = format.block_sizes();
        let named = size.parse().ok().filter(|size| sizes.contains(size)).and_then(|size| format.with_block(size));
        match named {
            Some(format) => Ok(format),
            None => {
                let (from, to) = (sizes.start(), sizes.end());
                invalid(format!("{name} has no blocks of {size} bytes; give {from} to {to}, as in {name}:65536"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_reads_back_as_what_it_was_printed_from() {
        let sized = [Format::Aligned(Some(1024)), Format::Aaol(Some(8192)), Format::Aaol(Some(5))];
        for format in Format::ALL.into_iter().chain(sized) {
            assert_eq!(format.to_string().parse::<Format>().unwrap(), format);
        }
    }

    #[test]
    fn what_is_no_format_is_refused_with_what_there_is() {
        for (text, told) in [
            ("offset", "offset32, offset48"),
            ("", "flume, offset32"),
            ("Aaol", "aaol"),
            ("offset32:1024", "no blocks"),
            ("flume:", "no blocks"),
            ("aligned:70000", "11 to 65536"),
            ("aligned:65537", "11 to 65536"),
            ("aaol:3", "5 to"),
            ("aaol:-1", "5 to"),
            ("aaol:8k", "5 to"),
            ("aaol:99999999999999", "5 to"),
            ("aaol:", "5 to"),
        ] {
            let error = text.parse::<Format>().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{text}");
            assert!(error.to_string().contains(told), "{text}: {error}");
        }
    }
}
