//! LevelDB directories of flumelog-level.

use flumedb_ssb::LevelLog;

use super::files::put;
use crate::{bundle, machine::Machine, seal};

const NAMES: [&str; 7] = [
    "log/CURRENT",
    "log/MANIFEST-000007",
    "log/000005.ldb",
    "log/000008.ldb",
    "log/000009.log",
    "log/000010.log",
    "log/000011.sst",
];

/// Takes the bytes for the files of a directory, as they are and with their checksums made right.
pub fn level(bytes: &[u8]) {
    let mut files: Vec<(&str, Vec<u8>)> =
        bundle::files(bytes, &NAMES).into_iter().map(|(name, content)| (name, content.to_vec())).collect();
    for sealed in [false, true] {
        if sealed {
            files.iter_mut().for_each(|(name, content)| seal::level(name, content));
        }
        let machine = Machine::new(files.iter().map(|(name, content)| (*name, content.as_slice())));
        machine.env().storage.create_dir_all("log".as_ref()).unwrap();
        put(&machine, &LevelLog::builder(), &Default::default(), sealed);
    }
}
