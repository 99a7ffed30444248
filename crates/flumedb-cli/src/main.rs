//! The program `flume`: import, read, query, check and repair append-only logs.

mod args;
mod careful;
mod cmd;
mod copies;
mod exit;
mod held;
mod indexes;
mod json;
mod keys;
mod lines;
mod open;
mod output;
mod progress;
mod rows;
mod signatures;
mod source;
mod stored;
mod time;
mod verbose;
mod views;

use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command};
use exit::Outcome;

fn main() -> ExitCode {
    let Cli { verbose, key_file, command } = Cli::parse();
    let told = verbose::tell(verbose).and_then(|()| keys::read(key_file.as_ref()));
    let outcome = told.and_then(|()| run(command));
    match outcome {
        Ok(verdict) => verdict.code(),
        Err(failure) => {
            let message = failure.to_string();
            if !message.is_empty() {
                output::say(message);
            }
            failure.code()
        }
    }
}

fn run(command: Command) -> Outcome {
    match command {
        Command::Import(args) => cmd::import(&args),
        Command::Convert(args) => cmd::convert(&args),
        Command::Cat(args) => cmd::cat(&args),
        Command::Get(args) => cmd::get(&args),
        Command::Since(place) => cmd::since(&place),
        Command::Append(args) => cmd::append(&args),
        Command::Delete(args) => cmd::delete(&args),
        Command::Tail(args) => cmd::tail(&args),
        Command::Check(args) => cmd::check(&args),
        Command::Repair(args) => cmd::repair(&args),
        Command::Compact(args) => cmd::compact(&args),
        Command::Backup(args) => cmd::backup(&args),
        Command::Restore(args) => cmd::restore(&args),
        Command::Verify(args) => cmd::verify(&args),
        Command::Query(args) => cmd::query(&args),
        Command::Sql(args) => cmd::sql(&args),
        Command::Views(args) => cmd::views(&args),
        Command::Rebuild(args) => cmd::rebuild(&args),
        Command::Stat(args) => cmd::stat(&args),
        Command::Keygen(args) => cmd::keygen(&args),
        Command::Bipf { direction } => cmd::bipf(&direction),
    }
}
