//! [`Kind`], which log type stands behind which format: the only place that lists them.

use flumedb::{Error, ErrorKind, Result};

use super::Format;
use crate::{
    Aaol, Aligned, Framing, Offset2, Shape,
    file::{One, Records},
    level::Level,
    lines::Lines,
};

/// A kind of other people's log that the door opens.
pub(super) trait Kind: Records {
    /// What to open it with if this format was named; if none was, the bytes tell.
    fn options(named: Option<Format>) -> Self::Options;

    /// The format that it turned out to have.
    fn format(&self) -> Format;
}

impl Kind for One<Framing> {
    fn options(named: Option<Format>) -> Self::Options {
        match named {
            Some(Format::Offset(framing)) => Some(framing),
            _ => None,
        }
    }

    fn format(&self) -> Format {
        Format::Offset(self.layout())
    }
}

impl Kind for One<Aligned> {
    fn options(named: Option<Format>) -> Self::Options {
        named.and_then(Format::block_bytes)
    }

    fn format(&self) -> Format {
        Format::Aligned(Some(self.layout().block_size()))
    }
}

impl Kind for One<Aaol> {
    fn options(named: Option<Format>) -> Self::Options {
        named.and_then(Format::block_bytes)
    }

    fn format(&self) -> Format {
        Format::Aaol(Some(self.layout().block_size()))
    }
}

impl Kind for Offset2 {
    fn options(_: Option<Format>) {}

    fn format(&self) -> Format {
        Format::Offset2
    }
}

impl Kind for Lines {
    fn options(named: Option<Format>) -> Self::Options {
        match named {
            Some(Format::Memory) => Some(Shape::Numbered),
            Some(Format::JsonLines) => Some(Shape::Bare),
            _ => None,
        }
    }

    fn format(&self) -> Format {
        match self.shape() {
            Some(Shape::Numbered) => Format::Memory,
            _ => Format::JsonLines,
        }
    }
}

impl Kind for Level {
    fn options(_: Option<Format>) -> Self::Options {}

    fn format(&self) -> Format {
        Format::Level
    }
}

/// What is done to a log, whatever its kind.
pub(super) trait Work {
    type Done;

    fn on<K: Kind>(self) -> Result<Self::Done>;
}

/// Does it to a log of this format, which is not [`Format::Flume`].
pub(super) fn work<W: Work>(format: Format, work: W) -> Result<W::Done> {
    match format {
        Format::Offset(_) => work.on::<One<Framing>>(),
        Format::Aaol(_) => work.on::<One<Aaol>>(),
        Format::Offset2 => work.on::<Offset2>(),
        Format::Aligned(_) => work.on::<One<Aligned>>(),
        Format::Memory | Format::JsonLines => work.on::<Lines>(),
        Format::Level => work.on::<Level>(),
        Format::Flume => Err(Error::new(ErrorKind::Unsupported, "a database of flume's own is no log of others")),
    }
}
