//! What the content of a message gives besides its row: one walk for all references, and the types that have tables.

use flumedb::codec::{Document, Field};

use super::number;
use crate::Rows;

/// References deeper than this are not looked for.
const DEEPEST: usize = 64;

pub(super) fn map(author: &str, kind: Option<&str>, content: &dyn Document, rows: &mut Rows<'_>) {
    walk(content, &mut String::new(), 0, rows);
    content.items(&["mentions"], &mut |mention| {
        if let Some(link) = mention.text(&["link"]).or_else(|| mention.text(&[])) {
            rows.insert("mentions", &[(&link).into(), (&mention.text(&["name"])).into()]);
        }
    });
    let text = |path: &[&str]| content.text(path);
    match kind {
        Some("post") => {
            if let Some(text) = text(&["text"]) {
                rows.insert("search", &[(&text).into()]);
            }
        }
        Some("vote") => {
            if let Some(link) = text(&["vote", "link"]) {
                let (value, expression) = (number(content, &["vote", "value"]), text(&["vote", "expression"]));
                rows.insert("votes", &[author.into(), (&link).into(), value, (&expression).into()]);
            }
        }
        Some("about") => {
            if let Some(about) = text(&["about"]) {
                let image = text(&["image"]).or_else(|| text(&["image", "link"]));
                let (name, description) = (text(&["name"]), text(&["description"]));
                let values = [author.into(), (&about).into(), (&name).into(), (&description).into(), (&image).into()];
                rows.insert("abouts", &values);
            }
        }
        Some("contact") => {
            if let Some(contact) = text(&["contact"]) {
                let is = |name| content.boolean(&[name]) == Some(true);
                let state = if is("blocking") { -1 } else { i64::from(is("following")) };
                rows.insert("contacts", &[author.into(), (&contact).into(), state.into()]);
            }
        }
        _ => {}
    }
}

/// Every reference in `document`, which stands at `rel` in the content.
fn walk(document: &dyn Document, rel: &mut String, depth: usize, rows: &mut Rows<'_>) {
    if depth > DEEPEST {
        return;
    }
    match document.field(&[]) {
        Some(Field::Text(text)) if is_reference(&text) => {
            rows.insert("links", &[(&*rel).into(), (&text).into()]);
            // One that stands beside its name has told of itself.
            if text.starts_with('&') && !rel.ends_with(".link") && rel != "link" {
                rows.insert("blobs", &[(&text).into(), None::<&str>.into(), None::<&str>.into(), None::<i64>.into()]);
            }
        }
        Some(Field::Array) => document.items(&[], &mut |item| walk(item, rel, depth + 1, rows)),
        Some(Field::Object) => {
            if let Some(blob) = document.text(&["link"]).filter(|link| link.starts_with('&') && is_reference(link)) {
                let (name, kind, size) =
                    (document.text(&["name"]), document.text(&["type"]), document.integer(&["size"]));
                rows.insert("blobs", &[(&blob).into(), (&name).into(), (&kind).into(), size.into()]);
            }
            document.members(&[], &mut |name, member| {
                let len = rel.len();
                if len > 0 {
                    rel.push('.');
                }
                rel.push_str(name);
                walk(member, rel, depth + 1, rows);
                rel.truncate(len);
            });
        }
        _ => {}
    }
}

/// Whether it is the name of a feed, a message, a blob or a channel.
fn is_reference(text: &str) -> bool {
    /// Longer ones are texts that begin so.
    const LONGEST: usize = 300;
    let Some((sigil, name)) = text.split_at_checked(1) else { return false };
    match sigil {
        "#" => !name.is_empty() && name.len() <= LONGEST && !name.contains(char::is_whitespace),
        "@" | "%" | "&" => {
            // A blob may be followed by the key that opens it.
            let name = name.split('?').next().unwrap_or_default();
            let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte);
            name.rsplit_once('.').is_some_and(|(hash, kind)| {
                let fits = !hash.is_empty() && !kind.is_empty() && text.len() <= LONGEST;
                fits && hash.bytes().all(is_base64)
                    && kind.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            })
        }
        _ => false,
    }
}
