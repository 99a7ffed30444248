//! What redb says, in the words of this crate.

use std::{io, path::Path};

use crate::{Damage, Error, ErrorKind};

/// The error of this crate for what redb said of the store at `path`.
pub(crate) fn failed(error: impl Into<redb::Error>, path: &Path) -> Error {
    match error.into() {
        redb::Error::Io(error) => failed_io(error, path),
        redb::Error::Corrupted(reason) => Error::corrupt(Damage::new(path, 0, 0, reason)),
        redb::Error::DatabaseClosed => Error::new(
            ErrorKind::Closed,
            "the view was closed, or opened again, after this reader was made; read again",
        ),
        redb::Error::PreviousIo => {
            Error::new(ErrorKind::Io, format!("an earlier call to {} failed; open the view again", path.display()))
        }
        error @ redb::Error::ValueTooLarge(_) => {
            Error::with_source(ErrorKind::Invalid, format!("too large for a view's store: {error}"), error)
        }
        // The rest says that the tables are not those that this crate makes.
        error => Error::corrupt(Damage::new(path, 0, 0, error.to_string())),
    }
}

fn failed_io(error: io::Error, path: &Path) -> Error {
    if let Some(ours) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        return ours.clone();
    }
    match error.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
            Error::corrupt(Damage::new(path, 0, 0, error.to_string()))
        }
        _ => Error::io("use", path, error),
    }
}
