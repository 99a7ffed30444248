//! [`Paths`], the fields that index files may be over, guessed from their names, and what stands there in an entry. Each is
//! looked up once an entry, however many files ask.

use flumedb::codec::{Document, Field};

/// Names longer than this many parts are not tried as paths.
const DEEPEST: usize = 8;

/// Fields by path; each path's beginnings are in it, too, before it.
#[derive(Debug, Default)]
pub(super) struct Paths(Vec<Path>);

#[derive(Debug)]
struct Path {
    parent: Option<usize>,
    names: Vec<String>,
    /// Whether an entry had something there.
    seen: bool,
}

/// A reading of a file's name: a path, and the rest of the name.
#[derive(Clone, Debug)]
pub(super) struct Reading<'a> {
    pub(super) path: usize,
    pub(super) rest: &'a str,
    /// Some name in the path has an underscore in it, which names of files do not tell from the one between two names.
    pub(super) joined: bool,
}

impl Paths {
    /// Every way to read `stem` as a path and a rest behind an underscore.
    pub(super) fn readings<'a>(&mut self, stem: &'a str) -> Vec<Reading<'a>> {
        let mut readings = Vec::new();
        for (end, _) in stem.match_indices('_').take(DEEPEST) {
            let (path, rest) = stem.split_at(end);
            for (path, joined) in self.whole(path) {
                readings.push(Reading { path, rest: rest.get(1..).unwrap_or_default(), joined });
            }
        }
        readings
    }

    /// Every way to read all of `stem` as a path.
    pub(super) fn whole(&mut self, stem: &str) -> Vec<(usize, bool)> {
        let names: Vec<&str> = stem.split('_').collect();
        if names.len() > DEEPEST {
            return Vec::new();
        }
        let mut paths = vec![(self.intern(&names), false)];
        for at in 1..names.len() {
            let mut joined: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            let second = joined.remove(at);
            if let Some(first) = joined.get_mut(at - 1) {
                *first = format!("{first}_{second}");
            }
            let joined: Vec<&str> = joined.iter().map(String::as_str).collect();
            paths.push((self.intern(&joined), true));
        }
        paths
    }

    /// The number of the path with these names.
    pub(super) fn intern(&mut self, names: &[&str]) -> usize {
        let mut parent = None;
        for end in 1..=names.len() {
            let names = names.get(..end).unwrap_or_default();
            let known = self.0.iter().position(|path| path.names == names);
            parent = Some(known.unwrap_or_else(|| {
                let names = names.iter().map(|name| (*name).to_owned()).collect();
                self.0.push(Path { parent, names, seen: false });
                self.0.len() - 1
            }));
        }
        parent.unwrap_or_default()
    }

    /// What stands at each path of an entry.
    pub(super) fn fields<'d>(&mut self, entry: &'d dyn Document) -> Vec<Option<Field<'d>>> {
        let mut fields: Vec<Option<Field<'d>>> = Vec::with_capacity(self.0.len());
        for path in &mut self.0 {
            let open =
                path.parent.is_none_or(|parent| matches!(fields.get(parent), Some(Some(Field::Object | Field::Array))));
            let names: Vec<&str> = path.names.iter().map(String::as_str).collect();
            let field = if open { entry.field(&names) } else { None };
            path.seen |= field.is_some();
            fields.push(field);
        }
        fields
    }

    /// The nearest list on the way to `path`, and what is left of the way within its items.
    pub(super) fn list_above(&self, path: usize, fields: &[Option<Field<'_>>]) -> Option<(Vec<&str>, Vec<&str>)> {
        let names = &self.0.get(path)?.names;
        let mut at = self.0.get(path)?.parent;
        while let Some(above) = at {
            if matches!(fields.get(above), Some(Some(Field::Array))) {
                let outer = self.0.get(above)?.names.len();
                let (list, item) = names.split_at_checked(outer)?;
                return Some((list.iter().map(String::as_str).collect(), item.iter().map(String::as_str).collect()));
            }
            at = self.0.get(above)?.parent;
        }
        None
    }

    pub(super) fn names(&self, path: usize) -> Vec<&str> {
        self.0.get(path).map(|path| path.names.iter().map(String::as_str).collect()).unwrap_or_default()
    }

    /// The path as one writes it: `value.content.type`.
    pub(super) fn text(&self, path: usize) -> String {
        self.names(path).join(".")
    }

    /// Whether any entry had something there.
    pub(super) fn is_seen(&self, path: usize) -> bool {
        self.0.get(path).is_some_and(|path| path.seen)
    }

    /// Whether it leads into what encryption hides.
    pub(super) fn is_content(&self, path: usize) -> bool {
        self.names(path).starts_with(&["value", "content"])
    }
}
