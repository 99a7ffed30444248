//! [`Mapped`], a codec whose items pass through a function.

use bytes::Bytes;

use super::Codec;
use crate::Result;

/// What [`Codec::map`] makes.
#[derive(Clone, Debug)]
pub struct Mapped<C, F> {
    codec: C,
    version: u32,
    map: F,
}

impl<C, F> Mapped<C, F> {
    pub(super) fn new(codec: C, version: u32, map: F) -> Self {
        Self { codec, version, map }
    }
}

impl<C, F, T> Codec for Mapped<C, F>
where
    C: Codec,
    T: Send + Sync + 'static,
    F: Fn(C::Item) -> Result<T> + Clone + Send + Sync + 'static,
{
    type Input = C::Input;
    type Item = T;

    fn identity(&self) -> String {
        format!("{}+map{}", self.codec.identity(), self.version)
    }

    fn encode(&self, input: &C::Input, out: &mut Vec<u8>) -> Result<()> {
        self.codec.encode(input, out)
    }

    fn decode(&self, bytes: &Bytes) -> Result<T> {
        (self.map)(self.codec.decode(bytes)?)
    }
}
