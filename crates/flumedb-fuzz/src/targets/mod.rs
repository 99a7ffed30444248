//! One function per format, and the list of them.

mod binary;
mod door;
mod files;
mod indexes;
mod level;
mod messages;
mod segmented;

pub use binary::{bipf, bipf_json};
pub use door::open_any;
pub use files::{aaol, aligned, lines, offset, offset2};
pub use indexes::{hashtable, jitdb, snapshot};
pub use level::level;
pub use messages::{message, multimsg};
#[cfg(test)]
pub(crate) use segmented::files as segmented_files;
pub use segmented::{segmented, segmented_sealed};

/// A function that arbitrary bytes are put through.
pub struct Target {
    /// What its corpus and its `cargo fuzz` target are called.
    pub name: &'static str,
    /// The function. Panics if a promise is broken.
    pub run: fn(&[u8]),
}

/// Gives the names of all targets to a macro.
#[macro_export]
macro_rules! targets {
    ($with:ident) => {
        $with!(
            aaol,
            aligned,
            bipf,
            bipf_json,
            hashtable,
            jitdb,
            level,
            lines,
            message,
            multimsg,
            offset,
            offset2,
            open_any,
            segmented,
            segmented_sealed,
            snapshot
        );
    };
}

macro_rules! list {
    ($($name:ident),+ $(,)?) => {
        /// All of them.
        pub const TARGETS: &[Target] = &[$(Target { name: stringify!($name), run: $name }),+];
    };
}

targets!(list);
