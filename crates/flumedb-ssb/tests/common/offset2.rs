//! Directories of margaret's offset2, made by hand, and what margaret itself says of one when it opens it.

use flumedb::{Env, env::OpenMode};

const NAMES: [&str; 3] = ["data", "ofst", "jrnl"];

/// The bytes of the three files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Dir(pub(crate) [Vec<u8>; 3]);

impl Dir {
    /// As margaret leaves it after these appends.
    pub(crate) fn of(payloads: &[impl AsRef<[u8]>]) -> Self {
        let mut dir = Self::default();
        payloads.iter().for_each(|payload| dir.push(payload.as_ref()));
        dir
    }

    /// Appends as margaret does, in its order: the number, the entry, its place.
    pub(crate) fn push(&mut self, payload: &[u8]) {
        let Self([data, ofst, jrnl]) = self;
        *jrnl = (ofst.len() as i64 / 8).to_be_bytes().to_vec();
        let place = data.len() as i64;
        data.extend((payload.len() as i64).to_be_bytes());
        data.extend(payload);
        ofst.extend(place.to_be_bytes());
    }

    /// A machine in memory with this in the directory `log`.
    pub(crate) fn machine(&self) -> Env {
        let env = Env::memory();
        self.put(&env);
        env
    }

    pub(crate) fn put(&self, env: &Env) {
        env.storage.create_dir_all("log".as_ref()).unwrap();
        for (name, bytes) in NAMES.into_iter().zip(&self.0) {
            let path = std::path::Path::new("log").join(name);
            let file = env.storage.open(&path, OpenMode::CreateNew).unwrap();
            file.write_all(0, bytes).unwrap();
        }
    }

    /// What is in the directory `log` of a machine.
    pub(crate) fn on(env: &Env) -> Self {
        Self(NAMES.map(|name| super::content(env, &format!("log/{name}"))))
    }

    /// What margaret says when it opens this, and how many entries it finds: its own rules, and the check that it makes
    /// only where it has a doubt.
    pub(crate) fn margaret(&self) -> Result<u64, String> {
        let Self([data, ofst, jrnl]) = self;
        if jrnl.is_empty() {
            return if data.is_empty() && ofst.is_empty() { Ok(0) } else { Err("an empty journal".to_owned()) };
        }
        let number = |bytes: &[u8]| bytes.try_into().map(i64::from_be_bytes).map_err(|_| format!("{bytes:?}"));
        let (last, count) = (number(jrnl)?, ofst.len() as i64 / 8);
        if last < count - 1 || ofst.len() % 8 > 0 {
            return Err(format!("{count} places in {} bytes, and the last entry is {last}", ofst.len()));
        }
        let mut at = 0;
        for place in ofst.chunks(8) {
            if number(place)? != at as i64 {
                return Err(format!("{place:?} is not {at}"));
            }
            let head = data.get(at..at + 8).ok_or("no length")?;
            at += 8 + number(head)?.unsigned_abs() as usize;
        }
        if at == data.len() { Ok(count as u64) } else { Err(format!("{} bytes, and {at} in entries", data.len())) }
    }
}
