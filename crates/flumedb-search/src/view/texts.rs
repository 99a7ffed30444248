//! [`Texts`], the texts of one entry.

use std::sync::Arc;

use flumedb::{Error, ErrorKind, Result};

/// Gives the texts of an item.
pub(crate) type TextsOf<T> = Arc<dyn Fn(&T, &mut Texts) + Send + Sync>;

/// The texts of one entry, by field.
#[derive(Debug)]
pub struct Texts {
    fields: Arc<[String]>,
    texts: Vec<(usize, String)>,
    unknown: Option<String>,
}

impl Texts {
    /// Adds a text in a field. A field may have several; a phrase is found within one. The view stops at an entry with a
    /// text in a field that was not declared.
    pub fn add(&mut self, field: &str, text: impl Into<String>) {
        match self.fields.iter().position(|of| of == field) {
            Some(number) => self.texts.push((number, text.into())),
            None => self.unknown = Some(field.to_owned()),
        }
    }

    /// The texts of an item.
    pub(crate) fn of<T>(texts: &TextsOf<T>, fields: &Arc<[String]>, item: &T) -> Result<Self> {
        let mut all = Self { fields: fields.clone(), texts: Vec::new(), unknown: None };
        texts(item, &mut all);
        match all.unknown {
            None => Ok(all),
            Some(field) => Err(Error::new(
                ErrorKind::Invalid,
                format!("there is no field {field:?} in this search; declare it where the search is made"),
            )),
        }
    }

    /// Whether there is no letter in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.texts.iter().all(|(_, text)| text.is_empty())
    }

    /// The same, owned.
    pub(crate) fn into_vec(self) -> Vec<(usize, String)> {
        self.texts
    }

    /// The texts, each with the number of its field.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, &str)> {
        self.texts.iter().map(|(field, text)| (*field, &**text))
    }
}
