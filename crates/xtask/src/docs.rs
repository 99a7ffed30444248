//! Looks after the documents: a link leads somewhere, a promise names a test that is there, and so does a bug that is put in.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    planted, promises,
    run::{Outcome, root},
};

pub(crate) fn run() -> Outcome {
    println!("\n── documents");
    let mut wrong = Vec::new();
    for page in pages()? {
        let text = fs::read_to_string(&page).map_err(|error| format!("{}: {error}", page.display()))?;
        let dir = page.parent().unwrap_or(Path::new(""));
        let missing = links(&text).filter(|link| !dir.join(link).exists());
        wrong.extend(missing.map(|link| format!("{} links to {link}, which is not there", page.display())));
        if page.ends_with("durability.md") {
            wrong.extend(promises::promises(&text).err());
        }
        if ["durability.md", "README.md", "SECURITY.md"].iter().any(|name| page.ends_with(name)) {
            let missing = tests(&text).filter(|test| !is_test(test));
            wrong.extend(missing.map(|test| format!("{} names the test {test}, which is not there", page.display())));
        }
    }
    wrong.extend(planted::check_list().err());
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}

/// The documents at the top, in `docs` and in `docs/decisions`.
fn pages() -> Result<Vec<PathBuf>, String> {
    let mut pages = Vec::new();
    for dir in [root(), root().join("docs"), root().join("docs").join("decisions")] {
        let entries = fs::read_dir(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
        pages.extend(
            entries.flatten().map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "md")),
        );
    }
    pages.sort();
    Ok(pages)
}

/// What links within the project point to.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target);
    targets
        .filter(|target| !target.contains("://") && !target.starts_with('#') && !target.contains(' '))
        .map(|target| target.split_once('#').map_or(target, |(path, _)| path))
}

/// Files of Rust that are named in code style and without a folder.
fn tests(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2).filter(|code| code.ends_with(".rs") && !code.contains('/'))
}

fn is_test(name: &str) -> bool {
    let crates = fs::read_dir(root().join("crates")).into_iter().flatten().flatten();
    crates.into_iter().any(|entry| entry.path().join("tests").join(name).is_file())
}
