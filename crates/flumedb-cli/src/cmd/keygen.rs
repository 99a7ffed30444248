//! `flume keygen`.

use flumedb::{Env, Error, ErrorKind, Keys, env::OpenMode};

use crate::{
    args::Keygen,
    exit::{Failure, Outcome, Verdict},
    output,
};

pub(crate) fn keygen(args: &Keygen) -> Outcome {
    let env = Env::os();
    let Some(path) = &args.file else {
        output::line(Keys::generate(&env, 1)?)?;
        return Ok(Verdict::Fine);
    };
    let failed = |error| Failure::from(Error::io("write", path, error));
    let (file, number) = match Keys::read(&env, path) {
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
    let line = format!("{}{}\n", if starts_anew { "" } else { "\n" }, Keys::generate(&env, number)?);
    file.write_all(end, line.as_bytes()).and_then(|()| file.sync()).map_err(failed)?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(".".as_ref());
    env.storage.sync_dir(parent).map_err(failed)?;
    output::line(format_args!("{} has key {number} now; new entries will be encrypted with it", path.display()))?;
    Ok(Verdict::Fine)
}
