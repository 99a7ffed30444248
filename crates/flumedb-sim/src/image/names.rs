//! [`Names`], directories and what is in them, now and after a power cut.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Component, Path, PathBuf},
};

use crate::Choices;

/// What a name stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Node {
    Dir(u64),
    File(u64),
}

#[derive(Clone, Default)]
struct Dir {
    now: BTreeMap<String, Node>,
    disk: BTreeMap<String, Node>,
}

/// What one call did: for each name in a directory, what it stands for afterwards.
#[derive(Clone)]
struct Change(Vec<(u64, String, Option<Node>)>);

#[derive(Clone)]
pub(crate) struct Names {
    dirs: BTreeMap<u64, Dir>,
    pending: Vec<Change>,
    next_dir: u64,
}

const ROOT: u64 = 0;

impl Default for Names {
    fn default() -> Self {
        Self { dirs: BTreeMap::from([(ROOT, Dir::default())]), pending: Vec::new(), next_dir: ROOT + 1 }
    }
}

impl Names {
    /// What is at `path`.
    pub(crate) fn find(&self, path: &Path) -> io::Result<Option<Node>> {
        let mut node = Node::Dir(ROOT);
        for name in parts(path)? {
            let Node::Dir(dir) = node else { return Err(io::ErrorKind::NotADirectory.into()) };
            match self.dirs[&dir].now.get(name) {
                Some(found) => node = *found,
                None => return Ok(None),
            }
        }
        Ok(Some(node))
    }

