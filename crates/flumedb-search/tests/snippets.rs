//! Guards against snippets that miss what was found, cut a character, or let a text become HTML.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use flumedb_search::{Marks, Query, Words};
use proptest::prelude::*;

fn snippet(query: &str, text: &str, marks: &Marks) -> String {
    let query = Query::parse_typing(query, Words::new(), &[]).unwrap();
    marks.highlight(&query, Words::new(), text)
}

#[test]
fn what_was_found_is_marked() {
    let marks = Marks::new("[", "]");
    for (query, text, shown) in [
        ("tid* high", "The tide was HIGH; tidy, not tied.", "The [tide] was [HIGH]; [tidy], not tied."),
        ("\"high tide\"", "high, low, high-tide tide", "high, low, [high]-[tide] tide"),
        ("-low tide", "low tide", "low [tide]"),
        ("東京", "京都と東京都", "京都と[東][京]都"),
        ("\"été\"", "l'e\u{301}té 🌊", "l'[e\u{301}té] 🌊"),
        ("🌊", "wave🌊❤️", "wave[🌊]❤️"),
        ("nothing", "here", "here"),
        ("½", "about ½ cup", "about [½] cup"),
    ] {
        assert_eq!(snippet(&format!("{query} "), text, &marks), shown, "{query}");
    }
    let html = Marks::new("<b>", "</b>").html();
    assert_eq!(snippet("b ", "<b onclick='x'>&", &html), "&lt;<b>b</b> onclick=&#39;x&#39;&gt;&amp;");
}

#[test]
fn the_piece_that_shows_most_is_shown() {
    let filler = "lorem ipsum dolor ".repeat(40);
    let text = format!("tide {filler} the high tide of noon {filler}");
    let shown = snippet("tide high ", &text, &Marks::new("[", "]").chars(60));
    assert!(shown.contains("[high] [tide]") && shown.starts_with('…') && shown.ends_with('…'), "{shown}");
    assert!(shown.chars().count() <= 60 + 8, "{shown}");
}

proptest! {
    #[test]
    fn a_snippet_is_a_piece_of_the_text(text in r"([a-c 東é🌊<&]|\PC){0,80}", query in "[a-c東é*]{1,4}", chars in 0_usize..40) {
        let Ok(query) = Query::parse_typing(&query, Words::new(), &[]) else { return Ok(()) };
        let shown = Marks::new("\u{1}", "\u{2}").chars(chars).highlight(&query, Words::new(), &text);
        let plain: String = shown.chars().filter(|c| !matches!(c, '\u{1}' | '\u{2}')).collect();
        let piece = plain.strip_prefix('…').unwrap_or(&plain);
        let piece = piece.strip_suffix('…').unwrap_or(piece);
        prop_assert!(text.contains(piece) || text.contains(&plain));
        let html = Marks::new("", "").html().chars(chars).highlight(&query, Words::new(), &text);
        prop_assert!(!html.contains(['<', '>', '"', '\'']));
    }
}
