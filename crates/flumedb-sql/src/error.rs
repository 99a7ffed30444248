//! What SQLite says, in the words of flumedb.

use std::path::Path;

use flumedb::{Damage, Error, ErrorKind};
use rusqlite::ErrorCode;

/// The error for what SQLite said of the store at `path`.
pub(crate) fn failed(error: rusqlite::Error, path: &Path) -> Error {
    let Some(code) = code(&error) else {
        return Error::with_source(ErrorKind::Invalid, error.to_string(), error);
    };
    let at = path.display();
    let (kind, message) = match code {
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => {
            return Error::corrupt(Damage::new(path, 0, 0, format!("{error}; the view is to be built anew")));
        }
        ErrorCode::DiskFull => (ErrorKind::StorageFull, format!("the disk is full at {at}; free space")),
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed => {
            (ErrorKind::Io, format!("another program uses {at}, which belongs to a view; end it ({error})"))
        }
        ErrorCode::SystemIoFailure
        | ErrorCode::CannotOpen
        | ErrorCode::PermissionDenied
        | ErrorCode::ReadOnly
        | ErrorCode::OutOfMemory => (ErrorKind::Io, format!("cannot use {at}: {error}")),
        ErrorCode::TooBig => {
            let most = super::store::LONGEST >> 20;
            (ErrorKind::Invalid, format!("a text, a blob or a row is longer than {most} MiB"))
        }
        _ => (ErrorKind::Invalid, error.to_string()),
    };
    Error::with_source(kind, message, error)
}

/// The code of SQLite, wherever it is.
pub(crate) fn code(error: &rusqlite::Error) -> Option<ErrorCode> {
    match error {
        rusqlite::Error::SqlInputError { error, .. } => Some(error.code),
        error => error.sqlite_error_code(),
    }
}
