//! What tantivy says, in the words of flumedb.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use flumedb::{Damage, Error, ErrorKind, Result};
use tantivy::{
    TantivyError,
    directory::error::{OpenReadError, OpenWriteError},
};

/// Lets tantivy work on the index in `path`. It panics on some files that are not as it left them.
pub(crate) fn attempt<T>(path: &Path, work: impl FnOnce() -> tantivy::Result<T>) -> Result<T> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(done) => done.map_err(|error| failed(error, path)),
        Err(_) => Err(damaged(path, "tantivy broke off its work")),
    }
}

fn failed(error: TantivyError, path: &Path) -> Error {
    match error {
        TantivyError::IoError(error) => failed_io(&error, path),
        TantivyError::OpenReadError(OpenReadError::IoError { io_error, .. })
        | TantivyError::OpenWriteError(OpenWriteError::IoError { io_error, .. }) => failed_io(&io_error, path),
        error @ TantivyError::InvalidArgument(_) => {
            Error::with_source(ErrorKind::Invalid, format!("the index refuses: {error}"), error)
        }
        // The rest says that the files are not those that this crate makes.
        error => damaged(path, error.to_string()),
    }
}

fn failed_io(error: &io::Error, path: &Path) -> Error {
    if let Some(ours) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        return ours.clone();
    }
    match error.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidInput => {
            damaged(path, error.to_string())
        }
        kind => Error::io("use", path, io::Error::new(kind, error.to_string())),
    }
}

fn damaged(path: &Path, reason: impl Into<String>) -> Error {
    Error::corrupt(Damage::new(path, 0, 0, reason))
}
