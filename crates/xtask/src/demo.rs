//! The first run: takes the sample log in, builds its views, asks three questions, and says what to type next.

use std::{env, fs, path::PathBuf, process::Command, time::Instant};

use crate::run::{self, Outcome, cargo, root, target};

/// Who wrote most in the sample.
const AUTHOR: &str = "@oQFfr6PnIYIwBou33QHw2qNyIgbVkWaIEJaCb/QHtgo=.ed25519";
const DB: &str = "target/demo";
const SAMPLE: &str = "samples/ssb.offset";

pub(crate) fn run() -> Outcome {
    run::run("build of the program", &mut cargo(&["build", "--release", "--quiet", "--package", "flumedb-cli"]))?;
    let db = root().join(DB);
    if db.exists() {
        fs::remove_dir_all(&db).map_err(|error| format!("{}: {error}", db.display()))?;
    }
    println!("\n1000 Scuttlebutt messages become a database with four views:\n");
    ask(&["import", SAMPLE, DB])?;
    println!("\nThe two newest posts:\n");
    ask(&["query", DB, "--type", "post", "--limit", "2", "--reverse"])?;
    println!("\nHow many votes one author has cast:\n");
    ask(&["query", DB, "--author", AUTHOR, "--type", "vote", "--count"])?;
    println!("\nWhat was said in the first minutes of a day:\n");
    ask(&["query", DB, "--since", "2015-08-06", "--until", "2015-08-06T00:10:00Z"])?;
    println!("\nHow far everything is:\n");
    ask(&["stat", DB])?;
    let flume = program().strip_prefix(root()).map_or_else(|_| program(), PathBuf::from);
    let flume = flume.display();
    println!(
        "\nNow type, to follow the log, and in another terminal to append to it:\n
  {flume} tail {DB}
  echo '{{\"hello\":\"world\"}}' | {flume} append {DB}\n
to see whether a log file is whole, and to take in your own:\n
  {flume} check {SAMPLE}
  {flume} import ~/.ssb/flume/log.offset my-db\n
and for everything else `{flume} --help`."
    );
    Ok(())
}

/// Shows a command, runs it, and shows what it prints, a long line only in part.
fn ask(args: &[&str]) -> Outcome {
    const WIDTH: usize = 110;
    println!("  $ flume {}", args.join(" "));
    let begun = Instant::now();
    let output = Command::new(program()).args(args).current_dir(root()).stderr(std::process::Stdio::inherit()).output();
    let output = output.map_err(|error| format!("flume could not be started: {error}"))?;
    if !output.status.success() {
        return Err(format!("flume {} failed ({})", args.join(" "), output.status));
    }
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let cut = line.char_indices().nth(WIDTH).map(|(at, _)| at);
        match cut.and_then(|at| line.get(..at)) {
            Some(beginning) => println!("  {beginning}…"),
            None => println!("  {line}"),
        }
    }
    println!("  ({} ms)", begun.elapsed().as_millis());
    Ok(())
}

/// Where cargo puts it.
fn program() -> PathBuf {
    target().join("release").join(format!("flume{}", env::consts::EXE_SUFFIX))
}
