//! [`WordIter`], the words of a text one after the other. It keeps one segment of the text in memory, however long that
//! text is.

use std::{collections::VecDeque, ops::Range};

use unicode_segmentation::{UWordBoundIndices, UnicodeSegmentation};

use super::{Words, form};

/// A word of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    /// Where it stands, in bytes. Words that one character stands for, as `㎞²`, have the same place.
    pub(crate) place: Range<usize>,
    /// As it is compared.
    pub(crate) form: String,
}

/// The words of a text.
pub(crate) struct WordIter<'a> {
    words: Words,
    text: &'a str,
    at: usize,
    /// Segments of a piece that is not ASCII, and where that piece begins.
    segments: Option<(usize, UWordBoundIndices<'a>)>,
    found: VecDeque<Word>,
}

impl<'a> WordIter<'a> {
    pub(super) fn new(words: Words, text: &'a str) -> Self {
        Self { words, text, at: 0, segments: None, found: VecDeque::new() }
    }

    /// The next piece of the text without an ASCII character that parts words whatever stands around it.
    fn piece(&mut self) -> Option<(usize, &'a str)> {
        let parts = |byte: &u8| byte.is_ascii() && !byte.is_ascii_alphanumeric();
        let rest = self.text.as_bytes().get(self.at..)?;
        let start = self.at + rest.iter().position(|byte| !parts(byte))?;
        let rest = self.text.get(start..)?;
        let piece = rest.get(..rest.as_bytes().iter().position(parts).unwrap_or(rest.len()))?;
        self.at = start + piece.len();
        Some((start, piece))
    }

    /// Finds the words in a segment that begins at `start`.
    fn look_into(&mut self, start: usize, segment: &str) {
        let mut any = false;
        let mut rest = 0;
        while let Some(from) = segment.get(rest..).and_then(|tail| tail.find(form::is_part)).map(|at| rest + at) {
            let tail = segment.get(from..).unwrap_or_default();
            let run = tail.get(..tail.find(|c| !form::is_part(c)).unwrap_or(tail.len())).unwrap_or_default();
            rest = from + run.len();
            if !run.contains(char::is_alphanumeric) {
                continue;
            }
            any = true;
            let place = start + from..start + rest;
            // The form of one character may be several words: `½` is `1⁄2`.
            for form in form::of(run, self.words).split(|c| !form::is_part(c)) {
                if form.contains(char::is_alphanumeric) {
                    self.found.push_back(Word { place: place.clone(), form: form.to_owned() });
                }
            }
        }
        if !any && segment.contains(form::is_picture) {
            let place = start..start + segment.len();
            self.found.push_back(Word { place, form: form::of_picture(segment) });
        }
    }
}

impl Iterator for WordIter<'_> {
    type Item = Word;

    fn next(&mut self) -> Option<Word> {
        loop {
            if let Some(word) = self.found.pop_front() {
                return Some(word);
            }
            if let Some((start, segments)) = &mut self.segments {
                match segments.next() {
                    Some((at, segment)) => {
                        let start = *start + at;
                        self.look_into(start, segment);
                    }
                    None => self.segments = None,
                }
                continue;
            }
            let (start, piece) = self.piece()?;
            if piece.is_ascii() {
                return Some(Word { place: start..start + piece.len(), form: form::of_ascii(piece) });
            }
            self.segments = Some((start, piece.split_word_bound_indices()));
        }
    }
}
