//! The form in which a word is compared.

use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

use super::Words;

/// Whether a character can be part of a word.
pub(super) fn is_part(c: char) -> bool {
    c.is_alphanumeric() || is_combining_mark(c) || is_ignored(c)
}

/// What changes how a character looks or is joined, and not which word it is: joiners, the soft hyphen, variation
/// selectors.
pub(super) fn is_ignored(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200c}' | '\u{200d}' | '\u{2060}' | '\u{fe00}'..='\u{fe0f}')
}

/// Whether a character is a picture. Roughly: what stands in the blocks of pictures.
pub(super) fn is_picture(c: char) -> bool {
    matches!(c, '\u{1f000}'..='\u{1faff}' | '\u{2600}'..='\u{27bf}' | '\u{2b00}'..='\u{2bff}' | '\u{2300}'..='\u{23ff}')
}

/// Accents of Latin, Greek and Cyrillic letters. Marks of other scripts are letters of their own.
fn is_diacritic(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}')
}

/// The form of an ASCII word.
pub(super) fn of_ascii(word: &str) -> String {
    let mut form = word.get(..Words::MAX_BYTES).unwrap_or(word).to_owned();
    form.make_ascii_lowercase();
    form
}

/// The form of any word: in compatibility form, every letter as the small one of its capital (so that `ß` is `ss` and
/// `ς` is `σ`), no longer than what counts.
pub(super) fn of(word: &str, words: Words) -> String {
    let small =
        word.chars().filter(|c| !is_ignored(*c)).nfkc().flat_map(char::to_uppercase).flat_map(char::to_lowercase);
    if words.fold { cut(small.nfkd().filter(|c| !is_diacritic(*c)).nfkc()) } else { cut(small.nfkc()) }
}

/// The form of a picture.
pub(super) fn of_picture(picture: &str) -> String {
    cut(picture.chars().filter(|c| !matches!(c, '\u{fe00}'..='\u{fe0f}')).nfkc())
}

/// Reads no further than what counts.
fn cut(chars: impl Iterator<Item = char>) -> String {
    let mut form = String::new();
    for c in chars {
        if form.len() + c.len_utf8() > Words::MAX_BYTES {
            break;
        }
        form.push(c);
    }
    form
}
