//! What the program is called with.

use std::{path::PathBuf, time::Duration};

use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};
use flumedb_ssb::{Format, convert};

use crate::time::{Time, age};

/// Import, read, query, check and repair append-only logs.
///
/// A PATH is any log that is known here: a database of flume's own, or a log of FlumeDB, ssb-db2 or go-ssb, told from its
/// bytes. Exit codes: 0 fine; 1 the data is torn or
/// damaged, or what was asked for does not exist; 2 wrong usage; 3 the system failed.
#[derive(Debug, Parser)]
#[command(name = "flume", version, propagate_version = true, max_term_width = 100)]
pub(crate) struct Cli {
    /// Tell on standard error what goes on: once openings, closings and faults, twice syncs and segments, three times every
    /// commit; or as the variable FLUME_LOG says: flumedb::view=trace,flumedb::log=info
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub(crate) verbose: u8,
    #[command(subcommand)]
    pub(crate) command: Command,
    /// The keys of databases that are encrypted: a number and 64 hexadecimal digits a line [default: those in FLUME_KEY]
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) key_file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Take in a log file, a database, JSON lines: every entry once, going on where an earlier import stopped.
    Import(Import),
    /// Write a log anew in another format, going on where an earlier run stopped, and hold both against each other.
    Convert(Convert),
    /// Print entries, a JSON line each.
    Cat(Cat),
    /// Print one entry.
    Get(Get),
    /// Print the number of the newest entry.
    Since(Place),
    /// Append JSON lines from standard input; print the number of each once it is on the disk.
    Append(Append),
    /// Delete entries.
    Delete(Delete),
    /// Print the newest entries and go on with those that come.
    Tail(Tail),
    /// Find Scuttlebutt messages through the default views, or anything in a query language.
    Query(Box<Query>),
    /// Ask Scuttlebutt messages in SQL: tables of messages, links, mentions, votes …, with full-text search.
    Sql(Sql),
    /// Say whether the log is as it was written. Changes nothing.
    Check(Check),
    /// Cut what a stopped writer left at the end, keeping the cut bytes beside it.
    Repair(Repair),
    /// Take what was deleted off the disk; on request the beginning of the log, too. In an aaol log the other entries get new
    /// numbers.
    Compact(Compact),
    /// Copy a database to another directory while it is written to; the next time only what is new.
    Backup(Backup),
    /// Make a database of a backup, in a new directory.
    Restore(Restore),
    /// Say whether a backup is as it was made. Changes nothing.
    Verify(Verify),
    /// Say how large a log is and what it holds.
    Stat(Stat),
    /// Say which views a database has and how far each is.
    Views(Views),
    /// Build views of a database anew.
    Rebuild(Rebuild),
    /// Make a key to encrypt databases with: print it, or add it to a file.
    Keygen(Keygen),
    /// Turn JSON lines into BIPF and back.
    Bipf {
        #[command(subcommand)]
        direction: Bipf,
    },
}

/// Where a log is.
#[derive(Debug, Args)]
pub(crate) struct Place {
    /// A log (for import also - for JSON lines on standard input)
    pub(crate) path: PathBuf,
    /// What PATH is, where its bytes do not tell: flume, offset32, offset48, offset53, offset-basic, aligned, aaol, offset2,
    /// memory, level, jsonl; blocks of another size than 65536 as in aligned:1024, aaol:8192
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<Format>,
}

