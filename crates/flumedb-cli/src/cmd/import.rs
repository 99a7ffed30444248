//! `flume import`: every entry of a source once, however often it is killed and called again. The position in the source is
//! a note in the same commit as the entries up to it.

use std::path::Path;

use flumedb::{Error, log::Note};

use crate::{
    args::Import,
    exit::{Failure, Outcome},
    open::Opened,
    output,
    progress::Progress,
    source::{Group, Source},
    views,
};

pub(crate) fn import(args: &Import) -> Outcome {
    let name = format!("import/{}", source_name(args)?);
    if let (Ok(source), Ok(db)) = (args.place.path.canonicalize(), args.db.canonicalize())
        && source == db
    {
        return Err(Failure::usage(format!("{} cannot be imported into itself; name another", args.db.display())));
    }
    let (target, mut source, mut group);
    if Opened::is_database(&args.db)? {
        target = Opened::create(&args.db, args.compress)?;
        source = Source::open(args, target.db.note(&name)?.as_ref())?;
        group = source.next_group()?;
    } else {
        // A source that cannot be read leaves no database behind.
        source = Source::open(args, None)?;
        group = source.next_group()?;
        target = Opened::create(&args.db, args.compress)?;
    }
    let progress = Progress::new("importing", source.total());
    let mut imported = 0;
    while let Some(Group { payloads, position, proof, done }) = group {
        if !payloads.is_empty() {
            imported += payloads.len();
            let note = Note { name: name.clone(), position, proof };
            // Without waiting for the disk: what a power cut may take is the newest entries with their note, and closing waits.
            target.db.append_all(payloads).note(note).buffered().blocking()?;
        }
        progress.at(done);
        group = source.next_group()?;
    }
    progress.finish();
    let stat = target.db.stat()?;
    target.db.close().blocking()?;
    drop(target);
    views::build_all(&args.db)?;
    output::line(format_args!("imported {imported} entries; {} has {} now", args.db.display(), stat.entries))?;
    source.verdict()
}

/// What the source is called in the database: as it was told, or where it is.
fn source_name(args: &Import) -> Result<String, Failure> {
    let path = &args.place.path;
    if let Some(name) = &args.source {
        return Ok(name.clone());
    }
    if path == Path::new("-") {
        return Err(Failure::usage("standard input has no name; give it one with --source NAME"));
    }
    let path = path.canonicalize().map_err(|error| Error::io("find", path, error))?;
    Ok(path.to_string_lossy().into_owned())
}
