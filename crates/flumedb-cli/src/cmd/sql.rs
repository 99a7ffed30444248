//! `flume sql`: the view of Scuttlebutt messages in SQLite is brought up to date, and asked.

use std::{
    io::{IsTerminal, Read, stdin, stdout},
    time::Duration,
};

use flumedb::{Env, Error, ErrorKind, Flume};
use flumedb_sql::{Query, Sql as SqlView, SqlReader, Value, scuttlebutt};
use flumedb_ssb::{Doc, Docs};
use serde_json::Value as Json;

use crate::{
    args::Sql,
    exit::{Failure, Outcome, Verdict},
    open::Opened,
    output::say,
    rows::{Form, Rows},
    views::{self, SQL, Stored, caught_up},
};

const SCHEMA: &str = "SELECT t.name, t.type, group_concat(c.name, ', ' ORDER BY c.cid) AS columns FROM pragma_table_list AS t, \
                      pragma_table_xinfo(t.name) AS c WHERE t.schema = 'main' AND t.type <> 'shadow' AND c.hidden <> 1 AND \
                      t.name NOT LIKE 'sqlite%' AND t.name NOT LIKE 'flume%' GROUP BY t.name ORDER BY t.type, t.name";

pub(crate) fn sql(args: &Sql) -> Outcome {
    let form = match args {
        Sql { csv: true, .. } => Form::Csv,
        Sql { table: true, .. } => Form::Table,
        Sql { json: true, .. } => Form::Json,
        _ if stdout().is_terminal() => Form::Table,
        _ => Form::Json,
    };
    if args.schema {
        return schema(args, form);
    }
    let text = text(args)?;
    let params = params(&args.params)?;
    let mut verdict = Verdict::Fine;
    let mut builder = Flume::builder(Docs::json());
    if let Some(dir) = &args.views {
        builder = builder.views_in(dir);
    }
    if Opened::is_database(&args.place.path)? {
        match &args.views {
            Some(dir) => say(format_args!("the view is kept in {}, not in the database", dir.display())),
            None => match views::stored(&args.place.path) {
                Ok(db) => {
                    let reader = reader(&db, args, &mut verdict)?;
                    let rows = ask(args, &text, &params, &reader, Rows::new(form))?;
                    drop(reader);
                    // The writer's place is free again before the last rows are taken, however slowly.
                    db.close().blocking()?;
                    rows.finish()?;
                    return Ok(verdict);
                }
                Err(Stored::Failed(failure)) => return Err(failure),
                Err(reason) => {
                    if !matches!(&reason, Stored::NotToBeHad(error) if error.kind() != ErrorKind::Corrupt) {
                        verdict = Verdict::Lacking;
                    }
                    let reason = Failure::from(reason);
                    say(format_args!("{reason}; the view is built for this once (--views DIR keeps it)"));
                }
            },
        }
    }
    let opened = Opened::read_with(&args.place, builder)?;
    let reader = reader(&opened.db, args, &mut verdict)?;
    if verdict == Verdict::Fine {
        verdict = opened.verdict()?;
    }
    ask(args, &text, &params, &reader, Rows::new(form))?.finish()?;
    drop(reader);
    opened.db.close().blocking()?;
    Ok(verdict)
}

/// What the view knows; where damage stops it, of the entries before.
fn reader(db: &Flume<Docs>, args: &Sql, verdict: &mut Verdict) -> Result<SqlReader, Failure> {
    if db.log().is_encrypted() && !args.in_the_clear {
        let message = "the database is encrypted, and SQLite would keep its rows in the clear while it answers; --in-the-clear allows it";
        return Err(Failure::lacking(message));
    }
    let view = scuttlebutt::view()?;
    let view = if args.in_the_clear { view.in_the_clear() } else { view };
    let view = db.view(SQL, view).blocking().map_err(views::unusable)?;
    match caught_up(&view) {
        Ok(reader) => Ok(reader),
        Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Faulted) => {
            *verdict = Verdict::Lacking;
            let Some(reader) = view.read_stale() else { return Err(views::unusable(error)) };
            let until = reader.since().map_or("nothing".to_owned(), |seq| format!("what comes up to entry {seq}"));
            say(format_args!("{}; {until} is asked", views::unusable(error)));
            Ok(reader)
        }
        Err(error) => Err(error.into()),
    }
}