#[derive(Debug, Args)]
pub(crate) struct Import {
    #[command(flatten)]
    pub(crate) place: Place,
    /// The database; made if there is none
    #[arg(value_name = "DB")]
    pub(crate) db: PathBuf,
    /// What the source is called in the database, for going on later [default: its path]
    #[arg(long, value_name = "NAME")]
    pub(crate) source: Option<String>,
    /// Compress the entries
    #[arg(long)]
    pub(crate) compress: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Convert {
    #[command(flatten)]
    pub(crate) place: Place,
    /// The new log; there must be nothing yet, or what an earlier run has left
    #[arg(value_name = "DST")]
    pub(crate) to: PathBuf,
    /// Its format: flume, offset32, offset48, offset53, offset-basic, aligned, aaol, offset2, jsonl; blocks of another size
    /// than 65536 as in aligned:1024, aaol:8192
    #[arg(long = "to", value_name = "FORMAT")]
    pub(crate) target: Format,
    /// Turn entries into this: json, bipf [default: their bytes stay as they are, but JSON lines are JSON]
    #[arg(long, value_name = "CODEC")]
    pub(crate) codec: Option<convert::Codec>,
    /// Compress the entries, in a database
    #[arg(long)]
    pub(crate) compress: bool,
    /// Write a database that is not encrypted, though keys are given
    #[arg(long)]
    pub(crate) in_the_clear: bool,
}

/// How entries are printed.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Style {
    /// Print payloads as base64, JSON or not
    #[arg(long)]
    pub(crate) raw: bool,
    /// Print bare values, which `append` and `import -` read back
    #[arg(long)]
    pub(crate) values: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Cat {
    #[command(flatten)]
    pub(crate) place: Place,
    #[command(flatten)]
    pub(crate) bounds: Bounds,
    /// From the newest to the oldest
    #[arg(long, conflicts_with = "live")]
    pub(crate) reverse: bool,
    /// Print at most N entries
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,
    /// Go on with the entries that come
    #[arg(long)]
    pub(crate) live: bool,
    /// Tell of deleted entries, too
    #[arg(long, conflicts_with = "values")]
    pub(crate) deleted: bool,
    #[command(flatten)]
    pub(crate) style: Style,
}

/// Which numbers. Any number is legal, be it negative or past the end.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Bounds {
    /// Only entries after N
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) gt: Option<i128>,
    /// Only N and entries after it
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) gte: Option<i128>,
    /// Only entries before N
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) lt: Option<i128>,
    /// Only N and entries before it
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) lte: Option<i128>,
}

#[derive(Debug, Args)]
pub(crate) struct Get {
    #[command(flatten)]
    pub(crate) place: Place,
    /// Its number
    #[arg(value_name = "N", allow_negative_numbers = true)]
    pub(crate) seq: i128,
    #[command(flatten)]
    pub(crate) style: Style,
}

#[derive(Debug, Args)]
pub(crate) struct Append {
    #[command(flatten)]
    pub(crate) place: Place,
    /// What the lines become [default: what the log's entries are; in an empty log json, but bipf in an aaol log]
    #[arg(long, value_name = "CODEC")]
    pub(crate) codec: Option<Codec>,
    /// Compress the entries, in a database
    #[arg(long)]
    pub(crate) compress: bool,
}

/// What values are stored as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Codec {
    /// JSON text
    Json,
    /// BIPF, as ssb-db2 stores messages
    Bipf,
    /// Scuttlebutt messages as go-ssb stores them
    Multi,
}

#[derive(Debug, Args)]
pub(crate) struct Delete {
    #[command(flatten)]
    pub(crate) place: Place,
    /// Their numbers
    #[arg(value_name = "N", required = true, allow_negative_numbers = true)]
    pub(crate) seqs: Vec<i128>,
}

