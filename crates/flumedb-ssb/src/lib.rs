//! Other people's bytes for [`flumedb`]: the file formats of FlumeDB and Scuttlebutt as logs that views can follow, and
//! Scuttlebutt's own views.

pub mod offset;

pub use offset::{Framing, OffsetLog};
