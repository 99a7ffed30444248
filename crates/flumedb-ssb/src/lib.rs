//! Other people's bytes for [`flumedb`]: the file formats of FlumeDB and Scuttlebutt as logs that views can follow, and
//! Scuttlebutt's own views.

pub mod message;
pub mod offset;
pub mod views;

pub use message::Message;
pub use offset::{Framing, OffsetLog};
