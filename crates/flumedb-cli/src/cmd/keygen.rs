//! `flume keygen`.

use std::path::Path;

use flumedb::{Env, Error, ErrorKind, Keys, env::OpenMode};

use crate::{
    args::Keygen,
    exit::{Failure, Outcome, Verdict},
    output::{self, say},
};

pub(crate) fn keygen(args: &Keygen) -> Outcome {
    let env = Env::os();
    let Some(path) = &args.file else {
        output::line(Keys::generate(&env, 1)?)?;
        return Ok(Verdict::Fine);
    };
    // A link is what a person gave, and what it leads to is the file. One that leads to nothing is not made good for: who
    // knows what was to be there?
    let link = env.storage.points_to(path).map_err(|error| Error::io("follow the link", path, error))?;
    let file = link.as_ref().unwrap_or(path);
    let number = add(&env, file)?;
    output::line(format_args!("{} has key {number} now; new entries will be encrypted with it", path.display()))?;
    if let Some(mode) = open_to_others(file) {
        let file = file.display();
        say(format!("others may use {file}, it has mode {mode:03o}; `chmod 600 {file}`, and think of who has seen it"));
    }
    Ok(Verdict::Fine)
}

/// Adds a key to the file at `path`, made if there is none; says its number.
fn add(env: &Env, path: &Path) -> Result<u16, Failure> {
    let failed = |error| Failure::from(Error::io("write", path, error));
    let (file, number) = match Keys::read(env, path) {
        Ok(keys) => {
            let number = keys.current().checked_add(1).ok_or_else(|| Failure::usage("there are too many keys"))?;
            (env.storage.open(path, OpenMode::Write).map_err(failed)?, number)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            (env.storage.open(path, OpenMode::CreateNew).map_err(failed)?, 1)
        }
        Err(error) => return Err(error.into()),
    };
    let end = file.len().map_err(failed)?;
    let starts_anew = end == 0 || file.read(end - 1, 1).map_err(failed)?.first() == Some(&b'\n');
    let line = format!("{}{}\n", if starts_anew { "" } else { "\n" }, Keys::generate(env, number)?);
    file.write_all(end, line.as_bytes()).and_then(|()| file.sync()).map_err(failed)?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(".".as_ref());
    env.storage.sync_dir(parent).map_err(failed)?;
    Ok(number)
}

/// The mode of a file, if others than its owner may read or write it.
fn open_to_others(path: &Path) -> Option<u32> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = path.metadata().ok()?.permissions().mode() & 0o777;
        Some(mode).filter(|mode| mode & 0o066 != 0)
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        None
    }
}
