//! One door to every log that is known here: [`open_any`] tells what is at a path from its bytes, says why it thinks so,
//! and gives a [`Log`](flumedb::log::Log). It holds no format: each has its module, which judges bytes and is asked here.

mod care;
mod format;
mod kind;
mod open;
mod payloads;
mod place;
mod tell;

pub use care::{check, compact, repair};
pub use format::Format;
pub use open::{AnyBuilder, Opened, builder, open_any};
pub use payloads::Payloads;
pub use tell::{Told, tell};
