//! [`Values`], what each bitvector should hold. Its file's name tells the field and the value only through an escape that
//! several queries share, so each value met in the log whose name is the file's becomes a [`Candidate`].

use std::collections::HashMap;

use flumedb::codec::Field;

use super::{
    Predicates,
    lists::{self, Found},
    paths::{Paths, Reading},
    scalar::Scalar,
};
use crate::{Doc, bipf::BipfDoc};

/// The bitvectors of a directory.
#[derive(Default)]
pub(super) struct Values {
    files: Files,
    /// Files that ask for a value, by path and by the value's name.
    named: HashMap<usize, Names>,
    /// Files that ask whether nothing is there, by path.
    absent: HashMap<usize, Vec<usize>>,
    /// Files whose function is known, by path.
    judged: HashMap<usize, Vec<(usize, String)>>,
}

/// What one file may hold.
#[derive(Debug, Default)]
pub(super) struct Bitvector {
    pub(super) candidates: Vec<Candidate>,
    /// The function that its name tells of, if that is not known here.
    pub(super) function: Option<String>,
    /// There were more values of this name than are kept.
    pub(super) overflow: bool,
}

/// Something that the file may have been asked for, and the records that answer it.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) path: usize,
    /// It asks for what is not there, at a path with an underscore in a name, which may be no path at all.
    pub(super) joined: bool,
    pub(super) asks: Asks,
    /// The field of a list's items that it is asked of, if it is one of no path.
    pub(super) pluck: String,
    /// Records that have the value.
    pub(super) equal: Vec<u32>,
    /// Records that have it in a list.
    pub(super) within: Vec<u32>,
    /// Those of them that have it only as the last item.
    pub(super) last: Vec<u32>,
}

/// What a candidate asks for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Asks {
    Value(Scalar),
    Absent,
    Function(String),
}

/// One record on its way through.
pub(super) struct Entry<'e, 'd> {
    pub(super) record: u32,
    pub(super) document: &'d Doc,
    pub(super) fields: &'e [Option<Field<'d>>],
}

impl Entry<'_, '_> {
    fn field(&self, path: usize) -> Option<&Field<'_>> {
        self.fields.get(path)?.as_ref()
    }

    /// The value at a path as BIPF, into which others are turned; one that is undefined, too, which no field is.
    pub(super) fn value(&self, path: &[&str]) -> Option<BipfDoc> {
        match self.document.part(path)? {
            Doc::Bipf(value) => Some(value),
            other => BipfDoc::from_json(&other.json()).ok(),
        }
    }
}

impl Values {
    /// Adds a bitvector by the name of its file; its number comes back.
    pub(super) fn add(&mut self, stem: &str, paths: &mut Paths, predicates: &Predicates) -> usize {
        let file = self.files.0.len();
        let mut bitvector = Bitvector::default();
        for Reading { path, rest, joined } in paths.readings(stem) {
            self.named.entry(path).or_default().entry(rest.to_owned()).or_default().push(file);
            if rest.is_empty() {
                bitvector.candidates.push(Candidate::new(path, joined, Asks::Value(Scalar::Missing)));
            }
        }
        if let Some(path) = stem.strip_suffix("__absent") {
            for (path, joined) in paths.whole(path) {
                self.absent.entry(path).or_default().push(file);
                bitvector.candidates.push(Candidate::new(path, joined, Asks::Absent));
            }
        }
        match stem.split_once("__pred_") {
            Some((path, name)) if predicates.contains_key(name) => {
                for (path, joined) in paths.whole(path) {
                    self.judged.entry(path).or_default().push((file, name.to_owned()));
                    bitvector.candidates.push(Candidate::new(path, joined, Asks::Function(name.to_owned())));
                }
            }
            Some((_, name)) => bitvector.function = Some(name.to_owned()),
            None => {}
        }
        self.files.0.push(bitvector);
        file
    }

    /// Takes in a record.
    pub(super) fn take(&mut self, entry: &Entry<'_, '_>, paths: &Paths, predicates: &Predicates) {
        for (&path, names) in &self.named {
            match entry.field(path) {
                None => {
                    self.files.found(names, path, "", || Scalar::Missing, entry.record);
                    if let Some((list, item)) = paths.list_above(path, entry.fields) {
                        self.files.items(names, path, entry, &list, &item);
                    }
                }
                Some(Field::Array) => self.files.items(names, path, entry, &paths.names(path), &[]),
                Some(field) => {
                    if let (Some(name), Some(scalar)) = (Scalar::name_of(field), Scalar::of(field)) {
                        self.files.found(names, path, &name, || scalar.clone(), entry.record);
                    }
                }
            }
        }
        for (&path, files) in &self.absent {
            if entry.field(path).is_none() && entry.value(&paths.names(path)).is_none() {
                files.iter().for_each(|file| self.files.push(*file, path, Asks::Absent, entry.record));
            }
        }
        for (&path, files) in &self.judged {
            for (file, name) in files {
                if predicates.get(name).is_some_and(|judge| judge(entry.field(path))) {
                    self.files.push(*file, path, Asks::Function(name.clone()), entry.record);
                }
            }
        }
    }

    pub(super) fn get(&self, file: usize) -> Option<&Bitvector> {
        self.files.0.get(file)
    }
}

#[derive(Default)]
struct Files(Vec<Bitvector>);

impl Files {
    /// Candidates kept for a file.
    const KEPT: usize = 32;

    /// A value of this name stands in a record.
    fn found(&mut self, names: &Names, path: usize, name: &str, value: impl Fn() -> Scalar, record: u32) {
        for &file in names.get(name).into_iter().flatten() {
            self.push(file, path, Asks::Value(value()), record);
        }
    }

    fn push(&mut self, file: usize, path: usize, asks: Asks, record: u32) {
        if let Some(candidate) = self.candidate(file, path, asks, "") {
            candidate.equal.push(record);
        }
    }

    /// Looks into the list at a path, at `inside` of its items.
    fn items(&mut self, names: &Names, path: usize, entry: &Entry<'_, '_>, list: &[&str], inside: &[&str]) {
        let Some(list) = entry.value(list) else { return };
        for Found { name, scalar, pluck, is_last } in lists::within(list.value(), inside, names) {
            for &file in names.get(&name).into_iter().flatten() {
                let Some(candidate) = self.candidate(file, path, Asks::Value(scalar.clone()), &pluck) else { continue };
                candidate.within.push(entry.record);
                if is_last {
                    candidate.last.push(entry.record);
                }
            }
        }
    }

    fn candidate(&mut self, file: usize, path: usize, asks: Asks, pluck: &str) -> Option<&mut Candidate> {
        let file = self.0.get_mut(file)?;
        let same = |known: &Candidate| known.path == path && known.asks == asks && known.pluck == pluck;
        let known = file.candidates.iter().position(same);
        if known.is_none() && file.candidates.len() >= Self::KEPT {
            file.overflow = true;
            return None;
        }
        let at = known.unwrap_or_else(|| {
            file.candidates.push(Candidate { pluck: pluck.to_owned(), ..Candidate::new(path, false, asks) });
            file.candidates.len() - 1
        });
        file.candidates.get_mut(at)
    }
}

/// Files by the name of the value that they ask for.
type Names = HashMap<String, Vec<usize>>;

impl Candidate {
    fn new(path: usize, joined: bool, asks: Asks) -> Self {
        Self { path, joined, asks, pluck: String::new(), equal: Vec::new(), within: Vec::new(), last: Vec::new() }
    }
}
