//! Runs every example of every crate, each in an empty directory of its own, and wants it to end well and to print what a
//! comment at the end of its file says: `// prints:` and below it the lines, each behind `// `.

use std::{
    env::consts::EXE_SUFFIX,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::run::{self, Outcome, cargo, root, target};

pub(crate) fn run() -> Outcome {
    run::run("build of the examples", &mut cargo(&["build", "--examples"]))?;
    let scratch = target().join("examples-run");
    for Example { name: example, file } in list()? {
        let dir = scratch.join(&example);
        let io = |error| format!("{}: {error}", dir.display());
        if dir.exists() {
            fs::remove_dir_all(&dir).map_err(io)?;
        }
        fs::create_dir_all(&dir).map_err(io)?;
        println!("\n── example {example}");
        // Itself: cargo would build the one package again, for which it chooses other features.
        let mut program =
            Command::new(target().join("debug").join("examples").join(format!("{example}{}", EXE_SUFFIX)));
        let output = program.current_dir(&dir).stderr(Stdio::inherit()).output();
        let output = output.map_err(|error| format!("example {example} could not be started: {error}"))?;
        let printed = String::from_utf8_lossy(&output.stdout);
        print!("{printed}");
        if !output.status.success() {
            return Err(format!("example {example} failed ({})", output.status));
        }
        let text = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        if let Some(said) = prints(&text)
            && said != printed.lines().collect::<Vec<_>>()
        {
            return Err(format!("example {example} printed something else than {} says", file.display()));
        }
    }
    Ok(())
}

/// The lines that an example says it prints.
fn prints(text: &str) -> Option<Vec<&str>> {
    let (_, said) = text.split_once("\n// prints:\n")?;
    Some(
        said.lines()
            .filter_map(|line| line.strip_prefix("//"))
            .map(|line| line.strip_prefix(' ').unwrap_or(line))
            .collect(),
    )
}

struct Example {
    name: String,
    file: PathBuf,
}

/// The examples there are: `crates/PACKAGE/examples/NAME.rs`, or a directory `NAME` with a `main.rs`.
fn list() -> Result<Vec<Example>, String> {
    let mut found = Vec::new();
    for package in names(&root().join("crates"))? {
        let dir = root().join("crates").join(&package).join("examples");
        if !dir.is_dir() {
            continue;
        }
        for name in names(&dir)? {
            if let Some(stem) = name.strip_suffix(".rs") {
                found.push(Example { name: stem.to_owned(), file: dir.join(&name) });
            } else if dir.join(&name).join("main.rs").is_file() {
                found.push(Example { file: dir.join(&name).join("main.rs"), name });
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