#[derive(Debug, Args)]
pub(crate) struct Tail {
    #[command(flatten)]
    pub(crate) place: Place,
    /// Begin with the newest N entries
    #[arg(short = 'n', long, value_name = "N", default_value_t = 10)]
    pub(crate) lines: u64,
    #[command(flatten)]
    pub(crate) style: Style,
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    /// A log
    #[arg(required_unless_present = "log")]
    path: Option<PathBuf>,
    /// The log, where that reads better beside --views
    #[arg(long, value_name = "PATH", conflicts_with = "path", requires = "views")]
    log: Option<PathBuf>,
    /// What it is, where its bytes do not tell
    #[arg(long, value_name = "FORMAT")]
    format: Option<Format>,
    /// Hold views against the log, too: without DIR those that a database of flume's own keeps (a program that writes to it
    /// must have ended), with DIR the indexes that the originals left there
    #[arg(long, value_name = "DIR", num_args = 0..=1)]
    pub(crate) views: Option<Option<PathBuf>>,
    /// Read at most so many MB a second, so that others are not held up
    #[arg(long, value_name = "MB", value_parser = clap::value_parser!(u64).range(1..1_000_000))]
    pub(crate) rate: Option<u64>,
    /// Look at the key and the signature of every Scuttlebutt message, too
    #[arg(long)]
    pub(crate) signatures: bool,
    /// Print the report as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

impl Check {
    /// Where the log is.
    pub(crate) fn place(&self) -> Place {
        let path = self.path.as_ref().or(self.log.as_ref());
        Place { path: path.cloned().unwrap_or_default(), format: self.format }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Repair {
    #[command(flatten)]
    pub(crate) place: Place,
    /// Take damaged stretches out of the way of the entries behind them
    #[arg(long)]
    pub(crate) skip_damage: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Backup {
    /// A database directory; reading it is enough
    #[arg(value_name = "DB")]
    pub(crate) db: PathBuf,
    /// A new directory, or one with an earlier backup of the same database
    #[arg(value_name = "DEST")]
    pub(crate) to: PathBuf,
    /// Copy every byte, instead of sharing files with the database where the file system can
    #[arg(long)]
    pub(crate) copy: bool,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Restore {
    /// A backup
    #[arg(value_name = "BACKUP")]
    pub(crate) backup: PathBuf,
    /// The new database; there must be nothing yet, or what the same command left when it was interrupted
    #[arg(value_name = "DB")]
    pub(crate) to: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// A backup
    #[arg(value_name = "BACKUP")]
    pub(crate) path: PathBuf,
    /// Print the report as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Compact {
    #[command(flatten)]
    pub(crate) place: Place,
    /// Delete what is before N first, as far as it fills whole segments
    #[arg(long, value_name = "N", conflicts_with = "older_than")]
    pub(crate) before: Option<u64>,
    /// Delete what is older first, as far as it fills whole segments: 90d, 12h, 2w
    #[arg(long, value_name = "AGE", value_parser = age)]
    pub(crate) older_than: Option<Duration>,
}

#[derive(Debug, Args)]
pub(crate) struct Stat {
    #[command(flatten)]
    pub(crate) place: Place,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    /// Look again and again, after so many seconds each, until Ctrl-C; changes nothing, beside whoever writes
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "1", value_parser = seconds)]
    pub(crate) watch: Option<Duration>,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let told = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let wait = told.filter(|wait| *wait >= Duration::from_millis(10));
    wait.ok_or_else(|| "a number of seconds is wanted, at least 0.01; PATH goes before --watch".to_owned())
}

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("language").args(["mfr", "wanted"]).conflicts_with_all(["key", "author", "kind", "since", "until"])))]
pub(crate) struct Query {
    #[command(flatten)]
    pub(crate) place: Place,
    /// Only the message with this key
    #[arg(long)]
    pub(crate) key: Option<String>,
    /// Only messages of this author
    #[arg(long)]
    pub(crate) author: Option<String>,
    /// Only messages of this type
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) kind: Option<String>,
    /// Only messages that claim this time or a later one: 2015-08-05, 2015-08-05T15:00:00Z, or milliseconds since 1970
    #[arg(long, value_name = "TIME", allow_negative_numbers = true)]
    pub(crate) since: Option<Time>,
    /// Only messages that claim an earlier time
    #[arg(long, value_name = "TIME", allow_negative_numbers = true)]
    pub(crate) until: Option<Time>,
    /// Ask in the language map-filter-reduce: a list of $filter, $map, $reduce and $sort, or an object to match
    #[arg(long, value_name = "JSON")]
    pub(crate) mfr: Option<String>,
    /// Ask for what a tree of operators is true of: {"op":"and","args":[{"op":"equal","path":"a.b","value":1}, …]}
    #[arg(long = "where", value_name = "JSON")]
    pub(crate) wanted: Option<String>,
    /// Give the results that the JavaScript originals give, with their faults
    // That `--where` is in conflict with `--mfr` would lift the requirement.
    #[arg(long, requires = "mfr", conflicts_with = "wanted")]
    pub(crate) compat: bool,
    /// Indexes to choose from: [{"key":NAME,"value":[PATH, …]}, …] [default: those for Scuttlebutt]
    #[arg(long, value_name = "JSON", requires = "mfr", conflicts_with = "wanted")]
    pub(crate) indexes: Option<String>,
    /// By what stands at PATH (a.b.c), or in the order of the log
    #[arg(long, value_name = "PATH|arrival", requires = "language")]
    pub(crate) sort: Option<String>,
    /// Only what comes behind the entry N
    #[arg(long, value_name = "N", requires = "language")]
    pub(crate) after: Option<u64>,
    /// Print at most N messages or rows
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,
    /// From the newest to the oldest, or the other way round than sorted
    #[arg(long)]
    pub(crate) reverse: bool,
    /// Print how many messages or rows there are instead of them
    #[arg(long)]
    pub(crate) count: bool,
    /// Print the numbers of the entries, and nothing else
    #[arg(long, requires = "language", conflicts_with_all = ["values", "raw", "count"])]
    pub(crate) seqs: bool,
    /// Print how the query is answered instead: by which index, and how many rows are looked at
    #[arg(long, requires = "language")]
    pub(crate) explain: bool,
    /// Keep views in this directory, where the database's own are not to be had
    #[arg(long, value_name = "DIR")]
    pub(crate) views: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) style: Style,
}

