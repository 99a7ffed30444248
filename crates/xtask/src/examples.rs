//! Runs every example of every crate, each in an empty directory of its own, and wants it to end well.

use std::{fs, path::Path};

use crate::run::{self, Outcome, cargo, root};

pub(crate) fn run() -> Outcome {
    run::run("build of the examples", &mut cargo(&["build", "--examples"]))?;
    let manifest = root().join("Cargo.toml");
    let scratch = root().join("target").join("examples-run");
    for (package, example) in list()? {
        let dir = scratch.join(&example);
        let io = |error| format!("{}: {error}", dir.display());
        if dir.exists() {
            fs::remove_dir_all(&dir).map_err(io)?;
        }
        fs::create_dir_all(&dir).map_err(io)?;
        let mut command = cargo(&["run", "--quiet", "--package", &package, "--example", &example]);
        command.arg("--manifest-path").arg(&manifest).current_dir(&dir);
        run::run(&format!("example {example}"), &mut command)?;
    }
    Ok(())
}

/// Package and name of each example: `crates/PACKAGE/examples/NAME.rs`, or a directory `NAME` with a `main.rs`.
fn list() -> Result<Vec<(String, String)>, String> {
    let mut found = Vec::new();
    for package in names(&root().join("crates"))? {
        let dir = root().join("crates").join(&package).join("examples");
        if !dir.is_dir() {
            continue;
        }
        for name in names(&dir)? {
            if let Some(stem) = name.strip_suffix(".rs") {
                found.push((package.clone(), stem.to_owned()));
            } else if dir.join(&name).join("main.rs").is_file() {
                found.push((package.clone(), name));
            }
        }
    }
    Ok(found)
}

fn names(dir: &Path) -> Result<Vec<String>, String> {
    let io = |error| format!("{}: {error}", dir.display());
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).map_err(io)? {
        names.extend(entry.map_err(io)?.file_name().into_string().ok());
    }
    names.sort();
    Ok(names)
}
