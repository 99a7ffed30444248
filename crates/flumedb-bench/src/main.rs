//! Measures flumedb beside other embedded stores and the machine's own limits, on the same bytes, in one run. Each
//! measurement is a process of its own: this program, called with `--one`. `cargo xtask bench` builds and runs it.
#![allow(clippy::disallowed_methods, reason = "it measures the real machine, outside the library")]

mod limits;
mod measure;
mod messages;
mod others;
mod ours;
mod report;
mod sealed;
mod seek;
mod stores;
mod upkeep;
mod views;
mod workloads;

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    time::Duration,
};

use measure::Sample;
use report::Row;
use workloads::{Context, Workload};

/// What everything here answers.
pub(crate) type Result<T = (), E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;

const HELP: &str = "\
cargo xtask bench [NAMES] [--entries N] [--rounds N] [--only SUBJECT]…

NAMES are workloads; without any, all are run. SUBJECTS are stores; the limits are always measured.
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--one", task, workload, subject, entries] => one(task, workload, subject, entries),
        ["--help" | "-h"] => {
            print!("{HELP}");
            Ok(())
        }
        _ => Settings::parse(&args).and_then(|settings| run(&settings)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

struct Settings {
    names: Vec<String>,
    only: Vec<String>,
    entries: usize,
    rounds: usize,
}

impl Settings {
    fn parse(args: &[String]) -> Result<Self> {
        let mut settings = Self { names: Vec::new(), only: Vec::new(), entries: 1_000_000, rounds: 5 };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{arg} wants a value; see --help"));
            match arg.as_str() {
                "--entries" => settings.entries = value()?.replace('_', "").parse()?,
                "--rounds" => settings.rounds = value()?.parse()?,
                "--only" => settings.only.push(value()?.clone()),
                name if workloads::all().any(|workload| workload.name == name) => settings.names.push(arg.clone()),
                other => {
                    let names: Vec<_> = workloads::all().map(|workload| workload.name).collect();
                    return Err(format!("there is no workload `{other}`; there are {}", names.join(", ")).into());
                }
            }
        }
        Ok(settings)
    }

    fn wants(&self, workload: &Workload) -> bool {
        self.names.is_empty() || self.names.iter().any(|name| name == workload.name)
    }

    fn subjects(&self, workload: &Workload) -> Vec<&'static str> {
        let wanted = |subject: &&str| self.only.is_empty() || self.only.iter().any(|only| only == subject);
        workload.limits.iter().copied().chain(workload.subjects.iter().copied().filter(wanted)).collect()
    }
}

fn base() -> PathBuf {
    PathBuf::from("target").join("bench")
}

fn context(entries: usize) -> Context {
    Context { data: base().join("data"), kept: base().join("kept"), scratch: base().join("scratch"), entries }
}

/// A measuring process.
fn one(task: &str, workload: &str, subject: &str, entries: &str) -> Result {
    let cx = context(entries.parse()?);
    match task {
        "fill" => workloads::fill(subject, &cx),
        "append" => ours::append_until_killed(&cx),
        _ => {
            println!("{}", workloads::measure(workload, subject, &cx)?.to_line());
            Ok(())
        }
    }
}

/// Starts a measuring process and waits for what it says.
fn start(task: &str, workload: &str, subject: &str, cx: &Context) -> Result<String> {
    renew(&cx.scratch)?;
    // What earlier measurements left to be written must not slow this one down.
    let _ = Command::new("sync").status();
    let output = Command::new(std::env::current_exe()?)
        .args(["--one", task, workload, subject, &cx.entries.to_string()])
        .stderr(Stdio::inherit())
        .output()?;
    fs::remove_dir_all(&cx.scratch)?;
    if !output.status.success() {
        return Err(format!("{workload} of {subject} failed ({})", output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

fn renew(dir: &Path) -> Result {
    if dir.exists() {
        fs::remove_dir_all(dir)?;
    }
    Ok(fs::create_dir_all(dir)?)
}

fn run(settings: &Settings) -> Result {
    let cx = context(settings.entries);
    renew(&cx.kept)?;
    let messages = messages::Messages::load(&cx.data, cx.entries)?;
    let mut out = format!(
        "{} messages, {} bytes on average; medians of {} rounds.\n",
        messages.len(),
        messages.total_bytes() / messages.len().max(1) as u64,
        settings.rounds
    );
    drop(messages);
    println!("{out}");
    for workload in workloads::all().filter(|workload| settings.wants(workload)) {
        let table = report::table(workload, &rounds(workload, settings, &cx)?);
        println!("{table}");
        out.push('\n');
        out.push_str(&table);
    }
    fs::remove_dir_all(&cx.kept)?;
    let path = base().join("report.md");
    fs::write(&path, out)?;
    println!("kept in {}", path.display());
    Ok(())
}

/// Measures each subject once a round, so that a busy minute of the machine hits all of them.
fn rounds(workload: &'static Workload, settings: &Settings, cx: &Context) -> Result<Vec<Row>> {
    let mut rows: Vec<Row> =
        settings.subjects(workload).into_iter().map(|subject| Row { subject, samples: Vec::new() }).collect();
    for round in 1..=settings.rounds {
        for row in &mut rows {
            eprintln!("{} {round}/{}: {}", workload.name, settings.rounds, row.subject);
            let reads = matches!(workload.name, "scan" | "get" | "get-hot" | "index" | "open" | "check" | "backup")
                || workload.name.starts_with("views-") && views::reads_log(row.subject);
            let store = if row.subject.starts_with("flumedb") { "flumedb" } else { row.subject };
            if reads && !workload.limits.contains(&row.subject) && !cx.kept(store).exists() {
                start("fill", workload.name, store, cx)?;
            }
            if row.subject == workloads::KILLED {
                kill_a_writer(cx)?;
            }
            let line = start("measure", workload.name, row.subject, cx)?;
            row.samples.push(Sample::from_line(&line).ok_or_else(|| format!("not a measurement: {line}"))?);
        }
    }
    Ok(rows)
}

/// Starts a process that appends, and kills it in the middle of that.
fn kill_a_writer(cx: &Context) -> Result {
    let mut writer = Command::new(std::env::current_exe()?)
        .args(["--one", "append", "", "", &cx.entries.to_string()])
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    BufReader::new(writer.stdout.take().ok_or("no pipe")?).read_line(&mut line)?;
    std::thread::sleep(Duration::from_millis(50));
    writer.kill()?;
    writer.wait()?;
    Ok(())
}
