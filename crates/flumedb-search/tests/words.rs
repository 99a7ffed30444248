//! Guards against words that are found in a text and not in a query, or in one spelling and not in another; against
//! scripts without spaces, accents and emoji that break what is found.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use flumedb_search::Words;
use proptest::prelude::*;

fn of(text: &str) -> Vec<String> {
    Words::new().of(text).collect()
}

#[test]
fn words_are_found_in_every_script() {
    for (text, words) in [
        ("The tide, at 6:30!", vec!["the", "tide", "at", "6", "30"]),
        ("don't e-mail me@example.com", vec!["don", "t", "e", "mail", "me", "example", "com"]),
        ("snake_case 3.14", vec!["snake", "case", "3", "14"]),
        ("東京タワー", vec!["東", "京", "タワー"]),
        ("ﾊﾞｰ バー", vec!["バー", "バー"]),
        ("한국어 조선글", vec!["한국어", "조선글"]),
        ("Ёлка прилива", vec!["ёлка", "прилива"]),
        ("Ὀδυσσεύς ΟΔΥΣΣΕΎΣ", vec!["ὀδυσσεύσ", "οδυσσεύσ"]),
        ("Straße STRASSE", vec!["strasse", "strasse"]),
        ("ﬁnal Ｆｕｌｌ ①", vec!["final", "full", "1"]),
        ("½ ™", vec!["1", "2"]),
        ("मराठी", vec!["मराठी"]),
        ("tide🌊wave ❤️ ❤ 👩‍🚀 🇳🇿", vec!["tide", "🌊", "wave", "❤", "❤", "👩\u{200d}🚀", "🇳🇿"]),
        ("a\u{ad}b می\u{200c}خواهم", vec!["ab", "میخواهم"]),
        (" \0 -- … ' \u{301}", vec![]),
        ("nul\0between", vec!["nul", "between"]),
    ] {
        assert_eq!(of(text), words, "{text:?}");
    }
}

#[test]
fn accents_count_unless_folded() {
    let folded = |text: &str| Words::new().fold_diacritics(true).of(text).collect::<Vec<_>>();
    assert_ne!(of("Crème"), of("creme"));
    assert_eq!(folded("Crème BRÛLÉE Ångström"), ["creme", "brulee", "angstrom"]);
    assert_eq!(folded("がぎ 한 मराठी"), of("がぎ 한 मराठी"), "marks that are no accents stay");
}

#[test]
fn of_a_long_word_the_beginning_counts() {
    let long = "é".repeat(5_000_000);
    let words = of(&long);
    assert_eq!(words.len(), 1);
    assert!(words[0].len() <= Words::MAX_BYTES && words[0].len() > Words::MAX_BYTES - 4);
    assert_eq!(of(&"a".repeat(1_000_000)), ["a".repeat(Words::MAX_BYTES)]);
}

proptest! {
    #[test]
    fn no_text_breaks_it(text in any::<String>(), fold in any::<bool>()) {
        for word in Words::new().fold_diacritics(fold).of(&text) {
            prop_assert!(!word.is_empty() && word.len() <= Words::MAX_BYTES);
        }
    }

    /// However it is composed, and whatever its case.
    #[test]
    fn spellings_do_not_matter(text in "[a-zA-ZäöüÄÖÜéÉàñçåøß가-힣がぎパ .,'0-9東京]{0,40}") {
        use unicode_normalization::UnicodeNormalization;
        let words = of(&text);
        prop_assert_eq!(&of(&text.nfd().collect::<String>()), &words);
        prop_assert_eq!(&of(&text.to_uppercase()), &words);
        prop_assert_eq!(&of(&text.to_lowercase()), &words);
        prop_assert_eq!(&of(&words.join(" ")), &words);
    }
}
