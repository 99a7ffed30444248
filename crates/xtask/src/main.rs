//! The project's tasks, `cargo xtask TASK`, with nothing to install but Rust. One file per task; what a task does it
//! does by calling cargo.
#![allow(clippy::disallowed_methods, reason = "tasks run on the real machine, outside the library")]

mod audit;
mod bench;
mod binaries;
mod demo;
mod docs;
mod examples;
mod lint;
mod loom;
mod planted;
mod promises;
mod run;
mod soak;
mod test;
mod tsan;

use std::process::ExitCode;

use run::Outcome;

const HELP: &str = "\
cargo xtask TASK

  demo                         take in the sample log, build its views, ask three questions
  ci                           all of lint, audit, test and examples: what every change must pass
  test                         unit, integration and documentation tests
  lint                         formatting, clippy, documentation and documents, in which a warning is an error; whether the
                               models of threads can be built
  examples                     run every example
  audit                        licences, sources and known faults of dependencies
  planted [BUGS]               put bugs in, one after the other, and have a test find each
  promises [--soak N] [--write]  run the tests that docs/durability.md names for each promise, and print what each has done;
                               the long forms, for N minutes each; keep the figures in the document
  loom                         appends and subscriptions in every order of their threads
  tsan                         tests with many threads under ThreadSanitizer
  soak [MINUTES]               the tests that take long, each for that many minutes (default 10)
  bench [NAMES] [--entries N]  measure, beside other stores and the machine's own limits
  help                         this list
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (task, rest) = args.split_first().map_or(("help", &[][..]), |(task, rest)| (task.as_str(), rest));
    let outcome = match task {
        "ci" => ci(),
        "test" => test::run(),
        "lint" => lint::run(),
        "demo" => demo::run(),
        "examples" => examples::run(),
        "planted" => planted::run(rest),
        "promises" => promises::run(rest),
        "audit" => audit::run(),
        "loom" => loom::run(),
        "tsan" => tsan::run(),
        "soak" => soak::run(rest),
        "bench" => bench::run(rest),
        "help" | "--help" | "-h" => {
            print!("{HELP}");
            Ok(())
        }
        other => Err(format!("there is no task `{other}`; `cargo xtask help` lists them")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
    }
}

fn ci() -> Outcome {
    lint::run()?;
    audit::run()?;
    test::run()?;
    examples::run()?;
    println!("\nall is well");
    Ok(())
}
