//! [`Format`], the one list of the names of formats: `--format`, `--to` and `check` all speak it.

use std::fmt;

use clap::{ValueEnum, builder::PossibleValue};
use flumedb_ssb::Framing;

/// What a log is stored as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// A database of flume's own.
    Flume,
    /// A flumelog-offset file.
    Offset(Framing),
}

impl Format {
    const ALL: [Self; 5] = [
        Self::Flume,
        Self::Offset(Framing::Bits32),
        Self::Offset(Framing::Bits48),
        Self::Offset(Framing::Bits53),
        Self::Offset(Framing::Basic),
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Flume => "flume",
            Self::Offset(framing) => framing.name(),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl ValueEnum for Format {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name()))
    }
}
