//! [`Shallow`], a codec of JSON text that refuses what is nested too deep.

use bytes::Bytes;

use super::{Codec, Json, JsonDocs};
use crate::{Error, Result};

/// What `max_depth` of [`JsonDocs`] and [`Json`] makes: the same codec, for text in which at most so many arrays and objects
/// are inside one another. Without it a [`JsonDoc`](super::JsonDoc) may be nested as deep as it likes, which costs nothing
/// where it is passed over, and [`Json`] takes 127.
///
/// ```
/// use flumedb::{ErrorKind, Flume, codec::JsonDocs};
/// let db = Flume::memory(JsonDocs.max_depth(2))?;
/// db.append("[[1]]").blocking()?;
/// assert_eq!(db.append("[[[1]]]").blocking().unwrap_err().kind(), ErrorKind::LimitExceeded);
/// # Ok::<(), flumedb::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Shallow<C> {
    codec: C,
    most: usize,
}

impl JsonDocs {
    /// Refuses text with more than so many arrays and objects inside one another.
    pub fn max_depth(self, most: usize) -> Shallow<Self> {
        Shallow { codec: self, most }
    }
}

impl<T> Json<T> {
    /// Refuses text with more than so many arrays and objects inside one another. More than 127 are refused anyway.
    pub fn max_depth(self, most: usize) -> Shallow<Self> {
        Shallow { codec: self, most }
    }
}

impl<C> Shallow<C> {
    fn check(&self, text: &[u8]) -> Result<()> {
        let depth = depth(text);
        if depth <= self.most {
            return Ok(());
        }
        let message = format!("JSON is nested {depth} deep, and may be {}; flatten it", self.most);
        Err(Error::over_limit(message, "max_depth"))
    }
}

impl<C: Codec> Codec for Shallow<C> {
    type Input = C::Input;
    type Item = C::Item;

    fn identity(&self) -> String {
        format!("{}+depth{}", self.codec.identity(), self.most)
    }

    fn encode(&self, input: &C::Input, out: &mut Vec<u8>) -> Result<()> {
        let start = out.len();
        self.codec.encode(input, out)?;
        self.check(out.get(start..).unwrap_or_default())
    }

    fn decode(&self, bytes: &Bytes) -> Result<C::Item> {
        self.check(bytes)?;
        self.codec.decode(bytes)
    }
}

/// How many arrays and objects are inside one another at most. Of bytes that are no JSON some number.
fn depth(text: &[u8]) -> usize {
    let (mut depth, mut most, mut rest) = (0_usize, 0, text.iter());
    while let Some(byte) = rest.next() {
        match byte {
            b'[' | b'{' => {
                depth += 1;
                most = most.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'"' => while rest.next().is_some_and(|byte| *byte != b'"' && (*byte != b'\\' || rest.next().is_some())) {},
            _ => {}
        }
    }
    most
}
