//! Runs every example of every crate, each in an empty directory of its own, and wants it to end well and to print what a
//! comment at the end of its file says: `// prints:` and below it the lines, each behind `// `. One that asserts what it
//! shows needs no such comment. All are short enough to be read at a glance.

use std::{
    env::consts::EXE_SUFFIX,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::run::{self, Outcome, cargo, root, target};

/// So many lines are too many.
const LINES: usize = 60;

pub(crate) fn run() -> Outcome {
    let examples = list()?;
    for Example { text, file, .. } in &examples {
        fault(text).map_or(Ok(()), |fault| Err(format!("{} {fault}", file.display())))?;
    }
    run::run("build of the examples", &mut cargo(&["build", "--examples"]))?;
    let scratch = target().join("examples-run");
    for Example { name: example, file, text } in examples {
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
        if let Some(said) = prints(&text)
            && said != printed.lines().collect::<Vec<_>>()
        {
            return Err(format!("example {example} printed something else than {} says", file.display()));
        }
    }
    Ok(())
}

/// What is wrong with an example, before it is run.
fn fault(text: &str) -> Option<String> {
    let lines = text.lines().count();
    if lines >= LINES {
        return Some(format!("has {lines} lines; an example has fewer than {LINES}"));
    }
    let asserts = text.lines().any(|line| line.trim_start().starts_with("assert"));
    (prints(text).is_none() && !asserts)
        .then(|| "says nowhere what comes of it: `// prints:` at its end, or assert_eq!".to_owned())
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
    text: String,
}

impl Example {
    fn read(name: String, file: PathBuf) -> Result<Self, String> {
        let text = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        Ok(Self { name, file, text })
    }
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
                found.push(Example::read(stem.to_owned(), dir.join(&name))?);
            } else if dir.join(&name).join("main.rs").is_file() {
                let file = dir.join(&name).join("main.rs");
                found.push(Example::read(name, file)?);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_example_is_short_and_says_what_comes_of_it() {
        let told = "fn main() {}\n\n// prints:\n// nothing\n";
        assert_eq!(fault(told), None);
        assert_eq!(fault("fn main() {\n    assert!(true);\n}\n"), None);
        assert!(fault("fn main() {}\n// prints: nothing\n").is_some_and(|fault| fault.contains("prints")));
        let long = |lines: usize| format!("{}{told}", "\n".repeat(lines - told.lines().count()));
        assert_eq!(fault(&long(59)), None);
        assert!(fault(&long(60)).is_some_and(|fault| fault.contains("has 60 lines")));
        assert!(
            list().is_ok_and(|examples| examples.len() > 10 && examples.iter().all(|one| fault(&one.text).is_none()))
        );
    }
}
