//! [`Machine`], a simulated computer with some files on it: nothing leaves the thread, so that memory can be counted.

use std::path::Path;

use flumedb::env::{Env, OpenMode};
use flumedb_sim::Sim;

pub(crate) struct Machine {
    sim: Sim,
    files: Vec<(String, Vec<u8>)>,
}

impl Machine {
    /// A computer with these files.
    pub(crate) fn new<'a>(files: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Self {
        let files = files.into_iter().map(|(name, content)| (name.to_owned(), content.to_vec())).collect();
        let machine = Self { sim: Sim::new(1), files };
        for (name, content) in &machine.files {
            let path = Path::new(name);
            let storage = &machine.env().storage;
            if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
                storage.create_dir_all(dir).unwrap();
            }
            storage.open(path, OpenMode::CreateNew).unwrap().write_all(0, content).unwrap();
        }
        machine
    }

    /// A second one, with the same files as this one had at first.
    pub(crate) fn twin(&self) -> Self {
        Self::new(self.files.iter().map(|(name, content)| (name.as_str(), content.as_slice())))
    }

    pub(crate) fn env(&self) -> &Env {
        &self.sim.env
    }

    /// Runs a future to its end, the log's tasks taking turns with it.
    pub(crate) fn run<F: Future>(&self, future: F) -> F::Output {
        self.sim.block_on(future)
    }

    /// The files must be as they were.
    pub(crate) fn assert_unchanged(&self, what: &str) {
        for (name, content) in &self.files {
            let file = self.env().storage.open(Path::new(name), OpenMode::Read).unwrap();
            let now = file.read(0, content.len() + 1).unwrap();
            assert!(now == content[..], "{what} changed {name}");
        }
    }
}