#[derive(Debug, Args)]
pub(crate) struct Sql {
    #[command(flatten)]
    pub(crate) place: Place,
    /// One statement that reads; - for one on standard input
    #[arg(value_name = "SQL", required_unless_present = "schema", conflicts_with = "schema")]
    pub(crate) sql: Option<String>,
    /// Give the next parameter (?, or ?1, ?2 …) this value, or :NAME=VALUE the one with that name; a number, null, true and
    /// false are that, "…" and all else is text
    #[arg(long = "param", value_name = "VALUE", allow_hyphen_values = true)]
    pub(crate) params: Vec<String>,
    /// Print a JSON object a row [default, unless standard output is a terminal]
    #[arg(long, conflicts_with_all = ["csv", "table"])]
    pub(crate) json: bool,
    /// Print comma-separated values
    #[arg(long, conflicts_with = "table")]
    pub(crate) csv: bool,
    /// Print a table [default on a terminal]
    #[arg(long)]
    pub(crate) table: bool,
    /// Print which tables and views there are, with their columns
    #[arg(long)]
    pub(crate) schema: bool,
    /// Give up after so many seconds; 0: never
    #[arg(long, value_name = "SECONDS", default_value_t = 60.0)]
    pub(crate) time_limit: f64,
    /// Let the values that the query works on at once take so many MiB together
    #[arg(long, value_name = "MIB", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) memory: u16,
    /// Keep the view in this directory, where the database's own is not to be had
    #[arg(long, value_name = "DIR")]
    pub(crate) views: Option<PathBuf>,
    /// Let SQLite keep rows of an encrypted database in the clear, in a temporary directory, until the answer is there
    #[arg(long)]
    pub(crate) in_the_clear: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Views {
    /// A database directory
    pub(crate) path: PathBuf,
    /// Remove the stores that older definitions of the views have left behind
    #[arg(long)]
    pub(crate) prune: bool,
    /// Print one JSON object a view
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Keygen {
    /// A file for --key-file, made if there is none; keys that are in it stay, for what was written with them
    pub(crate) file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Rebuild {
    /// A database directory
    pub(crate) path: PathBuf,
    /// Which views [default: all]
    #[arg(value_name = "VIEW")]
    pub(crate) views: Vec<String>,
}

#[derive(Clone, Copy, Debug, Subcommand)]
pub(crate) enum Bipf {
    /// JSON lines from standard input become lines of BIPF in hex.
    Encode,
    /// Lines of BIPF in hex from standard input become JSON lines.
    Decode,
}