    /// The directory at `path`.
    pub(crate) fn dir(&self, path: &Path) -> io::Result<u64> {
        match self.find(path)? {
            Some(Node::Dir(dir)) => Ok(dir),
            Some(Node::File(_)) => Err(io::ErrorKind::NotADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    pub(crate) fn create(&mut self, path: &Path, node: Node) -> io::Result<()> {
        let (dir, name) = self.place(path)?;
        if self.dirs[&dir].now.contains_key(&name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.change(Change(vec![(dir, name, Some(node))]));
        Ok(())
    }

    pub(crate) fn create_dirs(&mut self, path: &Path) -> io::Result<()> {
        let mut made = PathBuf::new();
        for name in parts(path)? {
            made.push(name);
            match self.find(&made)? {
                Some(Node::Dir(_)) => {}
                Some(Node::File(_)) if made.as_path() == path => return Err(io::ErrorKind::AlreadyExists.into()),
                Some(Node::File(_)) => return Err(io::ErrorKind::NotADirectory.into()),
                None => {
                    let dir = self.next_dir;
                    self.next_dir += 1;
                    self.dirs.insert(dir, Dir::default());
                    self.create(&made, Node::Dir(dir))?;
                }
            }
        }
        Ok(())
    }

    pub(crate) fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        Ok(self.dirs[&self.dir(path)?].now.keys().cloned().collect())
    }

    pub(crate) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let node = self.find(from)?.ok_or(io::ErrorKind::NotFound)?;
        let (from_dir, from_name) = self.place(from)?;
        let (to_dir, to_name) = self.place(to)?;
        match (node, self.find(to)?) {
            (_, Some(there)) if there == node => return Ok(()),
            (Node::Dir(_), _) if parts(to)?.starts_with(&parts(from)?) => {
                return Err(io::ErrorKind::InvalidInput.into());
            }
            (Node::File(_), Some(Node::Dir(_))) => return Err(io::ErrorKind::IsADirectory.into()),
            (Node::Dir(_), Some(Node::File(_))) => return Err(io::ErrorKind::NotADirectory.into()),
            (Node::Dir(_), Some(Node::Dir(there))) if !self.dirs[&there].now.is_empty() => {
                return Err(io::ErrorKind::DirectoryNotEmpty.into());
            }
            _ => {}
        }
        self.change(Change(vec![(from_dir, from_name, None), (to_dir, to_name, Some(node))]));
        Ok(())
    }

    pub(crate) fn remove(&mut self, path: &Path) -> io::Result<()> {
        match self.find(path)? {
            Some(Node::File(_)) => {}
            Some(Node::Dir(_)) => return Err(io::ErrorKind::IsADirectory.into()),
            None => return Err(io::ErrorKind::NotFound.into()),
        }
        let (dir, name) = self.place(path)?;
        self.change(Change(vec![(dir, name, None)]));
        Ok(())
    }

    pub(crate) fn remove_dir_all(&mut self, path: &Path) -> io::Result<()> {
        for name in self.list(path)? {
            let inside = path.join(name);
            match self.find(&inside)? {
                Some(Node::Dir(_)) => self.remove_dir_all(&inside)?,
                _ => self.remove(&inside)?,
            }
        }
        let (dir, name) = self.place(path)?;
        self.change(Change(vec![(dir, name, None)]));
        Ok(())
    }

    /// Makes what happened in a directory durable, and with it the earlier changes to the same names elsewhere.
    pub(crate) fn sync(&mut self, path: &Path) -> io::Result<()> {
        let dir = self.dir(path)?;
        let mut names = BTreeSet::new();
        let (mut synced, mut pending) = (Vec::new(), Vec::new());
        for change in std::mem::take(&mut self.pending).into_iter().rev() {
            if change.0.iter().any(|(d, name, _)| *d == dir || names.contains(&(*d, name.clone()))) {
                names.extend(change.0.iter().map(|(dir, name, _)| (*dir, name.clone())));
                synced.push(change);
            } else {
                pending.push(change);
            }
        }
        pending.reverse();
        self.pending = pending;
        for change in synced.iter().rev() {
            self.settle_one(change);
        }
        Ok(())
    }

    /// Makes everything durable.
    pub(super) fn settle(&mut self) {
        for change in std::mem::take(&mut self.pending) {
            self.settle_one(&change);
        }
    }

    /// The names after a power cut.
    pub(super) fn after_crash(&self, choices: &mut Choices) -> Self {
        let mut names = self.clone();
        for change in std::mem::take(&mut names.pending) {
            if choices.pick(2) == 1 {
                names.settle_one(&change);
            }
        }
        for dir in names.dirs.values_mut() {
            dir.now.clone_from(&dir.disk);
        }
        names
    }

    pub(super) fn crash_ways(&self) -> f64 {
        (self.pending.len() as f64).exp2()
    }

    /// The files as of now, in order of their paths.
    pub(super) fn files(&self) -> impl Iterator<Item = (PathBuf, u64)> {
        let mut found = Vec::new();
        let mut dirs = vec![(PathBuf::new(), ROOT)];
        while let Some((path, dir)) = dirs.pop() {
            for (name, node) in &self.dirs[&dir].now {
                match node {
                    Node::Dir(dir) => dirs.push((path.join(name), *dir)),
                    Node::File(file) => found.push((path.join(name), *file)),
                }
            }
        }
        found.sort();
        found.into_iter()
    }

    fn settle_one(&mut self, change: &Change) {
        for (dir, name, node) in &change.0 {
            if let Some(dir) = self.dirs.get_mut(dir) {
                set(&mut dir.disk, name, *node);
            }
        }
    }

    fn change(&mut self, change: Change) {
        for (dir, name, node) in &change.0 {
            if let Some(dir) = self.dirs.get_mut(dir) {
                set(&mut dir.now, name, *node);
            }
        }
        self.pending.push(change);
    }

    /// The directory that `path` is in, and its name there.
    fn place(&self, path: &Path) -> io::Result<(u64, String)> {
        let parts = parts(path)?;
        let (name, above) = parts.split_last().ok_or(io::ErrorKind::InvalidInput)?;
        Ok((self.dir(&above.iter().collect::<PathBuf>())?, (*name).to_owned()))
    }
}

fn set(names: &mut BTreeMap<String, Node>, name: &str, node: Option<Node>) {
    match node {
        Some(node) => names.insert(name.to_owned(), node),
        None => names.remove(name),
    };
}

fn parts(path: &Path) -> io::Result<Vec<&str>> {
    let mut parts = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => parts.push(name.to_str().ok_or(io::ErrorKind::InvalidInput)?),
            Component::CurDir | Component::RootDir => {}
            Component::ParentDir | Component::Prefix(_) => return Err(io::ErrorKind::InvalidInput.into()),
        }
    }
    Ok(parts)
}
