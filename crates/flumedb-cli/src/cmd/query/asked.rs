//! [`Asked`], a log and what views of it answered: the views that a database keeps, those under `--views`, or some in memory.

use flumedb::{Error, ErrorKind, Flume, Result};
use flumedb_ssb::Docs;

use crate::{
    args::Query,
    exit::{Failure, Verdict},
    open::Opened,
    output::say,
    views::{self, Stored},
};

pub(super) struct Asked<T> {
    pub(super) opened: Opened<Docs>,
    /// What the views said, if they were asked and could.
    pub(super) answer: Option<T>,
    pub(super) verdict: Verdict,
}

impl<T> Asked<T> {
    /// Opens the log, and asks views if there is something to `ask`.
    pub(super) fn of<F>(args: &Query, ask: Option<F>) -> Result<Self, Failure>
    where
        F: Fn(&Flume<Docs>, &mut Verdict) -> Result<Option<T>, Failure>,
    {
        let (mut answer, mut verdict) = (None, Verdict::Fine);
        let mut builder = Flume::builder(Docs::json());
        if let Some(dir) = &args.views {
            builder = builder.views_in(dir);
        }
        if let Some(ask) = &ask
            && Opened::is_database(&args.place.path)?
        {
            match &args.views {
                Some(dir) => say(format_args!("views are kept in {}, not in the database", dir.display())),
                None => match views::stored(&args.place.path) {
                    // The writer's place is free again before anything is printed, however slowly that is taken.
                    Ok(db) => {
                        answer = ask(&db, &mut verdict)?;
                        db.close().blocking()?;
                    }
                    Err(Stored::Failed(failure)) => return Err(failure),
                    Err(reason) => {
                        if !matches!(&reason, Stored::NotToBeHad(error) if error.kind() != ErrorKind::Corrupt) {
                            verdict = Verdict::Lacking;
                        }
                        say(format_args!(
                            "{}; views are built in memory (--views DIR keeps them)",
                            Failure::from(reason)
                        ));
                    }
                },
            }
        }
        let opened = Opened::read_with(&args.place, builder)?;
        if let Some(ask) = ask
            && answer.is_none()
        {
            answer = ask(&opened.db, &mut verdict)?;
        }
        if verdict == Verdict::Fine {
            verdict = opened.verdict()?;
        }
        Ok(Self { opened, answer, verdict })
    }
}

/// What an index says; nothing where damage keeps it from being built: then every entry is looked at.
pub(super) fn unless_damaged<T>(answer: Result<T, Error>, verdict: &mut Verdict) -> Result<Option<T>, Failure> {
    match answer {
        Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Faulted) => {
            *verdict = Verdict::Lacking;
            say(format_args!("{}; every entry that can be read is looked at", views::unusable(error)));
            Ok(None)
        }
        answer => Ok(Some(answer?)),
    }
}
