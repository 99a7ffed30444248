//! [`Words`], what a word is, in a text and in a query alike: found by Unicode's rules, and brought to one form.

mod form;
mod iter;

pub(crate) use iter::{Word, WordIter};

/// The rules by which words are found and compared.
///
/// Words are found by Unicode's segmentation (UAX #29), and end besides at whatever is no letter, digit or mark, so that
/// `example.com` and `don't` are two words each that stand side by side. An ideograph is a word, and so is an emoji. Words
/// are compared in compatibility form (NFKC) without regard to case; with [`Words::fold_diacritics`] also without regard
/// to accents. Of a word longer than [`Words::MAX_BYTES`] the beginning counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Words {
    fold: bool,
}

impl Words {
    /// Of a longer word so many bytes count.
    pub const MAX_BYTES: usize = 255;

    /// Words that differ where their accents do.
    pub const fn new() -> Self {
        Self { fold: false }
    }

    /// Sets whether `café` and `cafe` are the same word.
    #[must_use]
    pub const fn fold_diacritics(mut self, fold: bool) -> Self {
        self.fold = fold;
        self
    }

    /// The words of a text as they are compared, in order.
    ///
    /// ```
    /// use flumedb_search::Words;
    /// assert_eq!(Words::new().of("Ｈigh-tide at 東京 🌊").collect::<Vec<_>>(), ["high", "tide", "at", "東", "京", "🌊"]);
    /// assert_eq!(Words::new().fold_diacritics(true).of("Crème brûlée").collect::<Vec<_>>(), ["creme", "brulee"]);
    /// ```
    pub fn of(self, text: &str) -> impl Iterator<Item = String> {
        self.places(text).map(|word| word.form)
    }

    /// The words of a text and where they stand in it.
    pub(crate) fn places(self, text: &str) -> WordIter<'_> {
        WordIter::new(self, text)
    }

    /// In a few letters, for what is built with these rules. Another way to find words needs another number.
    pub(crate) fn name(self) -> &'static str {
        if self.fold { "words/1+fold" } else { "words/1" }
    }
}

impl Default for Words {
    fn default() -> Self {
        Self::new()
    }
}
