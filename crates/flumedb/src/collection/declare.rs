//! Opening a collection: what was declared of it before, and what has to be made anew because that has changed.

use super::{
    database::Database,
    envelope::{ChangeKind, KeyRange, RecordChange, Write},
    handle::{Collection, conflict},
    record::{Declaration, Record, encode_key},
    records::row::{self, At, Current, Refusal},
    snapshot::Snapshot,
    value,
};
use crate::{Bytes, Error, ErrorKind, Result, Seq, views::Key};

/// How many records are written anew at a time.
const BATCH: usize = 256;

/// The collection of `T`, when what the log says of it is what `T` says.
pub(super) async fn declare<T: Record>(db: &Database) -> Result<Collection<T>> {
    check::<T>()?;
    let wanted = Declaration::of::<T>();
    loop {
        let snapshot = db.snapshot().await?;
        let (declaration, is_declared) = match declared(&snapshot, T::NAME)? {
            None => (wanted.clone(), false),
            Some(before) => next::<T>(before, &wanted)?,
        };
        if !is_declared {
            put::<T>(db, &snapshot, &declaration).await?;
            continue;
        }
        if declaration.ready {
            return Ok(Collection::new(db, declaration.generation));
        }
        let collection = Collection::<T>::new(db, declaration.generation);
        rewrite(db, &collection, declaration.generation).await?;
        put::<T>(db, &snapshot, &Declaration { ready: true, ..declaration }).await?;
    }
}

/// What `T` says of itself must make sense.
fn check<T: Record>() -> Result<()> {
    let invalid = |message: String| Err(Error::new(ErrorKind::Invalid, message));
    if T::NAME == Declaration::COLLECTION {
        return invalid("the name of a collection must not be empty; give `Record::NAME` one".to_owned());
    }
    let indexes = T::indexes();
    for (number, index) in indexes.iter().enumerate() {
        if indexes.iter().take(number).any(|other| other.name == index.name) {
            return invalid(format!("\"{}\" has two indexes called \"{}\"; rename one", T::NAME, index.name));
        }
    }
    Ok(())
}

/// What is declared of a collection.
pub(super) fn declared(snapshot: &Snapshot, collection: &str) -> Result<Option<Declaration>> {
    let bytes = snapshot.reader.get(&row::declaration(collection))?;
    bytes.map(|bytes| value::decode(&bytes).map_err(|error| error.context(collection))).transpose()
}

/// What should be declared after `before`, and whether it is.
fn next<T: Record>(before: Declaration, wanted: &Declaration) -> Result<(Declaration, bool)> {
    let name = T::NAME;
    if before.key != wanted.key {
        let (was, is) = (&before.key, &wanted.key);
        let message = format!("the keys of \"{name}\" are {was}, not {is}; give records with other keys another name");
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    if before.version > wanted.version {
        let (was, known) = (before.version, wanted.version);
        let message = format!(
            "\"{name}\" was written under version {was} of its type, and this program knows up to {known}; use a newer \
             program"
        );
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    let same = before.version == wanted.version && before.indexes == wanted.indexes;
    if same && before.history == wanted.history {
        return Ok((before, true));
    }
    let generation = if same { before.generation } else { before.generation.saturating_add(1) };
    Ok((Declaration { generation, ready: same && before.ready, ..wanted.clone() }, false))
}

/// Declares; whether somebody else was first is seen at the next look.
async fn put<T: Record>(db: &Database, snapshot: &Snapshot, declaration: &Declaration) -> Result<()> {
    let collection = Declaration::COLLECTION.to_owned();
    let key = encode_key::<String>(T::NAME);
    let change = RecordChange {
        kind: ChangeKind::Put,
        origin: None,
        collection: collection.clone(),
        key: key.clone(),
        version: 1,
        generation: 1,
        rows: Vec::new(),
        value: value::encode(declaration)?,
    };
    let unchanged = vec![KeyRange::one(collection, key)];
    let since = snapshot.reader.since();
    db.commit(Write { since, unchanged, changes: vec![change], ..Write::default() }).await.map(drop)
}

/// Writes the records anew whose rows were made under an earlier declaration.
async fn rewrite<T: Record>(db: &Database, collection: &Collection<T>, generation: u32) -> Result<()> {
    let all = row::record(T::NAME, &[]);
    let (mut from, to) = (all.clone(), row::behind(all.clone()));
    loop {
        let snapshot = db.snapshot().await?;
        let mut writes = Vec::new();
        for row in snapshot.reader.range(&from, &to)? {
            let (place, current) = row?;
            let current = snapshot.reader.decoded(Current::decode(&current))?;
            if current.is_there() && current.generation < generation {
                let key = Bytes::copy_from_slice(place.get(all.len()..).unwrap_or_default());
                writes.push(rewritten(collection, &snapshot, key, &current)?);
            }
            from = [&*place, &[0]].concat();
            if writes.len() >= BATCH {
                break;
            }
        }
        if writes.is_empty() {
            return Ok(());
        }
        for refusal in db.commit_all(writes).await?.into_iter().flatten() {
            // One that was changed meanwhile was written by this program.
            if !matches!(refusal, Refusal::Changed { .. }) {
                return Err(conflict(&refusal, &T::Key::form()).context("an index of the collection is unique now"));
            }
        }
    }
}

/// The record, read as it is, in the form that it has now.
fn rewritten<T: Record>(
    collection: &Collection<T>,
    snapshot: &Snapshot,
    key: Bytes,
    current: &Current,
) -> Result<Write> {
    let (mut write, change) = again(snapshot, current.at, current)?;
    let record: T = value::record(&change.value, change.version)?;
    let fresh = collection.put_change(&record)?;
    if fresh.key != key {
        let message = format!("the migration of \"{}\" changes the key of a record; keys must stay", T::NAME);
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    write.changes = vec![RecordChange { kind: ChangeKind::Rewrite, origin: change.origin, ..fresh }];
    Ok(write)
}

/// What writes a record anew, as it is, unless it is changed meanwhile; and the change in it.
pub(super) fn again(snapshot: &Snapshot, at: At, current: &Current) -> Result<(Write, RecordChange)> {
    let entry = snapshot.reader.entry(Seq::new(at.0))?;
    let change = snapshot.reader.decoded(entry.changes.into_iter().nth(at.1 as usize))?;
    let origin = Some(Seq::new(current.origin));
    let change = RecordChange { kind: ChangeKind::Rewrite, origin, ..change };
    let unchanged = vec![KeyRange::one(change.collection.clone(), change.key.clone())];
    let (time_ms, since) = (entry.time_ms, snapshot.reader.since());
    let write = Write { time_ms, since, unchanged, changes: vec![change.clone()], ..Write::default() };
    Ok((write, change))
}
