//! Guards against a damaged index that answers wrong, or takes the program with it: what is flipped, cut or gone is told as
//! `Corrupt`, or the index is built anew; and a new index is as good as the old.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods, reason = "a test")]

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
};

use flumedb::{Error, ErrorKind, Flume, codec::Utf8, view::Live};
use flumedb_search::{Order, Search};
use flumedb_sim::soak_or_count;

type Lines = Live<Search<String>>;

async fn open(dir: &Path) -> Result<(Flume<Utf8>, Lines), Error> {
    let db = Flume::open(dir, Utf8).await?;
    let search = db.view("search", Search::new(1, |line: &String| [line.clone()])).await?;
    Ok((db, search))
}

const QUERIES: [&str; 4] = ["tide", "number* -12 3", "\"tide number 7\"", "\"number 2*\" tide"];

async fn answers(search: &Lines) -> Result<Vec<Vec<(u64, u32)>>, Error> {
    let reader = search.read().await?;
    let mut answers = Vec::new();
    for query in QUERIES {
        for order in [Order::Newest, Order::Relevance] {
            let hits = reader.search(query)?.order(order).limit(100).hits()?;
            answers.push(hits.hits.iter().map(|hit| (hit.seq.get(), hit.score.to_bits())).collect());
        }
    }
    Ok(answers)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// The files of the index.
fn files(db: &Path) -> Vec<PathBuf> {
    let views = fs::read_dir(db.join("views")).unwrap().map(|entry| entry.unwrap().path());
    let dir = views.filter(|path| path.is_dir()).find(|path| path.join("meta.json").exists()).unwrap();
    let mut files: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn damage_is_told_or_mended_and_never_believed() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let whole = dir.path().join("whole");
    let right = runtime.block_on(async {
        let (db, search) = open(&whole).await.unwrap();
        let mut seqs = Vec::new();
        for batch in 0..4 {
            let lines: Vec<String> = (0..600).map(|line| format!("tide number {} of {batch}", line * batch)).collect();
            seqs = db.append_all(lines.iter().map(|line| &**line)).await.unwrap();
            db.delete([seqs[7], seqs[8]]).await.unwrap();
            search.read().await.unwrap();
        }
        db.close().await.unwrap();
        // What is deleted of a stored segment.
        let (db, search) = open(&whole).await.unwrap();
        db.delete([seqs[1], seqs[50]]).await.unwrap();
        let right = answers(&search).await.unwrap();
        db.close().await.unwrap();
        right
    });
    assert!(files(&whole).iter().any(|file| file.extension().is_some_and(|of| of == "del")), "something is deleted");
    let told = AtomicUsize::new(0);
    soak_or_count(72, |number| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        // Anywhere, and each place another for each file.
        let any = |of: usize| number.wrapping_mul(0x9e37_79b9_7f4a_7c15) / 65_537 % of.max(1);
        let dir = tempfile::tempdir().unwrap();
        let db = dir.path().join("db");
        copy(&whole, &db);
        let files = files(&db);
        let path = &files[number % files.len()];
        let mut bytes = fs::read(path).unwrap();
        let at = any(bytes.len());
        match number / files.len() % 6 {
            0 => bytes.truncate(at),
            1 => bytes.extend_from_slice(&[0; 9]),
            _ => bytes[at] ^= 1 << any(8),
        }
        fs::write(path, &bytes).unwrap();
        if any(10) == 0 {
            fs::remove_file(path).unwrap();
        }
        runtime.block_on(async {
            let (db, search) = open(&db).await.unwrap();
            match answers(&search).await {
                Ok(answers) => assert_eq!(answers, right, "{number}: {}", path.display()),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Corrupt, "{number}: {error}");
                    told.fetch_add(1, Ordering::Relaxed);
                }
            }
            search.rebuild().await.unwrap();
            assert_eq!(answers(&search).await.unwrap(), right, "{number}");
            db.close().await.unwrap();
        });
    });
    let told = told.into_inner();
    assert!(told > 0, "some damage is only seen when it is read");
    println!("{told} damages were told to a reader, the others mended or of no effect");
}