/// Asks, and has the rows printed.
fn ask(args: &Sql, sql: &str, params: &[Param], reader: &SqlReader, mut rows: Rows) -> Result<Rows, Failure> {
    let mut query = params.iter().fold(reader.query(sql), bind);
    query = query.time_limit(match args.time_limit {
        limit if limit > 0.0 => Duration::try_from_secs_f64(limit).unwrap_or(Duration::MAX),
        _ => Duration::MAX,
    });
    query = query.memory_bytes(usize::from(args.memory) << 20);
    let mut output = Ok(());
    let asked = query.walk(|found| {
        rows.begin(found.columns());
        while let Some(row) = found.next()? {
            output = rows.row(&row);
            if output.is_err() {
                break;
            }
        }
        Ok(())
    });
    output?;
    match asked {
        Ok(()) => Ok(rows),
        Err(error) => {
            // What was found before is of use.
            rows.finish()?;
            Err(failure(error))
        }
    }
}

fn failure(error: Error) -> Failure {
    match error.kind() {
        ErrorKind::TimedOut => Failure::lacking(format!("{error} (--time-limit)")),
        ErrorKind::LimitExceeded => Failure::lacking(format!("{error} (--memory)")),
        ErrorKind::Corrupt => Failure::from(error).context("run `flume rebuild DB sql`"),
        _ => error.into(),
    }
}

/// A parameter: its name, if it has one, and its value.
type Param = (Option<String>, Json);

fn params(given: &[String]) -> Result<Vec<Param>, Failure> {
    given.iter().map(|param| self::param(param)).collect()
}

fn param(text: &str) -> Result<Param, Failure> {
    let named = text.strip_prefix(':').and_then(|rest| rest.split_once('='));
    let named = named.filter(|(name, _)| name.chars().all(|c| c.is_alphanumeric() || c == '_'));
    let (name, value) = named.map_or((None, text), |(name, value)| (Some(name.to_owned()), value));
    match serde_json::from_str(value) {
        Ok(Json::Array(_) | Json::Object(_)) | Err(_) => Ok((name, Json::String(value.to_owned()))),
        Ok(Json::Number(number)) if !number.is_i64() && !value.contains(['.', 'e', 'E']) => {
            Err(Failure::usage(format!("{value} is a larger number than SQLite has; \"{value}\" is text")))
        }
        Ok(value) => Ok((name, value)),
    }
}

fn bind<'a>(query: Query<'a>, (name, value): &'a Param) -> Query<'a> {
    let value = match value {
        Json::String(text) => Value::Text(text),
        Json::Bool(truth) => Value::from(*truth),
        Json::Number(number) => match number.as_i64() {
            Some(number) => Value::Integer(number),
            None => Value::Real(number.as_f64().unwrap_or(f64::NAN)),
        },
        _ => Value::Null,
    };
    match name {
        Some(name) => query.bind_named(name, value),
        None => query.bind(value),
    }
}

/// What is asked.
fn text(args: &Sql) -> Result<String, Failure> {
    match args.sql.as_deref() {
        Some("-") => {
            let mut text = String::new();
            let read = stdin().read_to_string(&mut text);
            read.map_err(|error| Failure::usage(format!("standard input is no text: {error}")))?;
            Ok(text)
        }
        given => Ok(given.unwrap_or_default().to_owned()),
    }
}

/// Prints the tables, which are the same whatever the log holds.
fn schema(args: &Sql, form: Form) -> Outcome {
    let path = &args.place.path;
    if Env::os().storage.kind(path).map_err(|error| Error::io("look at", path, error))?.is_none() {
        return Err(Failure::lacking(format!("there is nothing at {}", path.display())));
    }
    let db = Flume::memory(Docs::json())?;
    let view: SqlView<Doc> = scuttlebutt::view()?;
    let view = db.view(SQL, view).blocking()?;
    ask(args, SCHEMA, &[], &view.read().blocking()?, Rows::new(form))?.finish()?;
    Ok(Verdict::Fine)
}
