//! Snippets: the piece of a text that shows most of what was looked for, with marks around the words.

use std::{borrow::Cow, collections::BTreeSet, ops::Range};

use crate::{
    query::{Query, matched},
    words::{Word, Words},
};

/// What stands around the words that were looked for, and how much is shown.
///
/// ```
/// use flumedb_search::{Marks, Query, Words};
/// let query = Query::parse("tid*", Words::new(), &[])?;
/// let marks = Marks::new("<b>", "</b>").html();
/// assert_eq!(marks.highlight(&query, Words::new(), "Ebb & flow: the tides"), "Ebb &amp; flow: the <b>tides</b>");
/// # Ok::<(), flumedb::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Marks {
    before: String,
    after: String,
    chars: usize,
    html: bool,
}

impl Marks {
    /// About how many characters are shown, unless [`chars`](Marks::chars) says otherwise.
    pub const CHARS: usize = 160;

    /// These before and after each word.
    pub fn new(before: impl Into<String>, after: impl Into<String>) -> Self {
        Self { before: before.into(), after: after.into(), chars: Self::CHARS, html: false }
    }

    /// Writes the text so that HTML shows it as it is; the marks are taken for HTML.
    #[must_use]
    pub fn html(mut self) -> Self {
        self.html = true;
        self
    }

    /// Sets about how many characters are shown. A word is never cut, unless it is longer than that.
    #[must_use]
    pub fn chars(mut self, chars: usize) -> Self {
        self.chars = chars;
        self
    }

    /// The piece of `text` that shows most of what `query` looks for. Fields do not count.
    pub fn highlight(&self, query: &Query, words: Words, text: &str) -> String {
        let mut query = query.clone();
        query.clauses.iter_mut().for_each(|clause| clause.field = None);
        best(&query, words, std::iter::once((0, text)), self)
    }

    fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if !self.html || !text.contains(['&', '<', '>', '"', '\'']) {
            return Cow::Borrowed(text);
        }
        let mut safe = String::with_capacity(text.len() + 16);
        for c in text.chars() {
            match c {
                '&' => safe.push_str("&amp;"),
                '<' => safe.push_str("&lt;"),
                '>' => safe.push_str("&gt;"),
                '"' => safe.push_str("&quot;"),
                '\'' => safe.push_str("&#39;"),
                c => safe.push(c),
            }
        }
        Cow::Owned(safe)
    }
}

/// The best piece of several texts, each with the number of its field.
pub(super) fn best<'a>(
    query: &Query,
    words: Words,
    texts: impl Iterator<Item = (usize, &'a str)>,
    marks: &Marks,
) -> String {
    let mut best: Option<(usize, Piece<'a>)> = None;
    for (field, text) in texts {
        let piece = Piece::of(query, words, field, text, marks.chars);
        if best.as_ref().is_none_or(|(found, _)| piece.found > *found) {
            best = Some((piece.found, piece));
        }
    }
    best.map(|(_, piece)| piece.write(marks)).unwrap_or_default()
}

struct Piece<'a> {
    text: &'a str,
    shown: Range<usize>,
    /// Where words are that were looked for.
    marked: Vec<Range<usize>>,
    /// How many clauses are shown.
    found: usize,
}

impl<'a> Piece<'a> {
    /// No more words of a text are looked at.
    const WORDS: usize = 100_000;

    fn of(query: &Query, words: Words, field: usize, text: &'a str, chars: usize) -> Self {
        let words: Vec<Word> = words.places(text).take(Self::WORDS).collect();
        let mut hits: Vec<(usize, Range<usize>)> = Vec::new();
        for (word, clause) in words.iter().zip(matched(query, field, &words)) {
            if let Some(clause) = clause.filter(|_| hits.last().is_none_or(|(_, last)| last.end <= word.place.start)) {
                hits.push((clause, word.place.clone()));
            }
        }
        // The first stretch from one hit on that shows the most clauses, the most hits.
        let (mut start, mut most) = (0, (0, 0));
        for (at, (_, place)) in hits.iter().enumerate() {
            let near = hits.iter().skip(at).take_while(|(_, of)| of.end.saturating_sub(place.start) <= chars).take(64);
            let clauses: BTreeSet<usize> = near.clone().map(|(clause, _)| *clause).collect();
            let count = (clauses.len(), near.count());
            if most < count {
                (most, start) = (count, place.start);
            }
        }
        let shown = around(text, start, chars, &words);
        let marked = hits
            .into_iter()
            .map(|(_, place)| place)
            .filter(|place| shown.start <= place.start && place.end <= shown.end);
        Self { text, marked: marked.collect(), shown, found: most.0 }
    }

    fn write(&self, marks: &Marks) -> String {
        let mut snippet = String::new();
        let part = |from: usize, to: usize| marks.text(self.text.get(from..to).unwrap_or_default());
        if self.shown.start > 0 {
            snippet.push('…');
        }
        let mut at = self.shown.start;
        for place in &self.marked {
            snippet.push_str(&part(at, place.start));
            snippet.push_str(&marks.before);
            snippet.push_str(&part(place.start, place.end));
            snippet.push_str(&marks.after);
            at = place.end;
        }
        snippet.push_str(&part(at, self.shown.end));
        if self.shown.end < self.text.len() {
            snippet.push('…');
        }
        snippet
    }
}

/// A stretch of so many characters around `place`, a third of them before it, that cuts no word.
fn around(text: &str, place: usize, chars: usize, words: &[Word]) -> Range<usize> {
    if text.len() <= chars {
        return 0..text.len();
    }
    let before = text.get(..place).unwrap_or_default();
    let from = before.char_indices().rev().take(chars / 3).last().map_or(place, |(at, _)| at);
    let rest = text.get(from..).unwrap_or_default();
    let to = rest.char_indices().nth(chars).map_or(text.len(), |(at, _)| from + at);
    // To the beginning and the end of words, unless the word fills it all.
    let first = words.partition_point(|word| word.place.end <= from);
    let from = match words.get(first) {
        Some(word) if word.place.start < from && word.place.end <= place => word.place.end,
        _ => from,
    };
    let last = words.partition_point(|word| word.place.end <= to);
    let to = match words.get(last) {
        Some(word) if word.place.start < to && word.place.start > place => word.place.start,
        _ => to,
    };
    from..to.max(from)
}
