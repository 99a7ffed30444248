//! [`AddView`], a view that is about to follow the log.

use std::future::IntoFuture;

use super::Flume;
use crate::{
    Call, ErrorKind, Result,
    codec::Codec,
    view::{Live, View},
};

/// What [`Flume::view`] makes: await it, or say first how the view is to be kept.
#[must_use = "nothing is added until it is awaited or blocked on"]
pub struct AddView<'a, C: Codec, V> {
    db: &'a Flume<C>,
    name: &'a str,
    view: V,
    strict: bool,
    accept_loss: bool,
}

impl<'a, C: Codec, V: View<Item = C::Item>> AddView<'a, C, V> {
    pub(super) fn new(db: &'a Flume<C>, name: &'a str, view: V) -> Self {
        Self { db, name, view, strict: false, accept_loss: false }
    }

    /// Stops the view at an entry that does not decode, instead of passing over and counting it.
    pub fn strict(mut self) -> Self {
        self.strict = true;
        self
    }

    /// Rebuilds a view whose store covers entries that the log does not have any more, instead of failing with
    /// `Corrupt`.
    pub fn accept_loss(mut self) -> Self {
        self.accept_loss = true;
        self
    }

    /// Adds it, and blocks this thread until its store is open. Needs no runtime.
    ///
    /// # Errors
    /// As [`Flume::view`].
    pub fn blocking(self) -> Result<Live<V>> {
        self.into_future().blocking()
    }

    async fn add(self) -> Result<Live<V>> {
        let host = &self.db.0.host;
        let live = host.add(self.name, self.view, self.strict)?;
        let opened = live.opened().await;
        match opened {
            Err(error) if error.kind() == ErrorKind::Corrupt && self.accept_loss => live.accept_loss().await?,
            Err(error) => {
                // The name is free for another try. What is wrong has been said by `error`.
                drop(host.remove(self.name).await);
                return Err(error);
            }
            Ok(()) => {}
        }
        Ok(live)
    }
}

impl<'a, C: Codec, V: View<Item = C::Item>> IntoFuture for AddView<'a, C, V> {
    type Output = Result<Live<V>>;
    type IntoFuture = Call<'a, Result<Live<V>>>;

    fn into_future(self) -> Self::IntoFuture {
        Call::new(self.add())
    }
}
