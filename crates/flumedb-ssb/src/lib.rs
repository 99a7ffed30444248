//! Other people's bytes for [`flumedb`]: the file formats of FlumeDB and Scuttlebutt as logs that views can follow, and
//! Scuttlebutt's own views.

pub mod any;
pub mod bipf;
pub mod convert;
pub mod file;
pub mod indexes;
pub mod message;
pub mod views;

mod aaol;
mod aligned;
mod doc;
mod level;
mod lines;
mod offset;
mod offset2;

pub use aaol::{Aaol, AaolLog, AaolStats, Compaction};
pub use aligned::{Aligned, AlignedLog};
pub use any::{Format, Payloads, open_any};
pub use doc::{Doc, Docs};
pub use file::{FileLog, FileLogBuilder};
pub use level::LevelLog;
pub use lines::{LinesLog, Shape};
pub use message::Message;
pub use offset::{Framing, OffsetLog};
pub use offset2::{Offset2, Offset2Log};
