//! Other people's bytes for [`flumedb`]: the file formats of FlumeDB and Scuttlebutt as logs that views can follow, and
//! Scuttlebutt's own views.

pub mod file;
pub mod message;
pub mod views;

mod offset;

pub use file::{FileLog, FileLogBuilder};
pub use message::Message;
pub use offset::{Framing, OffsetLog};
