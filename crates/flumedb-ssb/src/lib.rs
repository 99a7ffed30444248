//! Other people's bytes for [`flumedb`]: the file formats of FlumeDB and Scuttlebutt as logs that views can follow, and
//! Scuttlebutt's own views.

pub mod offset;
pub mod views;

mod message;

pub use message::Message;
pub use offset::{Framing, OffsetLog};
